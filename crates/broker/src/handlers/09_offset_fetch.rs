//! OffsetFetch (9), versions 1-10: how far groups have read.
//!
//! - Nothing committed is offset −1 without an error, never 0.
//! - No topics listed (version 2 on: null) means all that is committed.
//! - From version 8 on several groups in one request, each with its own error; version 10 names topics by id.
//! - With `require_stable` an offset that a transaction has not decided is UNSTABLE_OFFSET_COMMIT.

use group::{Event, FetchRequest, FetchTopic, FetchedPartition, FetchedTopic, Reply};
use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use wire::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::{OffsetFetchRequest, OffsetFetchResponse};

use crate::call::Call;

const BATCHED_SINCE: i16 = 8;
const BY_TOPIC_ID: i16 = 10;
/// First version whose answer has an error of its own beside those of the partitions.
const ERROR_SINCE: i16 = 2;

pub async fn handle(
    call: &Call<'_>,
    request: OffsetFetchRequest<'_>,
    version: i16,
) -> OffsetFetchResponse<'static> {
    if BATCHED_SINCE <= version {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in &request.groups {
            groups.push(fetch_group(call, group, request.require_stable, version).await);
        }
        return OffsetFetchResponse { groups, ..Default::default() };
    }
    let asked: Option<Vec<Asked>> = request.topics.as_ref().map(|topics| {
        topics.iter().map(|topic| Asked::by_name(&topic.name, &topic.partition_indexes)).collect()
    });
    match fetch(call, &request.group_id, asked.as_deref(), request.require_stable).await {
        Ok(topics) => OffsetFetchResponse { topics: topics.into_iter().map(single).collect(), ..Default::default() },
        Err(error) => failed(error, asked.unwrap_or_default(), version),
    }
}

/// One topic as a request names it.
struct Asked {
    name: String,
    id: Option<TopicId>,
    partitions: Vec<PartitionIndex>,
}

impl Asked {
    fn by_name(name: &str, partitions: &[i32]) -> Asked {
        let partitions = partitions.iter().copied().map(PartitionIndex).collect();
        Asked { name: name.to_owned(), id: None, partitions }
    }
}

/// One topic as it is answered.
struct Answered {
    name: String,
    id: TopicId,
    partitions: Vec<FetchedPartition>,
}

fn nothing(partition: PartitionIndex, error: ErrorCode) -> FetchedPartition {
    FetchedPartition {
        partition,
        offset: Offset(-1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: "".into(),
        error,
    }
}

async fn fetch_group(
    call: &Call<'_>,
    group: &OffsetFetchRequestGroup<'_>,
    require_stable: bool,
    version: i16,
) -> OffsetFetchResponseGroup<'static> {
    let by_id = BY_TOPIC_ID <= version;
    let asked: Option<Vec<Asked>> = group.topics.as_ref().map(|topics| {
        let topics = topics.iter().map(|topic| {
            let id = by_id.then_some(TopicId(topic.topic_id));
            Asked { id, ..Asked::by_name(&topic.name, &topic.partition_indexes) }
        });
        topics.collect()
    });
    let (error, topics) = match fetch(call, &group.group_id, asked.as_deref(), require_stable).await {
        Ok(topics) => (ErrorCode::None, topics),
        Err(error) => (error, Vec::new()),
    };
    OffsetFetchResponseGroup {
        group_id: group.group_id.to_string().into(),
        topics: topics.into_iter().map(|topic| batched(topic, by_id)).collect(),
        error_code: error.code(),
    }
}

/// Asks the coordinator for what exists; ids that name no topic are answered here.
async fn fetch(
    call: &Call<'_>,
    group_id: &str,
    asked: Option<&[Asked]>,
    require_stable: bool,
) -> Result<Vec<Answered>, ErrorCode> {
    let image = call.node.image();
    let mut unknown = Vec::new();
    let mut topics = Vec::new();
    for topic in asked.unwrap_or_default() {
        let name = match topic.id {
            None => TopicName::parse(&topic.name).map_err(|_| ErrorCode::UnknownTopicOrPartition),
            Some(id) => image.topic(id).map(|topic| topic.name.clone()).ok_or(ErrorCode::UnknownTopicId),
        };
        match name {
            Ok(name) => {
                topics.push(FetchTopic { name, topic_id: topic.id, partitions: topic.partitions.clone() });
            }
            // A name no topic can have has nothing committed, which is no error; an unknown id is one.
            Err(error) => unknown.push(Answered {
                name: topic.name.clone(),
                id: topic.id.unwrap_or(TopicId(wire::Uuid::ZERO)),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|&partition| nothing(partition, if topic.id.is_some() { error } else { ErrorCode::None }))
                    .collect(),
            }),
        }
    }
    let request = FetchRequest { group_id: group_id.into(), topics: asked.map(|_| topics), require_stable };
    let fetched = match call.node.ask_group(group_id, move |ticket| Event::FetchOffsets(ticket, request)).await? {
        Reply::FetchOffsets(reply) => reply.topics,
        other => unreachable!("an offset fetch was answered with {other:?}"),
    };
    let known = fetched.into_iter().map(|topic: FetchedTopic| Answered {
        id: topic
            .topic_id
            .or_else(|| image.topic_named(topic.name.as_str()).map(|topic| topic.id))
            .unwrap_or(TopicId(wire::Uuid::ZERO)),
        name: topic.name.to_string(),
        partitions: topic.partitions,
    });
    Ok(known.chain(unknown).collect())
}

fn single(topic: Answered) -> OffsetFetchResponseTopic<'static> {
    let partitions = topic
        .partitions
        .into_iter()
        .map(|partition| OffsetFetchResponsePartition {
            partition_index: partition.partition.0,
            committed_offset: partition.offset.0,
            committed_leader_epoch: partition.leader_epoch.0,
            metadata: Some(partition.metadata.to_string().into()),
            error_code: partition.error.code(),
        })
        .collect();
    OffsetFetchResponseTopic { name: topic.name.into(), partitions }
}

fn batched(topic: Answered, by_id: bool) -> OffsetFetchResponseTopics<'static> {
    let partitions = topic
        .partitions
        .into_iter()
        .map(|partition| OffsetFetchResponsePartitions {
            partition_index: partition.partition.0,
            committed_offset: partition.offset.0,
            committed_leader_epoch: partition.leader_epoch.0,
            metadata: Some(partition.metadata.to_string().into()),
            error_code: partition.error.code(),
        })
        .collect();
    let name = if by_id { Default::default() } else { topic.name.into() };
    OffsetFetchResponseTopics { name, topic_id: topic.id.0, partitions }
}

/// A whole group's error: in version 1 there is room for it only beside each partition.
fn failed(error: ErrorCode, asked: Vec<Asked>, version: i16) -> OffsetFetchResponse<'static> {
    let beside = if version < ERROR_SINCE { error } else { ErrorCode::None };
    let topics = asked.into_iter().filter(|_| version < ERROR_SINCE).map(|topic| {
        single(Answered {
            name: topic.name,
            id: TopicId(wire::Uuid::ZERO),
            partitions: topic.partitions.into_iter().map(|partition| nothing(partition, beside)).collect(),
        })
    });
    OffsetFetchResponse { error_code: error.code(), topics: topics.collect(), ..Default::default() }
}
