//! InitProducerId (22), versions 0-5: a number for a producer that wants no duplicates, or transactions.
//!
//! - Without a transactional id every call gives a fresh id in epoch 0, whatever ids the request carries (KIP-360
//!   clients that lost their state simply start over).
//! - With one its coordinator answers: an id and an epoch that fence whoever had them before. From version 3 on a producer
//!   may say what it has, to go on after an error; half of that is INVALID_REQUEST.
//! - Before version 4 a fenced producer hears INVALID_PRODUCER_EPOCH.

use model::{ErrorCode, ProducerEpoch, ProducerId};
use txn::{Event, InitReply, InitRequest, Reply};
use wire::{InitProducerIdRequest, InitProducerIdResponse};

use crate::call::Call;
use crate::error::fenced_code;

const FENCED_SINCE: i16 = 4;

pub async fn handle(
    call: &Call<'_>,
    request: InitProducerIdRequest<'_>,
    version: i16,
) -> InitProducerIdResponse {
    let answered = match &request.transactional_id {
        Some(id) => init(call, id, &request).await,
        None => plain(call).await,
    };
    match answered {
        Ok(InitReply { error: ErrorCode::None, producer_id, producer_epoch }) => InitProducerIdResponse {
            producer_id: producer_id.0,
            producer_epoch: producer_epoch.0,
            ..Default::default()
        },
        Ok(InitReply { error, .. }) | Err(error) => InitProducerIdResponse {
            error_code: fenced_code(error, FENCED_SINCE <= version).code(),
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        },
    }
}

async fn plain(call: &Call<'_>) -> Result<InitReply, ErrorCode> {
    match call.node.next_producer_id().await {
        Ok(producer_id) => {
            Ok(InitReply { error: ErrorCode::None, producer_id, producer_epoch: ProducerEpoch(0) })
        }
        Err(error) => {
            tracing::warn!("no producer id could be given: {error}");
            Err(ErrorCode::CoordinatorNotAvailable)
        }
    }
}

async fn init(
    call: &Call<'_>,
    id: &str,
    request: &InitProducerIdRequest<'_>,
) -> Result<InitReply, ErrorCode> {
    let expected = match (ProducerId(request.producer_id), ProducerEpoch(request.producer_epoch)) {
        (ProducerId::NONE, ProducerEpoch::NONE) => None,
        (ProducerId::NONE, _) | (_, ProducerEpoch::NONE) => return Err(ErrorCode::InvalidRequest),
        expected => Some(expected),
    };
    let asked = InitRequest {
        transactional_id: id.into(),
        timeout_ms: request.transaction_timeout_ms,
        expected,
        fresh: None,
    };
    let event = move |ticket, fresh| Event::Init(ticket, InitRequest { fresh, ..asked.clone() });
    match call.node.ask_transaction_with_id(id, event).await? {
        Reply::Init(reply) => Ok(reply),
        other => unreachable!("an initialization was answered with {other:?}"),
    }
}
