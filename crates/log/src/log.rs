//! The writer of one log: it assigns offsets, gathers batches into one write, rolls segments and says what to sync.
//!
//! - I1 Offsets are dense at append; each batch begins where the one before it ended.
//! - I2 `durable end <= log end`; readers see written batches, syncs make them durable, in that order.
//! - I6 A batch of an idempotent producer is appended once: [`Log::check_sequence`] says which ones were.
//! - W1 A failed write is cut back, and what it was to write was never appended: a full disk refuses and fences nothing.
//! - W2 A failed sync fences the log, and so does a cut that fails: what the disk holds is known only after recovery.
//!
//! Owned by one task on a lane; its calls block for writes, never for syncs, but for [`Log::close`] and truncation.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use model::limits::{APPEND_GATHER_BYTES_MAX, UNSYNCED_BYTES_MAX};
use model::{LeaderEpoch, Offset, TimestampMs, TopicId};
use record::{BatchHeader, CheckedBatch, EndTransaction, TimestampType};
use rt::{File, Fs};

use crate::batch_scan::bytes;
use crate::config::LogConfig;
use crate::durability::InFlight;
use crate::folder::Folder;
use crate::gather::Gather;
use crate::locks::{read, write};
use crate::log_error::LogError;
use crate::names::Kind;
use crate::open_files::OpenFiles;
use crate::producers::{Marker, MarkerError, Producers, Sequence, SequenceError, Verified};
use crate::reader::{LogReader, Mark, Marks, Shared, State};
use crate::recovery::{Recovery, RecoveryReport, recover, write_epochs};
use crate::segment::{IndexCursor, Segment};
use crate::space_ahead::SpaceAhead;
use crate::sync::Dirty;
use crate::transactions::AbortedTransaction;

/// How to open a log.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The partition's folder; created when it is not there.
    pub dir: PathBuf,
    /// The topic whose partition it is, kept in `partition.metadata`; `None` keeps nothing there.
    pub topic_id: Option<TopicId>,
    /// The topic's settings.
    pub config: LogConfig,
    /// How the log was left.
    pub recovery: Recovery,
    /// Where the log starts, from the checkpoint; segments that end before are removed.
    pub start_offset: Offset,
    /// The open files of the process.
    pub files: Arc<OpenFiles>,
}

/// What became of a batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
    /// The append time, where the broker sets the timestamps.
    pub log_append_time: Option<TimestampMs>,
}

/// Ends of writes remembered so that a high watermark's position need not be looked up.
const WRITE_ENDS_MAX: usize = 1024;

/// The writer of one log.
pub struct Log {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: LogConfig,
    pub(crate) producers: Producers,
    pub(crate) active: Arc<Segment>,
    pub(crate) cursor: IndexCursor,
    /// The largest timestamp of the newest segment's first batch; read when needed after a start.
    pub(crate) first_timestamp: Option<TimestampMs>,
    /// When this process began to write the newest segment, where its batches have no timestamp.
    pub(crate) active_since_ms: Option<i64>,
    pub(crate) gather: Gather,
    pub(crate) space_ahead: SpaceAhead,
    /// What the gathered markers aborted.
    gathered_aborts: Vec<AbortedTransaction>,
    /// The offset the next batch gets.
    pub(crate) next: Offset,
    /// Where markers decide their transactions.
    pub(crate) high_watermark: Offset,
    pub(crate) write_ends: VecDeque<Mark>,
    pub(crate) dirty: Dirty,
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) durable: Offset,
    /// The newest segment's index files, while they have bytes that no sync job has.
    pub(crate) dirty_indexes: BTreeMap<Kind, File>,
    /// Snapshots on disk, ascending.
    pub(crate) snapshots: Vec<Offset>,
    /// Snapshots whose batches and indexes are to be synced before they are written.
    pub(crate) waiting_snapshots: Vec<(Offset, Vec<u8>)>,
    /// Where the newest snapshot was taken.
    pub(crate) snapshot_at: Offset,
    pub(crate) bytes_since_snapshot: u64,
    pub(crate) epoch_on_disk: LeaderEpoch,
    pub(crate) fenced: Option<Arc<str>>,
}

