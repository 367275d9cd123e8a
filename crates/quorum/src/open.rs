//! Opening: vote, snapshot and log become an image again, and this node leads it.
//!
//! - O1 Everything trusted without a look was synced before: a snapshot under its name, the log below it.
//! - O2 A start that dies half-way leaves what the next one reads the same way: a higher vote, a blank entry.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::{
    Cold, FirstBatch, GroupCommit, Log, LogConfig, LogReader, OpenFiles, OpenOptions, ReadError, ReadLimits,
    Recovery,
};
use meta::{Image, Index, MetadataRecord};
use model::{BrokerId, Offset, TimestampMs, TopicId};
use record::BatchHeader;
use rt::Fs;

use crate::METADATA_DIR;
use crate::entry::{Entry, EntryError, Payload, leader_epoch};
use crate::error::OpenError;
use crate::snapshot::{self, Snapshot};
use crate::vote::{Term, VOTE_FILE, Vote};

/// How to open the metadata log.
#[derive(Clone)]
pub struct QuorumOptions {
    /// The data folder, which is there for good; the metadata log's own folder lies in it.
    pub data_dir: PathBuf,
    /// This node.
    pub node: BrokerId,
    /// The open files of the process.
    pub files: Arc<OpenFiles>,
    /// The syncs of the data folder, shared with its partitions.
    pub group_commit: GroupCommit,
    /// The lane its task runs on.
    pub lane: usize,
    /// Entries between two snapshots; [`QuorumOptions::SNAPSHOT_EVERY`] unless a test says otherwise.
    pub snapshot_every: u64,
    /// Bytes of a segment of the log; [`QuorumOptions::SEGMENT_BYTES`] unless a test says otherwise.
    pub segment_bytes: u64,
}

impl QuorumOptions {
    /// Replaying this many entries takes a fraction of a second.
    pub const SNAPSHOT_EVERY: u64 = 10_000;

    /// The largest entry fits.
    pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

    /// The options of a process.
    pub fn new(
        data_dir: PathBuf,
        node: BrokerId,
        files: Arc<OpenFiles>,
        group_commit: GroupCommit,
    ) -> QuorumOptions {
        let (snapshot_every, segment_bytes) = (QuorumOptions::SNAPSHOT_EVERY, QuorumOptions::SEGMENT_BYTES);
        QuorumOptions { data_dir, node, files, group_commit, lane: 0, snapshot_every, segment_bytes }
    }
}

/// What the leader starts from.
pub(crate) struct Found {
    pub(crate) fs: Fs,
    pub(crate) dir: PathBuf,
    pub(crate) log: Log,
    pub(crate) image: Image,
    pub(crate) term: Term,
    /// The next index of the newest snapshot.
    pub(crate) snapshot_at: Index,
}

/// Bytes of entries read at a time.
const READ_BYTES: u64 = 4 * 1024 * 1024;

/// Opens the log and begins a term. Blocks.
pub(crate) fn open(fs: &Fs, options: &QuorumOptions, now_ms: i64) -> Result<Found, OpenError> {
    let dir = options.data_dir.join(METADATA_DIR);
    fs.create_dir_all(&dir)?;
    fs.sync_dir(&options.data_dir)?;
    let vote = read_vote(fs, &dir)?;
    let snapshots = read_snapshots(fs, &dir)?;
    // Entries go once the older of two snapshots has them (Q5).
    let start_offset = snapshots.oldest.map_or(Offset::ZERO, offset);
    let snapshot = snapshots.newest.unwrap_or(Snapshot { image: Image::empty(), term: Term(0) });
    let mut image = snapshot.image;
    let snapshot_at = image.next_index();
    let (log, _report) = Log::open(
        fs,
        OpenOptions {
            dir: dir.clone(),
            // No topic: clients cannot ask for it by any id.
            topic_id: None,
            config: LogConfig {
                segment_bytes: options.segment_bytes,
                segment_ms: i64::MAX,
                ..LogConfig::default()
            },
            recovery: Recovery::From(offset(snapshot_at)),
            start_offset,
            files: Arc::clone(&options.files),
        },
    )?;
    if offset(image.next_index()) < log.log_start() {
        return Err(OpenError::SnapshotsDamaged { dir, log_start: index(log.log_start()) });
    }
    let last_term = replay(&log.reader(), &mut image)?;
    let known_term = match vote {
        Some(vote) => vote.term,
        None if image.next_index() == Index(0) => Term(0),
        None => return Err(OpenError::Vote(dir.join(VOTE_FILE))),
    };
    let term = known_term.max(snapshot.term).max(last_term).next();
    let mut found = Found { fs: fs.clone(), dir, log, image, term, snapshot_at };
    found.begin_term(options.node, now_ms)?;
    Ok(found)
}

