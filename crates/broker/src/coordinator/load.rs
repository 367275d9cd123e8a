//! Reading a coordinator's whole log into a fresh state machine.

use std::fmt;
use std::sync::Arc;

use group::{Coordinator, GroupConfig, RecordError};
use log::{Cold, FirstBatch, LogReader, ReadError, ReadLimits};
use model::{Offset, limits};
use record::{BATCH_HEADER_BYTES, BatchError, BatchHeader};
use rt::Rt;

use crate::partition::Partition;

/// Bytes read at a time.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Why a log could not be loaded.
#[derive(Debug)]
pub(super) enum LoadError {
    Read(ReadError),
    Batch(BatchError),
    Record(RecordError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read(error) => error.fmt(f),
            LoadError::Batch(error) => error.fmt(f),
            LoadError::Record(error) => error.fmt(f),
        }
    }
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> LoadError {
        LoadError::Read(error)
    }
}

impl From<BatchError> for LoadError {
    fn from(error: BatchError) -> LoadError {
        LoadError::Batch(error)
    }
}

impl From<RecordError> for LoadError {
    fn from(error: RecordError) -> LoadError {
        LoadError::Record(error)
    }
}

/// Replays every record below the high watermark, which on a fresh leader is everything there is.
pub(super) async fn load(
    rt: &Rt,
    partition: &Arc<Partition>,
    config: &GroupConfig,
) -> Result<Coordinator, LoadError> {
    let coordinator = Coordinator::new(config.clone());
    let (reader, end) = (partition.reader.clone(), partition.high_watermark());
    if end <= reader.log_start() {
        return Ok(coordinator);
    }
    rt.blocking(move || replay(coordinator, &reader, end)).await
}

fn replay(mut coordinator: Coordinator, reader: &LogReader, end: Offset) -> Result<Coordinator, LoadError> {
    let limits = ReadLimits { max_bytes: CHUNK_BYTES, first_batch: FirstBatch::Whole, cold: Cold::Check };
    let mut next = reader.log_start();
    while next < end {
        let bytes = reader.read_bytes(next, end, limits)?;
        let before = next;
        let mut rest = bytes.as_slice();
        while BATCH_HEADER_BYTES <= rest.len() {
            let header = BatchHeader::parse(rest)?;
            // The last batch may be cut short by the chunk: it comes whole with the next one.
            let Some(batch) = rest.get(..header.size_in_bytes()) else { break };
            replay_batch(&mut coordinator, batch)?;
            next = header.next_offset();
            rest = &rest[batch.len()..];
        }
        if next == before {
            break; // Offsets up to `end` hold nothing more, as after compaction.
        }
    }
    Ok(coordinator)
}

fn replay_batch(coordinator: &mut Coordinator, batch: &[u8]) -> Result<(), LoadError> {
    let decoded = record::decode(batch, limits::DECOMPRESSED_BATCH_BYTES_MAX)?;
    for record in decoded.records() {
        let record = record?;
        if let Some(key) = record.key {
            coordinator.replay(key, record.value)?;
        }
    }
    Ok(())
}
