//! Power cuts at any disk call, on the simulated disk, against a model of what was promised.
//!
//! Promised is what `synced` reported; written may survive whole or as a prefix; nothing else may be there.

use std::path::Path;
use std::sync::Arc;

use model::{
    BrokerId, CoordinatorEpoch, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs,
    TopicId, TopicName, TransactionResult, Uuid,
};
use record::{BatchBuilder, BatchHeader, BatchOptions, CheckedBatch, Compression, EndTransaction, Producer};
use rt::Rt;
use rt::sim::Sim;

use crate::tests::values;
use crate::*;

const NODE: &str = "n1";

/// A generator of its own, so that a test's choices do not depend on how often the world draws.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}

#[derive(Clone)]
struct Appended {
    header: BatchHeader,
    values: Vec<String>,
    end: Option<EndTransaction>,
}

/// A transaction as the model sees it: whose, from where, and the marker's offset and meaning once it has one.
type Transaction = (ProducerId, Offset, Option<(Offset, TransactionResult)>);

/// What the log must hold.
struct Model {
    batches: Vec<Appended>,
    /// Batches below are promised.
    durable: Offset,
}

impl Model {
    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.header.next_offset())
    }

    fn values(&self) -> Vec<String> {
        self.batches.iter().flat_map(|batch| batch.values.clone()).collect()
    }

    fn producers(&self) -> Producers {
        let mut producers = Producers::default();
        for batch in &self.batches {
            producers.on_append(&batch.header, batch.end, TimestampMs(0));
        }
        producers
    }

    /// Every transaction, by first offsets.
    fn transactions(&self) -> Vec<Transaction> {
        let mut all: Vec<Transaction> = Vec::new();
        for Appended { header, end, .. } in
            self.batches.iter().filter(|batch| batch.header.is_transactional())
        {
            let open = all.iter_mut().find(|(id, _, marker)| *id == header.producer_id && marker.is_none());
            match (end, open) {
                (None, None) => all.push((header.producer_id, header.base_offset, None)),
                (Some(end), Some((.., marker))) => *marker = Some((header.base_offset, end.result)),
                (None, Some(_)) | (Some(_), None) => {}
            }
        }
        all
    }

    /// Below it no transaction is undecided.
    fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        let is_decided =
            |marker: &Option<(Offset, _)>| marker.is_some_and(|(marker, _)| marker < high_watermark);
        let undecided = self.transactions().into_iter().find(|(.., marker)| !is_decided(marker));
        undecided.map_or(high_watermark, |(_, first, _)| first.min(high_watermark))
    }

    /// Producers, first offsets and markers of what was aborted and overlaps a range.
    fn aborted(&self, from: Offset, up_to: Offset) -> Vec<(ProducerId, Offset, Offset)> {
        let aborted = |(id, first, marker): Transaction| match marker {
            Some((last, TransactionResult::Abort)) if from <= last && first < up_to => {
                Some((id, first, last))
            }
            Some(_) | None => None,
        };
        self.transactions().into_iter().filter_map(aborted).collect()
    }

    fn epochs(&self) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for batch in &self.batches {
            if epochs.latest().is_none_or(|(latest, _)| latest < batch.header.partition_leader_epoch) {
                epochs.assign(batch.header.partition_leader_epoch, batch.header.base_offset);
            }
        }
        epochs
    }

    fn truncate(&mut self, end: Offset) {
        self.batches.retain(|batch| batch.header.next_offset() <= end);
        self.durable = self.durable.min(end);
    }
}

fn partition() -> PartitionName {
    PartitionName { topic: TopicName::parse("t").expect("legal"), partition: PartitionIndex(0) }
}

fn owner() -> Owner {
    Owner { node_id: BrokerId(1), cluster_id: None }
}

fn failed(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}

struct Life {
    dir: DataDir,
    log: Log,
    epoch: LeaderEpoch,
}

fn open(rt: &Rt) -> Result<Life, String> {
    let dir = DataDir::open(rt.fs(), Path::new("/data"), owner(), || Uuid([7; 16]));
    let dir = dir.map_err(|error| failed("data folder", error))?;
    let points =
        dir.read_checkpoint(Checkpoint::RecoveryPoint).map_err(|error| failed("checkpoint", error))?;
    let recovery = if dir.was_clean() {
        Recovery::Clean
    } else {
        Recovery::From(points.get(&partition()).copied().unwrap_or(Offset::ZERO))
    };
    let options = OpenOptions {
        dir: dir.partition_path(&partition()),
        topic_id: Some(TopicId(Uuid([9; 16]))),
        config: LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() },
        recovery,
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(4)),
    };
    let (log, _) = Log::open(rt.fs(), options).map_err(|error| failed("open", error))?;
    let epoch = log.reader().latest_epoch().map_or(LeaderEpoch(0), |(epoch, _)| epoch.next());
    Ok(Life { dir, log, epoch })
}

