//! DescribeTopicPartitions (75), version 0: topics by name, page by page (KIP-966).
//!
//! - No topics named means all. Topics come in the order of their names, whatever the order of the request.
//! - A page ends after so many partitions, inside a topic if need be; the cursor says where the next one begins.
//! - A cursor's topic that is not among those named, and a negative partition, are INVALID_REQUEST for every topic
//!   of the request. With all topics asked for, a cursor's topic may be gone: the page begins at the next one.
//! - One node has no eligible leader replicas; the lists are empty, not null.

use std::collections::BTreeSet;

use meta::{Image, Partition, Topic};
use model::{ErrorCode, PartitionIndex};
use wire::describe_topic_partitions::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, RequestCursor,
    ResponseCursor,
};
use wire::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use crate::call::Call;
use crate::operations;
use crate::topic_state::{self, PartitionState};

/// Most partitions of a page; Kafka's default of `max.request.partition.size.limit`.
const PAGE_MAX: usize = 2000;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeTopicPartitionsRequest<'_>,
    _: i16,
) -> DescribeTopicPartitionsResponse<'static> {
    let image = call.node.image();
    let cursor = request.cursor.as_ref();
    let from = cursor.map_or("", |cursor| cursor.topic_name.as_ref());
    let wants_all = request.topics.is_empty();
    let names: BTreeSet<&str> = if wants_all {
        image.topics().map(|topic| topic.name.as_str()).filter(|name| from <= *name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.as_ref()).filter(|name| from <= *name).collect()
    };
    let is_valid = |cursor: &RequestCursor<'_>| {
        0 <= cursor.partition_index && (wants_all || names.contains(cursor.topic_name.as_ref()))
    };
    if !cursor.is_none_or(is_valid) {
        let refused = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            name: Some(topic.name.to_string().into()),
            ..Default::default()
        });
        return DescribeTopicPartitionsResponse { topics: refused.collect(), ..Default::default() };
    }
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PAGE_MAX);
    page(&image, names, cursor, limit)
}

/// Fills one page, from the cursor on.
fn page(
    image: &Image,
    names: BTreeSet<&str>,
    cursor: Option<&RequestCursor<'_>>,
    limit: usize,
) -> DescribeTopicPartitionsResponse<'static> {
    let mut topics = Vec::new();
    let mut left = limit;
    for name in names {
        if left == 0 {
            return paged(topics, Some((name, PartitionIndex(0))));
        }
        let Some(topic) = image.topic_named(name) else {
            topics.push(unknown(name));
            continue;
        };
        let first = cursor.filter(|cursor| cursor.topic_name == name);
        let first = first.map_or(PartitionIndex(0), |cursor| PartitionIndex(cursor.partition_index));
        let mut rest = topic.partitions().filter(|(index, _)| first <= *index);
        let partitions: Vec<_> =
            rest.by_ref().take(left).map(|(index, partition)| state(image, index, partition)).collect();
        left -= partitions.len();
        topics.push(known(topic, partitions));
        if let Some((next, _)) = rest.next() {
            return paged(topics, Some((name, next)));
        }
    }
    paged(topics, None)
}

fn paged(
    topics: Vec<DescribeTopicPartitionsResponseTopic<'static>>,
    next: Option<(&str, PartitionIndex)>,
) -> DescribeTopicPartitionsResponse<'static> {
    let next_cursor = next.map(|(name, index)| ResponseCursor {
        topic_name: name.to_owned().into(),
        partition_index: index.0,
    });
    DescribeTopicPartitionsResponse { throttle_time_ms: 0, topics, next_cursor }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic<'static> {
    DescribeTopicPartitionsResponseTopic {
        error_code: topic_state::unknown_name(name).code(),
        name: Some(name.to_owned().into()),
        topic_authorized_operations: operations::TOPIC,
        ..Default::default()
    }
}

fn known(
    topic: &Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic<'static> {
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string().into()),
        topic_id: topic.id.0,
        is_internal: topic.name.is_internal(),
        partitions,
        topic_authorized_operations: operations::TOPIC,
    }
}

fn state(
    image: &Image,
    index: PartitionIndex,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let state = PartitionState::of(image, partition);
    DescribeTopicPartitionsResponsePartition {
        error_code: state.error.code(),
        partition_index: index.0,
        leader_id: state.leader_id,
        leader_epoch: state.leader_epoch,
        replica_nodes: state.replicas,
        isr_nodes: state.isr,
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: state.offline,
    }
}
