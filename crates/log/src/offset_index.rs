//! Where the batches of a segment lie: entries of a batch's last offset and its first byte (`.index`).
//!
//! An entry is 8 bytes, big end first: offset minus the segment's base (i32), position (i32). There is one for
//! every `index.interval.bytes` of batches, and none for the first batch, as Kafka writes them.

use model::Offset;

use crate::index_file::Entry;

/// One entry, relative to the segment's base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    relative: i32,
    position: i32,
}

impl OffsetEntry {
    /// The entry of a batch that ends at `last_offset`; `None` beyond what 32 bits can say.
    pub(crate) fn new(base: Offset, last_offset: Offset, position: u64) -> Option<OffsetEntry> {
        let relative = i32::try_from(last_offset.since(base)).ok()?;
        Some(OffsetEntry { relative, position: i32::try_from(position).ok()? })
    }

    /// The last offset of the batch.
    pub(crate) fn last_offset(self, base: Offset) -> Offset {
        base.plus(i64::from(self.relative))
    }

    /// Its first byte.
    pub(crate) fn position(self) -> u64 {
        u64::try_from(self.position).unwrap_or(0)
    }
}

impl Entry for OffsetEntry {
    const WIDTH: usize = 8;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> OffsetEntry {
        let raw = u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default());
        let half = |half: u64| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0).cast_signed();
        OffsetEntry { relative: half(raw >> 32), position: half(raw) }
    }

    fn is_sound(self) -> bool {
        0 <= self.relative && 0 <= self.position
    }

    fn precedes(self, next: OffsetEntry) -> bool {
        self.relative < next.relative && self.position < next.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_file::sorted_prefix;

    #[test]
    fn bytes_are_kafkas() {
        // `dump-log` prints these bytes of a segment with base offset 0 as "offset: 11 position: 1920".
        let bytes = [0, 0, 0, 11, 0, 0, 7, 128];
        let entry = OffsetEntry::decode(&bytes);
        assert_eq!((entry.last_offset(Offset(100)), entry.position()), (Offset(111), 1920));
        let mut out = Vec::new();
        entry.encode(&mut out);
        assert_eq!(out, bytes);
        assert_eq!(OffsetEntry::new(Offset(0), Offset(1 << 31), 0), None);
    }

    #[test]
    fn a_torn_index_ends_at_its_first_zeros() {
        let mut bytes = Vec::new();
        for entry in [(3, 10), (5, 20)] {
            OffsetEntry { relative: entry.0, position: entry.1 }.encode(&mut bytes);
        }
        bytes.extend_from_slice(&[0; 16]);
        assert_eq!(sorted_prefix::<OffsetEntry>(&bytes).len(), 2);
    }
}
