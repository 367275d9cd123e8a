//! Opening a log: what is on disk becomes segments, producers and epochs again.
//!
//! - V1 A snapshot of producers at an offset exists only once all below it (batches, index entries, epochs) was
//!   synced: recovery trusts everything below the newest sound snapshot and derives everything else from the
//!   batches behind it. The cost follows from what was written since, never from the size of the log.
//! - V2 A bad batch below what was durable, or further from the end than may be unsynced, is corruption: nothing
//!   is cut. Anything else bad is a torn tail: it is cut, together with what follows it (D1).
//! - V3 What is kept is synced before it is used. Later segments go before the one in front is cut, so that a crash
//!   in between finds a torn tail again, only a shorter one (I10).

use std::io::{self, ErrorKind};
use std::sync::Arc;

use model::limits::UNSYNCED_BYTES_MAX;
use model::{LeaderEpoch, Offset, TimestampMs, TopicId};
use record::BatchHeader;
use rt::{File, Open};

use crate::batch_scan::{BatchScan, Depth, Found, ScanError};
use crate::config::LogConfig;
use crate::folder::Folder;
use crate::index_file::{Entry, IndexFile, last_entry, sorted_prefix};
use crate::leader_epochs::LeaderEpochs;
use crate::log_error::{Corruption, Damage, LogError};
use crate::names::{self, Kind};
use crate::offset_index::OffsetEntry;
use crate::partition_folder::{read_topic_id, topic_id_text};
use crate::producer_snapshot;
use crate::producers::Producers;
use crate::segment::{IndexCursor, Segment};
use crate::time_index::TimeEntry;

/// How the log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// By a clean shutdown: everything was synced.
    Clean,
    /// By a crash; everything below this offset was synced (the recovery point; zero when nothing is known).
    From(Offset),
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of batches read anew.
    pub scanned_bytes: u64,
    /// Bytes of torn tail cut off.
    pub cut_bytes: u64,
    /// Segments removed with it.
    pub cut_segments: usize,
    /// Segments whose indexes were missing or damaged and were built anew.
    pub rebuilt_indexes: usize,
}

/// What the writer starts from.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) cursor: IndexCursor,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    /// Snapshots on disk, ascending.
    pub(crate) snapshots: Vec<Offset>,
    /// Files changed and not synced; none after [`Recovery::From`].
    pub(crate) unsynced: Vec<File>,
    /// Whether names changed that were not synced: in the folder, and of the folder.
    pub(crate) unsynced_names: bool,
    pub(crate) report: RecoveryReport,
}

/// More bytes than this behind the last entry of an index, and not one batch alone: entries are missing.
const UNINDEXED_BYTES_MAX: u64 = 1 << 20;

/// Opens what is in `folder`, creating it when there is nothing.
pub(crate) fn recover(
    folder: &Arc<Folder>,
    config: &LogConfig,
    recovery: Recovery,
    start_offset: Offset,
    topic_id: Option<TopicId>,
) -> Result<Recovered, LogError> {
    let created = !folder.fs.exists(&folder.dir)?;
    if created {
        folder.fs.create_dir_all(&folder.dir)?;
    }
    let named = name_topic(folder, topic_id)?;
    let listing = list(folder, start_offset)?;
    let durable = match recovery {
        Recovery::Clean => start_offset,
        Recovery::From(recovery_point) => recovery_point.max(start_offset),
    };
    let Some(&first) = listing.bases.first() else {
        return create(folder, start_offset, durable, named);
    };
    let start = start_offset.max(first);
    let (trusted, producers, snapshots) = newest_snapshot(folder, &listing, first)?;
    let (mut epochs, epochs_known) = read_epochs(folder)?;
    let epochs_before = epochs.clone();
    // Behind the snapshot the file may be older or newer than the batches: they say it all again.
    epochs.truncate_from_end(trusted);
    let mut work = Work {
        folder,
        config,
        recovery,
        trusted,
        durable: durable.max(trusted),
        replay_epochs_from: if epochs_known { trusted } else { first },
        epochs,
        producers,
        segments: Vec::new(),
        cursor: IndexCursor::START,
        next: first,
        names_changed: created || listing.removed || named.is_some(),
        touched: named.into_iter().collect(),
        report: RecoveryReport::default(),
    };
    work.load_all(&listing.bases)?;
    work.epochs.truncate_from_end(work.next);
    work.epochs.truncate_from_start(start);
    if work.epochs != epochs_before || !epochs_known {
        let file = write_epochs(folder, &work.epochs)?;
        work.touched.push(file);
        work.names_changed = true;
    }
    work.finish(start, snapshots)
}

