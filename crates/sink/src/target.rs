//! What a database has to be able to do for a sink to be exactly once.

use std::fmt;
use std::time::Duration;

use client::TopicPartition;
use model::Offset;

use crate::rows::Rows;
use crate::schema::Schema;

/// A database that keeps how far a sink came beside what it wrote, in one transaction.
pub trait Target: Send + 'static {
    /// The statements that make the tables where nothing is there yet, as a user would write them.
    fn create(&self, schema: &Schema) -> Vec<String>;

    /// The statements that [`Target::prepare`] would run now; none where all is there. Changes nothing.
    fn plan(&mut self, schema: &Schema) -> impl Future<Output = Result<Vec<String>, TargetError>> + Send;

    /// Makes what is not there, tables and columns, and says what is there and does not fit. Runs before the first batch,
    /// and between batches when the schema has grown. Returns the schema that rows are to be made for: where it is
    /// inferred, a column that was there has the type that it was made with.
    fn prepare(&mut self, schema: &Schema) -> impl Future<Output = Result<Schema, TargetError>> + Send;

    /// Takes the ownership of partitions by raising their epochs, which ends every older owner's. What is not in the
    /// answer has another owner by now (see [`Claim::held`]).
    fn claim(
        &mut self,
        sink: &str,
        claims: &[Claim],
    ) -> impl Future<Output = Result<Vec<Granted>, TargetError>> + Send;

    /// Writes rows and moves offsets in one transaction, or neither. `false` says that a partition is not ours at the
    /// offset that was expected, and that nothing was changed. After an error nobody knows: claim again.
    fn commit(
        &mut self,
        sink: &str,
        schema: &Schema,
        batch: &Batch,
    ) -> impl Future<Output = Result<bool, TargetError>> + Send;
}

/// A partition to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub place: TopicPartition,
    /// The epoch it was held in until now: then it is taken only if nobody else took it since, and never made anew, as
    /// an offset that vanished was not zero.
    pub held: Option<i64>,
    /// Where it begins if it was never held, and in what.
    pub origin: Origin,
}

/// Which topic a partition's offsets count in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The cluster's id; empty from clusters that have none.
    pub cluster_id: String,
    /// The topic's id, which another topic of the same name does not have.
    pub topic_id: String,
    /// Where a sink begins in it.
    pub begin: Offset,
    /// Its oldest offset.
    pub log_start: Offset,
}

/// A partition that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Which.
    pub place: TopicPartition,
    /// In which epoch.
    pub epoch: i64,
    /// The offset of the first record that is not in the table.
    pub next_offset: Offset,
    /// The cluster and the topic that this offset counts in.
    pub cluster_id: String,
    /// See there.
    pub topic_id: String,
}

/// What is written in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The rows.
    pub rows: Rows,
    /// The offsets that this brings forward, in the order of the partitions, so that two transactions never wait for
    /// each other.
    pub moves: Vec<Move>,
}

/// How far a batch brings one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub place: TopicPartition,
    /// The epoch we hold it in.
    pub epoch: i64,
    /// Where it stands.
    pub expected: Offset,
    /// Where it will stand.
    pub next: Offset,
}

/// Why a database did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// What was tried, what it said, and what to do.
    pub message: String,
    /// Its code, SQLSTATE where the database has them.
    pub code: Option<String>,
    /// What may help.
    pub fault: Fault,
}

/// What may help against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Time: a connection, a deadlock, a full disk.
    Passing,
    /// Less at once: it took longer than it may.
    Slow,
    /// Other rows: these are what it refuses, or one of them.
    Refused,
    /// Somebody: a password, a right, a table that is gone.
    Lasting,
}

impl TargetError {
    /// What time may help against.
    pub fn passing(message: impl Into<String>) -> TargetError {
        TargetError { message: message.into(), code: None, fault: Fault::Passing }
    }

    /// What took longer than `limit`.
    pub fn slow(what: &str, limit: Duration) -> TargetError {
        let message = format!("{what}: no answer within {} s", limit.as_secs());
        TargetError { message, code: None, fault: Fault::Slow }
    }

    /// Whether the same may do at another time.
    pub fn may_pass(&self) -> bool {
        matches!(self.fault, Fault::Passing | Fault::Slow)
    }

    /// What other rows may help against.
    pub fn refused(message: impl Into<String>) -> TargetError {
        TargetError { message: message.into(), code: None, fault: Fault::Refused }
    }

    /// What needs a hand.
    pub fn lasting(message: impl Into<String>) -> TargetError {
        TargetError { message: message.into(), code: None, fault: Fault::Lasting }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TargetError {}
