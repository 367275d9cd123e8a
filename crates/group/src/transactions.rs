//! Offsets that transactions commit: undecided until a marker in the log says how their transaction ended.
//!
//! - U1 What was written last is what counts: a commit that is decided does not undo one that was written after it.
//! - U2 An offset is undecided while its end could still change what the group has.

use std::collections::BTreeMap;

use model::{PartitionIndex, ProducerId, TopicName, TransactionResult};

use crate::stored::CommittedOffset;

/// One topic's partition.
type Place = (TopicName, PartitionIndex);

/// A group's undecided offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Undecided {
    by_producer: BTreeMap<ProducerId, BTreeMap<Place, Pending>>,
    /// Counts what was written.
    written: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    written: u64,
    offset: CommittedOffset,
}

impl Undecided {
    pub fn is_empty(&self) -> bool {
        self.by_producer.is_empty()
    }

    pub fn has(&self, topic: &TopicName, partition: PartitionIndex) -> bool {
        let place = (topic.clone(), partition);
        self.by_producer.values().any(|pending| pending.contains_key(&place))
    }

    pub fn is_of(&self, producer: ProducerId) -> bool {
        self.by_producer.contains_key(&producer)
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.by_producer.values().flat_map(BTreeMap::keys)
    }

    /// A transaction's offset was written.
    pub fn add(&mut self, producer: ProducerId, place: Place, offset: CommittedOffset) {
        self.written += 1;
        let pending = Pending { written: self.written, offset };
        self.by_producer.entry(producer).or_default().insert(place, pending);
    }

    /// Something was written for this place outside of transactions (U1).
    pub fn overtake(&mut self, place: &Place) {
        self.overtake_before(place, u64::MAX);
    }

    fn overtake_before(&mut self, place: &Place, written: u64) {
        for pending in self.by_producer.values_mut() {
            if pending.get(place).is_some_and(|pending| pending.written < written) {
                pending.remove(place);
            }
        }
        self.by_producer.retain(|_, pending| !pending.is_empty());
    }

    /// A producer's transaction ended; yields what is committed by that.
    pub fn end(&mut self, producer: ProducerId, result: TransactionResult) -> Vec<(Place, CommittedOffset)> {
        let decided = self.by_producer.remove(&producer).unwrap_or_default();
        if result == TransactionResult::Abort {
            return Vec::new();
        }
        let mut committed = Vec::with_capacity(decided.len());
        for (place, pending) in decided {
            self.overtake_before(&place, pending.written);
            committed.push((place, pending.offset));
        }
        committed
    }
}
