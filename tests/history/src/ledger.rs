//! What follows from a history: what each record and each transaction came to, and what was seen at each offset.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Ending, Event, Kind, Outcome, Place, Row, Send};

/// What became of something, as far as anybody can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It must be there.
    Certain,
    /// It may be there or not.
    Maybe,
    /// It must not be there.
    Never,
}

/// A record that somebody sent.
pub(crate) struct Write<'a> {
    pub(crate) send: &'a Send,
    /// When it was sent: its event's place in the history.
    pub(crate) sent_at: usize,
    /// When its outcome came.
    pub(crate) settled_at: Option<usize>,
    /// Which life of its client sent it.
    pub(crate) life: usize,
    pub(crate) fate: Fate,
    /// The offset it was said to have.
    pub(crate) said: Option<i64>,
}

/// A transaction.
#[derive(Default)]
struct Transaction {
    asked: Option<Ending>,
    answer: Option<Fate>,
}

impl Transaction {
    /// One that nobody wanted committed can only abort, by its client or by its timeout.
    fn fate(&self) -> Fate {
        match (self.asked, self.answer) {
            (Some(Ending::Commit), Some(fate)) => fate,
            (Some(Ending::Commit), None) => Fate::Maybe,
            (Some(Ending::Abort) | None, _) => Fate::Never,
        }
    }
}

/// What was seen of one partition.
#[derive(Default)]
pub(crate) struct Partition<'a> {
    /// By offset, each record that consumers or the final log showed there to those who read what is committed.
    pub(crate) shown: BTreeMap<i64, BTreeSet<&'a str>>,
    /// The same of consumers that read everything.
    pub(crate) uncommitted: BTreeMap<i64, BTreeSet<&'a str>>,
    /// What is there at the end, with the first offset, when that is known.
    pub(crate) log: Option<(i64, &'a [Row])>,
    /// Rows of polls and the final log with a checksum.
    pub(crate) sums: Vec<(&'a str, i64, u64)>,
}

/// What follows from a history.
pub(crate) struct Ledger<'a> {
    pub(crate) writes: BTreeMap<&'a str, Write<'a>>,
    pub(crate) partitions: BTreeMap<&'a Place, Partition<'a>>,
    transactions: BTreeMap<&'a str, Transaction>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn of(events: &'a [Event]) -> Ledger<'a> {
        let mut ledger =
            Ledger { writes: BTreeMap::new(), partitions: BTreeMap::new(), transactions: BTreeMap::new() };
        let mut lives: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, event) in events.iter().enumerate() {
            match event {
                Event::Send(send) => ledger.on_send(at, send, lives.get(send.client.as_str()).copied()),
                Event::Sent { record, outcome } => ledger.on_sent(at, record, outcome),
                Event::End { transaction, ending } => {
                    *ledger.transactions.entry(transaction).or_default() =
                        Transaction { asked: Some(*ending), answer: None };
                }
                Event::Ended { transaction, outcome } => {
                    ledger.transactions.entry(transaction).or_default().answer = Some(fate_of(outcome));
                }
                Event::Crash { client } => *lives.entry(client).or_default() += 1,
                Event::Poll(poll) => {
                    let partition = ledger.partitions.entry(&poll.place).or_default();
                    partition.see(&poll.rows, poll.is_uncommitted);
                }
                Event::Log { place, start, rows } => {
                    let partition = ledger.partitions.entry(place).or_default();
                    partition.see(rows, false);
                    partition.log = Some((*start, rows));
                }
                Event::Begin { .. }
                | Event::Assign { .. }
                | Event::Seek { .. }
                | Event::Subscribe { .. }
                | Event::Commit(_)
                | Event::Committed { .. }
                | Event::Create { .. }
                | Event::Created { .. }
                | Event::Delete { .. }
                | Event::Deleted { .. }
                | Event::Offsets { .. }
                | Event::Topics { .. } => {}
            }
        }
        ledger
    }

    fn on_send(&mut self, at: usize, send: &'a Send, life: Option<usize>) {
        self.partitions.entry(&send.place).or_default();
        let life = life.unwrap_or_default();
        let write = Write { send, sent_at: at, settled_at: None, life, fate: Fate::Maybe, said: None };
        self.writes.insert(&send.record, write);
    }

    fn on_sent(&mut self, at: usize, record: &str, outcome: &Outcome) {
        let Some(write) = self.writes.get_mut(record) else { return };
        write.settled_at = Some(at);
        write.fate = fate_of(outcome);
        if let Outcome::Done(said) = outcome {
            write.said = *said;
        }
    }

    /// What became of a transaction.
    pub(crate) fn fate_of_transaction(&self, transaction: &str) -> Fate {
        self.transactions.get(transaction).map_or(Fate::Never, Transaction::fate)
    }

    /// What those who read what is committed may see of a record.
    pub(crate) fn fate(&self, write: &Write<'_>) -> Fate {
        let Kind::InTransaction(transaction) = &write.send.kind else { return write.fate };
        match (self.fate_of_transaction(transaction), write.fate) {
            (Fate::Never, _) | (_, Fate::Never) => Fate::Never,
            (Fate::Certain, Fate::Certain) => Fate::Certain,
            (Fate::Maybe, _) | (_, Fate::Maybe) => Fate::Maybe,
        }
    }
}

impl<'a> Partition<'a> {
    fn see(&mut self, rows: &'a [Row], is_uncommitted: bool) {
        let seen = if is_uncommitted { &mut self.uncommitted } else { &mut self.shown };
        for row in rows {
            seen.entry(row.offset).or_default().insert(&row.record);
            self.sums.extend(row.sum.map(|sum| (row.record.as_str(), row.offset, sum)));
        }
    }

    /// The largest offset that anybody saw.
    pub(crate) fn last_seen(&self) -> Option<i64> {
        let last = |seen: &BTreeMap<i64, BTreeSet<&str>>| seen.last_key_value().map(|(offset, _)| *offset);
        last(&self.shown).max(last(&self.uncommitted))
    }
}

fn fate_of(outcome: &Outcome) -> Fate {
    match outcome {
        Outcome::Done(_) => Fate::Certain,
        Outcome::Failed(_) => Fate::Never,
        Outcome::Unknown(_) => Fate::Maybe,
    }
}
