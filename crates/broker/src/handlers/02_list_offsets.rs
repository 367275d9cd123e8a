//! ListOffsets (2), versions 1-11: offsets by meaning or by time.
//!
//! - −1 latest (the high watermark, to `read_committed` the last stable offset, which bounds all below), −2 earliest, −3 (v7+) the record with the largest timestamp, −4 (v8+) the
//!   earliest local one, −5 (v9+) the latest tiered and −6 (v11+) the earliest waiting for upload: without
//!   tiering −5 and −6 have no answer, offset −1.
//! - A time is answered with the first *record* at or after it (not batch); none gives offset −1, no error.
//! - A partition named twice is answered once, with INVALID_REQUEST.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use log::LogReader;
use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use wire::{ListOffsetsRequest, ListOffsetsResponse};

use crate::call::Call;
use crate::error::PartitionError;
use crate::partition::Partition;

/// First version that tells leader epochs (KIP-320).
const EPOCHS_SINCE: i16 = 4;
const READ_COMMITTED: i8 = 1;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub async fn handle(call: &Call<'_>, request: ListOffsetsRequest<'_>, version: i16) -> ListOffsetsResponse<'static> {
    let mut times_named = BTreeMap::new();
    for (topic, wanted) in named(&request) {
        *times_named.entry((topic, wanted.partition_index)).or_insert(0) += 1;
    }
    let mut answered = BTreeSet::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for wanted in &topic.partitions {
            let key = (topic.name.as_ref(), wanted.partition_index);
            if !answered.insert(key) {
                continue;
            }
            let found = match times_named.get(&key) {
                Some(1) => find(call, &topic.name, wanted, request.isolation_level, version).await,
                _ => Err(PartitionError::NamedTwice),
            };
            partitions.push(match found {
                Ok(found) => answer(wanted, ErrorCode::None, found, version),
                Err(error) => answer(wanted, error.code(), Found::NOTHING, version),
            });
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name.to_string().into(), partitions });
    }
    ListOffsetsResponse { throttle_time_ms: 0, topics }
}

/// Every partition of a request, as often as it is named.
fn named<'r>(request: &'r ListOffsetsRequest<'_>) -> impl Iterator<Item = (&'r str, &'r ListOffsetsPartition)> {
    request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.as_ref(), partition)))
}

struct Found {
    offset: Offset,
    timestamp: TimestampMs,
    leader_epoch: LeaderEpoch,
}

impl Found {
    const NOTHING: Found =
        Found { offset: Offset(-1), timestamp: TimestampMs::NONE, leader_epoch: LeaderEpoch::NONE };
}

fn answer(
    wanted: &ListOffsetsPartition,
    error: ErrorCode,
    found: Found,
    version: i16,
) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: wanted.partition_index,
        error_code: error.code(),
        timestamp: found.timestamp.0,
        offset: found.offset.0,
        leader_epoch: if version < EPOCHS_SINCE { LeaderEpoch::NONE.0 } else { found.leader_epoch.0 },
    }
}

async fn find(
    call: &Call<'_>,
    topic: &str,
    wanted: &ListOffsetsPartition,
    isolation_level: i8,
    version: i16,
) -> Result<Found, PartitionError> {
    let partition = call.node.partition_by_name(topic, PartitionIndex(wanted.partition_index))?;
    partition.check_epoch(LeaderEpoch(wanted.current_leader_epoch))?;
    let reader = partition.reader.clone();
    let end = match isolation_level {
        READ_COMMITTED => partition.last_stable_offset(),
        _ => partition.high_watermark(),
    };
    match wanted.timestamp {
        LATEST => Ok(at(&reader, end)),
        EARLIEST => Ok(at(&reader, reader.log_start())),
        EARLIEST_LOCAL if 8 <= version => Ok(at(&reader, reader.log_start())),
        MAX_TIMESTAMP if 7 <= version => by_record(call, &partition, end, |reader, end| reader.offset_of_max_timestamp(end)).await,
        LATEST_TIERED if 9 <= version => Ok(Found::NOTHING),
        EARLIEST_PENDING_UPLOAD if 11 <= version => Ok(Found::NOTHING),
        time if 0 <= time => {
            by_record(call, &partition, end, move |reader, end| reader.offset_for_timestamp(TimestampMs(time), end)).await
        }
        _ => Err(PartitionError::UnsupportedVersion),
    }
}

/// An offset found by its meaning carries no timestamp, as in Kafka.
fn at(reader: &LogReader, offset: Offset) -> Found {
    Found { offset, timestamp: TimestampMs::NONE, leader_epoch: epoch_at(reader, offset) }
}

/// Looks among the records below `end`; decodes a batch, so off the workers.
async fn by_record(
    call: &Call<'_>,
    partition: &Arc<Partition>,
    end: Offset,
    find: impl FnOnce(&LogReader, Offset) -> Result<Option<(Offset, TimestampMs)>, log::ReadError> + Send + 'static,
) -> Result<Found, PartitionError> {
    let reader = partition.reader.clone();
    let found = call.node.rt().blocking(move || find(&reader, end)).await;
    let found = found.map_err(|error| call.node.damage.read_failed(partition, end, error))?;
    Ok(found.map_or(Found::NOTHING, |(offset, timestamp)| Found {
        offset,
        timestamp,
        leader_epoch: epoch_at(&partition.reader, offset),
    }))
}

fn epoch_at(reader: &LogReader, offset: Offset) -> LeaderEpoch {
    reader.epoch_at(offset).unwrap_or(LeaderEpoch::NONE)
}
