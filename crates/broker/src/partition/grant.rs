//! What one partition was granted of the disk's room and has not used yet.
//!
//! - N1 Everything granted is settled once: written, given up, or given back because it went where space was set aside,
//!   which had been granted before.
//! - N2 Producers are refused what the disk has no room for above its reserve; coordinators and markers do not ask, and
//!   nothing is set aside for their topics.

use std::sync::Arc;

use log::{Log, LogError};

use crate::disk::DiskRoom;

pub(super) struct Grant {
    room: Arc<DiskRoom>,
    topic_is_internal: bool,
    /// Granted and not settled.
    bytes: u64,
}

impl Grant {
    pub fn new(room: Arc<DiskRoom>, topic_is_internal: bool) -> Grant {
        Grant { room, topic_is_internal, bytes: 0 }
    }

    /// Whether the disk has room for so many bytes more (N2).
    pub fn ask(&mut self, bytes: u64) -> bool {
        if self.topic_is_internal {
            return true;
        }
        let is_granted = self.room.grant(bytes);
        if is_granted {
            self.bytes += bytes;
        }
        is_granted
    }

    /// Hands what the log gathered to the kernel. Where the disk has plenty, space is set aside first, for that and for what
    /// may follow.
    pub fn write(&mut self, log: &mut Log) -> Result<(), LogError> {
        if let Some(bytes) = log.wants_space().filter(|_| !self.topic_is_internal)
            && self.room.grant_ahead(bytes)
        {
            log.set_space_aside(bytes);
            self.room.on_written(bytes);
        }
        let aside_before = log.space_aside();
        let written = log.write();
        let granted_twice = aside_before.saturating_sub(log.space_aside()).min(self.bytes);
        self.room.give_back(granted_twice);
        self.bytes -= granted_twice;
        self.settle();
        written
    }

    /// What was granted is with the kernel by now, or never will be.
    pub fn settle(&mut self) {
        self.room.on_written(std::mem::take(&mut self.bytes));
    }

    /// The disk took less than was granted: others fill it, too.
    pub fn look_again(&self) {
        self.room.look_again();
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use log::{LogConfig, OpenFiles, OpenOptions, Recovery};
    use model::{LeaderEpoch, Offset, TimestampMs};
    use record::{BatchBuilder, BatchOptions, CheckedBatch};
    use rt::sim::Sim;

    use super::*;
    use crate::disk::Measured;

    fn batch() -> CheckedBatch {
        let mut builder = BatchBuilder::new();
        builder.push(None, Some(&[7; 200_000]), &[], TimestampMs(1_000));
        builder.build(BatchOptions::default()).expect("a record")
    }

    fn open(sim: &Sim) -> Log {
        let options = OpenOptions {
            dir: PathBuf::from("/t-0"),
            topic_id: None,
            config: LogConfig::default(),
            recovery: Recovery::From(Offset::ZERO),
            start_offset: Offset::ZERO,
            files: Arc::new(OpenFiles::new(8)),
        };
        Log::open(sim.node("n1").fs(), options).expect("opens").0
    }

    fn measure(room: &DiskRoom, free: u64) {
        room.on_measured(Measured { written_before: room.written(), free, reserve: 0 });
    }

    #[test]
    fn what_the_disk_holds_is_granted_once_whether_written_or_set_aside() {
        let sim = Sim::new(1);
        let (mut log, room) = (open(&sim), Arc::new(DiskRoom::new()));
        let mut grant = Grant::new(Arc::clone(&room), false);
        let mut bytes = 0;
        for _ in 0..100 {
            let batch = batch();
            let size = u64::try_from(batch.size_in_bytes()).expect("small");
            assert!(grant.ask(size));
            log.append(batch, LeaderEpoch(1), 0).expect("appends");
            grant.write(&mut log).expect("writes");
            bytes += size;
            assert_eq!(room.written(), bytes + log.space_aside());
        }
        assert!(0 < log.space_aside());
        measure(&room, 1_000);
        assert!(room.grant(1_000), "nothing is granted that is not written");
        assert!(!room.grant(1));
    }

    #[test]
    fn what_is_given_up_does_not_stay_granted() {
        let room = Arc::new(DiskRoom::new());
        let mut grant = Grant::new(Arc::clone(&room), false);
        assert!(grant.ask(500));
        grant.settle();
        assert!(grant.ask(200));
        drop(grant);
        assert_eq!(room.written(), 700);
    }

    #[test]
    fn internal_topics_do_not_ask() {
        let room = Arc::new(DiskRoom::new());
        measure(&room, 100);
        assert!(!Grant::new(Arc::clone(&room), false).ask(101));
        assert!(Grant::new(Arc::clone(&room), true).ask(101));
        assert_eq!(room.written(), 0);
    }
}
