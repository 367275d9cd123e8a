//! One pass over a log, in steps that somebody else paces: first the newest offset of each key, then the new segments.
//!
//! - P1 A step reads or writes about one buffer's worth, so that whoever runs it can hold to a rate, or stop.
//! - P2 What lies at or beyond the offset to which keys are known is written as it is.
//! - P3 A group in which nothing changed keeps its segments.
//!
//! The log may be appended to, read, and lose its oldest segments meanwhile. Its calls block.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use model::{Offset, ProducerId, TimestampMs};
use record::{BatchError, BatchHeader, EndTransaction};

use super::batch_reader::{Batch, BatchReader};
use super::grouping::{Sealed, group};
use super::key_map::KeyMap;
use super::output::Output;
use super::retention::{Judge, Verdict};
use super::swap::Cleaned;
use super::transactions::Transactions;
use crate::aborted_index::AbortedEntry;
use crate::batch_scan::bytes;
use crate::folder::Folder;
use crate::locks::read;
use crate::log_error::ReadError;
use crate::names::Kind;
use crate::reader::LogReader;
use crate::segment::Segment;
use crate::transactions::AbortedTransaction;

pub use super::retention::LastBatch;

/// What a pass goes by.
#[derive(Clone, Debug)]
pub struct CleanOptions {
    /// Below this keys were compacted before.
    pub first_dirty: Offset,
    /// Nothing at or above this is touched.
    pub bound: Offset,
    /// The time.
    pub now_ms: i64,
    /// How long tombstones and markers wait, ms (`delete.retention.ms`).
    pub delete_retention_ms: i64,
    /// Segments are put together up to this size (`segment.bytes`).
    pub segment_bytes: u64,
    /// And up to this size of either index (`segment.index.bytes`).
    pub index_bytes_max: u64,
    /// Bytes of batches between two entries of the indexes (`index.interval.bytes`).
    pub index_interval_bytes: u64,
    /// Memory for keys, bytes (`log.cleaner.dedupe.buffer.size`).
    pub key_map_bytes: u64,
    /// How full it may get (`log.cleaner.io.buffer.load.factor`).
    pub key_map_load: f64,
    /// Bytes read, and written, at a time.
    pub buffer_bytes: usize,
    /// A number that nobody knows, for the hashes of keys.
    pub seed: u64,
    /// What each producer wrote last.
    pub last_batches: Vec<(ProducerId, LastBatch)>,
}

/// What a step came to.
pub enum Step {
    /// So many bytes were read and written.
    Worked(u64),
    /// A new segment is to be swapped in before the next step; so many bytes were read and written for it.
    Swap(Box<Cleaned>, u64),
    /// All below this offset is compacted.
    Done(Offset),
}

/// Why a pass ends early. The log is as it was, but for groups that were swapped in.
#[derive(Debug)]
pub enum CleanError {
    /// A segment could not be read.
    Read(ReadError),
    /// A new segment could not be written.
    Write(io::Error),
    /// What is left of a batch cannot be written.
    Batch(BatchError),
    /// The keys of one batch have no room in the map.
    KeyMapFull {
        /// The batch's offset.
        at: Offset,
    },
    /// What is left of a group fits no segment: its codec made more of it than was there.
    GroupTooLarge {
        /// Where the group begins.
        base: Offset,
    },
}

impl fmt::Display for CleanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CleanError::Read(error) => write!(f, "{error}"),
            CleanError::Write(error) => write!(f, "{error}"),
            CleanError::Batch(error) => write!(f, "what is left of a batch cannot be written: {error}"),
            CleanError::KeyMapFull { at } => write!(
                f,
                "the keys of the batch at offset {at} alone do not fit into the memory for keys; raise \
                 log.cleaner.dedupe.buffer.size or lower log.cleaner.threads"
            ),
            CleanError::GroupTooLarge { base } => {
                write!(f, "what is left of the segments from {base} on grew beyond what a segment can hold")
            }
        }
    }
}

