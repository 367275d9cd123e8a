//! Reading again what was checked once: disks lose bytes while nobody looks.
//!
//! - C1 A range that is found bad counts as never checked: its next reader is refused it, and no other range is touched.

use model::Offset;

use crate::batch_scan::{BatchScan, Depth};
use crate::locks::read;
use crate::log_error::{Damage, ReadError};
use crate::names::Kind;
use crate::reader::LogReader;

/// Where in a log the next piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPlace {
    segment: Offset,
    position: u64,
    offset: Offset,
}

impl ScrubPlace {
    /// The front of any log.
    pub const START: ScrubPlace = ScrubPlace { segment: Offset::ZERO, position: 0, offset: Offset::ZERO };
}

/// One piece that was looked at.
#[derive(Debug)]
pub struct Scrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// What was wrong there.
    pub found: Option<ReadError>,
    /// Where to go on; `None` at the end of what is sealed.
    pub next: Option<ScrubPlace>,
}

impl LogReader {
    /// Checks about `bytes` of the sealed segments from `place` on. Behind a bad batch it goes on in the next segment.
    /// Blocks.
    pub fn scrub(&self, place: ScrubPlace, bytes: u64) -> Scrubbed {
        let segments = {
            let state = read(&self.shared.state);
            if state.closed { Vec::new() } else { state.segments.clone() }
        };
        let at = segments.partition_point(|segment| segment.base() < place.segment);
        let (Some(segment), Some(behind)) = (segments.get(at), segments.get(at + 1)) else {
            return Scrubbed { bytes: 0, found: None, next: None };
        };
        let is_same = segment.base() == place.segment;
        let (start, mut expected) =
            if is_same { (place.position, place.offset.max(segment.base())) } else { (0, segment.base()) };
        let next_segment = ScrubPlace { segment: behind.base(), position: 0, offset: behind.base() };
        let size = segment.size();
        let mut end = start;
        let checked = || -> Result<(), ReadError> {
            let file = segment.file(Kind::Log)?;
            let mut scan = BatchScan::new(&file, start, size, Depth::Checksums);
            while end < size.min(start.saturating_add(bytes)) {
                let Some(found) = segment.scanned(scan.next())? else { break };
                if found.header.base_offset < expected || behind.base() <= found.header.last_offset() {
                    let what = Damage::OffsetOrder { expected, found: found.header.base_offset };
                    return Err(ReadError::Corrupt(segment.corruption(found.position, what)));
                }
                (expected, end) = (found.header.next_offset(), found.end());
            }
            Ok(())
        };
        match { checked }() {
            Ok(()) => {
                segment.mark_checked(start..end);
                let goes_on = ScrubPlace { segment: segment.base(), position: end, offset: expected };
                let next = if end < size { goes_on } else { next_segment };
                Scrubbed { bytes: end - start, found: None, next: Some(next) }
            }
            // Retention or compaction took it away meanwhile.
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Scrubbed { bytes: 0, found: None, next: Some(next_segment) }
            }
            Err(error) => {
                // The one before reaches over it when it is its offset that grew: neither is believed now.
                segment.mark_unchecked(&(start..size));
                Scrubbed { bytes: end - start, found: Some(error), next: Some(next_segment) }
            }
        }
    }
}
