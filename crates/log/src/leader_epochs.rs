//! Which leadership wrote from which offset on (KIP-101), kept in `leader-epoch-checkpoint`.
//!
//! - L1 Epochs and their start offsets both grow from entry to entry.
//! - L2 Everything here can be read from the batches again, but for leaderships that wrote nothing.
//! - L3 A flipped bit in the file is found: it bears a checksum in blanks, which Kafka's reader passes over. Kafka writes
//!   none, nor did older versions; their files are believed as far as L1 goes.

use model::{LeaderEpoch, Offset};

use crate::checkpoint;

/// The epochs of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// The newest epoch and where it started.
    pub fn latest(&self) -> Option<(LeaderEpoch, Offset)> {
        self.entries.last().copied()
    }

    /// The epoch before `epoch`'s successor: the largest one not above it.
    pub fn floor(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let after = self.entries.partition_point(|&(known, _)| known <= epoch);
        self.entries[..after].last().copied()
    }

    /// The epoch that wrote the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        self.entries[..after].last().map(|&(epoch, _)| epoch)
    }

    /// Notes that `epoch` writes from `start` on. Later entries that this contradicts go, as in Kafka: they are
    /// of leaderships whose records were cut. Says whether anything changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < LeaderEpoch(0) || self.latest().is_some_and(|(latest, _)| latest == epoch) {
            return false;
        }
        self.entries.retain(|&(known, known_start)| known < epoch && known_start < start);
        self.entries.push((epoch, start));
        true
    }

    /// Drops epochs that started at or beyond the new end of a log that was cut. Says whether any did.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|&(_, start)| start < end);
        self.entries.len() < before
    }

    /// Forgets epochs that ended before the new start of the log. Says whether any did.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let older = self.entries.partition_point(|&(_, known)| known <= start);
        let Some(last_older) = older.checked_sub(1) else { return false };
        if last_older == 0 && self.entries[0].1 == start {
            return false;
        }
        self.entries.drain(..last_older);
        self.entries[0].1 = start;
        true
    }

    /// Answers OffsetForLeaderEpoch for a log that ends at `log_end`: the largest known epoch not above the one
    /// asked for, and the offset after its last record; `(NONE, -1)` when the log cannot know.
    pub fn end_offset_for(&self, asked: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        const UNKNOWN: (LeaderEpoch, Offset) = (LeaderEpoch::NONE, Offset(-1));
        if asked == LeaderEpoch::NONE {
            return UNKNOWN;
        }
        if self.latest().is_some_and(|(latest, _)| latest == asked) {
            return (asked, log_end);
        }
        let after = self.entries.partition_point(|&(known, _)| known <= asked);
        match (self.entries[..after].last(), self.entries.get(after)) {
            (_, None) => UNKNOWN,
            (None, Some(&(_, next_start))) => (asked, next_start),
            (Some(&(floor, _)), Some(&(_, next_start))) => (floor, next_start),
        }
    }

    /// The text of the checkpoint file.
    pub(crate) fn to_text(&self) -> String {
        let text = checkpoint::format(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")));
        if self.entries.is_empty() {
            // No line that blanks may follow: behind the count they would be a part of it.
            return text;
        }
        let lines = text.trim_end();
        format!("{lines}{}\n", blanks(lines))
    }

    /// Reads a checkpoint file; `None` when it is none, breaks L1 or is not what was written (L3).
    pub(crate) fn from_text(bytes: &[u8]) -> Option<LeaderEpochs> {
        let mut entries: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let lines = text.trim_end_matches(BLANKS);
        if lines.len() < text.len() && text[lines.len()..] != blanks(lines) {
            return None;
        }
        for line in checkpoint::parse(bytes)? {
            let entry = parse_epoch(line)?;
            if entries.last().is_some_and(|last| entry.0 <= last.0 || entry.1 <= last.1) {
                return None;
            }
            entries.push(entry);
        }
        Some(LeaderEpochs { entries })
    }
}