impl std::error::Error for CleanError {}

impl From<ReadError> for CleanError {
    fn from(error: ReadError) -> CleanError {
        CleanError::Read(error)
    }
}

impl CleanError {
    /// Whether the same is to be expected of every later try: somebody has to see to it first.
    pub fn is_lasting(&self) -> bool {
        match self {
            CleanError::Read(ReadError::Corrupt(_))
            | CleanError::Batch(_)
            | CleanError::KeyMapFull { .. }
            | CleanError::GroupTooLarge { .. } => true,
            CleanError::Read(
                ReadError::Io(_)
                | ReadError::Unreadable(_)
                | ReadError::OutOfRange { .. }
                | ReadError::Cold
                | ReadError::Closed,
            )
            | CleanError::Write(_) => false,
        }
    }
}

/// A pass under way.
pub struct Cleaning {
    folder: Arc<Folder>,
    options: CleanOptions,
    judge: Judge,
    keys: KeyMap,
    /// The aborted transactions below the bound.
    aborted: Vec<AbortedTransaction>,
    /// The keys of everything below are known.
    mapped_to: Offset,
    stage: Stage,
}

enum Stage {
    Mapping { segments: Vec<Sealed>, next: usize, reader: Option<BatchReader>, transactions: Transactions },
    Writing { groups: VecDeque<Vec<Sealed>>, group: Option<Box<Group>>, transactions: Transactions },
}

/// A group of segments on its way into one.
struct Group {
    sealed: Vec<Sealed>,
    /// Which of them is read.
    current: usize,
    reader: BatchReader,
    output: Output,
    is_changed: bool,
}

impl LogReader {
    /// Begins a pass over the log.
    pub fn clean(&self, options: CleanOptions) -> Result<Cleaning, ReadError> {
        let segments: Vec<Sealed> = {
            let state = read(&self.shared.state);
            if state.closed {
                return Err(ReadError::Closed);
            }
            let sealed = state.segments.iter().zip(state.segments.iter().skip(1));
            let below = sealed.take_while(|(segment, _)| segment.base() < options.bound);
            below.map(|(segment, next)| (Arc::clone(segment), next.base())).collect()
        };
        let dirty = options.bound.since(options.first_dirty);
        let keys = KeyMap::new(options.key_map_bytes, options.key_map_load, dirty, options.seed);
        let judge = Judge {
            now: TimestampMs(options.now_ms),
            delete_retention_ms: options.delete_retention_ms,
            last_batches: options.last_batches.iter().copied().collect(),
        };
        let first = segments.first().map_or(options.bound, |(segment, _)| segment.base());
        let aborted = self.aborted_transactions(first, options.bound)?;
        let transactions = Transactions::new(&aborted);
        Ok(Cleaning {
            aborted,
            folder: Arc::clone(&self.shared.folder),
            judge,
            keys,
            mapped_to: options.first_dirty,
            stage: Stage::Mapping { segments, next: 0, reader: None, transactions },
            options,
        })
    }
}

impl Cleaning {
    /// Goes on for about one buffer's worth (P1).
    pub fn step(&mut self) -> Result<Step, CleanError> {
        match &self.stage {
            Stage::Mapping { .. } => self.map(),
            Stage::Writing { .. } => self.write(),
        }
    }

    /// Ends a pass that is not to go on.
    pub fn abandon(self) -> io::Result<()> {
        match self.stage {
            Stage::Writing { group: Some(group), .. } => group.output.discard(),
            Stage::Writing { group: None, .. } | Stage::Mapping { .. } => Ok(()),
        }
    }

