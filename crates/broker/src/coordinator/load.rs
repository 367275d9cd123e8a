//! Reading a coordinator's whole log into a fresh state machine.

use std::fmt;
use std::sync::Arc;

use log::{Cold, FirstBatch, LogReader, ReadError, ReadLimits};
use model::{Offset, limits};
use record::{BATCH_HEADER_BYTES, BatchError, BatchHeader, EndTransaction};
use rt::Rt;

use super::machine::Machine;
use crate::partition::Partition;

/// Bytes read at a time.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Why a log could not be loaded.
#[derive(Debug)]
pub(super) enum LoadError {
    Read(ReadError),
    Batch(BatchError),
    Record(Box<dyn std::error::Error + Send>),
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

/// Replays every record below the high watermark, which on a fresh leader is everything there is.
pub(super) async fn load<M: Machine>(
    rt: &Rt,
    partition: &Arc<Partition>,
    config: &M::Config,
) -> Result<M, LoadError> {
    let machine = M::new(config, partition);
    let (reader, end) = (partition.reader.clone(), partition.high_watermark());
    if end <= reader.log_start() {
        return Ok(machine);
    }
    rt.blocking(move || replay(machine, &reader, end)).await
}

fn replay<M: Machine>(mut machine: M, reader: &LogReader, end: Offset) -> Result<M, LoadError> {
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
            replay_batch(&mut machine, &header, batch)?;
            next = header.next_offset();
            rest = &rest[batch.len()..];
        }
        if next == before {
            break; // Offsets up to `end` hold nothing more, as after compaction.
        }
    }
    Ok(machine)
}

fn replay_batch<M: Machine>(machine: &mut M, header: &BatchHeader, batch: &[u8]) -> Result<(), LoadError> {
    if header.is_control() {
        if let Some(end) = EndTransaction::read(batch)? {
            machine.replay_marker(header.producer_id, end.result);
        }
        return Ok(());
    }
    let transaction = header.is_transactional().then_some(header.producer_id);
    let decoded = record::decode(batch, limits::DECOMPRESSED_BATCH_BYTES_MAX)?;
    for record in decoded.records() {
        let record = record?;
        if let Some(key) = record.key {
            let replayed = machine.replay(key, record.value, transaction);
            replayed.map_err(|error| LoadError::Record(Box::new(error)))?;
        }
    }
    Ok(())
}
