//! Why a log could not be opened, written or read.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Offset, TopicId};
use record::BatchError;

/// Bytes that were durable once are damaged now. Nothing was cut or changed; a person or a replica has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The file.
    pub path: PathBuf,
    /// Where in it, bytes.
    pub position: u64,
    /// What is wrong.
    pub what: Damage,
}

/// What a corruption consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A batch that is none.
    Batch(BatchError),
    /// A batch whose offset does not follow the one before it.
    OffsetOrder {
        /// The smallest offset that could follow.
        expected: Offset,
        /// What was found.
        found: Offset,
    },
    /// A batch that reaches over where the next one begins.
    OffsetBeyond {
        /// Where that is.
        end: Offset,
        /// The offset after the batch.
        found: Offset,
    },
    /// Durable offsets are gone: the log ends too early, or a segment is missing.
    Missing {
        /// The first offset that is gone.
        from: Offset,
        /// Where records go on, or should end.
        to: Offset,
    },
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged at byte {}: ", self.path.display(), self.position)?;
        match &self.what {
            Damage::Batch(error) => write!(f, "{error}")?,
            Damage::OffsetOrder { expected, found } => {
                write!(f, "offset {found} where {expected} or a later one belongs")?;
            }
            Damage::OffsetBeyond { end, found } => {
                write!(f, "a batch that ends at offset {found} where the next one begins at {end}")?;
            }
            Damage::Missing { from, to } => write!(f, "offsets {from} to {to} were durable and are missing")?,
        }
        f.write_str("; these bytes were synced once, so nothing was cut")
    }
}

/// Bytes of a log that the disk does not give back.
#[derive(Debug)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// The first byte of the batch among which they are.
    pub position: u64,
    /// What the file system says, with the file's name.
    pub error: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, in the batch at byte {}", self.error, self.position)
    }
}

/// Why an operation of the writer failed.
#[derive(Debug)]
pub enum LogError {
    /// The file system refused. Nothing was written, and it may be tried again, unless the log is fenced now.
    Io(io::Error),
    /// Durable bytes are damaged.
    Corrupt(Corruption),
    /// An earlier failure: nothing more is written until the log is opened anew.
    Fenced {
        /// That failure.
        reason: Arc<str>,
    },
    /// The batch fits no segment. Nothing was written.
    BatchTooLarge {
        /// Bytes of the batch.
        size: u64,
        /// Bytes a segment may have.
        max: u64,
    },
    /// Too much is waiting to be synced: take a sync, wait for it, try again. Nothing was written.
    UnsyncedFull {
        /// Bytes waiting.
        unsynced: u64,
    },
    /// A replicated batch does not follow the log's end. Nothing was written.
    NotNext {
        /// The log's end.
        expected: Offset,
        /// The batch's base offset.
        found: Offset,
    },
    /// The folder belongs to another topic of the same name. Nothing was changed.
    OtherTopic {
        /// Whose it is.
        found: TopicId,
        /// Whose it was to be.
        wanted: TopicId,
    },
    /// A sync of the log is under way; hear how it ends first. Nothing was changed.
    SyncUnderWay,
    /// The log cannot be cut inside a batch. Nothing was changed.
    InsideBatch {
        /// Where it was to be cut.
        asked: Offset,
        /// Where the batch begins.
        boundary: Offset,
    },
    /// The leader epoch is older than one the log has seen. Nothing was written.
    StaleEpoch {
        /// The newest epoch in the log.
        newest: i32,
        /// The one asked for.
        asked: i32,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Io(error) => write!(f, "{error}"),
            LogError::Corrupt(corruption) => write!(f, "{corruption}"),
            LogError::Fenced { reason } => write!(f, "the log takes no more writes: {reason}"),
            LogError::BatchTooLarge { size, max } => {
                write!(f, "a batch of {size} bytes does not fit a segment of {max}")
            }
            LogError::UnsyncedFull { unsynced } => write!(f, "{unsynced} bytes are waiting to be synced"),
            LogError::NotNext { expected, found } => {
                write!(f, "a batch at offset {found} does not follow the log's end {expected}")
            }
            LogError::OtherTopic { found, wanted } => {
                write!(f, "the folder belongs to topic {found}, not {wanted}")
            }
            LogError::SyncUnderWay => f.write_str("a sync of the log is under way"),
            LogError::InsideBatch { asked, boundary } => {
                write!(f, "offset {asked} lies inside the batch at {boundary}")
            }
            LogError::StaleEpoch { newest, asked } => {
                write!(f, "leader epoch {asked} is older than {newest}, which the log has seen")
            }
        }
    }
}

impl std::error::Error for LogError {}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> LogError {
        LogError::Io(error)
    }
}

impl From<Corruption> for LogError {
    fn from(corruption: Corruption) -> LogError {
        LogError::Corrupt(corruption)
    }
}

/// Why a read failed. Reads change nothing, so each may be tried again.
#[derive(Debug)]
pub enum ReadError {
    /// The offset is not in the log.
    OutOfRange {
        /// The first offset there.
        start: Offset,
        /// The offset after the last one.
        end: Offset,
    },
    /// The range was never checked and the caller asked not to wait for that; ask again with [`crate::Cold::Check`]
    /// where blocking is fine.
    Cold,
    /// The file system refused something beside batches: to open a file, or to read an index.
    Io(io::Error),
    /// The range cannot be read.
    Unreadable(Unreadable),
    /// The range is damaged.
    Corrupt(Corruption),
    /// The log was closed or deleted.
    Closed,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::OutOfRange { start, end } => write!(f, "the log reaches from offset {start} to {end}"),
            ReadError::Cold => f.write_str("the range has to be checked first"),
            ReadError::Io(error) => write!(f, "{error}"),
            ReadError::Unreadable(unreadable) => write!(f, "{unreadable}"),
            ReadError::Corrupt(corruption) => write!(f, "{corruption}"),
            ReadError::Closed => f.write_str("the log is closed"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}
