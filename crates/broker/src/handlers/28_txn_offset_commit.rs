//! TxnOffsetCommit (28), versions 0-5: how far a group has read, if the transaction is committed.
//!
//! - Topics and partitions that do not exist are answered here, each with its own error; the rest goes to the group's
//!   coordinator once that of the transaction has said that the partition of the offsets is part of it (KIP-890).
//! - From version 5 on it becomes part of it by this request.
//! - Before version 2 a client knows no COORDINATOR_LOAD_IN_PROGRESS, and hears that there is none.

use std::time::Duration;

use group::{CommitPartition, CommitRequest, CommitTopic, CommittedTopic, CommittingTransaction};
use model::{
    ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion,
};
use wire::txn_offset_commit::{
    TxnOffsetCommitRequestTopic, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use wire::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use crate::call::Call;
use crate::transactions::{Verification, VerificationError};

const ADDS_PARTITION_SINCE: i16 = 5;
const LOADING_SINCE: i16 = 2;
const ABORTABLE_SINCE: i16 = 4;

/// How often a coordinator that still ends the transaction before is asked again, and how many times.
const CONCURRENT_BACKOFF: Duration = Duration::from_millis(20);
const CONCURRENT_TRIES: usize = 5;

pub async fn handle(
    call: &Call<'_>,
    request: TxnOffsetCommitRequest<'_>,
    version: i16,
) -> TxnOffsetCommitResponse<'static> {
    let mut topics: Vec<TxnOffsetCommitResponseTopic<'static>> = Vec::with_capacity(request.topics.len());
    let mut known = Vec::new();
    for topic in &request.topics {
        let (commit, answer) = split(call, topic);
        if let Some(commit) = commit {
            known.push((topics.len(), commit));
        }
        topics.push(answer);
    }
    let places: Vec<usize> = known.iter().map(|(place, _)| *place).collect();
    let known: Vec<CommitTopic> = known.into_iter().map(|(_, commit)| commit).collect();
    let committed = commit(call, &request, known.clone(), version).await;
    let committed = committed.unwrap_or_else(|error| CommittedTopic::refused(&known, error));
    for (place, topic) in places.into_iter().zip(committed) {
        let answers = topic.partitions.into_iter().map(|(index, error)| answer(index.0, error));
        topics[place].partitions.extend(answers);
    }
    TxnOffsetCommitResponse { throttle_time_ms: 0, topics }
}

fn answer(partition_index: i32, error: ErrorCode) -> TxnOffsetCommitResponsePartition {
    TxnOffsetCommitResponsePartition { partition_index, error_code: error.code() }
}

/// What goes to the coordinator, and the answer so far: the errors of what does not exist.
fn split(
    call: &Call<'_>,
    topic: &TxnOffsetCommitRequestTopic<'_>,
) -> (Option<CommitTopic>, TxnOffsetCommitResponseTopic<'static>) {
    let image = call.node.image();
    let found = image.topic_named(&topic.name);
    let mut answered =
        TxnOffsetCommitResponseTopic { name: topic.name.to_string().into(), partitions: Vec::new() };
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let index = PartitionIndex(partition.partition_index);
        if found.is_none_or(|found| found.partition(index).is_none()) {
            answered.partitions.push(answer(index.0, ErrorCode::UnknownTopicOrPartition));
            continue;
        }
        partitions.push(CommitPartition {
            partition: index,
            offset: Offset(partition.committed_offset),
            leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
            metadata: partition.committed_metadata.as_deref().map(Into::into),
        });
    }
    let commit = found.map(|found| CommitTopic { name: found.name.clone(), topic_id: Some(found.id), partitions });
    (commit, answered)
}

async fn commit(
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest<'_>,
    topics: Vec<CommitTopic>,
    version: i16,
) -> Result<Vec<CommittedTopic>, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let transaction = verify(call, request, version).await?;
    let commit = CommitRequest {
        group_id: request.group_id.as_ref().into(),
        generation: request.generation_id,
        member_id: request.member_id.as_ref().into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        retention_time_ms: None,
        knows_group_id_not_found: false,
        transaction: Some(transaction),
        topics,
    };
    call.node.commit_offsets(commit).await.map_err(|error| known_code(error, version))
}

/// Makes sure that the partition of the offsets is part of the transaction.
async fn verify(
    call: &Call<'_>,
    request: &TxnOffsetCommitRequest<'_>,
    version: i16,
) -> Result<CommittingTransaction, ErrorCode> {
    let offsets = TopicName::consumer_offsets();
    let index = call.node.group_partition(&request.group_id).ok_or(ErrorCode::NotCoordinator)?;
    let partition =
        call.node.partition_by_name(offsets.as_str(), index).map_err(|_| ErrorCode::NotCoordinator)?;
    let adds = ADDS_PARTITION_SINCE <= version;
    let (producer, epoch) = (ProducerId(request.producer_id), ProducerEpoch(request.producer_epoch));
    let protocol = if adds { TransactionVersion::Tv2 } else { TransactionVersion::Tv1 };
    let verifies = call.node.verifies(protocol);
    let asked_at = (verifies && !adds).then(|| partition.high_watermark());
    let transaction = CommittingTransaction { producer, epoch, asked_at };
    if !verifies || partition.has_open_transaction(producer, epoch) {
        return Ok(transaction);
    }
    let asked = Verification {
        transactional_id: request.transactional_id.to_string(),
        producer,
        epoch,
        version: protocol,
        partitions: vec![(offsets, index)],
    };
    for _ in 1..CONCURRENT_TRIES {
        match call.node.verify(asked.clone()).await.pop() {
            Some(Err(VerificationError::Concurrent)) if adds => call.node.rt().sleep(CONCURRENT_BACKOFF).await,
            Some(Err(error)) => return Err(verification_code(error, version)),
            Some(Ok(())) | None => return Ok(transaction),
        }
    }
    match call.node.verify(asked).await.pop() {
        Some(Err(error)) => Err(verification_code(error, version)),
        Some(Ok(())) | None => Ok(transaction),
    }
}

/// What a client of this version makes of a partition that is not in the transaction.
fn verification_code(error: VerificationError, version: i16) -> ErrorCode {
    match error {
        VerificationError::NotOngoing if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        VerificationError::NotOngoing => ErrorCode::TransactionAbortable,
        VerificationError::Fenced => ErrorCode::InvalidProducerEpoch,
        VerificationError::OtherProducer => ErrorCode::InvalidProducerIdMapping,
        VerificationError::Concurrent => ErrorCode::ConcurrentTransactions,
        VerificationError::Unavailable(code) => known_code(code, version),
    }
}

fn known_code(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorLoadInProgress if version < LOADING_SINCE => ErrorCode::CoordinatorNotAvailable,
        other => other,
    }
}
