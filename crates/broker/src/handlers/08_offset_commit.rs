//! OffsetCommit (8), versions 2-10: how far a group has read.
//!
//! - Topics and partitions that do not exist are answered here, each with its own error; the rest goes to the
//!   coordinator and is on the disk before it is answered.
//! - Version 10 names topics by id.

use group::{CommitPartition, CommitRequest, CommitTopic, CommittedTopic};
use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use wire::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire::{OffsetCommitRequest, OffsetCommitResponse};

use crate::call::Call;

const BY_TOPIC_ID: i16 = 10;
const NOT_FOUND_SINCE: i16 = 9;
const KEEPS_RETENTION: std::ops::RangeInclusive<i16> = 2..=4;

pub async fn handle(
    call: &Call<'_>,
    request: OffsetCommitRequest<'_>,
    version: i16,
) -> OffsetCommitResponse<'static> {
    let mut topics: Vec<OffsetCommitResponseTopic<'static>> = Vec::with_capacity(request.topics.len());
    let mut known = Vec::new();
    for topic in &request.topics {
        let (commit, answer) = split(call, topic, version);
        if let Some(commit) = commit {
            known.push((topics.len(), commit));
        }
        topics.push(answer);
    }
    let places: Vec<usize> = known.iter().map(|(place, _)| *place).collect();
    let commit = CommitRequest {
        group_id: request.group_id.as_ref().into(),
        generation: request.generation_id_or_member_epoch,
        member_id: request.member_id.as_ref().into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        retention_time_ms: Some(request.retention_time_ms)
            .filter(|ms| KEEPS_RETENTION.contains(&version) && 0 <= *ms),
        knows_group_id_not_found: NOT_FOUND_SINCE <= version,
        transaction: None,
        topics: known.into_iter().map(|(_, commit)| commit).collect(),
    };
    let all = commit.topics.clone();
    let committed = call.node.commit_offsets(commit).await.unwrap_or_else(|error| CommittedTopic::refused(&all, error));
    for (place, topic) in places.into_iter().zip(committed) {
        let answers = topic.partitions.into_iter().map(|(index, error)| answer(index.0, error));
        topics[place].partitions.extend(answers);
    }
    OffsetCommitResponse { throttle_time_ms: 0, topics }
}

fn answer(partition_index: i32, error: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition { partition_index, error_code: error.code() }
}

/// What goes to the coordinator, and the answer so far: the errors of what does not exist.
fn split(
    call: &Call<'_>,
    topic: &OffsetCommitRequestTopic<'_>,
    version: i16,
) -> (Option<CommitTopic>, OffsetCommitResponseTopic<'static>) {
    let image = call.node.image();
    let by_id = BY_TOPIC_ID <= version;
    let found = if by_id { image.topic(TopicId(topic.topic_id)) } else { image.topic_named(&topic.name) };
    let name = if by_id { Default::default() } else { topic.name.to_string().into() };
    let mut answered =
        OffsetCommitResponseTopic { name, topic_id: topic.topic_id, partitions: Vec::new() };
    let Some(found) = found else {
        let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
        answered.partitions =
            topic.partitions.iter().map(|partition| answer(partition.partition_index, error)).collect();
        return (None, answered);
    };
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let index = PartitionIndex(partition.partition_index);
        if found.partition(index).is_none() {
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
    (Some(CommitTopic { name: found.name.clone(), topic_id: Some(found.id), partitions }), answered)
}