/// What stands for a zero and a one in a checksum.
const BLANKS: [char; 2] = [' ', '\t'];

/// The checksum of the lines (L3): Kafka takes two words a line, and no line more than its second one counts.
fn blanks(lines: &str) -> String {
    let checksum = record::checksum(lines.as_bytes());
    (0..u32::BITS).map(|bit| BLANKS[usize::from(checksum >> bit & 1 == 1)]).collect()
}

/// One line of the checkpoint file.
pub(crate) fn parse_epoch(line: &str) -> Option<(LeaderEpoch, Offset)> {
    let (epoch, start) = line.trim_end_matches(BLANKS).split_once(' ')?;
    Some((LeaderEpoch(epoch.parse().ok()?), Offset(start.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), Offset(start));
        }
        epochs
    }

    #[test]
    fn end_offsets_are_kafkas() {
        let epochs = epochs(&[(2, 10), (5, 20), (7, 30)]);
        for (asked, expected) in [
            (-1, (-1, -1)),
            (0, (0, 10)),
            (2, (2, 20)),
            (3, (2, 20)),
            (5, (5, 30)),
            (6, (5, 30)),
            (7, (7, 44)),
            (8, (-1, -1)),
        ] {
            let (epoch, offset) = epochs.end_offset_for(LeaderEpoch(asked), Offset(44));
            assert_eq!((epoch.0, offset.0), expected, "asked for {asked}");
        }
        let none = LeaderEpochs::default().end_offset_for(LeaderEpoch(3), Offset(0));
        assert_eq!(none, (LeaderEpoch::NONE, Offset(-1)));
    }

    #[test]
    fn an_epoch_that_wrote_nothing_gives_way_to_the_next() {
        let mut known = epochs(&[(1, 0), (2, 10)]);
        assert!(known.assign(LeaderEpoch(3), Offset(10)));
        assert_eq!(known, epochs(&[(1, 0), (3, 10)]));
        assert!(!known.assign(LeaderEpoch(3), Offset(50)), "an epoch starts once");
        assert!(known.assign(LeaderEpoch(4), Offset(5)));
        assert_eq!(known, epochs(&[(1, 0), (4, 5)]));
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut known = epochs(&[(1, 0), (2, 10), (4, 20)]);
        assert!(known.truncate_from_start(Offset(12)));
        assert_eq!(known, epochs(&[(2, 12), (4, 20)]));
        assert!(!known.truncate_from_start(Offset(12)));
        assert!(known.truncate_from_end(Offset(20)));
        assert!(!known.truncate_from_end(Offset(20)));
        assert_eq!(known, epochs(&[(2, 12)]));
        assert_eq!(known.epoch_at(Offset(11)), None);
        assert_eq!(known.epoch_at(Offset(12)), Some(LeaderEpoch(2)));
    }

    #[test]
    fn the_text_is_kafkas_and_damage_is_seen() {
        let known = epochs(&[(0, 0), (3, 17)]);
        let kafkas = "0\n2\n0 0\n3 17\n";
        assert_eq!(LeaderEpochs::from_text(kafkas.as_bytes()).as_ref(), Some(&known));
        assert_eq!(format!("{}\n", known.to_text().trim_end()), kafkas, "but for blanks");
        assert_eq!(LeaderEpochs::default().to_text(), "0\n0\n", "as Kafka writes it");
        for known in [known, LeaderEpochs::default()] {
            let text = known.to_text();
            assert_eq!(LeaderEpochs::from_text(text.as_bytes()), Some(known));
            for bit in 0..text.len() * 8 {
                let mut damaged = text.clone().into_bytes();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(LeaderEpochs::from_text(&damaged), None, "bit {bit} of {text:?}");
            }
        }
        for bad in ["", "0\n2\n0 0\n", "0\n1\n0 0", "0\n2\n3 0\n2 5\n", "1\n0\n", "0\n1\nx y\n"] {
            assert_eq!(LeaderEpochs::from_text(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
