//! Space that is set aside on the disk ahead of what is written.
//!
//! A file system that hears of each write only when it comes looks for room, enters it and accounts for it each time;
//! set aside in a piece, that is done once for the piece.
//!
//! - A1 The length of the file is what was written: neither readers nor a recovery see what was set aside.
//! - A2 What was set aside and not written is given back when the segment closes, and when the log rests; what a process
//!   that was killed left behind, too.

use std::io;

use crate::log::Log;
use crate::names::Kind;
use crate::recovery::Recovery;

/// Set aside at the most, bytes: with longer pieces the disk was slower (ext4), not quicker.
const AHEAD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Not worth setting aside, bytes.
const AHEAD_BYTES_MIN: u64 = 128 * 1024;

/// This part of a segment's size, so that many small partitions do not hold much.
const AHEAD_PART: u64 = 8;

/// What is set aside for the newest segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpaceAhead {
    /// Where it ends in the file; 0 when there is none.
    end: u64,
    /// The file system knows no such thing, or has no room for it.
    is_refused: bool,
    /// An earlier process may have left some.
    may_be_left: bool,
}

impl SpaceAhead {
    /// Of a segment of `size` bytes that was found.
    pub(crate) fn found(recovery: Recovery, size: u64) -> SpaceAhead {
        let was_killed = !matches!(recovery, Recovery::Clean);
        SpaceAhead {
            may_be_left: was_killed && AHEAD_PART * AHEAD_BYTES_MIN <= size,
            ..SpaceAhead::default()
        }
    }
}

impl Log {
    /// How many bytes are to be set aside before what was gathered is written; `None` where that is not worth it.
    pub fn wants_space(&self) -> Option<u64> {
        let (written, SpaceAhead { end, is_refused, .. }) = (self.active.size(), self.space_ahead);
        let needed = written + self.gather.size();
        if is_refused || self.gather.is_empty() || needed <= end {
            return None;
        }
        let ahead = (needed / AHEAD_PART).min(AHEAD_BYTES_MAX);
        let upto = (needed + ahead).min(self.config.segment_bytes);
        let bytes = upto.checked_sub(end.max(written))?;
        (AHEAD_BYTES_MIN <= ahead && needed < upto).then_some(bytes)
    }

    /// Sets so many bytes aside. Where that fails, this segment does without.
    pub fn set_space_aside(&mut self, bytes: u64) {
        let from = self.space_ahead.end.max(self.active.size());
        let reserved = self.active.file(Kind::Log).and_then(|file| file.reserve(&(from..from + bytes)));
        match reserved {
            Ok(()) => self.space_ahead.end = from + bytes,
            Err(_) => self.space_ahead.is_refused = true,
        }
    }

    /// Bytes that are set aside and not written.
    pub fn space_aside(&self) -> u64 {
        self.space_ahead.end.saturating_sub(self.active.size())
    }

    /// Whether there is anything to give back.
    pub(crate) fn may_hold_space(&self) -> bool {
        0 < self.space_aside() || self.space_ahead.may_be_left
    }

