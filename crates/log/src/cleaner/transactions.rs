//! What compaction knows of transactions as it walks over them.
//!
//! - T1 Records of an aborted transaction go; those of a committed one are records as others are.
//! - T2 A marker may go once nothing of its transaction was met on the way to it.
//!
//! Everything walked over is decided: the bound of a pass is never above the last stable offset.

use model::{Offset, ProducerId, TransactionResult};
use record::{BatchHeader, EndTransaction};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::transactions::AbortedTransaction;

/// A walk over a log from the front, past these aborted transactions.
pub(crate) struct Transactions {
    /// By first offset, the last one first.
    aborted: Vec<AbortedTransaction>,
    /// Aborted transactions under way here.
    aborting: FxHashMap<ProducerId, Aborting>,
    /// Producers of whose committed transaction under way here something was met.
    committing: FxHashSet<ProducerId>,
    /// The markers of aborted transactions of which nothing was met.
    forgotten: FxHashSet<Offset>,
}

struct Aborting {
    last_offset: Offset,
    /// Whether something of it was met.
    is_met: bool,
}

impl Transactions {
    pub(crate) fn new(aborted: &[AbortedTransaction]) -> Transactions {
        let mut aborted = aborted.to_vec();
        aborted.sort_unstable_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        Transactions {
            aborted,
            aborting: FxHashMap::default(),
            committing: FxHashSet::default(),
            forgotten: FxHashSet::default(),
        }
    }

    /// Walks over a batch of records; says whether they were aborted (T1).
    pub(crate) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header);
        if !header.is_transactional() {
            return false;
        }
        if let Some(aborting) = self.aborting.get_mut(&header.producer_id)
            && header.base_offset < aborting.last_offset
        {
            aborting.is_met = true;
            return true;
        }
        self.committing.insert(header.producer_id);
        false
    }

    /// Walks over a marker; says whether nothing is left of its transaction (T2).
    pub(crate) fn is_empty_at(&mut self, header: &BatchHeader, end: Option<EndTransaction>) -> bool {
        self.begin_up_to(header);
        let producer = header.producer_id;
        match end.map(|end| end.result) {
            Some(TransactionResult::Abort) => {
                let is_empty = self.aborting.remove(&producer).is_none_or(|aborting| !aborting.is_met);
                self.forgotten.extend(is_empty.then_some(header.base_offset));
                is_empty
            }
            Some(TransactionResult::Commit) => !self.committing.remove(&producer),
            // No marker of a transaction, or one that is empty itself.
            None => false,
        }
    }

    /// Whether readers have to know of an aborted transaction still: there is something of it.
    pub(crate) fn is_to_be_known(&self, aborted: &AbortedTransaction) -> bool {
        !self.forgotten.contains(&aborted.last_offset)
    }

    /// Takes up the aborted transactions that began by the end of a batch; those that ended before it are past.
    fn begin_up_to(&mut self, header: &BatchHeader) {
        while let Some(next) = self.aborted.pop_if(|next| next.first_offset <= header.last_offset()) {
            if header.base_offset <= next.last_offset {
                let aborting = Aborting { last_offset: next.last_offset, is_met: false };
                self.aborting.insert(next.producer, aborting);
            }
        }
    }
}
