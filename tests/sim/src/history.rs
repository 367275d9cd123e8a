//! What clients did and what they were told, written down as it happens.
//!
//! - H1 Everything is written down before it is asked for, so that a death in between leaves it open, not unknown.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::TopicPartition;
use model::{Offset, TopicName};

/// A record: who wrote it, and the how manieth of theirs it is. Its text, `WRITER/NUMBER`, is the record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Who.
    pub writer: u32,
    /// The how manieth.
    pub number: u64,
}

impl RecordId {
    /// Reads a key; `None` when nobody here wrote it.
    pub fn parse(key: &[u8]) -> Option<RecordId> {
        let (writer, number) = std::str::from_utf8(key).ok()?.split_once('/')?;
        Some(RecordId { writer: writer.parse().ok()?, number: number.parse().ok()? })
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.writer, self.number)
    }
}

/// What a writer was told of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// It is written; where, if the broker said that.
    Acknowledged(Option<Offset>),
    /// It may be written or not; the writer's last error.
    Unknown(String),
    /// It was never sent.
    Unsent(String),
}

/// One record that somebody wanted written.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where to.
    pub place: TopicPartition,
    /// Its value.
    pub value: Vec<u8>,
    /// Which attempt unit it belongs to: records of one batch share it, and it grows with time.
    pub batch: u64,
    /// Whether its producer is idempotent.
    pub is_idempotent: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// One record that a member of the group was given.
#[derive(Clone, Debug)]
pub struct Read {
    /// Where it was.
    pub place: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Vec<u8>,
}

/// One attempt to commit an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The offset.
    pub offset: Offset,
    /// Whether the group said yes.
    pub is_acknowledged: bool,
}

/// What somebody did to a topic of a name used once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicLife {
    /// The cluster said that it exists.
    pub is_created: bool,
    /// Somebody asked for its deletion.
    pub deletion_asked: bool,
    /// The cluster said that it is gone.
    pub is_deleted: bool,
}

/// Everything that clients did and heard.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Records by id.
    pub writes: BTreeMap<RecordId, Write>,
    /// What the group's members were given, in order.
    pub reads: Vec<Read>,
    /// Attempted commits of the group in the order they were begun.
    pub commits: BTreeMap<TopicPartition, Vec<Commit>>,
    /// Topics by name.
    pub topics: BTreeMap<TopicName, TopicLife>,
}

/// One record of a log: offset, key, value.
pub type Row = (Offset, Vec<u8>, Vec<u8>);

/// What is there at the end.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Every partition's records.
    pub logs: BTreeMap<TopicPartition, Vec<Row>>,
    /// The group's offsets.
    pub committed: BTreeMap<TopicPartition, Offset>,
    /// The topics.
    pub topics: Vec<TopicName>,
}

/// A history that many clients write.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<History>>);

impl Recorder {
    /// The history so far; hold it briefly.
    pub fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what became of a record.
    ///
    /// # Panics
    /// The record was never begun.
    pub fn settle(&self, id: RecordId, outcome: Outcome) {
        self.lock().writes.get_mut(&id).expect("a record is begun before it is settled (H1)").outcome =
            outcome;
    }

    /// Begins commits; the positions of the attempts, for [`Recorder::committed`].
    pub fn begin_commit(&self, offsets: &BTreeMap<TopicPartition, Offset>) -> Vec<(TopicPartition, usize)> {
        let mut history = self.lock();
        let begin = |(place, offset): (&TopicPartition, &Offset)| {
            let attempts = history.commits.entry(place.clone()).or_default();
            attempts.push(Commit { offset: *offset, is_acknowledged: false });
            (place.clone(), attempts.len() - 1)
        };
        offsets.iter().map(begin).collect()
    }

    /// The group said yes to these attempts.
    pub fn committed(&self, attempts: &[(TopicPartition, usize)]) {
        let mut history = self.lock();
        for (place, index) in attempts {
            if let Some(attempt) = history.commits.get_mut(place).and_then(|all| all.get_mut(*index)) {
                attempt.is_acknowledged = true;
            }
        }
    }
}
