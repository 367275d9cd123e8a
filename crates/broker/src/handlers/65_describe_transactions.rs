//! DescribeTransactions (65), version 0: transactions by their ids. One that nobody coordinates is
//! TRANSACTIONAL_ID_NOT_FOUND; the empty one is INVALID_REQUEST, as in Kafka.

use model::ErrorCode;
use txn::{DescribedTransaction, Event, Reply, TransactionalId};
use wire::describe_transactions::{TopicData, TransactionState};
use wire::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::call::Call;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeTransactionsRequest<'_>,
    _: i16,
) -> DescribeTransactionsResponse<'static> {
    let mut transaction_states = Vec::with_capacity(request.transactional_ids.len());
    for id in &request.transactional_ids {
        transaction_states.push(match describe(call, id).await {
            Ok(described) => state(id, described),
            Err(error) => TransactionState {
                error_code: error.code(),
                transactional_id: id.to_string().into(),
                ..Default::default()
            },
        });
    }
    DescribeTransactionsResponse { throttle_time_ms: 0, transaction_states }
}

async fn describe(call: &Call<'_>, id: &str) -> Result<DescribedTransaction, ErrorCode> {
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    if call.node.transaction_partition(id).is_none() {
        return Err(ErrorCode::TransactionalIdNotFound); // There is no topic yet, and so no transaction.
    }
    let ids = vec![TransactionalId::from(id)];
    match call.node.ask_transaction(id, |ticket| Event::Describe(ticket, ids)).await? {
        Reply::Describe(mut described) => {
            described.pop().and_then(|(_, described)| described).ok_or(ErrorCode::TransactionalIdNotFound)
        }
        other => unreachable!("a description was answered with {other:?}"),
    }
}

fn state(id: &str, described: DescribedTransaction) -> TransactionState<'static> {
    let topics = described.partitions.into_iter().map(|(topic, indexes)| TopicData {
        topic: topic.to_string().into(),
        partitions: indexes.into_iter().map(|index| index.0).collect(),
    });
    TransactionState {
        error_code: ErrorCode::None.code(),
        transactional_id: id.to_owned().into(),
        transaction_state: described.state.name().into(),
        transaction_timeout_ms: described.timeout_ms,
        transaction_start_time_ms: described.started_at_ms.unwrap_or(-1),
        producer_id: described.producer_id.0,
        producer_epoch: described.producer_epoch.0,
        topics: topics.collect(),
    }
}
