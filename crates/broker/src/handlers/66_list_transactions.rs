//! ListTransactions (66), versions 0-2: transactions by state, producer, age and name. Transactions are not served yet,
//! so whatever is asked for, there is none.
//!
//! - Names of states that Kafka does not know are handed back, so that a tool can say what was mistyped.

use wire::{ListTransactionsRequest, ListTransactionsResponse};

use crate::call::Call;

const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
];

pub async fn handle(
    _: &Call<'_>,
    request: ListTransactionsRequest<'_>,
    _: i16,
) -> ListTransactionsResponse<'static> {
    let unknown = request.state_filters.iter().filter(|state| !STATES.contains(&state.as_ref()));
    ListTransactionsResponse {
        unknown_state_filters: unknown.map(|state| state.to_string().into()).collect(),
        ..Default::default()
    }
}
