//! ListTransactions (66), versions 0-2: transactions by state, producer, age and name.
//!
//! - Names of states that Kafka does not know are handed back, so that a tool can say what was mistyped.
//! - A pattern (version 2) has to match the whole id; one that is none is INVALID_REGULAR_EXPRESSION. Like Kafka's, the
//!   engine takes time linear in the id.

use model::{ErrorCode, ProducerId, limits};
use regex::{Regex, RegexBuilder};
use txn::{Event, ListRequest, ListedTransaction, Reply};
use wire::list_transactions::TransactionState;
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
    call: &Call<'_>,
    request: ListTransactionsRequest<'_>,
    _: i16,
) -> ListTransactionsResponse<'static> {
    let is_known = |state: &&str| STATES.contains(state);
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        request.state_filters.iter().map(AsRef::as_ref).partition(is_known);
    let answer = match &request.transactional_id_pattern {
        // Only states that nothing is in.
        _ if known.is_empty() && !unknown.is_empty() => Ok(Vec::new()),
        Some(pattern) if !pattern.is_empty() => match whole(pattern) {
            Ok(pattern) => list(call, &request, &known, |id| pattern.is_match(id)).await,
            Err(error) => Err(error),
        },
        Some(_) | None => list(call, &request, &known, |_| true).await,
    };
    let unknown_state_filters = unknown.into_iter().map(|state| state.to_owned().into()).collect();
    match answer {
        Ok(transaction_states) => {
            ListTransactionsResponse { unknown_state_filters, transaction_states, ..Default::default() }
        }
        Err(error) => ListTransactionsResponse { error_code: error.code(), ..Default::default() },
    }
}

fn whole(pattern: &str) -> Result<Regex, ErrorCode> {
    let anchored = format!("^(?:{pattern})$");
    let built = Regex::new(pattern).and_then(|_| {
        RegexBuilder::new(&anchored).size_limit(limits::PATTERN_BYTES_MAX).build()
    });
    built.map_err(|_| ErrorCode::InvalidRegularExpression)
}

/// Every coordinator here that has loaded lists its own; where one has not, the client is to come back.
async fn list(
    call: &Call<'_>,
    request: &ListTransactionsRequest<'_>,
    states: &[&str],
    wants: impl Fn(&str) -> bool,
) -> Result<Vec<TransactionState<'static>>, ErrorCode> {
    let asked = ListRequest {
        states: states.iter().map(|&state| state.to_owned()).collect(),
        producer_ids: request.producer_id_filters.iter().copied().map(ProducerId).collect(),
        longer_than_ms: Some(request.duration_filter).filter(|ms| 0 <= *ms),
    };
    let mut listed = Vec::new();
    for partition in call.node.transactions.partitions() {
        let asked = asked.clone();
        let reply = call.node.transactions.ask(partition, move |ticket| Event::List(ticket, asked)).await;
        match reply.map_err(|error| error.code())? {
            Reply::List(transactions) => listed.extend(transactions),
            other => unreachable!("a list was answered with {other:?}"),
        }
    }
    Ok(listed.into_iter().filter(|one| wants(one.transactional_id.as_str())).map(state).collect())
}

fn state(listed: ListedTransaction) -> TransactionState<'static> {
    TransactionState {
        transactional_id: listed.transactional_id.to_string().into(),
        producer_id: listed.producer_id.0,
        transaction_state: listed.state.name().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_id_or_is_refused() {
        for (pattern, id, expected) in [
            ("copier-.*", "copier-1", Ok(true)),
            ("copier", "copier-1", Ok(false)),
            ("a|b", "b", Ok(true)),
            ("a|b", "ab", Ok(false)),
            ("(", "(", Err(ErrorCode::InvalidRegularExpression)),
            (")(", "", Err(ErrorCode::InvalidRegularExpression)),
            ("(?:a{1000}){1000}", "a", Err(ErrorCode::InvalidRegularExpression)),
        ] {
            assert_eq!(whole(pattern).map(|pattern| pattern.is_match(id)), expected, "{pattern}");
        }
    }
}
