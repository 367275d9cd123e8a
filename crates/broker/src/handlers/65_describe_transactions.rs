//! DescribeTransactions (65), version 0: transactions by their ids. Transactions are not served yet, so there is no such
//! id here: TRANSACTIONAL_ID_NOT_FOUND; the empty one is INVALID_REQUEST, as in Kafka.

use model::ErrorCode;
use wire::describe_transactions::TransactionState;
use wire::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    request: DescribeTransactionsRequest<'_>,
    _: i16,
) -> DescribeTransactionsResponse<'static> {
    let state = |id: &str| {
        let error = if id.is_empty() {
            ErrorCode::InvalidRequest
        } else {
            ErrorCode::TransactionalIdNotFound
        };
        TransactionState {
            error_code: error.code(),
            transactional_id: id.to_owned().into(),
            ..Default::default()
        }
    };
    DescribeTransactionsResponse {
        throttle_time_ms: 0,
        transaction_states: request.transactional_ids.iter().map(|id| state(id)).collect(),
    }
}
