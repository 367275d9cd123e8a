//! What a worker has to say to whoever runs it.

use client::TopicPartition;
use model::Offset;

/// What a worker has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The group gave it these partitions.
    Assigned(Vec<TopicPartition>),
    /// The group took back what it gave.
    Revoked,
    /// A partition is read from here on, as everything before is in the table.
    Begun {
        /// Which.
        place: TopicPartition,
        /// Where.
        next: Offset,
    },
    /// Rows are in the table.
    Committed {
        /// How many.
        rows: usize,
        /// How many records are in the topic of dead letters instead.
        letters: usize,
        /// Where that leaves the partitions they came from.
        offsets: Vec<(TopicPartition, Offset)>,
    },
    /// A partition is not read on, for this reason.
    Stopped {
        /// Which.
        place: TopicPartition,
        /// Why.
        reason: String,
    },
    /// Something keeps it from working, and is tried again.
    Trouble(String),
    /// The table has these columns more.
    Grown(Vec<String>),
    /// The trouble is over.
    Recovered,
    /// It was told to pause: it keeps its partitions, and neither reads nor writes.
    Paused,
    /// It was told to go on.
    Resumed,
}
