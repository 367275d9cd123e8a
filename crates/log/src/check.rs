//! What a start would find in a data folder that no broker runs on, and what it would do; changes nothing.
//!
//! - K1 The folder's lock is held meanwhile, so that nothing changes below.
//! - K2 Everything is read, also what a start trusts: what it would not look at is refused to readers later.

use std::io;
use std::path::{Path, PathBuf};

use model::Offset;
use model::limits::UNSYNCED_BYTES_MAX;
use rt::{FileLock, Fs, Open};

use crate::batch_scan::{BatchScan, Depth, ScanError, bytes};
use crate::data_dir::{CLEAN_SHUTDOWN, Checkpoint, LOCK, Offsets, parse_offset};
use crate::index_file::{Entry, sorted_prefix};
use crate::leader_epochs::LeaderEpochs;
use crate::log_error::Damage;
use crate::names::{self, Kind};
use crate::offset_index::OffsetEntry;
use crate::partition_folder::{PartitionName, parse_topic_id};
use crate::producer_snapshot;
use crate::time_index::TimeEntry;
use crate::{Corruption, checkpoint};

/// What a start would do about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Cut a torn tail off, of so many bytes that were never acknowledged.
    CutTail(u64),
    /// Build the file anew, or do without it.
    Rebuild,
    /// Open the partition, and refuse what is damaged to readers.
    RefuseReads,
    /// Leave the partition closed.
    StopPartition,
    /// Not start at all.
    RefuseStart,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// Where in it, bytes.
    pub position: u64,
    /// The offset that is expected there, in a segment.
    pub offset: Option<Offset>,
    /// What is wrong.
    pub what: String,
    /// What a start would do.
    pub action: Action,
}

/// A data folder that nobody else uses while the value lives.
pub struct FolderCheck {
    fs: Fs,
    path: PathBuf,
    is_clean: bool,
    recovery_points: Offsets,
    findings: Vec<Finding>,
    _lock: FileLock,
}

impl FolderCheck {
    /// Takes the folder. `NotFound` where it is none, `WouldBlock` where a broker runs on it.
    pub fn open(fs: &Fs, path: &Path) -> io::Result<FolderCheck> {
        // Asking for the lock would make its file.
        fs.file_len(&path.join(LOCK))?;
        let lock = fs.lock_exclusive(&path.join(LOCK))?;
        let mut check = FolderCheck {
            fs: fs.clone(),
            path: path.to_path_buf(),
            is_clean: fs.exists(&path.join(CLEAN_SHUTDOWN))?,
            recovery_points: Offsets::new(),
            findings: Vec::new(),
            _lock: lock,
        };
        for which in Checkpoint::ALL {
            check.read_checkpoint(which)?;
        }
        Ok(check)
    }

    /// Whether the last process closed all logs.
    pub fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The partitions, and the bytes of their segments.
    pub fn partitions(&self) -> io::Result<Vec<(PartitionName, u64)>> {
        let mut partitions = Vec::new();
        for entry in self.fs.read_dir(&self.path)? {
            let Some(name) = PartitionName::from_folder(&entry.name).filter(|_| entry.is_dir) else {
                continue;
            };
            let folder = self.path.join(&entry.name);
            let mut size = 0;
            for file in self.fs.read_dir(&folder)? {
                if let Some((_, Kind::Log)) = names::parse(&file.name) {
                    size += self.fs.file_len(&folder.join(&file.name))?;
                }
            }
            partitions.push((name, size));
        }
        Ok(partitions)
    }

