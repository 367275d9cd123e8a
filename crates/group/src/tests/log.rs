//! The log of a coordinator under test: what its actions append, and the coordinator that a replay of it gives back.

use std::collections::BTreeMap;

use model::{PartitionIndex, ProducerId, TransactionResult};

use crate::record::Record;
use crate::{Action, Coordinator, GroupId, GroupRecord};

/// One thing in the log.
pub(super) enum Logged {
    /// A record, perhaps of a producer's transaction.
    Record(GroupRecord, Option<ProducerId>),
    /// The end of a producer's transaction.
    Marker(ProducerId, TransactionResult),
}

impl Logged {
    /// What an action appends.
    pub fn of(action: &Action) -> Vec<Logged> {
        match action {
            Action::Append(records) => {
                records.iter().map(|record| Logged::Record(record.clone(), None)).collect()
            }
            Action::AppendTransactional(transaction, records) => {
                let logged =
                    |record: &GroupRecord| Logged::Record(record.clone(), Some(transaction.producer));
                records.iter().map(logged).collect()
            }
            Action::AppendMarker(end) => vec![Logged::Marker(end.producer, end.result)],
            Action::Reply { .. } => Vec::new(),
        }
    }

    /// Has a coordinator take this over.
    pub fn replay(&self, coordinator: &mut Coordinator) {
        match self {
            Logged::Record(GroupRecord { key, value }, transaction) => {
                coordinator.replay(key, value.as_deref(), *transaction).unwrap();
            }
            Logged::Marker(producer, result) => coordinator.replay_marker(*producer, *result),
        }
    }

    /// The record, decoded.
    pub fn record(&self) -> Option<Record> {
        match self {
            Logged::Record(record, _) => Record::decode(&record.key, record.value.as_deref()).unwrap(),
            Logged::Marker(..) => None,
        }
    }
}

/// A group's partition of the one topic that histories commit offsets of.
pub(super) type Place = (GroupId, PartitionIndex);

/// What a log says of offsets: of what is decided the one written last, and what is not.
#[derive(Default)]
pub(super) struct Offsets {
    /// By place: where in the log it was written, and the offset unless that is a tombstone.
    decided: BTreeMap<Place, (usize, Option<i64>)>,
    open: BTreeMap<ProducerId, BTreeMap<Place, (usize, Option<i64>)>>,
}

impl Offsets {
    pub fn of(log: &[Logged]) -> Offsets {
        let mut offsets = Offsets::default();
        for (at, logged) in log.iter().enumerate() {
            match (logged.record(), logged) {
                (Some(Record::Offset { group, partition, value, .. }), Logged::Record(_, transaction)) => {
                    let written = (at, value.map(|value| value.offset.0));
                    let known = match transaction {
                        Some(producer) => offsets.open.entry(*producer).or_default(),
                        None => &mut offsets.decided,
                    };
                    known.insert((group, partition), written);
                }
                (_, Logged::Marker(producer, result)) => offsets.end(*producer, *result),
                (_, Logged::Record(..)) => {}
            }
        }
        offsets
    }

    fn end(&mut self, producer: ProducerId, result: TransactionResult) {
        for (place, written) in self.open.remove(&producer).unwrap_or_default() {
            let is_newest = self.decided.get(&place).is_none_or(|decided| decided.0 < written.0);
            if result == TransactionResult::Commit && is_newest {
                self.decided.insert(place, written);
            }
        }
    }

    /// What is committed.
    pub fn committed(&self, place: &Place) -> Option<i64> {
        self.decided.get(place)?.1
    }

    /// Whether the end of a transaction could still change what is committed.
    pub fn is_undecided(&self, place: &Place) -> bool {
        let decided = self.decided.get(place).map(|decided| decided.0);
        self.open.values().filter_map(|open| open.get(place)).any(|open| decided < Some(open.0))
    }
}
