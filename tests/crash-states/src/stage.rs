//! Where an operation runs: its disk's changes are written down, and beside them what was promised when.
//!
//! - G1 What may happen is promised as possible before it is begun, what has happened as certain after it is done. So
//!   the last promise before a change is the one that holds when the power goes there.

use log::{Checkpoint, CleanOptions, Lags, Offsets, RecoveryPointLowered, Retention, Step};
use model::{CoordinatorEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TransactionResult, Uuid};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Compression, EndTransaction, Producer};
use rt::Rt;
use rt::sim::{Recording, Sim};

use crate::choices::Dice;
use crate::life::{self, CONFIG, Life, NODE, partition};
use crate::promise::{Batch, Promise};

/// When compaction is done: later than any record.
const NOW_MS: i64 = 1_000_000;

/// A log at work.
pub struct Stage<'a> {
    sim: &'a Sim,
    rt: Rt,
    life: Option<Life>,
    dice: Dice,
    promise: Promise,
    marks: Vec<(usize, Promise)>,
}

/// What was written down: the disk's changes, and from which on which promise holds.
pub struct Script {
    /// The changes.
    pub recording: Recording,
    marks: Vec<(usize, Promise)>,
}

impl Script {
    /// The promise that holds when the power goes before change `at`.
    pub fn promise_at(&self, at: usize) -> &Promise {
        let after = self.marks.partition_point(|(from, _)| *from <= at);
        &self.marks[after.max(1) - 1].1
    }
}

