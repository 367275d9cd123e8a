//! Metadata (3), versions 0-13: brokers, topics, and who leads what.
//!
//! - Version 0 reads an empty list as "all topics"; from 1 on null means all and empty means none.
//! - Versions 10 and 11 carry ids but may not ask by them: null names or ids are INVALID_REQUEST there.
//! - A topic asked for by name is made if the broker and the request allow it. Kafka lets the client ask again
//!   while that is under way; here it takes one sync, so the answer waits for it.
//! - `controller_id` is a live broker, any of which takes administrative requests: this one.

use std::sync::Arc;

use meta::{Image, Partition, Topic};
use model::{ErrorCode, PartitionIndex, TopicId, TopicName};
use wire::metadata::{
    MetadataRequestTopic, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use wire::{MetadataRequest, MetadataResponse};

use crate::call::Call;
use crate::topic_state::{self, PartitionState};
use crate::{endpoint, operations};

/// First version in which topics can be asked for by id.
const BY_ID_SINCE: i16 = 12;
/// First version in which topics carry ids.
const IDS_SINCE: i16 = 10;

pub async fn handle(call: &Call<'_>, request: MetadataRequest<'_>, version: i16) -> MetadataResponse<'static> {
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && version == 0,
    };
    let asked = request.topics.unwrap_or_default();
    if (IDS_SINCE..BY_ID_SINCE).contains(&version) && asked.iter().any(asks_by_id) {
        return MetadataResponse { topics: asked.into_iter().map(refused).collect(), ..Default::default() };
    }
    if request.allow_auto_topic_creation && call.node.config().auto_create_topics {
        create_missing(call, &asked).await;
    }
    let image = call.node.image();
    let operations =
        operations::if_asked(request.include_topic_authorized_operations, operations::TOPIC);
    let topics = if all {
        image.topics().map(|topic| known(&image, topic, operations)).collect()
    } else {
        asked.iter().map(|topic| answer(&image, topic, operations)).collect()
    };
    let cluster_authorized_operations =
        operations::if_asked(request.include_cluster_authorized_operations, operations::CLUSTER);
    MetadataResponse { topics, cluster_authorized_operations, ..base(call) }
}

fn asks_by_id(topic: &MetadataRequestTopic<'_>) -> bool {
    topic.name.is_none() || !topic.topic_id.is_zero()
}

/// A topic of a request that is refused as a whole: before version 13 an error has no other place.
fn refused(asked: MetadataRequestTopic<'_>) -> MetadataResponseTopic<'static> {
    MetadataResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(asked.name.unwrap_or_default().into_owned().into()),
        topic_id: asked.topic_id,
        ..Default::default()
    }
}

fn base(call: &Call<'_>) -> MetadataResponse<'static> {
    let brokers = endpoint::all(call, &call.node.image())
        .into_iter()
        .map(|broker| MetadataResponseBroker {
            node_id: broker.id.0,
            host: broker.host.into(),
            port: broker.port,
            rack: broker.rack.map(Into::into),
        })
        .collect();
    MetadataResponse {
        brokers,
        cluster_id: Some(call.node.cluster_id().to_string().into()),
        controller_id: call.node.id().0,
        ..Default::default()
    }
}

/// Makes the topics that are asked for by a legal name and do not exist.
///
/// What is refused here shows in the answer as an unknown topic, or an illegal name; the log says why.
async fn create_missing(call: &Call<'_>, asked: &[MetadataRequestTopic<'_>]) {
    let image = call.node.image();
    for name in asked.iter().filter_map(|topic| topic.name.as_deref()) {
        if image.topic_named(name).is_some() {
            continue;
        }
        if let Ok(name) = TopicName::parse(name)
            && let Err(error) = call.node.create_topic_automatically(&name).await
        {
            tracing::warn!("topic '{name}' was asked for and could not be made: {error}");
        }
    }
}

fn answer(image: &Image, asked: &MetadataRequestTopic<'_>, operations: i32) -> MetadataResponseTopic<'static> {
    let topic = match &asked.name {
        Some(name) => image.topic_named(name),
        None => image.topic(TopicId(asked.topic_id)),
    };
    if let Some(topic) = topic {
        return known(image, topic, operations);
    }
    let error = match &asked.name {
        None => ErrorCode::UnknownTopicId,
        Some(name) => topic_state::unknown_name(name),
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name: asked.name.as_ref().map(|name| name.to_string().into()),
        topic_id: asked.topic_id,
        ..Default::default()
    }
}

fn known(image: &Image, topic: &Arc<Topic>, operations: i32) -> MetadataResponseTopic<'static> {
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(topic.name.to_string().into()),
        topic_id: topic.id.0,
        is_internal: topic.name.is_internal(),
        partitions: topic.partitions().map(|(index, partition)| state(image, index, partition)).collect(),
        topic_authorized_operations: operations,
    }
}

fn state(image: &Image, index: PartitionIndex, partition: &Partition) -> MetadataResponsePartition {
    let state = PartitionState::of(image, partition);
    MetadataResponsePartition {
        error_code: state.error.code(),
        partition_index: index.0,
        leader_id: state.leader_id,
        leader_epoch: state.leader_epoch,
        replica_nodes: state.replicas,
        isr_nodes: state.isr,
        offline_replicas: state.offline,
    }
}