/// Sees to it that the folder says which topic it belongs to; yields the file when it had to be written.
fn name_topic(folder: &Folder, topic_id: Option<TopicId>) -> Result<Option<File>, LogError> {
    let Some(wanted) = topic_id else { return Ok(None) };
    match read_topic_id(&folder.fs, &folder.dir)? {
        Some(found) if found == wanted => Ok(None),
        Some(found) => Err(LogError::OtherTopic { found, wanted }),
        None => {
            let file = folder.fs.open(&folder.dir.join(names::PARTITION_METADATA), Open::Create)?;
            file.set_len(0)?;
            file.write_all_at(&[io::IoSlice::new(topic_id_text(wanted).as_bytes())], 0)?;
            Ok(Some(file))
        }
    }
}

struct Listing {
    bases: Vec<Offset>,
    snapshots: Vec<Offset>,
    removed: bool,
}

/// Lists the folder and removes what a crash left half-done, and segments below the start of the log.
fn list(folder: &Folder, start_offset: Offset) -> io::Result<Listing> {
    let (mut bases, mut indexes, mut snapshots, mut removed) = (Vec::new(), Vec::new(), Vec::new(), false);
    for entry in folder.fs.read_dir(&folder.dir)? {
        let leftover =
            [".tmp", ".deleted", ".cleaned", ".swap"].iter().any(|suffix| entry.name.ends_with(suffix));
        match names::parse(&entry.name) {
            Some((base, Kind::Log)) => bases.push(base),
            Some((base, Kind::OffsetIndex | Kind::TimeIndex)) => indexes.push((base, entry.name)),
            Some((offset, Kind::Snapshot)) => snapshots.push(offset),
            None if leftover && !entry.is_dir => {
                folder.fs.remove_file(&folder.dir.join(&entry.name))?;
                removed = true;
            }
            None => {}
        }
    }
    for (base, name) in indexes {
        if bases.binary_search(&base).is_err() {
            folder.fs.remove_file(&folder.dir.join(name))?;
            removed = true;
        }
    }
    let below = bases.partition_point(|&base| base <= start_offset).saturating_sub(1);
    for base in bases.drain(..below) {
        remove_segment(folder, base)?;
        removed = true;
    }
    Ok(Listing { bases, snapshots, removed })
}

/// Removes the files of a segment; what a crash leaves of them is removed or built anew at the next start.
pub(crate) fn remove_segment(folder: &Folder, base: Offset) -> io::Result<()> {
    for kind in [Kind::OffsetIndex, Kind::TimeIndex, Kind::Log] {
        folder.remove_if_there(&folder.path(base, kind))?;
    }
    Ok(())
}

/// A log that holds nothing yet.
fn create(
    folder: &Arc<Folder>,
    start: Offset,
    durable: Offset,
    named: Option<File>,
) -> Result<Recovered, LogError> {
    if start < durable {
        let what = Damage::Missing { from: start, to: durable };
        return Err(Corruption { path: folder.dir.clone(), position: 0, what }.into());
    }
    Ok(Recovered {
        segments: vec![create_segment(folder, start)?],
        cursor: IndexCursor::START,
        start,
        end: start,
        epochs: LeaderEpochs::default(),
        producers: Producers::default(),
        snapshots: Vec::new(),
        unsynced: named.into_iter().collect(),
        unsynced_names: true,
        report: RecoveryReport::default(),
    })
}

/// Creates the three files of an empty segment; nothing is synced.
pub(crate) fn create_segment(folder: &Arc<Folder>, base: Offset) -> io::Result<Arc<Segment>> {
    folder.fs.open(&folder.path(base, Kind::Log), Open::CreateNew)?;
    for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
        // One may be left of a segment whose batches are gone.
        folder.fs.open(&folder.path(base, kind), Open::Create)?.set_len(0)?;
    }
    let (offsets, times) = (IndexFile::new(0, None), IndexFile::new(0, None));
    Ok(Arc::new(Segment::new(Arc::clone(folder), base, 0, offsets, times)))
}

