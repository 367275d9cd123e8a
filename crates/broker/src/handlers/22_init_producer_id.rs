//! InitProducerId (22), versions 0-5: a number for a producer that wants no duplicates.
//!
//! - Without a transactional id every call gives a fresh id in epoch 0, whatever ids the request carries (KIP-360
//!   clients that lost their state simply start over).
//! - With one: transactions are not served yet. Clients reach this only past FindCoordinator, which has already
//!   said so.

use model::ErrorCode;
use wire::{InitProducerIdRequest, InitProducerIdResponse};

use crate::call::Call;

pub async fn handle(call: &Call<'_>, request: InitProducerIdRequest<'_>, _: i16) -> InitProducerIdResponse {
    let refused = |error: ErrorCode| InitProducerIdResponse {
        error_code: error.code(),
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    };
    if request.transactional_id.is_some() {
        return refused(ErrorCode::InvalidRequest);
    }
    match call.node.next_producer_id().await {
        Ok(id) => InitProducerIdResponse { producer_id: id.0, producer_epoch: 0, ..Default::default() },
        Err(error) => {
            tracing::warn!("no producer id could be given: {error}");
            refused(ErrorCode::CoordinatorNotAvailable)
        }
    }
}