impl Log {
    /// Opens the log, or creates it; see [`Recovery`] for what is trusted. Blocks.
    pub fn open(fs: &Fs, options: OpenOptions) -> Result<(Log, RecoveryReport), LogError> {
        let folder = Arc::new(Folder { fs: fs.clone(), dir: options.dir, files: options.files });
        let found =
            recover(&folder, &options.config, options.recovery, options.start_offset, options.topic_id)?;
        let active = found.segments.last().map(Arc::clone).expect("recovery yields a segment at least");
        let epoch_on_disk = found.epochs.latest().map_or(LeaderEpoch::NONE, |(epoch, _)| epoch);
        let state = State {
            segments: found.segments,
            start: found.start,
            end: found.end,
            marks: Marks::default(),
            closed: false,
        };
        let dirty = Dirty {
            others: found.unsynced,
            names: found.unsynced_names,
            folder_name: found.unsynced_names,
            ..Dirty::default()
        };
        let space_ahead = SpaceAhead::found(options.recovery, active.size());
        let log = Log {
            shared: Arc::new(Shared { folder, state: RwLock::new(state), epochs: RwLock::new(found.epochs) }),
            config: options.config,
            producers: found.producers,
            active,
            cursor: found.cursor,
            first_timestamp: None,
            active_since_ms: None,
            gather: Gather::default(),
            space_ahead,
            gathered_aborts: Vec::new(),
            next: found.end,
            high_watermark: found.start,
            write_ends: VecDeque::new(),
            dirty,
            in_flight: None,
            durable: found.end,
            dirty_indexes: BTreeMap::new(),
            snapshot_at: found.snapshots.last().copied().unwrap_or(found.start),
            snapshots: found.snapshots,
            waiting_snapshots: Vec::new(),
            bytes_since_snapshot: 0,
            epoch_on_disk,
            fenced: None,
        };
        Ok((log, found.report))
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Changes the settings, from the next append on.
    pub fn set_config(&mut self, config: LogConfig) {
        self.config = config;
    }

    /// The first offset of the log.
    pub fn log_start(&self) -> Offset {
        read(&self.shared.state).start
    }

    /// The offset the next record gets; what was appended and not written counts.
    pub fn log_end(&self) -> Offset {
        self.next
    }

    /// All below was synced.
    pub fn durable_end(&self) -> Offset {
        self.durable
    }

    /// What to persist in the recovery point checkpoint: recovery need not look below.
    pub fn recovery_point(&self) -> Offset {
        self.durable
    }

    /// Bytes of batches that were appended and are not synced.
    pub fn unsynced_bytes(&self) -> u64 {
        self.gather.size() + self.dirty.bytes + self.in_flight.as_ref().map_or(0, |job| job.bytes)
    }

    /// Bytes of batches that were appended and wait for [`Log::write`].
    pub fn unwritten_bytes(&self) -> u64 {
        self.gather.size()
    }

    /// Whether a batch of `size` bytes may be appended now; if not, the writer waits for a sync.
    pub fn has_room_for(&self, size: usize) -> bool {
        self.unsynced_bytes() + bytes(size) <= UNSYNCED_BYTES_MAX
    }

    /// The producers remembered.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that were silent for the configured time; says how many.
    pub fn expire_producers(&mut self, now_ms: i64) -> usize {
        self.producers.expire(TimestampMs(now_ms), self.config.producer_expiration_ms)
    }

    /// Judges a client's batch before it is appended.
    pub fn check_sequence(
        &self,
        header: &BatchHeader,
        verified: Verified,
    ) -> Result<Sequence, SequenceError> {
        self.producers.check(header, verified)
    }

    /// Judges the end of a transaction before its marker is appended.
    pub fn check_marker(&self, marker: &Marker) -> Result<(), MarkerError> {
        self.producers.check_marker(marker)
    }

    /// Notes that a leadership begins here, before it has written anything.
    pub fn assign_leader_epoch(&mut self, epoch: LeaderEpoch) -> Result<(), LogError> {
        self.check_epoch(epoch)?;
        write(&self.shared.epochs).assign(epoch, self.next);
        Ok(())
    }

    /// Appends a client's batch as the leader: gives it the next offset and, where configured, its time.
    ///
    /// The batch waits in memory until [`Log::write`]. What fails wrote nothing, unless the log is then fenced.
    pub fn append(
        &mut self,
        mut batch: CheckedBatch,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, LogError> {
        self.check_epoch(epoch)?;
        let log_append_time = match self.config.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(TimestampMs(now_ms)),
        };
        if let Some(now) = log_append_time {
            batch.set_log_append_time(now);
        }
        batch.set_base_offset(self.next);
        batch.set_partition_leader_epoch(epoch);
        let header = *batch.header();
        self.take_in(batch, now_ms)?;
        let (base_offset, last_offset) = (header.base_offset, header.last_offset());
        Ok(Appended { base_offset, last_offset, log_append_time })
    }

    /// Appends a leader's batch as its follower: offset, epoch and timestamps stay as they are.
    pub fn append_replicated(&mut self, batch: CheckedBatch, now_ms: i64) -> Result<(), LogError> {
        let header = batch.header();
        if header.base_offset < self.next {
            return Err(LogError::NotNext { expected: self.next, found: header.base_offset });
        }
        // An epoch that was assigned and has written nothing gives way, as in Kafka.
        let newest = read(&self.shared.epochs).latest().filter(|&(_, start)| start < self.next);
        if let Some((newest, _)) = newest
            && header.partition_leader_epoch < newest
        {
            return Err(LogError::StaleEpoch { newest: newest.0, asked: header.partition_leader_epoch.0 });
        }
        self.take_in(batch, now_ms)
    }

    fn take_in(&mut self, batch: CheckedBatch, now_ms: i64) -> Result<(), LogError> {
        self.check_fence()?;
        let header = *batch.header();
        let size = bytes(batch.size_in_bytes());
        let max = self.config.segment_bytes.min(UNSYNCED_BYTES_MAX);
        if max < size {
            return Err(LogError::BatchTooLarge { size, max });
        }
        if !self.has_room_for(batch.size_in_bytes()) {
            return Err(LogError::UnsyncedFull { unsynced: self.unsynced_bytes() });
        }
        let gathered = self.gather.size() + size;
        if bytes(APPEND_GATHER_BYTES_MAX) < gathered {
            self.write()?;
        }
        if self.roll_is_due(&header, size, now_ms)? {
            self.roll()?;
        }
        self.note_epoch(&header)?;
        self.first_timestamp.get_or_insert(header.max_timestamp);
        self.active_since_ms.get_or_insert(now_ms);
        let aborted = self.producers.on_append(&header, end_transaction(&batch), TimestampMs(now_ms));
        self.gathered_aborts.extend(aborted);
        self.next = header.next_offset();
        self.gather.push(batch);
        Ok(())
    }

    /// Writes what was appended, in one call, and lets readers see it. Makes nothing durable.
    ///
    /// When that fails, nothing of it was appended, and the log goes on where it was unless it is fenced (W1, W2).
    pub fn write(&mut self) -> Result<(), LogError> {
        self.check_fence()?;
        if self.gather.is_empty() {
            return Ok(());
        }
        self.write_gathered().map_err(|error| self.take_back(error))
    }

    /// Forgets what was gathered and could not be written; yields the error, or that of forgetting.
    fn take_back(&mut self, error: io::Error) -> LogError {
        let headers = self.gather.take_headers();
        self.gathered_aborts.clear();
        self.next = headers.first().map_or(self.next, |first| first.base_offset);
        if self.active.size() == 0 {
            (self.first_timestamp, self.active_since_ms) = (None, None);
        }
        if headers.iter().any(BatchHeader::is_idempotent) {
            match self.producers_at(self.next) {
                Ok(restored) => self.producers = restored,
                Err(failed) => {
                    self.fence(&failed.to_string());
                    return failed;
                }
            }
        }
        LogError::Io(error)
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        let file = match self.dirty.log.take() {
            Some(file) => file,
            None => self.active.file(Kind::Log)?,
        };
        let size = self.gather.size();
        let before = self.active.size();
        let written = self.gather.write_to(&file, before);
        let cut = if written.is_err() {
            self.space_ahead = SpaceAhead::default();
            file.set_len(before)
        } else {
            Ok(())
        };
        self.dirty.log = Some(file);
        if let Err(error) = cut {
            self.fence(&format!("a part of a failed write could not be cut back: {error}"));
        }
        written?;
        self.dirty.bytes += size;
        self.bytes_since_snapshot += size;
        let mut position = before;
        for header in self.gather.take_headers() {
            self.active.index(&mut self.cursor, &header, position, self.config.index_interval_bytes);
            position += bytes(header.size_in_bytes());
        }
        self.gathered_aborts.drain(..).for_each(|aborted| self.active.aborted.push(aborted.into()));
        {
            let mut state = write(&self.shared.state);
            self.active.grow(position, self.cursor.largest);
            state.end = self.next;
        }
        if self.write_ends.len() == WRITE_ENDS_MAX {
            self.write_ends.pop_front();
        }
        self.write_ends.push_back(Mark { offset: self.next, segment: self.active.base(), position });
        self.write_aids();
        Ok(())
    }

    /// Writes what makes reads and recovery quick. Where that fails, it waits in memory for the next time.
    fn write_aids(&mut self) {
        let mut written = Ok(());
        if self.active.wants_flush() {
            written = self.flush_indexes();
        }
        if UNSYNCED_BYTES_MAX <= self.bytes_since_snapshot {
            written = written.and_then(|()| self.take_snapshot());
        }
        if let Err(error) = written {
            tracing::debug!(dir = %self.shared.folder.dir.display(), %error, "index entries wait in memory");
        }
    }

    /// Notes how far consumers may read, so that readers of the tail find its place in the file at once.
    pub fn set_high_watermark(&mut self, high_watermark: Offset) {
        self.high_watermark = high_watermark;
        self.producers.on_high_watermark(high_watermark);
        while self.write_ends.front().is_some_and(|end| end.offset < high_watermark) {
            self.write_ends.pop_front();
        }
        if let Some(&end) = self.write_ends.front().filter(|end| end.offset == high_watermark) {
            write(&self.shared.state).marks.add(end);
        }
    }

    /// Readers of committed records read below this: no transaction that begins below it is undecided.
    pub fn last_stable_offset(&self) -> Offset {
        let undecided = self.producers.first_undecided().unwrap_or(self.high_watermark);
        // Retention and DeleteRecords go past open transactions, as in Kafka.
        undecided.max(self.log_start()).min(self.high_watermark)
    }

    /// Stops all writing until the log is opened anew.
    pub fn fence(&mut self, reason: &str) {
        self.fenced.get_or_insert_with(|| Arc::from(reason));
    }

    /// Why the log takes no more writes, when it does not.
    pub fn fenced(&self) -> Option<&str> {
        self.fenced.as_deref()
    }

    /// Ends without making anything durable, because the folder goes: readers are told that the log is closed.
    pub fn delete(self) {
        self.end_readers();
    }

    pub(crate) fn end_readers(&self) {
        let mut state = write(&self.shared.state);
        state.closed = true;
        state.segments.iter().for_each(|segment| segment.forget_files());
    }

    /// Notes and persists an epoch with the first batch it writes.
    fn note_epoch(&mut self, header: &BatchHeader) -> Result<(), LogError> {
        let epoch = header.partition_leader_epoch;
        if epoch == self.epoch_on_disk || epoch < LeaderEpoch(0) {
            return Ok(());
        }
        write(&self.shared.epochs).assign(epoch, header.base_offset);
        Ok(self.persist_epochs()?)
    }

    pub(crate) fn persist_epochs(&mut self) -> io::Result<()> {
        let epochs = read(&self.shared.epochs).clone();
        let file = write_epochs(&self.shared.folder, &epochs)?;
        self.dirty.others.push(file);
        self.dirty.names = true;
        self.epoch_on_disk = epochs.latest().map_or(LeaderEpoch::NONE, |(epoch, _)| epoch);
        Ok(())
    }

    /// A leader never writes in an epoch older than one that it knows of.
    fn check_epoch(&self, epoch: LeaderEpoch) -> Result<(), LogError> {
        match read(&self.shared.epochs).latest() {
            Some((newest, _)) if epoch < newest => {
                Err(LogError::StaleEpoch { newest: newest.0, asked: epoch.0 })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn check_fence(&self) -> Result<(), LogError> {
        match &self.fenced {
            None => Ok(()),
            Some(reason) => Err(LogError::Fenced { reason: Arc::clone(reason) }),
        }
    }

    /// Fences the log because of an error, and passes the error on.
    pub(crate) fn fence_on(&mut self, error: io::Error) -> LogError {
        tracing::error!(dir = %self.shared.folder.dir.display(), %error, "log fenced");
        self.fence(&error.to_string());
        LogError::Io(error)
    }
}

fn end_transaction(batch: &CheckedBatch) -> Option<EndTransaction> {
    batch.header().is_control().then(|| EndTransaction::read(&batch.to_vec()).unwrap_or_default()).flatten()
}