    fn read_checkpoint(&mut self, which: Checkpoint) -> io::Result<()> {
        let path = self.path.join(which.file_name());
        let read = match self.fs.read(&path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let lines = if read.is_empty() { Some(Vec::new()) } else { checkpoint::parse_checked(&read) };
        let offsets =
            lines.and_then(|lines| lines.into_iter().map(parse_offset).collect::<Option<Offsets>>());
        match offsets {
            Some(offsets) if which == Checkpoint::RecoveryPoint => self.recovery_points = offsets,
            Some(_) => {}
            None => {
                // The others only save work: nobody can say anew which records were deleted.
                let action =
                    if which == Checkpoint::LogStart { Action::RefuseStart } else { Action::Rebuild };
                self.find(path, 0, None, "its text is damaged", action);
            }
        }
        Ok(())
    }

    fn find(
        &mut self,
        path: PathBuf,
        position: u64,
        offset: Option<Offset>,
        what: impl ToString,
        action: Action,
    ) {
        self.findings.push(Finding { path, position, offset, what: what.to_string(), action });
    }

    /// Checks one partition; says its log's end. Tells `done` how many bytes were read since the last time.
    pub fn partition(&mut self, name: &PartitionName, mut done: impl FnMut(u64)) -> io::Result<Offset> {
        let dir = self.path.join(name.to_folder());
        let (mut bases, mut snapshots) = (Vec::new(), Vec::new());
        for entry in self.fs.read_dir(&dir)? {
            match names::parse(&entry.name) {
                Some((base, Kind::Log)) => bases.push(base),
                Some((offset, Kind::Snapshot)) => snapshots.push(offset),
                Some(_) | None => {}
            }
        }
        let first = bases.first().copied().unwrap_or(Offset::ZERO);
        let trusted = self.check_snapshots(&dir, &snapshots)?.unwrap_or(first);
        self.check_texts(&dir)?;
        let point = self.recovery_points.get(name).copied().unwrap_or(first);
        let durable = point.max(trusted);
        let sizes: Vec<u64> = bases
            .iter()
            .map(|&base| self.fs.file_len(&names::path(&dir, base, Kind::Log)))
            .collect::<io::Result<_>>()?;
        let mut next = first;
        for (index, (&base, &size)) in bases.iter().zip(&sizes).enumerate() {
            let walked = self.walk(&dir, base, size, next.max(base), &mut done)?;
            next = walked.next;
            self.check_indexes(&dir, base, &walked)?;
            if let Some((position, what)) = walked.bad {
                let path = names::path(&dir, base, Kind::Log);
                let left = size - position + sizes[index + 1..].iter().sum::<u64>();
                let is_trusted = bases.get(index + 1).is_some_and(|&behind| behind < trusted);
                let action = if is_trusted {
                    Action::RefuseReads
                } else if self.is_clean || next < durable || UNSYNCED_BYTES_MAX < left {
                    Action::StopPartition
                } else {
                    Action::CutTail(left)
                };
                let is_end = action != Action::RefuseReads;
                self.find(path, position, Some(next), what, action);
                if is_end {
                    return Ok(next);
                }
                next = bases[index + 1];
            }
        }
        if !self.is_clean && next < durable {
            let what = Damage::Missing { from: next, to: durable };
            let what = Corruption { path: dir.clone(), position: 0, what }.to_string();
            self.find(dir, 0, Some(next), what, Action::StopPartition);
        }
        Ok(next)
    }

    /// The newest sound snapshot of producers.
    fn check_snapshots(&mut self, dir: &Path, snapshots: &[Offset]) -> io::Result<Option<Offset>> {
        let mut newest = None;
        for &offset in snapshots {
            let path = names::path(dir, offset, Kind::Snapshot);
            match producer_snapshot::decode(&self.fs.read(&path)?) {
                Some(_) => newest = Some(offset),
                None => self.find(path, 0, None, "the snapshot's checksum is wrong", Action::Rebuild),
            }
        }
        Ok(newest)
    }

    /// The small files of a partition that a start makes anew.
    fn check_texts(&mut self, dir: &Path) -> io::Result<()> {
        self.check_text(dir.join(names::LEADER_EPOCHS), |text| LeaderEpochs::from_text(text).is_some())?;
        self.check_text(dir.join(names::PARTITION_METADATA), |text| parse_topic_id(text).is_some())
    }

    fn check_text(&mut self, path: PathBuf, is_whole: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        match self.fs.read(&path) {
            Ok(text) if is_whole(&text) => {}
            Ok(_) => self.find(path, 0, None, "its text is damaged", Action::Rebuild),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn walk(
        &self,
        dir: &Path,
        base: Offset,
        size: u64,
        next: Offset,
        done: &mut impl FnMut(u64),
    ) -> io::Result<Walked> {
        let file = self.fs.open(&names::path(dir, base, Kind::Log), Open::Read)?;
        let mut scan = BatchScan::new(&file, 0, size, Depth::Checksums);
        let mut walked = Walked { next, batches: Vec::new(), bad: None };
        let mut at = 0;
        loop {
            match scan.next() {
                Ok(None) => return Ok(walked),
                Ok(Some(found)) if found.header.base_offset < walked.next => {
                    let (expected, found_offset) = (walked.next, found.header.base_offset);
                    let what = format!("offset {found_offset} where {expected} or a later one belongs");
                    walked.bad = Some((found.position, what));
                    return Ok(walked);
                }
                Ok(Some(found)) => {
                    let header = &found.header;
                    walked.batches.push((found.position, header.last_offset(), header.max_timestamp));
                    walked.next = header.next_offset();
                    done(found.end() - at);
                    at = found.end();
                }
                Err(ScanError::Bad { position, error }) => {
                    walked.bad = Some((position, error.to_string()));
                    return Ok(walked);
                }
                Err(ScanError::Io { error, .. }) => {
                    walked.bad = Some((at, error.to_string()));
                    return Ok(walked);
                }
            }
        }
    }

    /// Each entry has to be borne out by a batch, as far as the segment was read.
    fn check_indexes(&mut self, dir: &Path, base: Offset, walked: &Walked) -> io::Result<()> {
        let read_to = walked.batches.last().map_or(0, |(position, ..)| position + 1);
        self.check_index::<OffsetEntry>(dir, base, Kind::OffsetIndex, |entry| {
            let at = walked.batches.binary_search_by_key(&entry.position(), |(position, ..)| *position);
            let is_its = |index: usize| walked.batches[index].1 == entry.last_offset(base);
            read_to <= entry.position() || at.is_ok_and(is_its)
        })?;
        self.check_index::<TimeEntry>(dir, base, Kind::TimeIndex, |entry| {
            let last = entry.last_offset(base);
            let at = walked.batches.binary_search_by_key(&last, |(_, last, _)| *last);
            let is_its = |index: usize| walked.batches[index].2 == entry.timestamp();
            walked.next <= last || at.is_ok_and(is_its)
        })
    }

    fn check_index<E: Entry>(
        &mut self,
        dir: &Path,
        base: Offset,
        kind: Kind,
        is_borne_out: impl Fn(E) -> bool,
    ) -> io::Result<()> {
        let path = names::path(dir, base, kind);
        let read = match self.fs.read(&path) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.find(path, 0, None, "the index is missing", Action::Rebuild);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let entries: Vec<E> = sorted_prefix(&read);
        let wrong = entries.iter().position(|&entry| !is_borne_out(entry));
        let is_whole = entries.len() * E::WIDTH == read.len();
        if let Some(entry) = wrong.or((!is_whole).then_some(entries.len())) {
            let position = bytes(entry * E::WIDTH);
            self.find(path, position, None, "an index entry that no batch bears out", Action::Rebuild);
        }
        Ok(())
    }
}

/// What a segment consists of, as far as it is sound.
struct Walked {
    next: Offset,
    /// Position, last offset and largest timestamp of each batch.
    batches: Vec<(u64, Offset, model::TimestampMs)>,
    bad: Option<(u64, String)>,
}
