//! A history that many clients of one program write while it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Ending, Event, Kind, Outcome, Place};

/// Gathers events; its copies are one.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    events: Vec<Event>,
    /// Records whose outcome is not known yet, and the transactions they belong to.
    open: BTreeMap<String, (Place, Option<String>)>,
    /// Where records of transactions are that may yet be aborted.
    undecided: BTreeMap<String, Vec<(Place, i64)>>,
    /// Transactions that are to be committed.
    committing: BTreeSet<String>,
    acknowledged: usize,
    /// Where records were acknowledged that no consumer was given.
    unread: BTreeSet<(Place, i64)>,
    /// What consumers were given, so that an acknowledgement may come after it.
    read: BTreeSet<(Place, i64)>,
}

impl Recorded {
    fn acknowledge(&mut self, at: (Place, i64)) {
        if !self.read.contains(&at) {
            self.unread.insert(at);
        }
    }
}

impl Recorder {
    /// Writes down what a client is about to do, or heard.
    pub fn note(&self, event: Event) {
        let mut recorded = self.lock();
        if let Event::Send(send) = &event {
            let transaction = match &send.kind {
                Kind::InTransaction(transaction) => Some(transaction.clone()),
                Kind::Plain | Kind::Idempotent => None,
            };
            recorded.open.insert(send.record.clone(), (send.place.clone(), transaction));
        } else if let Event::Sent { record, outcome } = &event {
            recorded.acknowledged += usize::from(matches!(outcome, Outcome::Done(_)));
            if let (Some((place, transaction)), Outcome::Done(Some(offset))) =
                (recorded.open.remove(record), outcome)
            {
                match transaction {
                    Some(transaction) => {
                        recorded.undecided.entry(transaction).or_default().push((place, *offset))
                    }
                    None => recorded.acknowledge((place, *offset)),
                }
            }
        } else if let Event::End { transaction, ending: Ending::Commit } = &event {
            recorded.committing.insert(transaction.clone());
        } else if let Event::Ended { transaction, outcome } = &event {
            let records = recorded.undecided.remove(transaction).unwrap_or_default();
            if recorded.committing.contains(transaction) && matches!(outcome, Outcome::Done(_)) {
                records.into_iter().for_each(|at| recorded.acknowledge(at));
            }
        } else if let Event::Poll(poll) = &event {
            for row in &poll.rows {
                let at = (poll.place.clone(), row.offset);
                recorded.unread.remove(&at);
                recorded.read.insert(at);
            }
        }
        recorded.events.push(event);
    }

    /// Records whose outcome is not known yet, and where they are sent to.
    pub fn open(&self) -> Vec<String> {
        self.lock().open.iter().map(|(record, (place, _))| format!("{record} of {place}")).collect()
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lock().acknowledged
    }

    /// Whether consumers were given everything that was acknowledged with an offset, transactions included.
    pub fn is_all_read(&self) -> bool {
        self.lock().unread.is_empty()
    }

    /// The history so far.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
