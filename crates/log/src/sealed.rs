//! The segments that are not written any more, as whoever needs their space sees them.

use model::{Offset, TimestampMs};

use crate::batch_scan::bytes;
use crate::index_file::Entry;
use crate::locks::read;
use crate::offset_index::OffsetEntry;
use crate::reader::LogReader;
use crate::time_index::TimeEntry;

/// A segment behind the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The offset after its last record.
    pub end: Offset,
    /// The time of its newest record, or of its last write where the records have none.
    pub newest: TimestampMs,
    /// Bytes it takes on the disk.
    pub bytes: u64,
}

impl LogReader {
    /// The sealed segments whose records all lie below `up_to`, oldest first. May ask the disk.
    pub fn sealed_below(&self, up_to: Offset) -> Vec<Sealed> {
        let segments = {
            let state = read(&self.shared.state);
            if state.closed { Vec::new() } else { state.segments.clone() }
        };
        let pairs = segments.windows(2).take_while(|pair| pair[1].base() <= up_to);
        let sealed = pairs.map(|pair| {
            let (segment, end) = (&pair[0], pair[1].base());
            // One that cannot be asked counts as new, and stays longest.
            let newest = match segment.sure_largest().map(|largest| largest.timestamp) {
                Ok(TimestampMs::NONE) => segment.modified().unwrap_or(TimestampMs(i64::MAX)),
                Ok(largest) => largest,
                Err(_) => TimestampMs(i64::MAX),
            };
            let indexes = segment.offsets.len() * bytes(OffsetEntry::WIDTH)
                + segment.times.len() * bytes(TimeEntry::WIDTH);
            Sealed { end, newest, bytes: segment.size() + indexes }
        });
        sealed.collect()
    }
}