impl Found {
    /// The first acts of a leader (Q3).
    fn begin_term(&mut self, node: BrokerId, now_ms: i64) -> Result<(), OpenError> {
        let vote = Vote { term: self.term, leader: node, committed: true };
        self.fs.write_atomically(&self.dir.join(VOTE_FILE), &vote.encode())?;
        if self.image.next_index() == Index(0) {
            self.write(node, Payload::Voters(vec![node]), now_ms)?;
        }
        self.write(node, Payload::Blank, now_ms)?;
        self.log.write()?;
        while let Some(job) = self.log.take_sync() {
            let synced = job.run(&self.fs);
            self.log.synced(synced)?;
        }
        Ok(())
    }

    fn write(&mut self, leader: BrokerId, payload: Payload, now_ms: i64) -> Result<(), OpenError> {
        let epoch = leader_epoch(self.term).ok_or(OpenError::OutOfTerms)?;
        let index = self.image.next_index();
        let entry = Entry { term: self.term, leader, index, payload };
        let batch = entry.to_batch(TimestampMs(now_ms));
        let batch = batch.map_err(|error| OpenError::Entry { index, error: EntryError::Batch(error) })?;
        self.log.append(batch, epoch, now_ms)?;
        let applied = self.image.apply_entry(index, entry.records());
        applied.map_err(|error| OpenError::Apply { index, error })?;
        Ok(())
    }
}

/// The offset that stands for an index.
pub(crate) fn offset(index: Index) -> Offset {
    Offset(i64::try_from(index.0).unwrap_or(i64::MAX))
}

fn index(offset: Offset) -> Index {
    Index(u64::try_from(offset.0).unwrap_or(0))
}

fn read_vote(fs: &Fs, dir: &Path) -> Result<Option<Vote>, OpenError> {
    let path = dir.join(VOTE_FILE);
    if !fs.exists(&path)? {
        return Ok(None);
    }
    Vote::decode(&fs.read(&path)?).map(Some).ok_or(OpenError::Vote(path))
}

struct Snapshots {
    /// The newest one that can be read.
    newest: Option<Snapshot>,
    /// Where entries are still needed from: the oldest one's index, if there are as many as are kept.
    oldest: Option<Index>,
}

fn read_snapshots(fs: &Fs, dir: &Path) -> Result<Snapshots, OpenError> {
    let names = snapshot::names(fs, dir)?;
    let oldest = snapshot::needed_from(&names);
    for (_, name) in names.iter().rev() {
        let path = dir.join(name);
        match Snapshot::decode(&fs.read(&path)?) {
            Ok(snapshot) => return Ok(Snapshots { newest: Some(snapshot), oldest }),
            Err(error) => tracing::warn!(snapshot = %path.display(), %error, "snapshot skipped"),
        }
    }
    // With none, every entry there still is has to do.
    Ok(Snapshots { newest: None, oldest: None })
}

/// Bytes of entries from an offset on.
fn read_entries(reader: &LogReader, from: Offset, end: Offset) -> Result<Vec<u8>, ReadError> {
    let limits = ReadLimits { max_bytes: READ_BYTES, first_batch: FirstBatch::Whole, cold: Cold::Check };
    reader.read_bytes(from, end, limits)
}

/// The topics whose deletion is among the entries that are left, as far as these can be read.
pub(crate) fn deleted_topics(reader: &LogReader) -> BTreeSet<TopicId> {
    let (mut deleted, mut next, end) = (BTreeSet::new(), reader.log_start(), reader.log_end());
    while next < end {
        let from = next;
        let bytes = read_entries(reader, from, end).unwrap_or_default();
        for entry in batches(&bytes).map_while(|batch| Entry::from_batch(batch).ok()) {
            deleted.extend(entry.records().iter().filter_map(|record| match record {
                MetadataRecord::TopicDeleted { topic_id } => Some(*topic_id),
                _ => None,
            }));
            next = offset(entry.index.next());
        }
        if next == from {
            tracing::warn!(
                from = from.0,
                "entries of the metadata log that cannot be read; others were skipped"
            );
            break;
        }
    }
    deleted
}

/// Applies the entries that the image lacks; says the term of the last one.
fn replay(reader: &LogReader, image: &mut Image) -> Result<Term, OpenError> {
    let mut last_term = Term(0);
    let end = reader.log_end();
    while offset(image.next_index()) < end {
        let from = image.next_index();
        let bytes = read_entries(reader, offset(from), end).map_err(read_error)?;
        for batch in batches(&bytes) {
            let index = image.next_index();
            let entry = Entry::from_batch(batch).map_err(|error| OpenError::Entry { index, error })?;
            image
                .apply_entry(entry.index, entry.records())
                .map_err(|error| OpenError::Apply { index, error })?;
            last_term = last_term.max(entry.term);
        }
        if image.next_index() == from {
            return Err(OpenError::Entry { index: from, error: EntryError::Shape });
        }
    }
    Ok(last_term)
}

fn read_error(error: ReadError) -> OpenError {
    OpenError::Io(std::io::Error::other(error))
}

/// The whole batches at the front of `bytes`.
pub(crate) fn batches(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = BatchHeader::parse(bytes).ok()?;
        let (batch, rest) = bytes.split_at_checked(header.size_in_bytes())?;
        bytes = rest;
        Some(batch)
    })
}