/// Compares an opened log with the model; what survived beyond the promise is promised from now on.
fn check(life: &mut Life, model: &mut Model) -> Result<(), String> {
    let end = life.log.log_end();
    if end < model.durable {
        return Err(format!("the log ends at {end}, but {} was promised", model.durable));
    }
    let known = model.end();
    model.truncate(end);
    if model.end() != end {
        return Err(format!("the log ends at {end}, inside a batch or beyond {known}"));
    }
    model.durable = end;
    let reader = life.log.reader();
    if values(&reader, Offset::ZERO, end) != model.values() {
        return Err(format!("records below {end} are not those appended"));
    }
    let (found, expected) = (life.log.producers(), &model.producers());
    if producer_snapshot::encode(found) != producer_snapshot::encode(expected) {
        return Err(format!("producers at {end}: {found:?}, not {expected:?}"));
    }
    life.log.set_high_watermark(end);
    check_stable(&life.log, model, end)?;
    check_aborted(&reader, model, end)?;
    let epochs = model.epochs();
    for epoch in 0..=life.epoch.0 {
        let (found, expected) =
            (reader.end_offset_for_epoch(LeaderEpoch(epoch)), epochs.end_offset_for(LeaderEpoch(epoch), end));
        if found != expected {
            return Err(format!("epoch {epoch} ends at {found:?}, not {expected:?}"));
        }
    }
    check_timestamps(&reader, model, end)
}

fn check_stable(log: &Log, model: &Model, high_watermark: Offset) -> Result<(), String> {
    let (found, expected) = (log.last_stable_offset(), model.last_stable_offset(high_watermark));
    if found == expected {
        return Ok(());
    }
    Err(format!("with high watermark {high_watermark} the last stable offset is {found}, not {expected}"))
}

