//! DescribeProducers (61), version 0: what the idempotent producers of a partition did last.
//!
//! - Answered by the partition's lane, between two appends: what is shown is one state.
//! - A producer whose transactions no coordinator has ended has no coordinator epoch (−1).

use log::ActiveProducer;
use model::{ErrorCode, Offset, PartitionIndex, TopicName};
use wire::describe_producers::{PartitionResponse, ProducerState, TopicResponse};
use wire::{DescribeProducersRequest, DescribeProducersResponse};

use crate::call::Call;

/// No transaction is open.
const NO_TRANSACTION: Offset = Offset(-1);

pub async fn handle(
    call: &Call<'_>,
    request: DescribeProducersRequest<'_>,
    _: i16,
) -> DescribeProducersResponse<'static> {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for &index in &topic.partition_indexes {
            partitions.push(answer(index, describe(call, &topic.name, PartitionIndex(index)).await));
        }
        topics.push(TopicResponse { name: topic.name.to_string().into(), partitions });
    }
    DescribeProducersResponse { throttle_time_ms: 0, topics }
}

async fn describe(
    call: &Call<'_>,
    topic: &str,
    index: PartitionIndex,
) -> Result<Vec<ActiveProducer>, (ErrorCode, String)> {
    if let Err(error) = TopicName::parse(topic) {
        return Err((ErrorCode::InvalidTopicException, error.to_string()));
    }
    let producers = match call.node.partition_by_name(topic, index) {
        Ok(partition) => partition.producers().await,
        Err(error) => Err(error),
    };
    producers.map_err(|error| (error.code(), error.to_string()))
}

fn answer(
    partition_index: i32,
    described: Result<Vec<ActiveProducer>, (ErrorCode, String)>,
) -> PartitionResponse<'static> {
    let (error, error_message, producers) = match described {
        Ok(producers) => (ErrorCode::None, None, producers),
        Err((error, message)) => (error, Some(message.into()), Vec::new()),
    };
    PartitionResponse {
        partition_index,
        error_code: error.code(),
        error_message,
        active_producers: producers.into_iter().map(state).collect(),
    }
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.id.0,
        producer_epoch: i32::from(producer.epoch.0),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp.0,
        coordinator_epoch: producer.coordinator_epoch.0,
        current_txn_start_offset: producer.transaction_first_offset.unwrap_or(NO_TRANSACTION).0,
    }
}
