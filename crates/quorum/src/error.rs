//! What can go wrong with the metadata log, and what is known of a proposal then.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use log::LogError;
use meta::{ApplyError, Index};

use crate::entry::EntryError;

/// Why a proposal was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuorumError {
    /// The records do not fit the image. Nothing was written; trying again is in vain.
    Refused(ApplyError),
    /// The records are too many for one entry. Nothing was written; smaller proposals may pass.
    TooLarge {
        /// Bytes of the entry.
        size: usize,
        /// Bytes an entry may have.
        max: usize,
    },
    /// The disk refused the write, so it may be full. Nothing was written; trying again later may pass.
    NotWritten(Arc<str>),
    /// A sync failed (Q4). The proposal may or may not be there after the next start.
    Fenced(Arc<str>),
    /// The quorum was closed or its process ends. The proposal may or may not be there after the next start.
    Closed,
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Refused(error) => write!(f, "the metadata refuses this change: {error}"),
            QuorumError::TooLarge { size, max } => {
                write!(f, "a change of {size} bytes is too large, {max} is the limit; ask for less at once")
            }
            QuorumError::NotWritten(reason) => {
                write!(f, "the metadata log could not be written: {reason}; nothing was changed, try again")
            }
            QuorumError::Fenced(reason) => write!(f, "the metadata log takes no more changes: {reason}"),
            QuorumError::Closed => f.write_str("the metadata log is closed"),
        }
    }
}

impl std::error::Error for QuorumError {}

/// Why an update was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateError<E> {
    /// The decision was no. The image it was taken on is durable, nothing was written.
    Decision(E),
    /// The quorum failed.
    Quorum(QuorumError),
}

impl<E: fmt::Display> fmt::Display for UpdateError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateError::Decision(error) => error.fmt(f),
            UpdateError::Quorum(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for UpdateError<E> {}

impl<E> From<QuorumError> for UpdateError<E> {
    fn from(error: QuorumError) -> UpdateError<E> {
        UpdateError::Quorum(error)
    }
}

/// Why the metadata log did not open. Nothing was lost by trying.
#[derive(Debug)]
pub enum OpenError {
    /// The file system refused.
    Io(io::Error),
    /// The log did not open or write.
    Log(LogError),
    /// The vote is damaged, or gone while the log is there (V2 of `vote`).
    Vote(PathBuf),
    /// An entry cannot be read.
    Entry {
        /// The entry.
        index: Index,
        /// What is wrong with it.
        error: EntryError,
    },
    /// An entry does not fit those before it.
    Apply {
        /// The entry.
        index: Index,
        /// What is wrong with it.
        error: ApplyError,
    },
    /// No readable snapshot reaches the entries that are left.
    SnapshotsDamaged {
        /// The folder.
        dir: PathBuf,
        /// The first entry that is left.
        log_start: Index,
    },
    /// 2^31 terms are over.
    OutOfTerms,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(error) => error.fmt(f),
            OpenError::Log(error) => error.fmt(f),
            OpenError::Vote(path) => write!(
                f,
                "{} is missing or damaged; without it two nodes could believe they lead. Restore it from a backup",
                path.display()
            ),
            OpenError::Entry { index, error } => write!(f, "metadata entry {index} cannot be read: {error}"),
            OpenError::Apply { index, error } => {
                write!(f, "metadata entry {index} does not fit those before it: {error}")
            }
            OpenError::SnapshotsDamaged { dir, log_start } => write!(
                f,
                "{} holds entries from {log_start} on, and no readable snapshot of what was before",
                dir.display()
            ),
            OpenError::OutOfTerms => f.write_str("the metadata log has seen its last term"),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> OpenError {
        OpenError::Io(error)
    }
}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> OpenError {
        OpenError::Log(error)
    }
}