    /// Gives back what is left (A2). The file keeps its length, so nothing is left to sync.
    pub(crate) fn give_space_back(&mut self) -> io::Result<()> {
        if self.may_hold_space() {
            self.active.file(Kind::Log)?.set_len(self.active.size())?;
        }
        self.space_ahead = SpaceAhead::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use model::{LeaderEpoch, Offset, TimestampMs};
    use record::{BatchBuilder, BatchOptions, CheckedBatch};
    use rt::sim::{Disk, Sim};

    use super::*;
    use crate::tests::sync;
    use crate::{LogConfig, OpenFiles, OpenOptions, Recovery};

    const NODE: &str = "n1";
    const BATCH: usize = 200_000;

    fn batch() -> CheckedBatch {
        let mut builder = BatchBuilder::new();
        builder.push(None, Some(&[7; BATCH]), &[], TimestampMs(1_000));
        builder.build(BatchOptions::default()).expect("a record")
    }

    fn open(sim: &Sim, segment_bytes: u64) -> Log {
        let options = OpenOptions {
            dir: Path::new("/t-0").to_path_buf(),
            topic_id: None,
            config: LogConfig { segment_bytes, ..LogConfig::default() },
            recovery: Recovery::From(Offset::ZERO),
            start_offset: Offset::ZERO,
            files: Arc::new(OpenFiles::new(8)),
        };
        Log::open(sim.node(NODE).fs(), options).expect("opens").0
    }

    /// Appends and writes a batch as its lane does.
    fn write(log: &mut Log) {
        log.append(batch(), LeaderEpoch(1), 0).expect("appends");
        if let Some(bytes) = log.wants_space() {
            log.set_space_aside(bytes);
        }
        log.write().expect("writes");
    }

    /// What a change takes from the disk.
    fn taken(disk: &Disk, change: impl FnOnce()) -> i64 {
        let before = disk.free_bytes();
        change();
        i64::try_from(before).expect("small") - i64::try_from(disk.free_bytes()).expect("small")
    }

    #[test]
    fn little_is_set_aside_for_little_and_all_of_it_given_back() {
        let sim = Sim::new(1);
        let mut log = open(&sim, 1 << 30);
        let disk = sim.disk(NODE);
        disk.set_free_bytes(1 << 30);
        (0..5).for_each(|_| write(&mut log));
        assert_eq!(log.space_aside(), 0, "the log is small");
        for _ in 0..100 {
            write(&mut log);
            assert!(
                log.space_aside() <= log.active.size() / AHEAD_PART + bytes_of_batch(),
                "a part of its size"
            );
        }
        assert!(0 < log.space_aside());
        let before = log.space_aside();
        let rested = taken(&disk, || log.rest().expect("rests"));
        assert_eq!(log.space_aside(), 0);
        assert!(-rested > i64::try_from(before).expect("small") - 100_000, "{rested} of {before}");
        assert!(log.is_rested());
    }

    #[test]
    fn what_a_killed_process_left_is_given_back() {
        let sim = Sim::new(1);
        let mut log = open(&sim, 1 << 30);
        (0..10).for_each(|_| write(&mut log));
        sync(&mut log, sim.node(NODE).fs());
        let aside = i64::try_from(log.space_aside()).expect("small");
        assert!(100_000 < aside);
        drop(log);
        sim.power_cut(NODE);
        let mut log = open(&sim, 1 << 30);
        assert!(!log.is_rested());
        let disk = sim.disk(NODE);
        disk.set_free_bytes(1 << 30);
        let rested = taken(&disk, || log.rest().expect("rests"));
        assert!(-rested > aside - 100_000, "{rested} of {aside}");
    }

    fn bytes_of_batch() -> u64 {
        crate::batch_scan::bytes(batch().size_in_bytes())
    }

    #[test]
    fn a_closed_segment_keeps_nothing() {
        let sim = Sim::new(1);
        let mut log = open(&sim, 4_000_000);
        let disk = sim.disk(NODE);
        disk.set_free_bytes(1 << 30);
        let used = taken(&disk, || (0..100).for_each(|_| write(&mut log)));
        let written = 100 * i64::try_from(bytes_of_batch()).expect("small");
        let aside = i64::try_from(log.space_aside()).expect("small");
        assert!(
            (0..100_000).contains(&(used - written - aside)),
            "{used} taken for {written} and {aside} aside"
        );
        sync(&mut log, sim.node(NODE).fs());
    }

    #[test]
    fn where_there_is_no_room_a_segment_does_without() {
        let sim = Sim::new(1);
        let mut log = open(&sim, 1 << 30);
        (0..10).for_each(|_| write(&mut log));
        log.give_space_back().expect("gives back");
        sim.disk(NODE).set_free_bytes(bytes_of_batch() + 1_000);
        write(&mut log);
        assert_eq!((log.space_aside(), log.fenced()), (0, None));
        log.append(batch(), LeaderEpoch(1), 0).expect("appends");
        assert_eq!(log.wants_space(), None, "it was refused");
    }
}
