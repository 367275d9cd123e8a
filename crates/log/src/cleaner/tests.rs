//! Compaction under power cuts at any disk call, against a model of all that was ever appended.
//!
//! What must hold of the log at any time, whichever passes ran and wherever the power went: every record is one that was
//! appended, at its offset and in its order; of each key the newest value is there, or a deletion that had its time; what
//! was deleted does not come back; and producers go on where they were.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchHeader, BatchOptions, Compression, Producer};
use rt::Rt;
use rt::sim::Sim;

use crate::crash_tests::Dice;
use crate::tests::ALL;
use crate::*;

const NODE: &str = "n1";
const RETENTION_MS: i64 = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    offset: Offset,
    key: String,
    value: Option<String>,
}

/// Everything that was ever appended and may still be there.
struct Model {
    records: Vec<Record>,
    headers: Vec<BatchHeader>,
    durable: Offset,
    cleaned_to: Option<Offset>,
    /// When a pass first reached beyond an offset: a deletion there waits from then on.
    passes: Vec<(Offset, i64)>,
    now_ms: i64,
}

impl Model {
    fn new() -> Model {
        Model {
            records: Vec::new(),
            headers: Vec::new(),
            durable: Offset::ZERO,
            cleaned_to: None,
            passes: Vec::new(),
            now_ms: 0,
        }
    }

    fn cut(&mut self, end: Offset) {
        self.records.retain(|record| record.offset < end);
        self.headers.retain(|header| header.next_offset() <= end);
        self.durable = end;
        self.cleaned_to = self.cleaned_to.filter(|&to| to <= end);
    }

    fn newest(&self) -> BTreeMap<&str, &Record> {
        self.records.iter().map(|record| (record.key.as_str(), record)).collect()
    }

    /// Whether a deletion had its time, from the first pass over it on.
    fn is_forgotten(&self, deletion: &Record) -> bool {
        let first = self.passes.iter().find(|&&(to, _)| deletion.offset < to);
        first.is_some_and(|&(_, at)| at + RETENTION_MS <= self.now_ms)
    }

    fn check(&self, found: &[Record]) -> Result<(), String> {
        let mut expected = self.records.iter();
        for record in found {
            if !expected.any(|other| other == record) {
                return Err(format!("{record:?} is not what was appended there, or out of order"));
            }
        }
        let last: BTreeMap<&str, &Record> =
            found.iter().map(|record| (record.key.as_str(), record)).collect();
        for (key, newest) in self.newest() {
            match last.get(key) {
                Some(&last) if last == newest => {}
                Some(last) => return Err(format!("{last:?} is the newest of its key, not {newest:?}")),
                None if newest.value.is_none() && self.is_forgotten(newest) => {}
                None => return Err(format!("{newest:?} is gone")),
            }
        }
        Ok(())
    }
}

struct Life {
    log: Log,
    files: Arc<OpenFiles>,
}

fn open(rt: &Rt) -> Result<Life, String> {
    let files = Arc::new(OpenFiles::new(4));
    let options = OpenOptions {
        dir: Path::new("/data/t-0").to_path_buf(),
        topic_id: None,
        config: LogConfig { segment_bytes: 1500, index_interval_bytes: 200, ..LogConfig::default() },
        recovery: Recovery::From(Offset::ZERO),
        start_offset: Offset::ZERO,
        files: Arc::clone(&files),
    };
    let (log, _) = Log::open(rt.fs(), options).map_err(|error| format!("open: {error}"))?;
    Ok(Life { log, files })
}

fn records(reader: &LogReader) -> Result<Vec<Record>, String> {
    let (mut next, end, mut records) = (reader.log_start(), reader.log_end(), Vec::new());
    loop {
        let bytes = reader.read_bytes(next, end, ALL).map_err(|error| format!("read: {error}"))?;
        if bytes.is_empty() {
            return Ok(records);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record::check(rest).expect("sound");
            let (batch, after) = rest.split_at(header.size_in_bytes());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
            for record in record::decode(batch, usize::MAX).expect("decodes").records() {
                let record = record.expect("reads");
                let (key, value) = (text(record.key.expect("a key")), record.value.map(text));
                records.push(Record { offset: record.offset, key, value });
            }
            (rest, next) = (after, header.next_offset());
        }
    }
}

/// Opens what a life left and compares it with the model, which from then on has only what survived.
fn check(life: &Life, model: &mut Model) -> Result<(), String> {
    let end = life.log.log_end();
    if end < model.durable {
        return Err(format!("the log ends at {end}, but {} was promised", model.durable));
    }
    model.cut(end);
    model.check(&records(&life.log.reader())?)?;
    let mut producers = Producers::default();
    for header in &model.headers {
        producers.on_append(header, None, TimestampMs(0));
    }
    if life.log.producers().active() != producers.active() {
        return Err(format!("{:?}, not {:?}", life.log.producers().active(), producers.active()));
    }
    Ok(())
}

fn append(log: &mut Log, dice: &mut Dice, model: &mut Model) -> Result<(), String> {
    let (mut builder, next) = (BatchBuilder::new(), log.log_end());
    for index in 0..=dice.below(3) {
        let offset = next.plus(i64::try_from(index).expect("small"));
        let key = format!("key {}", dice.below(12));
        let text = format!("{offset} {}", "x".repeat(usize::try_from(dice.below(200)).expect("small")));
        let value = (dice.below(4) != 0).then_some(text);
        let bytes = value.as_ref().map(String::as_bytes);
        builder.push(Some(key.as_bytes()), bytes, &[], TimestampMs(model.now_ms));
        model.records.push(Record { offset, key, value });
    }
    // Sequence numbers are offsets: always in order, and gone with what was lost.
    let base_sequence = i32::try_from(next.0).expect("small");
    let producer = (dice.below(4) != 0).then(|| Producer {
        id: ProducerId(i64::try_from(dice.below(2)).expect("small")),
        epoch: ProducerEpoch(0),
        base_sequence,
    });
    let compression = Compression::ALL[usize::try_from(dice.below(5)).expect("small")];
    let batch = builder.build(BatchOptions { compression, producer, ..BatchOptions::default() });
    let batch = batch.expect("records");
    model.headers.push(BatchHeader { base_offset: next, ..*batch.header() });
    log.append(batch, LeaderEpoch(0), model.now_ms).map_err(|error| format!("append: {error}"))?;
    Ok(())
}

