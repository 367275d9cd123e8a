//! Which transactions of a partition are not decided, and so how far a reader of committed records may read.
//!
//! - U1 A transaction is open from its first record to its marker, and undecided until its marker lies below the high
//!   watermark.
//! - U2 Below the first offset of every undecided transaction no record's fate will ever change.
//!
//! Rules: Kafka's `ProducerStateManager`.

use std::collections::BTreeMap;

use model::{Offset, ProducerId};

/// The undecided transactions of one partition, by their first offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Transactions {
    open: BTreeMap<Offset, ProducerId>,
    /// Ended by markers that were above the high watermark when it was last looked at: where those are.
    ended: BTreeMap<Offset, Offset>,
}

/// A transaction that was aborted: what readers of committed records leave out, as an entry of `.txnindex` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose records.
    pub producer: ProducerId,
    /// The first of them.
    pub first_offset: Offset,
    /// The marker's offset.
    pub last_offset: Offset,
    /// With the marker written, everything below this was decided or would be by it.
    pub last_stable_offset: Offset,
}

impl Transactions {
    pub(crate) fn begin(&mut self, first_offset: Offset, producer: ProducerId) {
        self.open.insert(first_offset, producer);
    }

    /// Ends a transaction with the marker at an offset; says up to where everything then has its marker.
    pub(crate) fn end(&mut self, first_offset: Offset, marker: Offset) -> Offset {
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, marker);
        self.open.keys().next().copied().unwrap_or(marker.next())
    }

    /// Markers below `high_watermark` stay for good: their transactions are decided (U1).
    pub(crate) fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.ended.retain(|_, marker| high_watermark <= *marker);
    }

    /// Where the earliest undecided transaction begins.
    pub(crate) fn first_undecided(&self) -> Option<Offset> {
        let ended = self.ended.keys().next();
        self.open.keys().next().into_iter().chain(ended).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_open_and_ended_transactions_counts() {
        let mut transactions = Transactions::default();
        assert_eq!(transactions.first_undecided(), None);
        transactions.begin(Offset(10), ProducerId(1));
        transactions.begin(Offset(12), ProducerId(2));
        assert_eq!(transactions.first_undecided(), Some(Offset(10)));
        assert_eq!(transactions.end(Offset(10), Offset(20)), Offset(12));
        transactions.on_high_watermark(Offset(20));
        assert_eq!(transactions.first_undecided(), Some(Offset(10)), "the marker may still be lost");
        transactions.on_high_watermark(Offset(21));
        assert_eq!(transactions.first_undecided(), Some(Offset(12)));
        assert_eq!(transactions.end(Offset(12), Offset(30)), Offset(31));
        transactions.on_high_watermark(Offset(31));
        assert_eq!(transactions.first_undecided(), None);
    }
}
