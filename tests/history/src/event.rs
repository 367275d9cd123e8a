//! One thing that a client did or heard.

use std::collections::BTreeMap;
use std::fmt;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its topic.
    pub topic: String,
    /// Its number in the topic.
    pub partition: i32,
}

impl Place {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<String>, partition: i32) -> Place {
        Place { topic: topic.into(), partition }
    }

    /// Reads `TOPIC-PARTITION`.
    pub fn parse(text: &str) -> Option<Place> {
        let (topic, partition) = text.rsplit_once('-')?;
        Some(Place::new(topic, partition.parse().ok()?))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What a producer promises of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: with retries it may be there twice.
    Plain,
    /// Once, in order.
    Idempotent,
    /// Once, in order, and only with its transaction.
    InTransaction(String),
}

/// A record that somebody wants written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Who.
    pub client: String,
    /// Its name: the record's key, or what else tells it from all others.
    pub record: String,
    /// Where to.
    pub place: Place,
    /// What its producer promises.
    pub kind: Kind,
    /// A checksum of its bytes, where they are to be looked at.
    pub sum: Option<u64>,
}

/// What became of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; of a record, at which offset, if the broker said that.
    Done(Option<i64>),
    /// It was not done and never will be.
    Failed(String),
    /// Nobody knows.
    Unknown(String),
}

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything of it is to be seen.
    Commit,
    /// Nothing of it is to be seen.
    Abort,
}

/// One record as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where in its partition.
    pub offset: i64,
    /// Its name.
    pub record: String,
    /// A checksum of its bytes.
    pub sum: Option<u64>,
}

/// What one poll gave a consumer of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Who.
    pub client: String,
    /// Where.
    pub place: Place,
    /// What, in the order it was given.
    pub rows: Vec<Row>,
    /// The consumer's position behind it, which may have passed markers and aborted records.
    pub position: Option<i64>,
    /// Whether the consumer asked for records of open and aborted transactions too (`read_uncommitted`).
    pub is_uncommitted: bool,
    /// The transaction that the consumer's own writes belong to.
    pub transaction: Option<String>,
}

/// One attempt to commit a group's offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The attempt's name, used once.
    pub attempt: String,
    /// For which group.
    pub group: String,
    /// What.
    pub offsets: BTreeMap<Place, i64>,
    /// The transaction it belongs to: it takes effect with that, or not at all.
    pub transaction: Option<String>,
}

/// One thing that a client did or heard, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A record is about to be sent.
    Send(Send),
    /// What became of a record.
    Sent {
        /// Its name.
        record: String,
        /// What became of it.
        outcome: Outcome,
    },
    /// A transaction is about to begin.
    Begin {
        /// Who.
        client: String,
        /// Its name.
        transaction: String,
    },
    /// A transaction is about to be ended; every record of a commit was acknowledged before.
    End {
        /// Its name.
        transaction: String,
        /// How.
        ending: Ending,
    },
    /// What became of ending a transaction.
    Ended {
        /// Its name.
        transaction: String,
        /// What became of it.
        outcome: Outcome,
    },
    /// A consumer begins with these partitions, wherever it left them before.
    Assign {
        /// Who.
        client: String,
        /// What it has now.
        places: Vec<Place>,
    },
    /// A consumer goes to an offset.
    Seek {
        /// Who.
        client: String,
        /// Where.
        place: Place,
        /// The offset it goes on at.
        offset: i64,
    },
    /// A consumer joins a group, which assigns it what it will.
    Subscribe {
        /// Who.
        client: String,
        /// To which group.
        group: String,
    },
    /// A consumer was given records.
    Poll(Poll),
    /// Offsets are about to be committed.
    Commit(Commit),
    /// The group said yes.
    Committed {
        /// Which attempt.
        attempt: String,
    },
    /// A client is gone; who goes on under its name is another one.
    Crash {
        /// Who.
        client: String,
    },
    /// A topic is about to be created.
    Create {
        /// Its name.
        topic: String,
    },
    /// The cluster said that it exists.
    Created {
        /// Its name.
        topic: String,
    },
    /// A topic is about to be deleted.
    Delete {
        /// Its name.
        topic: String,
    },
    /// The cluster said that it is gone.
    Deleted {
        /// Its name.
        topic: String,
    },
    /// At the end: all that `read_committed` shows of a partition.
    Log {
        /// Which.
        place: Place,
        /// Its first offset: nobody knows what was below.
        start: i64,
        /// What is in it, by offset.
        rows: Vec<Row>,
    },
    /// At the end: the offsets of a group.
    Offsets {
        /// Which.
        group: String,
        /// Its offsets.
        offsets: BTreeMap<Place, i64>,
    },
    /// At the end: the topics that are there.
    Topics {
        /// Their names.
        topics: Vec<String>,
    },
}

/// A checksum of a record's bytes (FNV-1a), to be compared with another one of the same history.
pub fn sum_of(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