fn make_durable(log: &mut Log, rt: &Rt, model: &mut Model) -> Result<(), String> {
    log.write().map_err(|error| format!("write: {error}"))?;
    while let Some(job) = log.take_sync() {
        let end = log.synced(job.run(rt.fs())).map_err(|error| format!("sync: {error}"))?;
        model.durable = model.durable.max(end);
    }
    Ok(())
}

fn options(log: &Log, found: &Dirtiness, dice: &mut Dice, now_ms: i64) -> CleanOptions {
    CleanOptions {
        first_dirty: found.first_dirty,
        bound: found.bound,
        now_ms,
        delete_retention_ms: RETENTION_MS,
        segment_bytes: 1500,
        index_bytes_max: 1 << 20,
        index_interval_bytes: 200,
        key_map_bytes: 24 * (8 + dice.below(20)),
        key_map_load: 0.9,
        buffer_bytes: 600,
        seed: 1,
        last_batches: log.producers().last_batches(),
    }
}

/// A pass, with appends in between; ends early now and then.
fn clean(life: &mut Life, rt: &Rt, dice: &mut Dice, model: &mut Model) -> Result<(), String> {
    let reader = life.log.reader();
    let log = &mut life.log;
    let lags = Lags { min_ms: 0, max_ms: None };
    let found = reader.dirtiness(model.cleaned_to, log.durable_end(), lags, model.now_ms);
    let found = found.map_err(|error| format!("look: {error}"))?;
    if found.dirty_bytes == 0 {
        return Ok(());
    }
    let options = options(log, &found, dice, model.now_ms);
    model.passes.push((found.bound, model.now_ms));
    let mut cleaning = reader.clean(options).map_err(|error| format!("begin: {error}"))?;
    loop {
        match cleaning.step().map_err(|error| format!("compaction: {error}"))? {
            Step::Worked(_) => {}
            Step::Swap(cleaned, _) => {
                let left = log.swap_in(*cleaned).map_err(|error| format!("swap: {error}"))?;
                if dice.below(2) == 0 {
                    left.remove().map_err(|error| format!("remove: {error}"))?;
                }
            }
            Step::Done(to) => {
                model.cleaned_to = Some(to);
                return check_clean(&records(&reader)?, to);
            }
        }
        match dice.below(8) {
            0 => append(log, dice, model)?,
            1 => make_durable(log, rt, model)?,
            2 if dice.below(8) == 0 => {
                return cleaning.abandon().map_err(|error| format!("abandon: {error}"));
            }
            _ => {}
        }
    }
}

/// Below what a pass came to, there is one record of a key.
fn check_clean(found: &[Record], to: Offset) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for record in found.iter().filter(|record| record.offset < to) {
        if let Some(before) = seen.insert(&record.key, record) {
            return Err(format!("a pass to {to} left {before:?} and {record:?}"));
        }
    }
    Ok(())
}

/// Lives of one node, most of them ended by a power cut at some disk call.
fn lives(sim: &Sim, seed: u64) -> Result<usize, String> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut model, mut rt, mut passes) = (Model::new(), sim.node(NODE), 0);
    rt.fs().create_dir_all(Path::new("/data")).expect("an empty disk");
    rt.fs().sync_dir(Path::new("/")).expect("a disk that works");
    for _ in 0..10 {
        let mut life = open(&rt)?;
        check(&life, &mut model)?;
        if dice.below(4) != 0 {
            sim.power_cut_after_disk_ops(NODE, 1 + dice.below(250));
        }
        for _ in 0..dice.below(150) {
            model.now_ms += i64::try_from(dice.below(100)).expect("small");
            let done = match dice.below(12) {
                0..8 => append(&mut life.log, &mut dice, &mut model),
                8..11 => make_durable(&mut life.log, &rt, &mut model),
                _ => clean(&mut life, &rt, &mut dice, &mut model).and_then(|()| model.check_open(&life)),
            };
            match done {
                Ok(()) => {}
                Err(violation) if sim.is_alive(NODE) => return Err(violation),
                Err(_) => break,
            }
        }
        passes = model.passes.len();
        drop(life);
        if dice.below(4) == 0 {
            sim.kill(NODE);
        } else {
            sim.power_cut(NODE);
        }
        rt = sim.node(NODE);
    }
    Ok(passes)
}

impl Model {
    /// What readers see while the log is open: what was appended and written.
    fn check_open(&self, life: &Life) -> Result<(), String> {
        let written = life.log.reader().log_end();
        let below = Model {
            records: self.records.iter().filter(|record| record.offset < written).cloned().collect(),
            passes: self.passes.clone(),
            now_ms: self.now_ms,
            ..Model::new()
        };
        assert!(life.files.count() <= 4);
        below.check(&records(&life.log.reader())?)
    }
}

#[test]
fn newest_values_stay_and_deletions_hold_through_power_cuts_at_any_disk_call() {
    let mut passes = 0;
    for seed in 0..60 {
        let sim = Sim::new(seed);
        match lives(&sim, seed) {
            Ok(count) => passes += count,
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    assert!(200 < passes, "only {passes} passes ran");
}
