//! DescribeTransactions and ListTransactions: what there is to see.

use crate::action::{DescribedTransaction, ListedTransaction};
use crate::event::ListRequest;
use crate::stored::Stored;
use crate::transaction::Transaction;

impl ListRequest {
    /// Whether the answer may list this transaction.
    pub(crate) fn wants(&self, transaction: &Transaction, now_ms: i64) -> bool {
        let stored = transaction.stored();
        // One that has not begun counts as begun long ago, as in Kafka.
        let open_ms = now_ms.saturating_sub(stored.started_at_ms.unwrap_or(-1));
        (self.states.is_empty() || self.states.iter().any(|state| state == stored.state.name()))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&stored.producer_id))
            && self.longer_than_ms.is_none_or(|ms| ms < open_ms)
    }
}

impl Transaction {
    /// DescribeTransactions' answer for this id.
    pub fn describe(&self) -> DescribedTransaction {
        let Stored { producer_id, producer_epoch, state, timeout_ms, started_at_ms, ref partitions, .. } =
            *self.stored();
        let partitions = partitions.clone();
        DescribedTransaction { producer_id, producer_epoch, state, timeout_ms, started_at_ms, partitions }
    }

    /// ListTransactions' line for this id.
    pub fn list(&self) -> ListedTransaction {
        ListedTransaction {
            transactional_id: self.id.clone(),
            producer_id: self.stored().producer_id,
            state: self.stored().state,
        }
    }
}