/// The newest sound snapshot at or above `first`, what it holds, and all that are left on disk.
fn newest_snapshot(
    folder: &Folder,
    listing: &Listing,
    first: Offset,
) -> io::Result<(Offset, Producers, Vec<Offset>)> {
    let mut kept = listing.snapshots.clone();
    while let Some(&newest) = kept.last().filter(|&&newest| first <= newest) {
        let path = folder.path(newest, Kind::Snapshot);
        if let Some(producers) = producer_snapshot::decode(&folder.fs.read(&path)?) {
            return Ok((newest, producers, kept));
        }
        tracing::warn!(path = %path.display(), "snapshot of producers is damaged; an older one is used");
        folder.remove_if_there(&path)?;
        kept.pop();
    }
    Ok((first, Producers::default(), kept))
}

/// The epochs, and whether the file could be read; a file that is missing knows nothing.
fn read_epochs(folder: &Folder) -> io::Result<(LeaderEpochs, bool)> {
    match folder.fs.read(&folder.dir.join(names::LEADER_EPOCHS)) {
        Ok(bytes) => {
            let epochs = LeaderEpochs::from_text(&bytes);
            Ok((epochs.clone().unwrap_or_default(), epochs.is_some()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok((LeaderEpochs::default(), false)),
        Err(error) => Err(error),
    }
}

/// Replaces the checkpoint of epochs. Not synced: the caller syncs the file and the folder's names, and until then
/// either file may be found, whole or not; what is not readable comes from the batches (L2).
pub(crate) fn write_epochs(folder: &Folder, epochs: &LeaderEpochs) -> io::Result<File> {
    let path = folder.dir.join(names::LEADER_EPOCHS);
    let temporary = folder.dir.join(format!("{}.tmp", names::LEADER_EPOCHS));
    let file = folder.fs.open(&temporary, Open::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[io::IoSlice::new(epochs.to_text().as_bytes())], 0)?;
    folder.fs.rename(&temporary, &path)?;
    Ok(file)
}

/// Where a log stops being sound.
struct Torn {
    /// Which of the listed segments.
    segment: usize,
    position: u64,
    what: Damage,
}

struct Work<'a> {
    folder: &'a Arc<Folder>,
    config: &'a LogConfig,
    recovery: Recovery,
    /// Everything below was synced before the snapshot here was written (V1).
    trusted: Offset,
    /// Everything below was synced: losing it is corruption.
    durable: Offset,
    replay_epochs_from: Offset,
    epochs: LeaderEpochs,
    producers: Producers,
    segments: Vec<Arc<Segment>>,
    cursor: IndexCursor,
    /// The offset after the last batch seen.
    next: Offset,
    touched: Vec<File>,
    names_changed: bool,
    report: RecoveryReport,
}

impl Work<'_> {
    fn load_all(&mut self, bases: &[Offset]) -> Result<(), LogError> {
        let scanned_from = self.first_scanned(bases.iter().copied());
        for pair in bases[..=scanned_from].windows(2) {
            self.load_trusted(pair[0], pair[1])?;
        }
        for index in scanned_from..bases.len() {
            let base = bases[index];
            // Segments are created at the end of the one before; only compaction, far behind, leaves gaps.
            if scanned_from < index && base != self.next {
                let torn =
                    Torn { segment: index, position: 0, what: Damage::Missing { from: self.next, to: base } };
                return self.cut(bases, torn);
            }
            self.next = base;
            if let Some((position, what)) = self.scan(base)? {
                return self.cut(bases, Torn { segment: index, position, what });
            }
        }
        if self.next < self.durable {
            let last = self.segments.last().map_or(0, |segment| segment.size());
            let path = self.folder.path(bases[bases.len() - 1], Kind::Log);
            let what = Damage::Missing { from: self.next, to: self.durable };
            return Err(Corruption { path, position: last, what }.into());
        }
        Ok(())
    }

    /// The segment to walk first. One that ends just where the trust does is walked too: a log that rested there and
    /// was rolled later closed its time index after the snapshot.
    fn first_scanned(&self, bases: impl Iterator<Item = Offset>) -> usize {
        bases.take_while(|&base| base < self.trusted).count().saturating_sub(1)
    }

    /// A segment that ends below what is trusted: only its indexes are looked at.
    fn load_trusted(&mut self, base: Offset, next_base: Offset) -> Result<(), LogError> {
        let size = self.folder.fs.file_len(&self.folder.path(base, Kind::Log))?;
        let sound_offsets = self.last_of::<OffsetEntry>(base, Kind::OffsetIndex)?.filter(|(_, last)| {
            last.is_none_or(|last| {
                last.is_sound() && last.position() < size && last.last_offset(base) < next_base
            })
        });
        // A segment that was closed has its largest timestamp as last entry, whatever else is there.
        let sound_times = self.last_of::<TimeEntry>(base, Kind::TimeIndex)?.filter(|(_, last)| {
            last.map_or(size == 0, |last| last.is_sound() && last.last_offset(base) < next_base)
        });
        let mut complete = false;
        if let (Some((offsets, last_offset)), Some((times, last_time))) = (sound_offsets, sound_times) {
            let (offsets, times) = (IndexFile::new(offsets, last_offset), IndexFile::new(times, last_time));
            let segment = Segment::new(Arc::clone(self.folder), base, size, offsets, times);
            complete = reaches_end(&segment, size)?;
            if complete {
                self.segments.push(Arc::new(segment));
            }
        }
        if !complete {
            self.rebuild_indexes(base, size)?;
        }
        if self.replay_epochs_from < self.trusted {
            self.replay_epochs(base)?;
        }
        Ok(())
    }

    fn last_of<E: Entry>(&self, base: Offset, kind: Kind) -> io::Result<Option<(u64, Option<E>)>> {
        let path = self.folder.path(base, kind);
        let file = match self.folder.fs.open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = file.file_len()?;
        let width = crate::batch_scan::bytes(E::WIDTH);
        if len % width != 0 {
            return Ok(None);
        }
        Ok(Some((len / width, last_entry(&file, len / width)?)))
    }

    fn rebuild_indexes(&mut self, base: Offset, size: u64) -> Result<(), LogError> {
        tracing::warn!(path = %self.folder.path(base, Kind::Log).display(), "indexes are missing or damaged; rebuilding");
        self.report.rebuilt_indexes += 1;
        let segment = self.segment_indexed_to(base, size, Vec::new(), Vec::new())?;
        let file = segment.file(Kind::Log)?;
        let mut scan = BatchScan::new(&file, 0, size, Depth::Checksums);
        let mut cursor = IndexCursor::START;
        while let Some(found) = segment.scanned(scan.next())? {
            segment.index(&mut cursor, &found.header, found.position, self.config.index_interval_bytes);
            self.report.scanned_bytes += found.end() - found.position;
        }
        segment.index_time(cursor.largest);
        segment.cut(size, cursor.largest);
        segment.mark_checked(0..size);
        self.flush_indexes(&segment)?;
        self.segments.push(Arc::new(segment));
        Ok(())
    }

    fn replay_epochs(&mut self, base: Offset) -> Result<(), LogError> {
        let Some(segment) = self.segments.last().map(Arc::clone) else { return Ok(()) };
        debug_assert_eq!(segment.base(), base);
        let file = segment.file(Kind::Log)?;
        let mut scan = BatchScan::new(&file, 0, segment.size(), Depth::Headers);
        while let Some(found) = segment.scanned(scan.next())? {
            self.note_epoch(&found.header);
        }
        Ok(())
    }

    fn note_epoch(&mut self, header: &BatchHeader) {
        let newer = |(latest, _): (LeaderEpoch, Offset)| latest < header.partition_leader_epoch;
        if self.epochs.latest().is_none_or(newer) {
            self.epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
    }

    /// Walks a segment from the last place that is trusted. `Some` says where it stops being sound.
    fn scan(&mut self, base: Offset) -> Result<Option<(u64, Damage)>, LogError> {
        let path = self.folder.path(base, Kind::Log);
        let size = self.folder.fs.file_len(&path)?;
        let (segment, start) = self.segment_trusted_to(base, size)?;
        let file = segment.file(Kind::Log)?;
        let depth = match self.recovery {
            Recovery::Clean => Depth::Headers,
            Recovery::From(_) => Depth::Checksums,
        };
        let mut scan = BatchScan::new(&file, start, size, depth);
        let mut end = start;
        let torn = loop {
            match scan.next() {
                Ok(None) => break None,
                Err(ScanError::Io(error)) => return Err(error.into()),
                Err(ScanError::Bad { position, error }) => break Some((position, Damage::Batch(error))),
                Ok(Some(found)) if !self.may_follow(base, &found.header) => {
                    let what = Damage::OffsetOrder { expected: self.next, found: found.header.base_offset };
                    break Some((found.position, what));
                }
                Ok(Some(found)) => {
                    self.on_batch(&segment, &found);
                    end = found.end();
                }
            }
        };
        if depth == Depth::Checksums {
            segment.mark_checked(start..end);
        }
        self.report.scanned_bytes += end - start;
        segment.cut(end, self.cursor.largest);
        self.segments.push(Arc::new(segment));
        Ok(torn)
    }

    /// Whether a batch's offsets can stand here: the base offset is not covered by the checksum.
    fn may_follow(&self, base: Offset, header: &BatchHeader) -> bool {
        let fits = i32::try_from(header.last_offset().since(base)).is_ok();
        self.next <= header.base_offset && fits
    }

    fn on_batch(&mut self, segment: &Segment, found: &Found) {
        let header = &found.header;
        segment.index(&mut self.cursor, header, found.position, self.config.index_interval_bytes);
        if self.trusted <= header.base_offset {
            self.producers.on_append(header, TimestampMs::NONE);
        }
        if self.replay_epochs_from <= header.base_offset {
            self.note_epoch(header);
        }
        self.next = header.next_offset();
    }

    /// A segment with the part of its indexes that is trusted, and where to walk on from.
    fn segment_trusted_to(&mut self, base: Offset, size: u64) -> Result<(Segment, u64), LogError> {
        self.cursor = IndexCursor::START;
        if self.replay_epochs_from < self.trusted {
            return Ok((self.segment_indexed_to(base, size, Vec::new(), Vec::new())?, 0));
        }
        let Some((offsets, times)) = self.trusted_entries(base, size)? else {
            self.report.rebuilt_indexes += 1;
            return Ok((self.segment_indexed_to(base, size, Vec::new(), Vec::new())?, 0));
        };
        let Some(floor) = offsets.last().copied() else {
            let segment = self.segment_indexed_to(base, size, offsets, times)?;
            self.cursor.largest = segment.largest();
            return Ok((segment, 0));
        };
        let segment = self.segment_indexed_to(base, size, offsets, times)?;
        let at_floor = {
            let file = segment.file(Kind::Log)?;
            BatchScan::new(&file, floor.position(), size, Depth::Headers).next()
        };
        match at_floor {
            Ok(Some(found)) if found.header.last_offset() == floor.last_offset(base) => {
                self.cursor.largest = segment.largest();
                self.next = found.header.base_offset;
                Ok((segment, floor.position()))
            }
            Err(ScanError::Io(error)) => Err(error.into()),
            Ok(_) | Err(ScanError::Bad { .. }) => {
                self.report.rebuilt_indexes += 1;
                Ok((self.segment_indexed_to(base, size, Vec::new(), Vec::new())?, 0))
            }
        }
    }

    /// The entries below what is trusted; `None` when an index is missing or cannot be what was written.
    fn trusted_entries(
        &self,
        base: Offset,
        size: u64,
    ) -> io::Result<Option<(Vec<OffsetEntry>, Vec<TimeEntry>)>> {
        let offsets = self.read_index::<OffsetEntry>(base, Kind::OffsetIndex)?;
        let times = self.read_index::<TimeEntry>(base, Kind::TimeIndex)?;
        let (Some(mut offsets), Some(mut times)) = (offsets, times) else { return Ok(None) };
        offsets.retain(|entry| entry.last_offset(base) < self.trusted && entry.position() < size);
        times.retain(|entry| entry.last_offset(base) < self.trusted);
        let lacks_times = times.is_empty() && !offsets.is_empty();
        Ok(Some((offsets, times)).filter(|_| !lacks_times))
    }

    /// Reads an index as far as it is in order. After a crash its end may be torn; after a clean shutdown it may not.
    fn read_index<E: Entry>(&self, base: Offset, kind: Kind) -> io::Result<Option<Vec<E>>> {
        match self.folder.fs.read(&self.folder.path(base, kind)) {
            Ok(bytes) => {
                let entries: Vec<E> = sorted_prefix(&bytes);
                let whole = entries.len() * E::WIDTH == bytes.len();
                Ok(Some(entries).filter(|_| whole || self.recovery != Recovery::Clean))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A segment whose index files hold just these entries.
    fn segment_indexed_to(
        &mut self,
        base: Offset,
        size: u64,
        offsets: Vec<OffsetEntry>,
        times: Vec<TimeEntry>,
    ) -> io::Result<Segment> {
        let offsets = self.index_of(base, Kind::OffsetIndex, &offsets)?;
        let times = self.index_of(base, Kind::TimeIndex, &times)?;
        Ok(Segment::new(Arc::clone(self.folder), base, size, offsets, times))
    }

    /// Cuts an index file to the entries that are kept, a prefix of it.
    fn index_of<E: Entry>(&mut self, base: Offset, kind: Kind, kept: &[E]) -> io::Result<IndexFile<E>> {
        let path = self.folder.path(base, kind);
        self.names_changed |= !self.folder.fs.exists(&path)?;
        let file = self.folder.fs.open(&path, Open::Create)?;
        let count = crate::batch_scan::bytes(kept.len());
        let len = count * crate::batch_scan::bytes(E::WIDTH);
        if file.file_len()? != len {
            file.set_len(len)?;
            self.touched.push(file);
        }
        Ok(IndexFile::new(count, kept.last().copied()))
    }

    /// Cuts a torn tail, or says that it is corruption (V2).
    fn cut(&mut self, bases: &[Offset], torn: Torn) -> Result<(), LogError> {
        let mut left = 0;
        for (index, &base) in bases.iter().enumerate().skip(torn.segment) {
            let size = self.folder.fs.file_len(&self.folder.path(base, Kind::Log))?;
            left += if index == torn.segment { size.saturating_sub(torn.position) } else { size };
        }
        let path = self.folder.path(bases[torn.segment], Kind::Log);
        if self.recovery == Recovery::Clean || self.next < self.durable || UNSYNCED_BYTES_MAX < left {
            return Err(Corruption { path, position: torn.position, what: torn.what }.into());
        }
        tracing::warn!(
            path = %path.display(), position = torn.position, bytes = left, offset = self.next.0,
            "cutting a tail that was never synced"
        );
        self.report.cut_bytes = left;
        let kept = self.segments.len();
        for &base in bases[kept..].iter().rev() {
            remove_segment(self.folder, base)?;
            self.report.cut_segments += 1;
        }
        if kept < bases.len() {
            // Names first: were the cut durable before them, a crash would leave a gap in front of later segments.
            self.folder.fs.sync_dir(&self.folder.dir)?;
        }
        if let Some(last) = self.segments.last() {
            last.file(Kind::Log)?.set_len(last.size())?;
        }
        self.names_changed = true;
        Ok(())
    }

    fn flush_indexes(&mut self, segment: &Segment) -> io::Result<()> {
        if segment.offsets.flush(|| segment.file(Kind::OffsetIndex))? {
            self.touched.push(segment.file(Kind::OffsetIndex)?);
        }
        if segment.times.flush(|| segment.file(Kind::TimeIndex))? {
            self.touched.push(segment.file(Kind::TimeIndex)?);
        }
        Ok(())
    }

    fn finish(mut self, start: Offset, snapshots: Vec<Offset>) -> Result<Recovered, LogError> {
        let scanned_from = self.first_scanned(self.segments.iter().map(|segment| segment.base()));
        let scanned: Vec<Arc<Segment>> = self.segments[scanned_from..].to_vec();
        for (index, segment) in scanned.iter().enumerate() {
            if index + 1 < scanned.len() {
                segment.index_time(segment.largest());
            }
            self.flush_indexes(segment)?;
        }
        let beyond = snapshots.partition_point(|&offset| offset <= self.next);
        for &offset in &snapshots[beyond..] {
            self.folder.remove_if_there(&self.folder.path(offset, Kind::Snapshot))?;
            self.names_changed = true;
        }
        if let Recovery::From(_) = self.recovery {
            // V3. Nothing behind the snapshot means that everything was synced before.
            if self.trusted < self.next || self.report.cut_bytes != 0 {
                for segment in &scanned {
                    segment.file(Kind::Log)?.sync_all()?;
                }
            }
            for file in self.touched.drain(..) {
                file.sync_all()?;
            }
            if self.names_changed || self.trusted < self.next {
                self.folder.fs.sync_dir(&self.folder.dir)?;
                self.folder.fs.sync_dir(self.folder.parent())?;
                self.names_changed = false;
            }
        }
        Ok(Recovered {
            segments: self.segments,
            cursor: self.cursor,
            start,
            end: self.next,
            epochs: self.epochs,
            producers: self.producers,
            snapshots: snapshots[..beyond].to_vec(),
            unsynced: self.touched,
            // An empty newest segment may have lost its name in the crash and be this run's to make durable.
            unsynced_names: self.names_changed || self.recovery != Recovery::Clean,
            report: self.report,
        })
    }
}

/// Whether an index goes on to the end of its segment, as far as an index of any interval does.
fn reaches_end(segment: &Segment, size: u64) -> Result<bool, LogError> {
    let last = segment.offsets.last().map_or(0, |entry| entry.position());
    if size - last.min(size) <= UNINDEXED_BYTES_MAX {
        return Ok(true);
    }
    let batch = segment.batch_at(last, size)?;
    Ok(batch.is_some_and(|batch| size - batch.end() <= UNINDEXED_BYTES_MAX))
}
