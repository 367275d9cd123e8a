//! Produce (0), versions 3-13: batches in, their offsets out.
//!
//! - The batches of one connection are appended in the order in which they arrived, also while earlier ones
//!   still wait for the disk (D4): `start` resolves once everything is queued, the rest is awaited later.
//! - A partition that fails does not stop the others; each has its own error code.
//! - `acks=0` is never answered; on any error the connection is closed, so that the client looks for metadata.
//! - Waiting ends after the request's timeout with REQUEST_TIMED_OUT: the outcome is then unknown.
//! - Version 13 names topics by id; a batch of magic 0 or 1 is refused, as since Kafka 4.0.
//! - A batch that begins a transaction in its partition is verified with the coordinator before it is queued, all of
//!   a request together, and the next request of the connection waits for that (`transactions`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{ProduceValidation, TimestampType, TopicConfig};
use log::Verified;
use model::{PartitionIndex, TimestampMs, TopicId, limits};
use record::{BatchError, BatchRules, CheckedBatch, Compression, Keys, Validation};
use replica::Acks;
use rt::Instant;
use rt::channel::oneshot;
use wire::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceData, PartitionProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use wire::{ProduceRequest, ProduceResponse};

use crate::call::Call;
use crate::error::{PartitionError, ProduceError};
use crate::node::Node;
use crate::partition::{AppendReply, Appended, Partition};
use crate::recompress::{self, recompress};
use crate::verification::verify;

/// First version that names topics by id (KIP-516).
const BY_TOPIC_ID: i16 = 13;
/// First version that tells who leads instead (KIP-951).
const CURRENT_LEADER_SINCE: i16 = 10;
/// First version that tells which record was at fault (KIP-467).
const RECORD_ERRORS_SINCE: i16 = 8;
/// First version whose clients know zstd (KIP-110).
const ZSTD_SINCE: i16 = 7;

/// A produce whose batches are queued with their partitions.
pub struct Started {
    /// How it is answered; `None` for `acks=0`.
    acks: Option<Acks>,
    deadline: Instant,
    topics: Vec<StartedTopic>,
}

struct StartedTopic {
    name: String,
    id: TopicId,
    partitions: Vec<(i32, Result<Queued, ProduceError>)>,
}

/// A batch that its partition may take.
pub(crate) struct TakenIn {
    pub(crate) partition: Arc<Partition>,
    pub(crate) batch: CheckedBatch,
    /// What is known of the transaction it says it belongs to.
    pub(crate) verified: Verified,
}

struct Queued {
    partition: Arc<Partition>,
    reply: oneshot::Receiver<AppendReply>,
}