impl<'a> Stage<'a> {
    /// A new node; nothing is written down yet.
    pub fn new(sim: &'a Sim, seed: u64) -> Stage<'a> {
        let rt = sim.node(NODE);
        let promise = Promise::default();
        Stage { sim, rt, life: None, dice: Dice::new(seed), promise, marks: Vec::new() }
    }

    /// A log that was started already.
    pub fn resume(sim: &'a Sim, life: Life, promise: Promise, dice: Dice) -> Stage<'a> {
        Stage { sim, rt: sim.node(NODE), life: Some(life), dice, promise, marks: Vec::new() }
    }

    /// What the log must be now.
    pub fn promise(&self) -> Promise {
        self.promise.clone()
    }

    /// Begins to write down.
    pub fn record(&mut self) {
        self.sim.disk(NODE).record();
        self.marks.clear();
        self.mark();
    }

    /// What was written down.
    pub fn script(self) -> Script {
        Script { recording: self.sim.disk(NODE).recording(), marks: self.marks }
    }

    fn mark(&mut self) {
        self.marks.push((self.sim.disk(NODE).recorded(), self.promise.clone()));
    }

    fn life(&mut self) -> &mut Life {
        self.life.as_mut().expect("the log was started")
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound)
    }

    /// Starts the log.
    pub fn start(&mut self) {
        let life = life::open(&self.rt).expect("nothing is wrong with the disk");
        self.promise = self.promise.check(&life).expect("the log is as promised");
        self.life = Some(life);
        self.mark();
    }

    /// Appends batches, one write for each few of them.
    pub fn append(&mut self, batches: usize) {
        for _ in 0..batches {
            let next = self.life().log.log_end();
            let (batch, values) = batch(&mut self.dice, next);
            self.append_batch(batch, values, None);
        }
        self.write();
    }

    /// Appends batches whose records have one of a few keys.
    pub fn append_keyed(&mut self, batches: usize) {
        for _ in 0..batches {
            let next = self.life().log.log_end();
            let (batch, values) = keyed(&mut self.dice, next);
            self.append_batch(batch, values, None);
        }
        self.write();
    }

    /// Appends batches of transactions of two producers, and their markers.
    pub fn append_transactions(&mut self, batches: usize) {
        for _ in 0..batches {
            let next = self.life().log.log_end();
            let (batch, values, end) = transactional(&mut self.dice, next);
            self.append_batch(batch, values, end);
        }
        self.write();
    }

    fn append_batch(&mut self, batch: CheckedBatch, values: Vec<String>, end: Option<EndTransaction>) {
        let epoch = self.life().epoch;
        let mut header = *batch.header();
        // What the log will make of it: the write may be cut and survive all the same (G1).
        header.base_offset = self.life().log.log_end();
        header.partition_leader_epoch = epoch;
        self.promise.batches.push(Batch { header, values: values.into(), end });
        self.mark();
        let appended = self.life().log.append(batch, epoch, 0).expect("there is room");
        assert_eq!(appended.last_offset, header.last_offset());
        if self.below(3) == 0 {
            self.write();
        }
    }

    /// Begins a new epoch: the next batch is in it.
    pub fn begin_epoch(&mut self) {
        self.life().epoch = self.life().epoch.next();
    }

    fn write(&mut self) {
        self.life().log.write().expect("there is room");
    }

    /// Syncs: what was appended is promised.
    pub fn sync(&mut self) {
        self.write();
        while let Some(job) = self.life().log.take_sync() {
            let synced = job.run(self.rt.fs());
            let durable = self.life().log.synced(synced).expect("the disk syncs");
            self.promise.durable = self.promise.durable.max(durable);
            self.mark();
        }
    }

    /// Takes a snapshot and closes the indexes.
    pub fn rest(&mut self) {
        self.life().log.rest().expect("there is room");
    }

    /// Writes the recovery point down.
    pub fn checkpoint(&mut self) {
        let offset = self.life().log.recovery_point();
        self.write_checkpoint(Checkpoint::RecoveryPoint, offset);
    }

    fn write_checkpoint(&mut self, which: Checkpoint, offset: Offset) {
        let offsets = Offsets::from([(partition(), offset)]);
        self.life().dir.write_checkpoint(which, &offsets).expect("there is room");
    }

    /// Cuts the log somewhere.
    pub fn truncate(&mut self) {
        let span = usize::try_from(self.life().log.log_end().0).expect("a small log");
        let target = Offset(i64::try_from(self.below(span + 1)).expect("a small log"));
        let target = self.life().log.end_if_cut_at(target).expect("it is in the log");
        self.promise.durable = self.promise.durable.min(target);
        self.mark();
        let recovery_point = target.min(self.life().log.recovery_point());
        self.write_checkpoint(Checkpoint::RecoveryPoint, recovery_point);
        let end =
            self.life().log.truncate_to(RecoveryPointLowered::persisted(target)).expect("the disk works");
        self.promise.truncate(end);
        self.mark();
    }

    /// Lets go of the oldest segments.
    pub fn retain(&mut self, bytes: u64) {
        let end = self.life().log.durable_end();
        let retention = Retention { age_ms: None, bytes: Some(bytes) };
        let start = self.life().log.expired_to(retention, 0, end).expect("the disk works");
        if let Some(start) = start {
            self.advance_start(start);
        }
    }

    /// Deletes records up to somewhere.
    pub fn delete_records(&mut self) {
        let (start, end) = (self.life().log.log_start().0, self.life().log.durable_end().0);
        let span = usize::try_from(end - start).expect("a small log");
        let to = Offset(start + i64::try_from(self.below(span + 1)).expect("a small log"));
        self.advance_start(to);
    }

    fn advance_start(&mut self, start: Offset) {
        self.promise.start = *self.promise.start.start()..=start;
        self.mark();
        self.write_checkpoint(Checkpoint::LogStart, start);
        self.promise.start = start..=start;
        self.mark();
        self.life().log.advance_start(start).expect("it is in the log");
        self.life().log.remove_before_start().expect("the disk works");
    }

    /// Compacts what is durable and sealed.
    pub fn compact(&mut self) {
        self.try_to_compact().expect("the disk works");
    }

    /// Compacts until the power goes, after so many calls of the disk at most.
    pub fn compact_until_power_cut(&mut self, calls: usize) {
        self.sim.power_cut_after_disk_ops(NODE, u64::try_from(calls).expect("few calls"));
        // How far it comes depends on where the power goes.
        let _ = self.try_to_compact();
        self.power_cut();
    }

    fn try_to_compact(&mut self) -> Result<(), String> {
        fn failed(error: impl std::fmt::Display) -> String {
            error.to_string()
        }
        let (reader, durable, cleaned_to) =
            (self.life().log.reader(), self.life().log.durable_end(), self.life().cleaned_to);
        let lags = Lags { min_ms: 0, max_ms: None };
        let found = reader.dirtiness(cleaned_to, durable, lags, NOW_MS).map_err(failed)?;
        self.promise.compacted_to = self.promise.compacted_to.max(found.bound);
        self.mark();
        let options = CleanOptions {
            first_dirty: found.first_dirty,
            bound: found.bound,
            now_ms: NOW_MS,
            delete_retention_ms: 0,
            segment_bytes: CONFIG.segment_bytes,
            index_bytes_max: CONFIG.index_bytes_max,
            index_interval_bytes: CONFIG.index_interval_bytes,
            key_map_bytes: 4_096,
            key_map_load: 0.9,
            buffer_bytes: 1_500,
            seed: 1,
            last_batches: self.life().log.producers().last_batches(),
        };
        let mut cleaning = reader.clean(options).map_err(failed)?;
        loop {
            match cleaning.step().map_err(failed)? {
                Step::Worked(_) => {}
                Step::Swap(cleaned, _) => {
                    let left = self.life().log.swap_in(*cleaned).map_err(failed)?;
                    if self.below(2) == 0 {
                        left.remove().map_err(failed)?;
                    }
                }
                Step::Done(to) => {
                    let offsets = Offsets::from([(partition(), to)]);
                    self.life().dir.write_checkpoint(Checkpoint::CleanerOffset, &offsets).map_err(failed)?;
                    self.life().cleaned_to = Some(to);
                    return Ok(());
                }
            }
        }
    }

    /// Deletes the partition, as the start after a crash does again.
    pub fn delete(&mut self) {
        let Life { dir, log, .. } = self.life.take().expect("the log was started");
        self.promise = Promise { is_deleted: true, ..Promise::default() };
        self.mark();
        log.delete();
        dir.rename_for_deletion(&partition(), Uuid([5; 16])).expect("it is there");
        dir.remove_deleted().expect("it is there");
    }

    /// Ends cleanly.
    pub fn close(&mut self) {
        self.write();
        let Life { dir, log, .. } = self.life.take().expect("the log was started");
        let end = log.log_end();
        log.close().expect("the disk works");
        self.promise.durable = end;
        self.mark();
        dir.close_clean().expect("the disk works");
    }

    /// The power goes.
    pub fn power_cut(&mut self) {
        self.life = None;
        self.sim.power_cut(NODE);
        self.rt = self.sim.node(NODE);
    }
}

fn batch(dice: &mut Dice, next: Offset) -> (CheckedBatch, Vec<String>) {
    records(dice, next, |_| None)
}

fn keyed(dice: &mut Dice, next: Offset) -> (CheckedBatch, Vec<String>) {
    records(dice, next, |dice| Some(format!("k{}", dice.below(5))))
}

/// A batch of records; a value begins with its key, if it has one.
fn records(
    dice: &mut Dice,
    next: Offset,
    key: impl Fn(&mut Dice) -> Option<String>,
) -> (CheckedBatch, Vec<String>) {
    let mut builder = BatchBuilder::new();
    let mut values = Vec::new();
    for index in 0..=dice.below(3) {
        let key = key(dice);
        let told = key.as_ref().map_or_else(String::new, |key| format!("{key}="));
        let value = format!("{told}{next}+{index}:{}", "x".repeat(dice.below(500)));
        let timestamp = 1_000 + next.0 * 10 + i64::try_from(dice.below(40)).expect("small");
        builder.push(key.as_ref().map(String::as_bytes), Some(value.as_bytes()), &[], TimestampMs(timestamp));
        values.push(value);
    }
    // Sequence numbers are offsets: always in order, and gone with what was lost.
    let base_sequence = i32::try_from(next.0).expect("small");
    let producer = Producer { id: ProducerId(5), epoch: ProducerEpoch(0), base_sequence };
    let options =
        BatchOptions { compression: Compression::None, producer: Some(producer), ..BatchOptions::default() };
    (builder.build(options).expect("records"), values)
}

/// What one of two transactional producers writes next: a record in its transaction, or that transaction's end.
fn transactional(dice: &mut Dice, next: Offset) -> (CheckedBatch, Vec<String>, Option<EndTransaction>) {
    let id = ProducerId(6 + i64::try_from(dice.below(2)).expect("small"));
    let (epoch, timestamp) = (ProducerEpoch(0), TimestampMs(1_000 + next.0 * 10));
    if dice.below(3) == 0 {
        let result = if dice.below(3) == 0 { TransactionResult::Commit } else { TransactionResult::Abort };
        let end = EndTransaction { result, coordinator_epoch: CoordinatorEpoch(0) };
        let marker = end.batch(id, epoch, timestamp);
        // A marker's value: its version and its coordinator's epoch.
        return (marker, vec!["\0".repeat(6)], Some(end));
    }
    let value = format!("{next} of {}:{}", id.0, "x".repeat(dice.below(300)));
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(value.as_bytes()), &[], timestamp);
    let producer = Some(Producer { id, epoch, base_sequence: -1 });
    let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
    (builder.build(options).expect("a record"), vec![value], None)
}
