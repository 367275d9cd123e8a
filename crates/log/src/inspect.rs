//! The files of a data folder as they lie there, for people who want to look: nothing is opened, locked, mended or cut.
//!
//! - N1 Whatever the bytes are, reading them ends and panics nowhere; memory holds one batch, or one small file.
//! - N2 What is wrong is said with its place, and reading goes on behind it where the bytes say where that is.
//!
//! [`batches`] reads segments, [`indexes`] what lies beside them, [`texts`] the files of lines.

pub mod batches;
pub mod indexes;
pub mod texts;

use std::fmt;

use model::{Offset, TimestampMs};
use record::BatchError;

use crate::names::{self, Kind, LEADER_EPOCHS, PARTITION_METADATA};
use crate::{data_dir, producer_snapshot};

pub use crate::producer_snapshot::SnapshotEntry;

/// What a file of a data folder is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Batches, from this offset on.
    Log(Offset),
    /// Where batches lie in the segment of this offset.
    OffsetIndex(Offset),
    /// How late the records of the segment of this offset are.
    TimeIndex(Offset),
    /// The aborted transactions whose markers are in the segment of this offset.
    AbortedIndex(Offset),
    /// The producers as they were before this offset.
    ProducerSnapshot(Offset),
    /// Which leader wrote from where on.
    LeaderEpochs,
    /// An offset of each partition.
    Offsets,
    /// Whose folder it is.
    MetaProperties,
    /// Which topic a partition's folder belongs to.
    TopicId,
}

impl FileKind {
    /// What a file of this name is; one on its way out (`.deleted`) is still what it was.
    pub fn of(name: &str) -> Option<FileKind> {
        let name = [".deleted", ".cleaned", ".swap"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        match name {
            LEADER_EPOCHS => return Some(FileKind::LeaderEpochs),
            PARTITION_METADATA => return Some(FileKind::TopicId),
            data_dir::META_PROPERTIES => return Some(FileKind::MetaProperties),
            name if data_dir::Checkpoint::of_name(name).is_some() => return Some(FileKind::Offsets),
            _ => {}
        }
        let (offset, kind) = names::parse(name)?;
        Some(match kind {
            Kind::Log => FileKind::Log(offset),
            Kind::OffsetIndex => FileKind::OffsetIndex(offset),
            Kind::TimeIndex => FileKind::TimeIndex(offset),
            Kind::AbortedIndex => FileKind::AbortedIndex(offset),
            Kind::Snapshot => FileKind::ProducerSnapshot(offset),
        })
    }
}

/// What is wrong at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// No batch, or a damaged one.
    Batch(BatchError),
    /// A batch whose offset does not follow the one before it.
    OffsetOrder {
        /// The smallest offset that could follow.
        expected: Offset,
        /// What was found.
        found: Offset,
    },
    /// Fewer bytes than an entry takes.
    PartialEntry {
        /// Bytes there.
        have: usize,
        /// Bytes an entry takes.
        need: usize,
    },
    /// An entry with a negative number in it.
    ImpossibleEntry,
    /// An entry that does not stand behind the one before it.
    EntryOrder,
    /// An entry of an offset index that leads to something else.
    NoBatchThere {
        /// The offset the batch should end at.
        offset: Offset,
        /// Where in the log it should begin.
        position: u64,
    },
    /// An entry of a time index whose batch says another time, or is not there.
    OtherTimestamp {
        /// The offset of the entry.
        offset: Offset,
        /// What its batch says; `None` without a batch.
        found: Option<TimestampMs>,
    },
    /// A layout that is not known.
    Version(i16),
    /// Not as many entries as it says.
    Count {
        /// What it says.
        said: i64,
        /// What there is room for.
        found: usize,
    },
    /// A checksum that does not fit the bytes.
    Checksum {
        /// What is written down.
        stored: u32,
        /// What the bytes say.
        computed: u32,
    },
    /// A line that is not what belongs there.
    Line {
        /// Its number, from one.
        number: usize,
        /// What belongs there.
        expected: &'static str,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Batch(error) => error.fmt(f),
            Flaw::OffsetOrder { expected, found } => {
                write!(f, "offset {found} where {expected} or a later one belongs")
            }
            Flaw::PartialEntry { have, need } => write!(f, "{have} bytes where an entry takes {need}"),
            Flaw::ImpossibleEntry => f.write_str("an entry with a negative number"),
            Flaw::EntryOrder => f.write_str("an entry that does not follow the one before it"),
            Flaw::NoBatchThere { offset, position } => {
                write!(f, "no batch that ends at offset {offset} begins at byte {position} of the log")
            }
            Flaw::OtherTimestamp { offset, found: Some(found) } => {
                write!(f, "the largest timestamp of the batch of offset {offset} is {}", found.0)
            }
            Flaw::OtherTimestamp { offset, found: None } => {
                write!(f, "no batch of the log holds offset {offset}")
            }
            Flaw::Version(version) => write!(f, "version {version} is not known"),
            Flaw::Count { said, found } => write!(f, "{said} entries announced, {found} found"),
            Flaw::Checksum { stored, computed } => {
                write!(f, "stored crc = {stored}, computed crc = {computed}")
            }
            Flaw::Line { number, expected } => write!(f, "line {number}: {expected} expected"),
        }
    }
}

impl std::error::Error for Flaw {}

/// What was found in a small file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What could be read, each with the byte it begins at.
    pub items: Vec<(u64, T)>,
    /// What is wrong, and where.
    pub flaws: Vec<(u64, Flaw)>,
    /// Bytes at the end that are set aside for later: zeros.
    pub unused_bytes: u64,
}

impl<T> Found<T> {
    fn new() -> Found<T> {
        Found { items: Vec::new(), flaws: Vec::new(), unused_bytes: 0 }
    }
}

/// The entries of a snapshot of producers; none when its checksum or its length is wrong.
pub fn producer_snapshot(bytes: &[u8]) -> Found<SnapshotEntry> {
    let mut found = Found::new();
    match producer_snapshot::entries(bytes) {
        Ok(entries) => found.items.extend(entries),
        Err((position, flaw)) => found.flaws.push((position, flaw)),
    }
    found
}

#[cfg(test)]
mod tests;