fn check_aborted(reader: &LogReader, model: &Model, end: Offset) -> Result<(), String> {
    for (from, up_to) in [(0, end.0), (0, end.0 / 3), (end.0 / 3, end.0 / 2), (end.0 / 2, end.0)] {
        let (from, up_to) = (Offset(from), Offset(up_to));
        let found = reader.aborted_transactions(from, up_to).map_err(|error| failed("aborted", error))?;
        let found: Vec<_> =
            found.into_iter().map(|it| (it.producer, it.first_offset, it.last_offset)).collect();
        let expected = model.aborted(from, up_to);
        if found != expected {
            return Err(format!("aborted from {from} to {up_to}: {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

fn check_timestamps(reader: &LogReader, model: &Model, end: Offset) -> Result<(), String> {
    let largest = model.batches.iter().map(|batch| batch.header.max_timestamp.0).max().unwrap_or(0);
    for wanted in [0, largest / 2, largest, largest + 1] {
        let found =
            reader.offset_for_timestamp(TimestampMs(wanted), end).map_err(|error| failed("search", error))?;
        let reaches = |batch: &&Appended| wanted <= batch.header.max_timestamp.0;
        let expected = model.batches.iter().find(reaches).map(|batch| batch.header);
        let same = match (found, expected) {
            (None, None) => true,
            (Some((offset, timestamp)), Some(header)) => {
                header.base_offset <= offset && offset <= header.last_offset() && wanted <= timestamp.0
            }
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            return Err(format!("timestamp {wanted}: {found:?}, not in {expected:?}"));
        }
    }
    Ok(())
}

fn batch(dice: &mut Dice, next: Offset) -> (CheckedBatch, Vec<String>) {
    let mut builder = BatchBuilder::new();
    let mut values = Vec::new();
    for index in 0..=dice.below(3) {
        let value =
            format!("{next}+{index}:{}", "x".repeat(usize::try_from(dice.below(300)).expect("small")));
        let timestamp = 1000 + next.0 * 10 + i64::try_from(dice.below(40)).expect("small");
        builder.push(None, Some(value.as_bytes()), &[], TimestampMs(timestamp));
        values.push(value);
    }
    // Sequence numbers are offsets: always in order, and gone with what was lost.
    let base_sequence = i32::try_from(next.0).expect("small");
    let producer = Producer { id: ProducerId(5), epoch: ProducerEpoch(0), base_sequence };
    let codec = i16::try_from(dice.below(5)).expect("small");
    let compression = Compression::from_id(codec).expect("a codec");
    let options = BatchOptions { compression, producer: Some(producer), ..BatchOptions::default() };
    (builder.build(options).expect("records"), values)
}

/// What one of three transactional producers writes next: a record in its transaction, or that transaction's end.
fn transactional(dice: &mut Dice, next: Offset) -> (CheckedBatch, Vec<String>, Option<EndTransaction>) {
    let id = ProducerId(6 + i64::try_from(dice.below(3)).expect("small"));
    let (epoch, timestamp) = (ProducerEpoch(0), TimestampMs(1000 + next.0 * 10));
    if dice.below(3) == 0 {
        let result = if dice.below(4) == 0 { TransactionResult::Commit } else { TransactionResult::Abort };
        let end = EndTransaction { result, coordinator_epoch: CoordinatorEpoch(0) };
        let batch = end.batch(id, epoch, timestamp);
        return (batch, vec!["\0\0\0\0\0\0".to_owned()], Some(end));
    }
    let value = format!("{next} of {}", id.0);
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(value.as_bytes()), &[], timestamp);
    let producer = Some(Producer { id, epoch, base_sequence: -1 });
    let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
    (builder.build(options).expect("a record"), vec![value], None)
}

/// One step of a life; an error is the power's end, or a bug that the next check finds.
fn step(life: &mut Life, rt: &Rt, dice: &mut Dice, model: &mut Model) -> Result<(), String> {
    let log = &mut life.log;
    match dice.below(20) {
        0..10 => {
            let (batch, values, end) = match dice.below(3) {
                0 => transactional(dice, log.log_end()),
                _ => {
                    let (batch, values) = batch(dice, log.log_end());
                    (batch, values, None)
                }
            };
            let mut header = *batch.header();
            // What the log will make of it, noted first: the write may fail half-way and survive all the same.
            header.base_offset = log.log_end();
            header.partition_leader_epoch = life.epoch;
            model.batches.push(Appended { header, values, end });
            let appended = log.append(batch, life.epoch, 0).map_err(|error| failed("append", error))?;
            assert_eq!(appended.last_offset, header.last_offset());
        }
        10..13 => log.write().map_err(|error| failed("write", error))?,
        13..17 => sync(log, rt, model)?,
        17 => {
            let offsets = Offsets::from([(partition(), log.recovery_point())]);
            let written = life.dir.write_checkpoint(Checkpoint::RecoveryPoint, &offsets);
            written.map_err(|error| failed("checkpoint", error))?;
        }
        18 => log.rest().map_err(|error| failed("rest", error))?,
        _ if dice.below(4) == 0 => truncate(life, dice, model)?,
        _ => {
            log.set_high_watermark(log.durable_end());
            check_stable(log, model, log.durable_end())?;
            check_aborted(&log.reader(), model, log.last_stable_offset())?;
        }
    }
    Ok(())
}

fn sync(log: &mut Log, rt: &Rt, model: &mut Model) -> Result<(), String> {
    log.write().map_err(|error| failed("write", error))?;
    let Some(job) = log.take_sync() else { return Ok(()) };
    model.durable = model.durable.max(log.synced(job.run(rt.fs())).map_err(|error| failed("sync", error))?);
    Ok(())
}

fn truncate(life: &mut Life, dice: &mut Dice, model: &mut Model) -> Result<(), String> {
    let span = life.log.log_end().since(Offset::ZERO);
    let target = Offset(i64::try_from(dice.below(span + 1)).expect("small"));
    let target = life.log.end_if_cut_at(target).map_err(|error| failed("look up", error))?;
    // From here on nothing above is promised any more.
    model.durable = model.durable.min(target);
    let offsets = Offsets::from([(partition(), target.min(life.log.recovery_point()))]);
    let written = life.dir.write_checkpoint(Checkpoint::RecoveryPoint, &offsets);
    written.map_err(|error| failed("checkpoint", error))?;
    let end = life.log.truncate_to(RecoveryPointLowered::persisted(target));
    model.truncate(end.map_err(|error| failed("truncate", error))?);
    Ok(())
}

/// Lives of one node, each ended by a power cut at some disk call, a kill or a clean end.
async fn lives(sim: &Sim, seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut model = Model { batches: Vec::new(), durable: Offset::ZERO };
    let mut rt = sim.node(NODE);
    for _ in 0..12 {
        if dice.below(3) == 0 {
            // The power may also go while the log is being opened.
            sim.power_cut_after_disk_ops(NODE, 1 + dice.below(12));
            if let Ok(mut life) = open(&rt) {
                check(&mut life, &mut model)?;
            }
            sim.power_cut(NODE);
            rt = sim.node(NODE);
        }
        let mut life = open(&rt)?;
        check(&mut life, &mut model)?;
        if dice.below(3) != 0 {
            sim.power_cut_after_disk_ops(NODE, 1 + dice.below(120));
        }
        let mut ended = Ok(());
        for _ in 0..dice.below(120) {
            ended = step(&mut life, &rt, &mut dice, &mut model);
            if ended.is_err() {
                break;
            }
        }
        if ended.is_ok() && dice.below(3) == 0 {
            close(life, &mut model);
        }
        if dice.below(4) == 0 {
            sim.kill(NODE);
        } else {
            sim.power_cut(NODE);
        }
        rt = sim.node(NODE);
    }
    Ok(())
}

fn close(life: Life, model: &mut Model) {
    let end = life.log.log_end();
    if life.log.close().is_ok() {
        model.durable = end;
        // A mark that was not written makes the next start slower, no more.
        let _ = life.dir.close_clean();
    }
}

fn run(seed: u64, sync_is_noop: bool) -> Result<(), String> {
    let sim = Sim::new(seed);
    sim.node(NODE);
    sim.disk(NODE).sync_is_noop(sync_is_noop);
    sim.run(lives(&sim, seed))
}

#[test]
fn what_was_synced_survives_power_cuts_at_any_disk_call() {
    for seed in 0..150 {
        if let Err(violation) = run(seed, false) {
            panic!("seed {seed}: {violation}");
        }
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let violations = (0..20).filter(|&seed| run(seed, true).is_err()).count();
    assert!(0 < violations, "or the test above proves nothing");
}

#[test]
fn a_failed_sync_fences_and_nothing_of_it_is_promised() {
    let sim = Sim::new(1);
    let rt = sim.node(NODE);
    sim.run(async {
        let mut life = open(&rt).expect("opens");
        let mut model = Model { batches: Vec::new(), durable: Offset::ZERO };
        let mut dice = Dice(3);
        for _ in 0..3 {
            let (batch, _) = batch(&mut dice, life.log.log_end());
            life.log.append(batch, life.epoch, 0).expect("appends");
            life.log.write().expect("writes");
        }
        sim.disk(NODE).fail_next_sync();
        sync(&mut life.log, &rt, &mut model).expect_err("the disk failed");
        assert_eq!(life.log.durable_end(), Offset::ZERO);
        assert!(life.log.fenced().is_some());
        assert!(life.log.take_sync().is_none(), "never again");
        assert!(matches!(life.log.write(), Err(LogError::Fenced { .. })));
        drop(life);
        sim.power_cut(NODE);
        let life = open(&sim.node(NODE)).expect("opens");
        assert_eq!(life.log.durable_end(), life.log.log_end());
    });
}

/// What a failed sync leaves in the page cache looks clean to the next life, whose own sync says nothing about it.
#[test]
fn what_is_kept_after_a_failed_sync_survives_the_next_power_cut() {
    for seed in 0..50 {
        let sim = Sim::new(seed);
        let rt = sim.node(NODE);
        let mut life = open(&rt).expect("opens");
        let mut model = Model { batches: Vec::new(), durable: Offset::ZERO };
        let mut dice = Dice(seed);
        for failing in [3, 7] {
            for _ in 0..failing {
                let (batch, _) = batch(&mut dice, life.log.log_end());
                life.log.append(batch, life.epoch, 0).expect("appends");
            }
            life.log.write().expect("writes");
            if failing == 7 {
                sim.disk(NODE).fail_next_sync();
            }
            let synced = sync(&mut life.log, &rt, &mut model);
            assert_eq!(synced.is_err(), failing == 7);
        }
        drop(life);
        sim.kill(NODE);
        let life = open(&sim.node(NODE)).expect("opens");
        let kept = life.log.durable_end();
        drop(life);
        sim.power_cut(NODE);
        let life = open(&sim.node(NODE)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(life.log.durable_end(), kept, "seed {seed}");
    }
}

#[test]
fn nothing_is_promised_after_the_whole_file_system_failed_to_sync() {
    let sim = Sim::new(3);
    let rt = sim.node(NODE);
    sim.run(async {
        let dir = DataDir::open(rt.fs(), Path::new("/data"), owner(), || Uuid([7; 16])).expect("opens");
        let commit = GroupCommit::start(&rt, &dir).expect("starts");
        let open = |index: usize| {
            let options = OpenOptions {
                dir: dir.path().join(format!("t-{index}")),
                topic_id: None,
                config: LogConfig::default(),
                recovery: Recovery::Clean,
                start_offset: Offset::ZERO,
                files: Arc::new(OpenFiles::new(4)),
            };
            Log::open(rt.fs(), options).expect("opens").0
        };
        let mut logs: Vec<Log> = (0..40).map(open).collect();
        let mut dice = Dice(9);
        let write = |log: &mut Log, dice: &mut Dice| {
            let (batch, _) = batch(dice, log.log_end());
            log.append(batch, LeaderEpoch(0), 0).expect("appends");
            log.write().expect("writes");
        };
        // Enough rounds of many files for the whole file system to be synced at once, one of which fails.
        let mut bystander = open(40);
        for round in 0..70 {
            logs.iter_mut().for_each(|log| write(log, &mut dice));
            if round == 69 {
                write(&mut bystander, &mut dice);
                sim.disk(NODE).fail_next_sync();
            }
            let (sender, mut results) = rt::channel::mpsc::unbounded_channel();
            for (index, log) in logs.iter_mut().enumerate() {
                let (job, sender) = (log.take_sync().expect("something to sync"), sender.clone());
                commit.submit([(index, job)], move |index, synced| {
                    sender.send((index, synced)).expect("waited for")
                });
            }
            drop(sender);
            while let Some((index, synced)) = results.recv().await {
                assert_eq!(logs[index].synced(synced).is_err(), round == 69, "round {round}");
            }
        }
        let job = bystander.take_sync().expect("something to sync");
        bystander.synced(commit.sync(job).await).expect_err("its bytes may have been in what failed");
    });
}

#[test]
fn group_commit_answers_every_job_and_tells_of_failures() {
    let sim = Sim::new(2);
    let rt = sim.node(NODE);
    sim.run(async {
        let dir = DataDir::open(rt.fs(), Path::new("/data"), owner(), || Uuid([7; 16])).expect("opens");
        let commit = GroupCommit::start(&rt, &dir).expect("starts");
        let mut logs: Vec<Log> = (0..40)
            .map(|index| {
                let options = OpenOptions {
                    dir: dir.path().join(format!("t-{index}")),
                    topic_id: None,
                    config: LogConfig::default(),
                    recovery: Recovery::Clean,
                    start_offset: Offset::ZERO,
                    files: Arc::new(OpenFiles::new(4)),
                };
                Log::open(rt.fs(), options).expect("opens").0
            })
            .collect();
        let mut dice = Dice(9);
        for round in 1..=5i64 {
            let (sender, mut results) = rt::channel::mpsc::unbounded_channel();
            if round == 5 {
                let ended = close_all(&rt, &commit, logs.split_off(20)).await;
                assert!(ended.iter().all(Result::is_ok));
                sim.disk(NODE).fail_next_sync();
            }
            for (index, log) in logs.iter_mut().enumerate() {
                let (batch, _) = batch(&mut dice, log.log_end());
                log.append(batch, LeaderEpoch(0), 0).expect("appends");
                log.write().expect("writes");
                let (job, sender) = (log.take_sync().expect("something to sync"), sender.clone());
                commit.submit([(index, job)], move |index, synced| {
                    sender.send((index, synced)).expect("waited for")
                });
            }
            drop(sender);
            let (mut durable, mut fenced) = (0, 0);
            while let Some((index, synced)) = results.recv().await {
                match logs[index].synced(synced) {
                    Ok(end) if end == logs[index].log_end() => durable += 1,
                    Ok(end) => panic!("durable to {end} only"),
                    Err(_) => fenced += 1,
                }
            }
            assert_eq!(durable + fenced, logs.len());
            assert_eq!(0 < fenced, round == 5, "round {round}: {fenced} failed");
        }
        let ended = close_all(&rt, &commit, logs).await;
        assert!(ended.iter().any(|end| matches!(end, Err(LogError::Fenced { .. }))));
    });
}