/// What becomes of a produce.
pub enum Outcome {
    /// The answer to send.
    Reply(ProduceResponse<'static>),
    /// `acks=0` and all went well.
    Silence,
    /// `acks=0` and something failed.
    Close,
}

/// Queues every batch of the request, in order.
pub async fn start(call: &Call<'_>, request: ProduceRequest<'_>, frame: &Bytes, version: i16) -> Started {
    let acks = parse_acks(request.acks);
    let mut batches = Vec::new();
    for topic in &request.topic_data {
        for data in &topic.partition_data {
            batches.push(match &acks {
                Ok(_) => take_in(call, topic, data, frame, version).await,
                Err(error) => Err(error.clone()),
            });
        }
    }
    verify(call.node, request.transactional_id.as_deref(), &mut batches, version).await;
    // Wrong acks are answered, as Kafka does: only a client that asked for silence gets it.
    let acks = acks.unwrap_or(Some(Acks::Leader));
    let mut batches = batches.into_iter();
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for (data, batch) in topic.partition_data.iter().zip(batches.by_ref()) {
            let queued = match batch {
                Ok(batch) => Ok(batch.queue(acks).await),
                Err(error) => Err(error),
            };
            partitions.push((data.index, queued));
        }
        topics.push(StartedTopic { name: topic.name.to_string(), id: TopicId(topic.topic_id), partitions });
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = call.node.rt().now() + timeout;
    Started { acks, deadline, topics }
}

fn parse_acks(acks: i16) -> Result<Option<Acks>, ProduceError> {
    match acks {
        0 => Ok(None),
        1 => Ok(Some(Acks::Leader)),
        -1 => Ok(Some(Acks::All)),
        other => Err(ProduceError::BadAcks(other)),
    }
}

async fn take_in(
    call: &Call<'_>,
    topic: &TopicProduceData<'_>,
    data: &PartitionProduceData<'_>,
    frame: &Bytes,
    version: i16,
) -> Result<TakenIn, ProduceError> {
    let index = PartitionIndex(data.index);
    let partition = if version < BY_TOPIC_ID {
        call.node.partition_by_name(&topic.name, index)?
    } else {
        call.node.partition_by_id(TopicId(topic.topic_id), index)?
    };
    if partition.topic.is_internal() && call.client_id != ADMIN_CLIENT_ID {
        return Err(ProduceError::InternalTopic);
    }
    let records = data.records.bytes().unwrap_or_default();
    let config = partition.config();
    let batch = check(call.node, &config, frame.slice_ref(records), version)?;
    let batch = recompress(call.node.rt(), &config, batch).await?;
    Ok(TakenIn { partition, batch, verified: Verified::No })
}

impl TakenIn {
    async fn queue(self, acks: Option<Acks>) -> Queued {
        let reply = self.partition.append_verified(self.batch, acks, self.verified).await;
        Queued { partition: self.partition, reply }
    }
}

/// The one client id that may write to internal topics (Kafka's `AdminUtils.ADMIN_CLIENT_ID`).
const ADMIN_CLIENT_ID: &str = "__admin_client";

fn check(
    node: &Node,
    config: &TopicConfig,
    records: Bytes,
    version: i16,
) -> Result<CheckedBatch, ProduceError> {
    let rules = BatchRules {
        batch_bytes_max: config.max_message_bytes,
        decompressed_bytes_max: limits::DECOMPRESSED_BATCH_BYTES_MAX,
        validation: match config.produce_validation {
            // What is written anew is read first: later nobody could tell whose fault a bad record is.
            ProduceValidation::Header if recompress::codec(config).is_none() => Validation::Header,
            ProduceValidation::Header => Validation::Records,
            ProduceValidation::Records => Validation::Records,
        },
        keys: if config.cleanup_policy.compact { Keys::Required } else { Keys::Optional },
    };
    let batch = CheckedBatch::parse(records, &rules)?;
    let header = batch.header();
    if header.compression() == Ok(Compression::Zstd) && version < ZSTD_SINCE {
        return Err(ProduceError::ZstdTooEarly);
    }
    check_timestamps(&batch, config, node.rt().wall_clock_ms())?;
    Ok(batch)
}

impl Started {
    /// Waits until every batch is as safe as was asked, or the request's time is over.
    pub async fn finish(self, node: &Node, version: i16) -> Outcome {
        let deadline = self.deadline;
        let mut failed = false;
        let mut responses = Vec::with_capacity(self.topics.len());
        for topic in self.topics {
            let mut partition_responses = Vec::with_capacity(topic.partitions.len());
            for (index, queued) in topic.partitions {
                let result = match queued {
                    Ok(queued) => queued.outcome(node, deadline).await,
                    Err(error) => Err(error),
                };
                failed |= result.is_err();
                partition_responses.push(answer(node, index, result, version));
            }
            let name = if version < BY_TOPIC_ID { topic.name } else { String::new() };
            responses.push(TopicProduceResponse {
                name: name.into(),
                topic_id: topic.id.0,
                partition_responses,
            });
        }
        match self.acks {
            Some(_) => Outcome::Reply(ProduceResponse { responses, ..Default::default() }),
            None if failed => Outcome::Close,
            None => Outcome::Silence,
        }
    }
}

impl Queued {
    async fn outcome(self, node: &Node, deadline: Instant) -> Result<Appended, ProduceError> {
        let remaining = deadline.saturating_since(node.rt().now());
        match node.rt().timeout(remaining, self.reply).await {
            Ok(Ok(reply)) => Ok(reply?),
            // The lane is gone with the partition: whether the batch is in the log is not known.
            Ok(Err(_)) => Err(ProduceError::Partition(PartitionError::Closed(self.partition.topic.clone()))),
            Err(_) => Err(ProduceError::TimedOut),
        }
    }
}

fn answer(
    node: &Node,
    index: i32,
    result: Result<Appended, ProduceError>,
    version: i16,
) -> PartitionProduceResponse<'static> {
    match result {
        Ok(appended) => PartitionProduceResponse {
            index,
            base_offset: appended.base_offset.0,
            log_append_time_ms: appended.log_append_time.0,
            log_start_offset: appended.log_start.0,
            ..Default::default()
        },
        Err(error) => {
            let record_errors =
                if RECORD_ERRORS_SINCE <= version { record_errors(&error) } else { Vec::new() };
            PartitionProduceResponse {
                index,
                error_code: error.code().code(),
                base_offset: -1,
                log_append_time_ms: -1,
                log_start_offset: -1,
                record_errors,
                error_message: Some(error.to_string().into()),
                current_leader: if CURRENT_LEADER_SINCE <= version {
                    current_leader(node, &error)
                } else {
                    LeaderIdAndEpoch::default()
                },
            }
        }
    }
}

