//! Checking bytes of a segment before they are believed (D3).
//!
//! - V1 A batch is believed when its checksum is right and its offsets stand between those of its neighbours: checksums
//!   do not cover the base offset.
//! - V2 What lies before something bad is marked as checked all the same: nobody is refused it for what is behind.
//! - V3 The walk begins at an index entry that its batch bears out, or at the segment's start: never at what is doubted.

use std::ops::Range;

use model::Offset;
use rt::File;

use crate::batch_scan::{BatchScan, Depth};
use crate::log_error::{Damage, ReadError};
use crate::names::Kind;
use crate::segment::Segment;

impl Segment {
    /// Checks what was not checked yet of a range that begins with a batch. All its offsets lie below `bound`.
    pub(crate) fn verify(&self, range: Range<u64>, bound: Offset) -> Result<(), ReadError> {
        let Some(start) = self.first_unchecked(&range) else { return Ok(()) };
        let (file, size) = (self.file(Kind::Log)?, self.size());
        let (from, mut expected) = self.anchor(&file, start, size);
        let mut scan = BatchScan::new(&file, from, size, Depth::Checksums);
        let (mut last, mut end) = (from, from);
        while end < range.end {
            let found = match self.scanned(scan.next()) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(error) => {
                    let sound_to = if expected <= bound { end } else { last };
                    self.mark_checked(from..sound_to);
                    return Err(error);
                }
            };
            let (base, next) = (found.header.base_offset, found.header.next_offset());
            if base < expected {
                // Which of the two is wrong nobody can say.
                self.mark_checked(from..last);
                let what = Damage::OffsetOrder { expected, found: base };
                return Err(ReadError::Corrupt(self.corruption(found.position, what)));
            }
            (last, expected, end) = (found.position, next, found.end());
        }
        // One whose offset grew reaches over what follows.
        let behind = BatchScan::new(&file, end, size, Depth::Headers).next();
        let behind = behind.ok().flatten().map_or(bound, |found| found.header.base_offset.min(bound));
        if behind < expected {
            let what = Damage::OffsetBeyond { end: behind, found: expected };
            return Err(ReadError::Corrupt(self.corruption(last, what)));
        }
        self.mark_checked(from..end);
        Ok(())
    }

    /// Where a walk to `position` may begin, and the least offset there (V3).
    fn anchor(&self, file: &File, position: u64, size: u64) -> (u64, Offset) {
        // An index that cannot be read is done without.
        let entry = self
            .offsets
            .last_where(|| self.file(Kind::OffsetIndex), |entry| entry.position() <= position)
            .ok()
            .flatten();
        let Some(entry) = entry else { return (0, self.base()) };
        match BatchScan::new(file, entry.position(), size, Depth::Checksums).next() {
            Ok(Some(found)) if found.header.last_offset() == entry.last_offset(self.base()) => {
                (entry.position(), found.header.base_offset)
            }
            // It is what is wanted that is bad: the walk says why, and not what else is bad in front of it.
            Err(_) if entry.position() == position => (position, self.base()),
            Ok(_) | Err(_) => (0, self.base()),
        }
    }
}