    fn map(&mut self) -> Result<Step, CleanError> {
        let Stage::Mapping { segments, next, reader, transactions } = &mut self.stage else {
            unreachable!("`step` looked");
        };
        let (mut worked, mut is_over) = (0, false);
        while worked < bytes(self.options.buffer_bytes) && !is_over {
            let Some(open) = reader else {
                let Some((segment, end)) = segments.get(*next) else {
                    is_over = true;
                    // A log whose last records are gone, as after a cut, is known to its bound all the same.
                    self.mapped_to = self.options.bound;
                    continue;
                };
                *next += 1;
                *reader = read_from(segment, *end, self.mapped_to, self.options.buffer_bytes)?;
                continue;
            };
            let segment = &segments[*next - 1].0;
            let Some(batch) = next_of(segment, open)? else {
                *reader = None;
                continue;
            };
            worked += bytes(batch.bytes.len());
            let header = batch.header;
            if self.options.bound <= header.base_offset {
                (is_over, self.mapped_to) = (true, self.options.bound);
            } else if note_keys(&mut self.keys, &batch, self.options.first_dirty, transactions) {
                self.mapped_to = header.next_offset();
            } else if self.mapped_to <= self.options.first_dirty {
                return Err(CleanError::KeyMapFull { at: header.base_offset });
            } else {
                is_over = true;
            }
        }
        if is_over {
            self.begin_writing();
        }
        Ok(Step::Worked(worked))
    }

    fn begin_writing(&mut self) {
        let Stage::Mapping { segments, .. } = &self.stage else { unreachable!("`map` called") };
        let below = segments.partition_point(|(segment, _)| segment.base() < self.mapped_to);
        let options = &self.options;
        let groups = group(&segments[..below], options.segment_bytes, options.index_bytes_max).into();
        let transactions = Transactions::new(&self.aborted);
        self.stage = Stage::Writing { groups, group: None, transactions };
    }

    fn write(&mut self) -> Result<Step, CleanError> {
        let Stage::Writing { groups, group, transactions } = &mut self.stage else {
            unreachable!("`step` looked");
        };
        let Some(current) = group else {
            let Some(sealed) = groups.pop_front() else { return Ok(Step::Done(self.mapped_to)) };
            *group = Some(Box::new(Group::begin(&self.folder, sealed, &self.options)?));
            return Ok(Step::Worked(0));
        };
        let mut worked = 0;
        while worked < bytes(self.options.buffer_bytes) {
            let Some(batch) = current.next_batch()? else {
                let Some(group) = group.take() else { unreachable!("it is there") };
                return group.end(worked, transactions);
            };
            worked += bytes(batch.len());
            let header = BatchHeader::parse(&batch).map_err(CleanError::Batch)?;
            let verdict = if self.mapped_to <= header.base_offset {
                Verdict::Keep
            } else {
                let ends_group = current.is_at_end();
                let batch = Batch { header, bytes: &batch };
                self.judge.judge(&batch, &self.keys, transactions, ends_group).map_err(CleanError::Batch)?
            };
            worked += current.take(&header, &batch, verdict)?;
        }
        Ok(Step::Worked(worked))
    }
}

impl Group {
    fn begin(folder: &Arc<Folder>, sealed: Vec<Sealed>, options: &CleanOptions) -> Result<Group, CleanError> {
        let (first, _) = &sealed[0];
        let reader = whole(first, options.buffer_bytes)?;
        let output = Output::create(folder, first.base(), options.index_interval_bytes, options.buffer_bytes);
        let output = output.map_err(CleanError::Write)?;
        let is_changed = 1 < sealed.len();
        Ok(Group { sealed, current: 0, reader, output, is_changed })
    }
}

impl Group {
    fn next_batch(&mut self) -> Result<Option<Vec<u8>>, CleanError> {
        loop {
            let segment = &self.sealed[self.current].0;
            if let Some(batch) = next_of(segment, &mut self.reader)? {
                return Ok(Some(batch.bytes.to_vec()));
            }
            let Some((next, _)) = self.sealed.get(self.current + 1) else { return Ok(None) };
            self.reader = whole(next, self.reader.buffer_bytes())?;
            self.current += 1;
        }
    }

    /// Whether the batch read last is the group's last.
    fn is_at_end(&self) -> bool {
        let later = &self.sealed[self.current + 1..];
        self.reader.is_done() && later.iter().all(|(segment, _)| segment.size() == 0)
    }