/// A record far in the future would keep its segment from ever being deleted; Kafka allows an hour by default.
fn check_timestamps(batch: &CheckedBatch, config: &TopicConfig, now_ms: i64) -> Result<(), ProduceError> {
    if config.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let earliest = now_ms.saturating_sub_unsigned(config.timestamp_before_max_ms);
    let latest = now_ms.saturating_add_unsigned(config.timestamp_after_max_ms);
    let (oldest, newest) = batch.timestamp_bounds();
    let is_outside = |timestamp: &TimestampMs| {
        *timestamp != TimestampMs::NONE && !(earliest..=latest).contains(&timestamp.0)
    };
    match [oldest, newest].into_iter().find(is_outside) {
        Some(timestamp) => Err(ProduceError::Timestamp {
            index: first_record(batch, is_outside),
            timestamp: timestamp.0,
            earliest,
            latest,
        }),
        None => Ok(()),
    }
}

/// The first record of an uncompressed batch with such a time; others are not worth decompressing for an error.
fn first_record(batch: &CheckedBatch, is_wanted: impl Fn(&TimestampMs) -> bool) -> Option<i32> {
    if batch.header().compression() != Ok(Compression::None) {
        return None;
    }
    let bytes = batch.to_vec();
    let decoded = record::decode(&bytes, bytes.len()).ok()?;
    let index = decoded.records().flatten().position(|record| is_wanted(&record.timestamp))?;
    i32::try_from(index).ok()
}

/// Which record of a refused batch was at fault, where that is known: the first of them.
fn record_errors(error: &ProduceError) -> Vec<BatchIndexAndErrorMessage<'static>> {
    let index = match error {
        ProduceError::Batch(BatchError::BadRecord { index, .. }) => Some(*index),
        ProduceError::Timestamp { index, .. } => *index,
        _ => None,
    };
    let one = |batch_index| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: Some(error.to_string().into()),
    };
    index.map(one).into_iter().collect()
}

fn current_leader(node: &Node, error: &ProduceError) -> LeaderIdAndEpoch {
    let leader = match error {
        ProduceError::Partition(error) => error.current_leader(node),
        _ => None,
    };
    leader.map_or_else(Default::default, |(leader, epoch)| LeaderIdAndEpoch {
        leader_id: leader.0,
        leader_epoch: epoch.0,
    })
}
