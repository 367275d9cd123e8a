//! How late the records of a segment are: entries of the largest timestamp so far and its offset (`.timeindex`).
//!
//! An entry is 12 bytes, big end first: timestamp (i64), last offset of the batch that has it minus the
//! segment's base (i32). One goes with each entry of the offset index when the timestamp has grown, and one more
//! when the segment closes, so that the last entry of a closed segment is its largest timestamp.

use model::{Offset, TimestampMs};

use crate::index_file::Entry;

/// One entry, relative to the segment's base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    timestamp: i64,
    relative: i32,
}

impl TimeEntry {
    /// The entry of a batch that ends at `last_offset`; `None` beyond what 32 bits can say.
    pub(crate) fn new(base: Offset, timestamp: TimestampMs, last_offset: Offset) -> Option<TimeEntry> {
        Some(TimeEntry { timestamp: timestamp.0, relative: i32::try_from(last_offset.since(base)).ok()? })
    }

    /// The largest timestamp up to and with the batch.
    pub(crate) fn timestamp(self) -> TimestampMs {
        TimestampMs(self.timestamp)
    }

    /// The last offset of the batch.
    pub(crate) fn last_offset(self, base: Offset) -> Offset {
        base.plus(i64::from(self.relative))
    }
}

impl Entry for TimeEntry {
    const WIDTH: usize = 12;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        let timestamp = bytes.first_chunk().copied().map_or(0, i64::from_be_bytes);
        let relative = bytes.last_chunk().copied().map_or(0, i32::from_be_bytes);
        TimeEntry { timestamp, relative }
    }

    fn is_sound(self) -> bool {
        0 <= self.relative && 0 <= self.timestamp
    }

    fn precedes(self, next: TimeEntry) -> bool {
        self.timestamp < next.timestamp && self.relative <= next.relative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kafkas() {
        // The second entry of a segment with base offset 3282 that Kafka 4.3.1 wrote.
        let bytes = [0x00, 0x00, 0x01, 0xa1, 0xfd, 0xa2, 0x74, 0x59, 0x00, 0x00, 0x00, 0xdd];
        let entry = TimeEntry::decode(&bytes);
        assert_eq!(entry.timestamp(), TimestampMs(1_795_256_644_697));
        assert_eq!(entry.last_offset(Offset(3282)), Offset(3503));
        let mut out = Vec::new();
        entry.encode(&mut out);
        assert_eq!(out, bytes);
    }
}
