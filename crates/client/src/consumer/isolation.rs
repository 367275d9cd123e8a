//! Which records of transactions a consumer gets, and which batches of an answer it leaves out for that.

use std::collections::{BTreeSet, VecDeque};

use model::{Offset, ProducerId};
use record::BatchHeader;

/// Which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, as soon as they are written.
    #[default]
    ReadUncommitted,
    /// Those of committed ones, and whatever lies behind an open one only once that has ended.
    ReadCommitted,
}

impl Isolation {
    /// The number in a request.
    pub(crate) fn code(self) -> i8 {
        match self {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        }
    }
}

/// The aborted transactions of one partition in one answer, while its batches are gone through in order.
#[derive(Debug, Default)]
pub(super) struct AbortedTransactions {
    /// By their first offsets.
    coming: VecDeque<(Offset, ProducerId)>,
    /// Those whose records may come now; a producer has one transaction at a time.
    here: BTreeSet<ProducerId>,
}

impl AbortedTransactions {
    pub(super) fn new(mut listed: Vec<(Offset, ProducerId)>) -> AbortedTransactions {
        listed.sort_unstable();
        AbortedTransactions { coming: listed.into(), here: BTreeSet::new() }
    }

    /// Whether the next batch is not the caller's: of an aborted transaction, or a marker.
    pub(super) fn leave_out(&mut self, header: &BatchHeader) -> bool {
        while let Some(&(_, producer)) =
            self.coming.front().filter(|(first, _)| *first <= header.last_offset())
        {
            self.here.insert(producer);
            self.coming.pop_front();
        }
        if header.is_control() {
            // Were it a commit, the producer would not be in the list.
            self.here.remove(&header.producer_id);
            return true;
        }
        header.is_transactional() && self.here.contains(&header.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CoordinatorEpoch, ProducerEpoch, TimestampMs, TransactionResult};
    use record::{BatchBuilder, BatchOptions, EndTransaction, Producer};

    /// Goes through batches of one offset each: `w1` in a transaction of producer 1, `p1` of it without one, `e1` its end.
    #[track_caller]
    fn check(aborted: &[(i64, i64)], batches: &str, expected: &[usize]) {
        let listed = aborted.iter().map(|&(first, id)| (Offset(first), ProducerId(id))).collect();
        let mut aborted = AbortedTransactions::new(listed);
        let mut seen = Vec::new();
        for (offset, batch) in batches.split_whitespace().enumerate() {
            let id = ProducerId(batch[1..].parse().expect("a producer"));
            let (epoch, timestamp) = (ProducerEpoch(0), TimestampMs(0));
            let mut built = if batch.starts_with('e') {
                let end = EndTransaction {
                    result: TransactionResult::Abort,
                    coordinator_epoch: CoordinatorEpoch(0),
                };
                end.batch(id, epoch, timestamp)
            } else {
                let mut builder = BatchBuilder::new();
                builder.push(None, None, &[], timestamp);
                let producer = Some(Producer { id, epoch, base_sequence: 0 });
                let transactional = batch.starts_with('w');
                builder
                    .build(BatchOptions { producer, transactional, ..BatchOptions::default() })
                    .expect("a record")
            };
            built.set_base_offset(Offset(i64::try_from(offset).expect("few")));
            if !aborted.leave_out(built.header()) {
                seen.push(offset);
            }
        }
        assert_eq!(seen, expected, "{batches}");
    }

    #[test]
    fn batches_of_aborted_transactions_and_markers_are_left_out() {
        check(&[], "w1 p2 w2 e1 e2", &[0, 1, 2]);
        check(&[(0, 1)], "w1 w2 w1 e1 w1 e1 e2", &[1, 4]);
        check(&[(4, 1), (1, 2)], "w1 w2 e1 e2 w1 p2 w1 e1 w1", &[0, 5, 8]);
    }

    #[test]
    fn a_transaction_that_began_before_the_answer_is_left_out_too() {
        check(&[(-5, 1)], "w1 w2 e1 w1", &[1, 3]);
    }
}
