//! What the log says of a transactional id: its producer, and its transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use model::{PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion};

/// A producer's own name, which it keeps over restarts; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionalId(Arc<str>);

impl TransactionalId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TransactionalId {
    fn from(text: &str) -> TransactionalId {
        TransactionalId(Arc::from(text))
    }
}

impl fmt::Display for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TransactionalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The partitions of a transaction.
pub type Partitions = BTreeMap<TopicName, BTreeSet<PartitionIndex>>;

/// Where a transaction stands, in Kafka's words and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// None was begun since the producer was last initialized.
    Empty,
    /// It has partitions and no end.
    Ongoing,
    /// It is committed; its markers are being written.
    PrepareCommit,
    /// It is aborted; its markers are being written.
    PrepareAbort,
    /// It is committed, and every partition knows.
    CompleteCommit,
    /// It is aborted, and every partition knows.
    CompleteAbort,
}

impl State {
    /// Every state, by its number.
    pub const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
    ];

    /// The state's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(self) -> bool {
        match self {
            State::Empty | State::CompleteCommit | State::CompleteAbort => true,
            State::Ongoing | State::PrepareCommit | State::PrepareAbort => false,
        }
    }

    /// Whether it has ended and its markers are being written.
    pub fn is_ending(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }
}

/// Everything the log says of one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Who may produce.
    pub producer_id: ProducerId,
    /// The producer's id before the last change; [`ProducerId::NONE`] when there was none.
    pub previous_producer_id: ProducerId,
    /// While a transaction ends whose producer has used up its epochs: the id it goes on with.
    pub next_producer_id: ProducerId,
    /// In which incarnation.
    pub producer_epoch: ProducerEpoch,
    /// How long a transaction may stay open.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: State,
    /// What it has written to; empty unless it is ongoing or ending.
    pub partitions: Partitions,
    /// When it began, Unix ms.
    pub started_at_ms: Option<i64>,
    /// When any of this changed, Unix ms.
    pub updated_at_ms: i64,
    /// How its producer spoke last.
    pub version: TransactionVersion,
}

impl Stored {
    /// A name nobody has used: its first producer begins with epoch 0.
    pub fn new(producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Stored {
        Stored {
            producer_id,
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            started_at_ms: None,
            updated_at_ms: now_ms,
            version: TransactionVersion::Tv1,
        }
    }

    /// Whether no further epoch may be given to a producer: the last one is kept to fence it with.
    pub fn is_epoch_exhausted(&self) -> bool {
        is_exhausted(self.producer_epoch)
    }
}

/// Whether an epoch is the last one a producer may have.
pub(crate) fn is_exhausted(epoch: ProducerEpoch) -> bool {
    i16::MAX - 1 <= epoch.0
}

/// The epoch after; the highest one stays.
pub(crate) fn next_epoch(epoch: ProducerEpoch) -> ProducerEpoch {
    ProducerEpoch(epoch.0.saturating_add(1))
}
