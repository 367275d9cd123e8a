//! EndTxn (26), versions 0-5: a transaction is committed or aborted.
//!
//! - Answered when the decision is on the disk; the markers that tell the partitions follow.
//! - From version 5 on (KIP-890) the producer gets the epoch of its next transaction, and at times another id.
//! - Before version 2 a fenced producer hears INVALID_PRODUCER_EPOCH.

use model::{ProducerEpoch, ProducerId, TransactionResult, TransactionVersion};
use txn::{EndReply, EndRequest, Event, Reply};
use wire::{EndTxnRequest, EndTxnResponse};

use crate::call::Call;
use crate::error::fenced_code;

const BUMPS_EPOCH_SINCE: i16 = 5;
const FENCED_SINCE: i16 = 2;

pub async fn handle(call: &Call<'_>, request: EndTxnRequest<'_>, version: i16) -> EndTxnResponse {
    let id = request.transactional_id.to_string();
    let asked = EndRequest {
        transactional_id: id.as_str().into(),
        producer_id: ProducerId(request.producer_id),
        producer_epoch: ProducerEpoch(request.producer_epoch),
        result: if request.committed { TransactionResult::Commit } else { TransactionResult::Abort },
        version: match version {
            BUMPS_EPOCH_SINCE.. => TransactionVersion::Tv2,
            _ => TransactionVersion::Tv1,
        },
        fresh: None,
    };
    let event = move |ticket, fresh| Event::End(ticket, EndRequest { fresh, ..asked.clone() });
    let reply = match call.node.ask_transaction_with_id(&id, event).await {
        Ok(Reply::End(reply)) => reply,
        Ok(other) => unreachable!("the end of a transaction was answered with {other:?}"),
        Err(error) => {
            EndReply { error, producer_id: ProducerId::NONE, producer_epoch: ProducerEpoch::NONE }
        }
    };
    EndTxnResponse {
        throttle_time_ms: 0,
        error_code: fenced_code(reply.error, FENCED_SINCE <= version).code(),
        producer_id: reply.producer_id.0,
        producer_epoch: reply.producer_epoch.0,
    }
}
