//! The aborted transactions of a segment, in the order of their markers (`.txnindex`).
//!
//! An entry is 34 bytes, big end first: version (i16), producer id, first offset, last offset and last stable offset
//! (i64 each). It lies beside the segment that holds the marker. A segment in which nothing was aborted has no file.
//!
//! - A1 A reader of committed records gets every entry whose transaction overlaps what it read; more do no harm.
//! - A2 An entry's last stable offset says how far to look: what was still open when its marker came begins there or later.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Offset, ProducerId};

use crate::index_file::Entry;
use crate::locks::read;
use crate::log_error::ReadError;
use crate::names::Kind;
use crate::offset_index::OffsetEntry;
use crate::reader::{LogReader, Read};
use crate::segment::Segment;
use crate::transactions::AbortedTransaction;

const VERSION: i16 = 0;

/// One entry; of another version it is not sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    version: i16,
    pub(crate) transaction: AbortedTransaction,
}

impl From<AbortedTransaction> for AbortedEntry {
    fn from(transaction: AbortedTransaction) -> AbortedEntry {
        AbortedEntry { version: VERSION, transaction }
    }
}

impl Entry for AbortedEntry {
    const WIDTH: usize = 34;

    fn encode(self, out: &mut Vec<u8>) {
        let AbortedTransaction { producer, first_offset, last_offset, last_stable_offset } = self.transaction;
        out.extend_from_slice(&self.version.to_be_bytes());
        for number in [producer.0, first_offset.0, last_offset.0, last_stable_offset.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> AbortedEntry {
        let number = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(-1, |&n| i64::from_be_bytes(n))
        };
        AbortedEntry {
            version: bytes.first_chunk().map_or(-1, |&version| i16::from_be_bytes(version)),
            transaction: AbortedTransaction {
                producer: ProducerId(number(2)),
                first_offset: Offset(number(10)),
                last_offset: Offset(number(18)),
                last_stable_offset: Offset(number(26)),
            },
        }
    }

    fn is_sound(self) -> bool {
        let AbortedTransaction { producer, first_offset, last_offset, last_stable_offset } = self.transaction;
        let in_order = Offset::ZERO <= first_offset && first_offset < last_offset;
        let stable = Offset::ZERO <= last_stable_offset && last_stable_offset <= last_offset.next();
        self.version == VERSION && 0 <= producer.0 && in_order && stable
    }

    fn precedes(self, next: AbortedEntry) -> bool {
        self.transaction.last_offset < next.transaction.last_offset
    }
}

impl LogReader {
    /// Whether a reader from `from` on has to ask [`LogReader::aborted_transactions`], which may wait for the disk.
    pub fn may_hold_aborted(&self, from: Offset) -> bool {
        self.segments_from(from).iter().any(|segment| 0 < segment.aborted.len())
    }

    /// The aborted transactions with records in what was read from `from` on, below `up_to`; by their first offsets.
    pub fn aborted_in(
        &self,
        found: &Read,
        from: Offset,
        up_to: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let Some(slice) = &found.slice else { return Ok(Vec::new()) };
        let end = self.end_of(found.segment_base, slice.position + slice.len)?;
        self.aborted_transactions(from, end.min(up_to))
    }

    /// An offset that no record in front of `position` of a segment reaches; the offset index finds a near one.
    fn end_of(&self, base: Offset, position: u64) -> Result<Offset, ReadError> {
        let mut end = self.segment_after(base).unwrap_or(self.log_end());
        if let Some(segment) = self.segments_from(base).first().filter(|segment| segment.base() == base) {
            let file = || segment.file(Kind::OffsetIndex);
            let see = |entry: OffsetEntry| {
                end = entry.last_offset(base);
                ControlFlow::Break(())
            };
            let _ = segment.offsets.walk(file, |entry| entry.position() < position, see)?;
        }
        Ok(end)
    }

    /// The aborted transactions with records among those from `from` to below `up_to`, by their first offsets.
    pub fn aborted_transactions(
        &self,
        from: Offset,
        up_to: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let mut aborted = Vec::new();
        for segment in self.segments_from(from) {
            let found = segment.aborted.walk(
                || segment.file(Kind::AbortedIndex),
                |entry| entry.transaction.last_offset < from,
                |AbortedEntry { transaction, .. }| {
                    aborted.extend(Some(transaction).filter(|aborted| aborted.first_offset < up_to));
                    match transaction.last_stable_offset {
                        stable if up_to <= stable => ControlFlow::Break(()),
                        _ => ControlFlow::Continue(()),
                    }
                },
            )?;
            if found.is_break() {
                break;
            }
        }
        aborted.sort_unstable_by_key(|aborted| aborted.first_offset);
        Ok(aborted)
    }

    /// The segment that holds `from`, and all behind it: markers lie behind the records they are about.
    fn segments_from(&self, from: Offset) -> Vec<Arc<Segment>> {
        let state = read(&self.shared.state);
        let index = state.segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        state.segments[index..].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_file::sorted_prefix;

    /// What Kafka 4.3.1 wrote: producer 0 from offset 0 on, aborted at 4 while another had one open since 3, and that one.
    const KAFKAS: [u8; 68] = [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08,
    ];

    #[test]
    fn bytes_are_kafkas() {
        let entries: Vec<AbortedEntry> = sorted_prefix(&KAFKAS);
        let told = |entry: &AbortedEntry| {
            let AbortedTransaction { producer, first_offset, last_offset, last_stable_offset } =
                entry.transaction;
            [producer.0, first_offset.0, last_offset.0, last_stable_offset.0]
        };
        assert_eq!(entries.iter().map(told).collect::<Vec<_>>(), [[0, 0, 4, 3], [1, 3, 7, 8]]);
        let mut out = Vec::new();
        entries.into_iter().for_each(|entry| entry.encode(&mut out));
        assert_eq!(out, KAFKAS);
        for (at, byte) in [(1, 1), (2, 0x80), (10, 0x80), (17, 9), (33, 9)] {
            let mut damaged = KAFKAS;
            damaged[at] = byte;
            assert!(!AbortedEntry::decode(&damaged).is_sound(), "byte {at}");
        }
    }
}