    /// Carries out a verdict; says how many bytes that wrote.
    fn take(&mut self, header: &BatchHeader, batch: &[u8], verdict: Verdict) -> Result<u64, CleanError> {
        self.is_changed |= verdict != Verdict::Keep;
        let (header, batch) = match &verdict {
            Verdict::Keep => (*header, batch),
            Verdict::Replace(batch) => (BatchHeader::parse(batch).map_err(CleanError::Batch)?, &batch[..]),
            Verdict::Drop => return Ok(0),
        };
        if i32::try_from(self.output.size() + bytes(batch.len())).is_err() {
            return Err(CleanError::GroupTooLarge { base: self.sealed[0].0.base() });
        }
        self.output.push(&header, batch).map_err(CleanError::Write)?;
        Ok(bytes(batch.len()))
    }

    fn end(self, worked: u64, transactions: &Transactions) -> Result<Step, CleanError> {
        let is_empty = self.output.size() == 0;
        if !self.is_changed || is_empty {
            self.output.discard().map_err(CleanError::Write)?;
            return Ok(Step::Worked(worked));
        }
        let mut aborted = Vec::new();
        for (segment, _) in &self.sealed {
            let see = |entry: AbortedEntry| {
                aborted
                    .extend(Some(entry.transaction).filter(|aborted| transactions.is_to_be_known(aborted)));
                ControlFlow::Continue(())
            };
            let file = || segment.file(Kind::AbortedIndex);
            let _ = segment.aborted.walk(file, |_| false, see).map_err(ReadError::Io)?;
        }
        let replaced = self.sealed.into_iter().map(|(segment, _)| segment).collect();
        let segment = self.output.finish(aborted).map_err(CleanError::Write)?;
        let cleaned = Cleaned::stage(segment, replaced).map_err(CleanError::Write)?;
        Ok(Step::Swap(Box::new(cleaned), worked))
    }
}

fn whole(segment: &Arc<Segment>, buffer_bytes: usize) -> Result<BatchReader, CleanError> {
    let file = segment.file(Kind::Log).map_err(ReadError::Io)?;
    Ok(BatchReader::new(file, 0, segment.size(), buffer_bytes))
}

/// The batches of a segment from the one that holds `from` on; `None` when it has none.
fn read_from(
    segment: &Arc<Segment>,
    end: Offset,
    from: Offset,
    buffer_bytes: usize,
) -> Result<Option<BatchReader>, CleanError> {
    if end <= from {
        return Ok(None);
    }
    let Some(first) = segment.locate(from, segment.size())? else { return Ok(None) };
    let file = segment.file(Kind::Log).map_err(ReadError::Io)?;
    Ok(Some(BatchReader::new(file, first.position, segment.size(), buffer_bytes)))
}

fn next_of<'a>(segment: &Segment, reader: &'a mut BatchReader) -> Result<Option<Batch<'a>>, CleanError> {
    match reader.next() {
        Ok(batch) => Ok(batch),
        Err(error) => {
            segment.scanned(Err(error))?;
            Ok(None)
        }
    }
}

/// Notes the keys of a batch; `false` when the map is full.
fn note_keys(
    keys: &mut KeyMap,
    batch: &Batch<'_>,
    first_dirty: Offset,
    transactions: &mut Transactions,
) -> bool {
    // Of a marker it matters only that its transaction is over.
    let Ok(decoded) = record::decode(batch.bytes, DECOMPRESSED_BATCH_BYTES_MAX) else { return true };
    if batch.header.is_control() {
        transactions.is_empty_at(&batch.header, EndTransaction::read(batch.bytes).unwrap_or_default());
        return true;
    }
    if transactions.is_aborted(&batch.header) {
        return true;
    }
    decoded
        .records()
        .map_while(Result::ok)
        .filter(|record| first_dirty <= record.offset)
        .all(|record| record.key.is_none_or(|key| keys.put(key, record.offset)))
}
