//! AddOffsetsToTxn (25), versions 0-4: a transaction is going to commit a group's offsets, so the partition that keeps
//! them becomes part of it.
//!
//! - Before version 2 a fenced producer hears INVALID_PRODUCER_EPOCH.

use model::{ErrorCode, ProducerEpoch, ProducerId, TopicName, TransactionVersion};
use txn::AddPartitionsRequest;
use wire::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use crate::call::Call;
use crate::error::fenced_code;

const FENCED_SINCE: i16 = 2;

pub async fn handle(
    call: &Call<'_>,
    request: AddOffsetsToTxnRequest<'_>,
    version: i16,
) -> AddOffsetsToTxnResponse {
    let error = add(call, &request).await;
    AddOffsetsToTxnResponse {
        throttle_time_ms: 0,
        error_code: fenced_code(error, FENCED_SINCE <= version).code(),
    }
}

async fn add(call: &Call<'_>, request: &AddOffsetsToTxnRequest<'_>) -> ErrorCode {
    let offsets = TopicName::consumer_offsets();
    let partition = match call.node.coordinator_partition(&offsets, &request.group_id).await {
        Ok(partition) => partition,
        Err(error) => {
            tracing::warn!("{offsets} could not be made: {error}");
            return ErrorCode::CoordinatorNotAvailable;
        }
    };
    let asked = AddPartitionsRequest {
        transactional_id: request.transactional_id.as_ref().into(),
        producer_id: ProducerId(request.producer_id),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        topics: vec![(offsets, vec![partition])],
        version: TransactionVersion::Tv1,
        verify_only: false,
    };
    let errors = call.node.add_partitions(asked).await;
    errors.into_iter().flat_map(|(_, errors)| errors).map(|(_, error)| error).next().unwrap_or(ErrorCode::None)
}
