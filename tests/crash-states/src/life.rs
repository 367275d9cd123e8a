//! A log between a start and its end, opened as a broker does.

use std::path::Path;
use std::sync::Arc;

use log::{
    Checkpoint, Cold, DataDir, FirstBatch, Log, LogConfig, LogReader, OpenFiles, OpenOptions, Owner,
    PartitionName, ReadLimits, Recovery,
};
use model::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName, Uuid};
use rt::Rt;

/// The node whose disk it is.
pub const NODE: &str = "n1";

const DATA: &str = "/data";

/// Small, so that a few batches fill a segment and every operation is met.
pub const CONFIG: LogConfig = LogConfig {
    segment_bytes: 4_000,
    segment_ms: i64::MAX,
    segment_jitter_ms: 0,
    index_interval_bytes: 300,
    index_bytes_max: 10 << 20,
    timestamp_type: record::TimestampType::CreateTime,
    producer_expiration_ms: i64::MAX,
};

/// The partition.
pub fn partition() -> PartitionName {
    PartitionName { topic: TopicName::parse("t").expect("a topic's name"), partition: PartitionIndex(0) }
}

/// A log that works.
pub struct Life {
    /// The folder it is in.
    pub dir: DataDir,
    /// The log.
    pub log: Log,
    /// The epoch it writes in.
    pub epoch: LeaderEpoch,
    /// How far it was compacted, as its checkpoint says.
    pub cleaned_to: Option<Offset>,
}

fn failed(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}

/// Takes the data folder.
pub fn open_dir(rt: &Rt) -> Result<DataDir, String> {
    let owner = Owner { node_id: BrokerId(1), cluster_id: None };
    DataDir::open(rt.fs(), Path::new(DATA), owner, || Uuid([7; 16]))
        .map_err(|error| failed("data folder", error))
}

/// Starts: what was left of the folder and the log is found, and brought in order.
pub fn open(rt: &Rt) -> Result<Life, String> {
    let dir = open_dir(rt)?;
    open_log(rt, dir)
}

/// Opens the log of a folder.
pub fn open_log(rt: &Rt, dir: DataDir) -> Result<Life, String> {
    let offset_in = |which| {
        let offsets = dir.read_checkpoint(which).map_err(|error| failed("checkpoint", error))?;
        Ok::<_, String>(offsets.get(&partition()).copied())
    };
    let recovery_point = offset_in(Checkpoint::RecoveryPoint)?.unwrap_or(Offset::ZERO);
    let start_offset = offset_in(Checkpoint::LogStart)?.unwrap_or(Offset::ZERO);
    let cleaned_to = offset_in(Checkpoint::CleanerOffset)?;
    let options = OpenOptions {
        dir: dir.partition_path(&partition()),
        topic_id: Some(TopicId(Uuid([9; 16]))),
        config: CONFIG,
        recovery: if dir.was_clean() { Recovery::Clean } else { Recovery::From(recovery_point) },
        start_offset,
        files: Arc::new(OpenFiles::new(4)),
    };
    let (log, _) = Log::open(rt.fs(), options).map_err(|error| failed("the log", error))?;
    let epoch = log.reader().latest_epoch().map_or(LeaderEpoch(0), |(epoch, _)| epoch.next());
    Ok(Life { dir, log, epoch, cleaned_to })
}

/// The records of a log from its start to its end.
pub fn values(reader: &LogReader) -> Result<Vec<String>, String> {
    let limits = ReadLimits { max_bytes: u64::MAX, first_batch: FirstBatch::Whole, cold: Cold::Check };
    let (mut next, end, mut values) = (reader.log_start(), reader.log_end(), Vec::new());
    while next < end {
        let bytes = reader.read_bytes(next, end, limits).map_err(|error| failed("a read", error))?;
        let mut rest = &bytes[..];
        if rest.is_empty() {
            return Err(format!("nothing can be read at {next}, though the log ends at {end}"));
        }
        while !rest.is_empty() {
            let header = record::check(rest).map_err(|error| failed("a batch", error))?;
            let (batch, after) = rest.split_at(header.size_in_bytes());
            let decoded = record::decode(batch, 1 << 20).map_err(|error| failed("a batch", error))?;
            for record in decoded.records() {
                let record = record.map_err(|error| failed("a record", error))?;
                if next <= record.offset {
                    values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
                }
            }
            next = header.next_offset();
            rest = after;
        }
    }
    Ok(values)
}
