//! What must never have happened, and where it did.

use std::fmt;

use crate::event::Place;

/// How one transaction comes after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// It wrote behind the other in a partition.
    WriteWrite,
    /// It read what the other wrote.
    WriteRead,
}

/// Something that must not be. Records, transactions and clients go by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// An acknowledged record is not there, although others behind it are, or the whole log is known; where it was
    /// said to be.
    LostWrite(String, Place, Option<i64>),
    /// An acknowledged record was never seen by anybody, nor anything behind it.
    Unseen(String, Place, Option<i64>),
    /// An acknowledged record is not where it was said to be (first) but elsewhere (the others).
    MovedWrite(String, Place, i64, Vec<i64>),
    /// A record of an idempotent or transactional producer is there more than once.
    Duplicate(String, Place, Vec<i64>),
    /// An offset was said to hold different records.
    InconsistentOffset(Place, i64, Vec<String>),
    /// A record has other bytes than were sent.
    ChangedWrite(String, Place, i64),
    /// A record that nobody sent to this place.
    Phantom(String, Place, i64),
    /// Offsets of a log without transactions are not dense: the one expected, and the one that came.
    Gap(Place, i64, i64),
    /// A producer's record (first) lies behind one that it sent later (second).
    NonmonotonicSend(String, String, Place),
    /// G1a: a record was seen that failed, or whose transaction was aborted.
    AbortedRead(String, Place, i64),
    /// G1b: of a transaction, one record is there for good (first) and another is not (second).
    TornTransaction(String, String, String),
    /// A record that a consumer was given is not in the log.
    LostRead(String, Place, i64),
    /// A consumer was given an offset without one before it, inside one poll.
    InternalPollSkip(String, Place, i64),
    /// The same, between two polls.
    PollSkip(String, Place, i64),
    /// Inside one poll, an offset (second) came after a larger one or itself (first).
    InternalNonmonotonicPoll(String, Place, i64, i64),
    /// The same, between two polls.
    NonmonotonicPoll(String, Place, i64, i64),
    /// Transactions that wrote before each other in a circle. Kafka does not isolate writes: it allows this one.
    G0(Vec<String>),
    /// Transactions that read and wrote before each other in a circle: each, and how the next one depends on it.
    G1c(Vec<(String, Dependency)>),
    /// A group's offset passed a record that no member was given.
    PassedUnread(String, Place, i64),
    /// A group's offset (second) is older than the last acknowledged one (first), or one that nobody committed.
    LostCommit(String, Place, Option<i64>, Option<i64>),
    /// A topic whose creation was acknowledged is gone.
    LostTopic(String),
    /// A topic whose deletion was acknowledged is back.
    RevivedTopic(String),
}

impl Anomaly {
    /// Whether Kafka's contract allows it: writes of open transactions interleave, so that circles of which one side
    /// is the order of writes are to be expected. They are worth knowing all the same.
    pub fn is_allowed(&self) -> bool {
        match self {
            Anomaly::G0(_) => true,
            Anomaly::G1c(circle) => circle.iter().any(|(_, how)| *how == Dependency::WriteWrite),
            Anomaly::LostWrite(..)
            | Anomaly::Unseen(..)
            | Anomaly::MovedWrite(..)
            | Anomaly::Duplicate(..)
            | Anomaly::InconsistentOffset(..)
            | Anomaly::ChangedWrite(..)
            | Anomaly::Phantom(..)
            | Anomaly::Gap(..)
            | Anomaly::NonmonotonicSend(..)
            | Anomaly::AbortedRead(..)
            | Anomaly::TornTransaction(..)
            | Anomaly::LostRead(..)
            | Anomaly::InternalPollSkip(..)
            | Anomaly::PollSkip(..)
            | Anomaly::InternalNonmonotonicPoll(..)
            | Anomaly::NonmonotonicPoll(..)
            | Anomaly::PassedUnread(..)
            | Anomaly::LostCommit(..)
            | Anomaly::LostTopic(_)
            | Anomaly::RevivedTopic(_) => false,
        }
    }
}

/// `-` where there is none.
struct Maybe(Option<i64>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => offset.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anomaly::LostWrite(record, place, said) => {
                write!(f, "lost-write {record} {place} said={}", Maybe(*said))
            }
            Anomaly::Unseen(record, place, said) => {
                write!(f, "unseen {record} {place} said={}", Maybe(*said))
            }
            Anomaly::MovedWrite(record, place, said, found) => {
                write!(f, "moved-write {record} {place} said={said} found={}", listed(found))
            }
            Anomaly::Duplicate(record, place, found) => {
                write!(f, "duplicate {record} {place} {}", listed(found))
            }
            Anomaly::InconsistentOffset(place, offset, records) => {
                write!(f, "inconsistent-offset {place} {offset} {}", listed(records))
            }
            Anomaly::ChangedWrite(record, place, offset) => {
                write!(f, "changed-write {record} {place} {offset}")
            }
            Anomaly::Phantom(record, place, offset) => write!(f, "phantom {record} {place} {offset}"),
            Anomaly::Gap(place, expected, found) => {
                write!(f, "gap {place} expected={expected} found={found}")
            }
            Anomaly::NonmonotonicSend(record, other, place) => {
                write!(f, "nonmonotonic-send {record} after {other} {place}")
            }
            Anomaly::AbortedRead(record, place, offset) => {
                write!(f, "aborted-read {record} {place} {offset}")
            }
            Anomaly::TornTransaction(transaction, there, missing) => {
                write!(f, "torn-transaction {transaction} there={there} missing={missing}")
            }
            Anomaly::LostRead(record, place, offset) => write!(f, "lost-read {record} {place} {offset}"),
            Anomaly::InternalPollSkip(client, place, offset) => {
                write!(f, "int-poll-skip {client} {place} {offset}")
            }
            Anomaly::PollSkip(client, place, offset) => write!(f, "poll-skip {client} {place} {offset}"),
            Anomaly::InternalNonmonotonicPoll(client, place, before, offset) => {
                write!(f, "int-nonmonotonic-poll {client} {place} {before} {offset}")
            }
            Anomaly::NonmonotonicPoll(client, place, before, offset) => {
                write!(f, "nonmonotonic-poll {client} {place} {before} {offset}")
            }
            Anomaly::G0(circle) => write!(f, "g0 {}", listed(circle)),
            Anomaly::G1c(circle) => {
                f.write_str("g1c")?;
                circle.iter().try_for_each(|(transaction, how)| match how {
                    Dependency::WriteWrite => write!(f, " {transaction} ww"),
                    Dependency::WriteRead => write!(f, " {transaction} wr"),
                })
            }
            Anomaly::PassedUnread(group, place, offset) => {
                write!(f, "passed-unread {group} {place} {offset}")
            }
            Anomaly::LostCommit(group, place, said, found) => {
                write!(f, "lost-commit {group} {place} said={} found={}", Maybe(*said), Maybe(*found))
            }
            Anomaly::LostTopic(topic) => write!(f, "lost-topic {topic}"),
            Anomaly::RevivedTopic(topic) => write!(f, "revived-topic {topic}"),
        }
    }
}
