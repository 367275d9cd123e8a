//! OffsetDelete (47), version 0: a group forgets what it committed for some partitions.
//!
//! - Topics that the group's members read are refused, one by one; so are partitions that do not exist.
//! - Answered once the tombstones are safe, so that no restart brings an offset back.

use std::collections::BTreeMap;

use group::{DeleteOffsetsReply, DeleteOffsetsRequest, Event, Reply};
use model::{ErrorCode, PartitionIndex, TopicName};
use wire::offset_delete::{
    OffsetDeleteRequestTopic, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use wire::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::call::Call;

pub async fn handle(call: &Call<'_>, request: OffsetDeleteRequest<'_>, _: i16) -> OffsetDeleteResponse<'static> {
    let topics = known(call, &request);
    match delete(call, &request.group_id, topics).await {
        Ok(deleted) => OffsetDeleteResponse {
            error_code: ErrorCode::None.code(),
            throttle_time_ms: 0,
            topics: request.topics.iter().map(|topic| answer(topic, &deleted)).collect(),
        },
        Err(error) => OffsetDeleteResponse { error_code: error.code(), ..Default::default() },
    }
}

type Deleted = BTreeMap<(TopicName, PartitionIndex), ErrorCode>;

/// The partitions of the request that exist; only those are the group's business.
fn known(call: &Call<'_>, request: &OffsetDeleteRequest<'_>) -> Vec<(TopicName, Vec<PartitionIndex>)> {
    let image = call.node.image();
    let known = |topic: &OffsetDeleteRequestTopic<'_>| {
        let found = image.topic_named(&topic.name)?;
        let indexes = topic.partitions.iter().map(|partition| PartitionIndex(partition.partition_index));
        Some((found.name.clone(), indexes.filter(|&index| found.partition(index).is_some()).collect()))
    };
    request.topics.iter().filter_map(known).collect()
}

async fn delete(
    call: &Call<'_>,
    group_id: &str,
    topics: Vec<(TopicName, Vec<PartitionIndex>)>,
) -> Result<Deleted, ErrorCode> {
    let request = DeleteOffsetsRequest { group_id: group_id.into(), topics };
    match call.node.ask_group(group_id, move |ticket| Event::DeleteOffsets(ticket, request)).await? {
        Reply::DeleteOffsets(DeleteOffsetsReply { error: ErrorCode::None, topics }) => {
            let each = |(name, partitions): (TopicName, Vec<(PartitionIndex, ErrorCode)>)| {
                partitions.into_iter().map(move |(index, error)| ((name.clone(), index), error))
            };
            Ok(topics.into_iter().flat_map(each).collect())
        }
        Reply::DeleteOffsets(DeleteOffsetsReply { error, .. }) => Err(error),
        other => unreachable!("a deletion of offsets was answered with {other:?}"),
    }
}

fn answer(topic: &OffsetDeleteRequestTopic<'_>, deleted: &Deleted) -> OffsetDeleteResponseTopic<'static> {
    let name = TopicName::parse(&topic.name).ok();
    let result = |index: i32| {
        let key = name.clone().map(|name| (name, PartitionIndex(index)));
        let error = key.and_then(|key| deleted.get(&key).copied()).unwrap_or(ErrorCode::UnknownTopicOrPartition);
        OffsetDeleteResponsePartition { partition_index: index, error_code: error.code() }
    };
    OffsetDeleteResponseTopic {
        name: topic.name.to_string().into(),
        partitions: topic.partitions.iter().map(|partition| result(partition.partition_index)).collect(),
    }
}
