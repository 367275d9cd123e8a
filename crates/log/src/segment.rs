//! One segment: a file of record batches, its offset index, its time index and its aborted transactions.
//!
//! - S1 Batches are contiguous, each at or after the offset that follows the one before it.
//! - S2 Bytes below `size` never change while the segment lives: it grows by appends, or ends earlier for good.
//! - S3 Marks of what was checked lie at batch boundaries.
//! - S4 A segment never reads another's files, though compaction gives its names to another one.
//!
//! The writer adds, readers look up at the same time. Knows nothing of what is durable.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use model::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use model::{Offset, TimestampMs};
use record::{BatchHeader, RecordView};
use rt::{File, SliceOwner};

use crate::aborted_index::AbortedEntry;
use crate::batch_scan::{BatchScan, Depth, Found, ScanError};
use crate::checked_ranges::CheckedRanges;
use crate::folder::Folder;
use crate::index_file::IndexFile;
use crate::locks::{lock, read, write};
use crate::log_error::{Corruption, Damage, LogError, ReadError, Unreadable};
use crate::names::Kind;
use crate::offset_index::OffsetEntry;
use crate::reader::Cold;
use crate::time_index::TimeEntry;

/// The largest timestamp among some batches, and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Largest {
    pub(crate) timestamp: TimestampMs,
    pub(crate) last_offset: Offset,
}

impl Largest {
    /// Of no batches.
    pub(crate) const NONE: Largest = Largest { timestamp: TimestampMs::NONE, last_offset: Offset(-1) };

    pub(crate) fn with(self, header: &BatchHeader) -> Largest {
        if self.timestamp < header.max_timestamp {
            Largest { timestamp: header.max_timestamp, last_offset: header.last_offset() }
        } else {
            self
        }
    }
}

/// How far the indexes of a growing segment have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexCursor {
    /// Bytes of batches since the last entry.
    pub(crate) bytes_since_entry: u64,
    pub(crate) largest: Largest,
}

impl IndexCursor {
    pub(crate) const START: IndexCursor = IndexCursor { bytes_since_entry: 0, largest: Largest::NONE };
}

/// Where a search by headers ended.
struct Reached {
    found: Option<Found>,
    /// The end of the batches that it passed.
    passed: u64,
}

pub(crate) struct Segment {
    folder: Arc<Folder>,
    number: u64,
    base: Offset,
    size: AtomicU64,
    largest: Mutex<Largest>,
    /// Whether batches bore `largest` out: after a start it is what the time index says.
    largest_is_sure: AtomicBool,
    checked: Mutex<CheckedRanges>,
    pub(crate) offsets: IndexFile<OffsetEntry>,
    pub(crate) times: IndexFile<TimeEntry>,
    pub(crate) aborted: IndexFile<AbortedEntry>,
    /// Its files while they do not bear its names: compaction made it.
    held: RwLock<Vec<(Kind, File)>>,
    /// Another segment bears its names.
    is_replaced: AtomicBool,
}

/// What could not be read when it was sent counts as never checked: its next reader hears what is wrong with it.
impl SliceOwner for Segment {
    fn on_unreadable(&self, range: Range<u64>) {
        self.mark_unchecked(&range);
    }
}

impl Segment {
    /// A segment of `size` bytes and its indexes.
    pub(crate) fn new(
        folder: Arc<Folder>,
        base: Offset,
        size: u64,
        offsets: IndexFile<OffsetEntry>,
        times: IndexFile<TimeEntry>,
        aborted: IndexFile<AbortedEntry>,
    ) -> Segment {
        let largest = times.last().map_or(Largest::NONE, |entry| Largest {
            timestamp: entry.timestamp(),
            last_offset: entry.last_offset(base),
        });
        Segment {
            number: folder.files.number_segment(),
            folder,
            base,
            size: AtomicU64::new(size),
            largest: Mutex::new(largest),
            largest_is_sure: AtomicBool::new(size == 0),
            checked: Mutex::default(),
            offsets,
            times,
            aborted,
            held: RwLock::default(),
            is_replaced: AtomicBool::new(false),
        }
    }

    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Bytes that readers may see.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn largest(&self) -> Largest {
        *lock(&self.largest)
    }

    /// The same, borne out by a batch, or found anew where the time index was wrong.
    pub(crate) fn sure_largest(&self) -> Result<Largest, ReadError> {
        let claimed = self.largest();
        if self.largest_is_sure.load(Ordering::Acquire) {
            return Ok(claimed);
        }
        let largest = if self.is_borne_out(claimed)? { claimed } else { self.largest_of_all()? };
        *lock(&self.largest) = largest;
        self.largest_is_sure.store(true, Ordering::Release);
        Ok(largest)
    }

    /// Whether there is a batch that ends at this offset and has this timestamp.
    pub(crate) fn is_borne_out(&self, claimed: Largest) -> Result<bool, ReadError> {
        let found = self.locate(claimed.last_offset, self.size())?;
        Ok(found.is_some_and(|found| Largest::NONE.with(&found.header) == claimed))
    }

    fn largest_of_all(&self) -> Result<Largest, ReadError> {
        let file = self.file(Kind::Log)?;
        let mut scan = BatchScan::new(&file, 0, self.size(), Depth::Checksums);
        let mut largest = Largest::NONE;
        while let Some(found) = self.scanned(scan.next())? {
            largest = largest.with(&found.header);
        }
        Ok(largest)
    }

    /// An entry of the time index, if its batch bears it out: else its segment is walked from the front.
    fn believed(&self, entry: Option<TimeEntry>) -> Result<Option<TimeEntry>, ReadError> {
        let Some(entry) = entry else { return Ok(None) };
        let claimed = Largest { timestamp: entry.timestamp(), last_offset: entry.last_offset(self.base) };
        Ok(self.is_borne_out(claimed)?.then_some(entry))
    }

    /// One of its files, from the open ones or opened now; `NotFound` when the segment is no part of its log any more.
    pub(crate) fn file(&self, kind: Kind) -> io::Result<File> {
        if let Some((_, held)) = read(&self.held).iter().find(|(of, _)| *of == kind) {
            return Ok(held.clone());
        }
        self.folder.files.get((self.number, kind), || {
            let file = self.folder.open(self.base, kind)?;
            // Looked at after the opening: what bore the name before it was given away is this segment's.
            if self.is_replaced.load(Ordering::SeqCst) { Err(ErrorKind::NotFound.into()) } else { Ok(file) }
        })
    }

    /// Reads through these files until they bear their names.
    pub(crate) fn hold(&self, files: Vec<(Kind, File)>) {
        *write(&self.held) = files;
    }

    /// The files bear their names now.
    pub(crate) fn let_go(&self) {
        *write(&self.held) = Vec::new();
    }

    /// Opens nothing by its names from now on: they are about to be another's.
    pub(crate) fn give_names_away(&self) {
        self.is_replaced.store(true, Ordering::SeqCst);
        self.forget_files();
    }

    /// When its records were last added to, as its file system says.
    pub(crate) fn modified(&self) -> io::Result<TimestampMs> {
        self.folder.fs.modified_ms(&self.folder.path(self.base, Kind::Log)).map(TimestampMs)
    }

    /// Lets go of its descriptors; the files are about to be removed or replaced.
    pub(crate) fn forget_files(&self) {
        self.folder.files.forget(self.number);
    }

    /// Adds what the indexes say about the batch at `position`, the next one.
    pub(crate) fn index(&self, cursor: &mut IndexCursor, header: &BatchHeader, position: u64, interval: u64) {
        let size = crate::batch_scan::bytes(header.size_in_bytes());
        cursor.largest = cursor.largest.with(header);
        if interval < cursor.bytes_since_entry
            && let Some(entry) = OffsetEntry::new(self.base, header.last_offset(), position)
        {
            self.offsets.push(entry);
            self.index_time(cursor.largest);
            cursor.bytes_since_entry = 0;
        }
        cursor.bytes_since_entry += size;
    }

    /// Adds the largest timestamp so far to the time index: with every entry, and when the segment closes.
    pub(crate) fn index_time(&self, largest: Largest) {
        if TimestampMs::NONE < largest.timestamp
            && let Some(entry) = TimeEntry::new(self.base, largest.timestamp, largest.last_offset)
        {
            self.times.push(entry);
        }
    }

    /// Whether enough index entries wait in memory to be worth a write.
    pub(crate) fn wants_flush(&self) -> bool {
        self.offsets.wants_flush() || self.times.wants_flush() || self.aborted.wants_flush()
    }

    /// Writes index entries that wait in memory; adds the files to those that are to be synced, also when one fails.
    pub(crate) fn flush_indexes(&self, unsynced: &mut BTreeMap<Kind, File>) -> io::Result<()> {
        let offsets = self.offsets.flush(|| self.file(Kind::OffsetIndex))?;
        unsynced.extend(offsets.map(|file| (Kind::OffsetIndex, file)));
        let times = self.times.flush(|| self.file(Kind::TimeIndex))?;
        unsynced.extend(times.map(|file| (Kind::TimeIndex, file)));
        let aborted_file = || self.folder.new_segment_file(self.number, self.base, Kind::AbortedIndex);
        let aborted = self.aborted.flush(aborted_file)?;
        unsynced.extend(aborted.map(|file| (Kind::AbortedIndex, file)));
        Ok(())
    }

    /// Lets readers see what was appended up to `size`; this process wrote it, so it is checked.
    pub(crate) fn grow(&self, size: u64, largest: Largest) {
        let before = self.size.swap(size, Ordering::AcqRel);
        *lock(&self.largest) = largest;
        self.mark_checked(before..size);
    }

    /// Ends the segment at `size` (S2); its indexes were cut before.
    pub(crate) fn cut(&self, size: u64, largest: Largest) {
        self.size.store(size, Ordering::Release);
        lock(&self.checked).cut(size);
        *lock(&self.largest) = largest;
        self.largest_is_sure.store(true, Ordering::Release);
    }

    pub(crate) fn mark_checked(&self, range: Range<u64>) {
        lock(&self.checked).add(range);
    }

    /// Forgets that a range was checked: it has been found bad since.
    pub(crate) fn mark_unchecked(&self, range: &Range<u64>) {
        lock(&self.checked).remove(range);
    }

    /// From where on a range was neither written nor checked by this process.
    pub(crate) fn first_unchecked(&self, range: &Range<u64>) -> Option<u64> {
        lock(&self.checked).first_unchecked(range)
    }

    /// Whether all of a range was written or checked by this process.
    pub(crate) fn is_checked(&self, range: &Range<u64>) -> bool {
        self.first_unchecked(range).is_none()
    }

    /// Whether anything of it was written or checked by this process.
    pub(crate) fn is_any_checked(&self) -> bool {
        !lock(&self.checked).is_empty()
    }

    /// The first batch that holds `offset` or a later one, among the first `size` bytes.
    pub(crate) fn locate(&self, offset: Offset, size: u64) -> Result<Option<Found>, ReadError> {
        self.locate_among(offset, size, Cold::Check)
    }

    /// The same, where the disk may not have to be waited for.
    pub(crate) fn locate_among(
        &self,
        offset: Offset,
        size: u64,
        cold: Cold,
    ) -> Result<Option<Found>, ReadError> {
        let hint = self
            .offsets
            .last_where(|| self.file(Kind::OffsetIndex), |entry| entry.last_offset(self.base) <= offset)?;
        let file = self.file(Kind::Log)?;
        if let Some(hint) = hint
            && hint.position() < size
        {
            let mut scan = BatchScan::new(&file, hint.position(), size, Depth::Headers);
            // An entry is only a hint: without its batch in its place the search starts at the front.
            if let Ok(Some(first)) = scan.next()
                && first.header.last_offset() == hint.last_offset(self.base)
            {
                let from = hint.position();
                return self.believe(offset, from, self.first_reaching(offset, Some(first), scan)?, cold);
            }
        }
        let scan = BatchScan::new(&file, 0, size, Depth::Headers);
        self.believe(offset, 0, self.first_reaching(offset, None, scan)?, cold)
    }

    fn first_reaching(
        &self,
        offset: Offset,
        first: Option<Found>,
        mut scan: BatchScan<'_>,
    ) -> Result<Reached, ReadError> {
        let mut next = match first {
            Some(first) => Some(first),
            None => self.scanned(scan.next())?,
        };
        let mut passed = 0;
        while let Some(found) = next {
            if offset <= found.header.last_offset() {
                return Ok(Reached { found: Some(found), passed: found.position });
            }
            passed = found.end();
            next = self.scanned(scan.next())?;
        }
        Ok(Reached { found: None, passed })
    }

    /// Checks what a search that began at `from` passed: a damaged header would lead it past what it looks for.
    fn believe(
        &self,
        offset: Offset,
        from: u64,
        Reached { found, passed }: Reached,
        cold: Cold,
    ) -> Result<Option<Found>, ReadError> {
        let holds = |found: &Found| found.header.base_offset <= offset;
        let is_sure =
            found.is_some_and(|found| holds(&found) && self.is_checked(&(found.position..found.end())));
        if !is_sure && from < passed && !self.is_checked(&(from..passed)) {
            if cold == Cold::Refuse {
                return Err(ReadError::Cold);
            }
            self.verify(from..passed, Offset(i64::MAX))?;
        }
        Ok(found)
    }

    /// The batch at `position`.
    pub(crate) fn batch_at(&self, position: u64, size: u64) -> Result<Option<Found>, ReadError> {
        let file = self.file(Kind::Log)?;
        let found = BatchScan::new(&file, position, size, Depth::Headers).next();
        self.scanned(found)
    }

    /// The first record at `from` or later with a timestamp of `wanted` or later, among the first `size` bytes.
    pub(crate) fn first_at_or_after(
        &self,
        wanted: TimestampMs,
        from: Offset,
        size: u64,
    ) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        // Every batch up to this entry is older than what is wanted, so its record lies behind it.
        let older =
            self.times.last_where(|| self.file(Kind::TimeIndex), |entry| entry.timestamp() < wanted)?;
        let older = self.believed(older)?;
        let start = older.map_or(from, |entry| entry.last_offset(self.base).max(from));
        let Some(first) = self.locate(start, size)? else { return Ok(None) };
        let file = self.file(Kind::Log)?;
        let mut scan = BatchScan::new(&file, first.position, size, Depth::Headers);
        while let Some(found) = self.scanned(scan.next())? {
            if found.header.max_timestamp < wanted {
                continue;
            }
            self.verify(first.position..found.end(), Offset(i64::MAX))?;
            let fits = |record: &RecordView<'_>| wanted <= record.timestamp && from <= record.offset;
            if let Some(record) = self.first_record(&file, &found, fits)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The largest timestamp among the batches below `up_to`, and the last offset of its batch.
    pub(crate) fn largest_below(&self, up_to: Offset, size: u64) -> Result<Largest, ReadError> {
        let entry = self
            .times
            .last_where(|| self.file(Kind::TimeIndex), |entry| entry.last_offset(self.base) < up_to)?;
        let entry = self.believed(entry)?;
        let mut largest = entry.map_or(Largest::NONE, |entry| Largest {
            timestamp: entry.timestamp(),
            last_offset: entry.last_offset(self.base),
        });
        let start = entry.map_or(self.base, |entry| entry.last_offset(self.base).next());
        let Some(first) = self.locate(start, size)? else { return Ok(largest) };
        let file = self.file(Kind::Log)?;
        let mut scan = BatchScan::new(&file, first.position, size, Depth::Headers);
        while let Some(found) = self.scanned(scan.next())? {
            if up_to <= found.header.last_offset() {
                break;
            }
            largest = largest.with(&found.header);
        }
        Ok(largest)
    }

    /// The first record of the batch ending at `last_offset` that has exactly this timestamp.
    pub(crate) fn record_with(&self, largest: Largest) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        let Some(found) = self.locate(largest.last_offset, self.size())? else { return Ok(None) };
        let file = self.file(Kind::Log)?;
        self.first_record(&file, &found, |record| record.timestamp == largest.timestamp)
    }

    /// The first record of a batch that `fits`, decoded within bounds.
    ///
    /// Records that do not decode were a client's to break (`ottla.produce.validation=header`): the batch's own
    /// first offset and timestamp stand for them, rather than an error that no one can mend.
    fn first_record(
        &self,
        file: &File,
        found: &Found,
        fits: impl Fn(&RecordView<'_>) -> bool,
    ) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        self.verify(found.position..found.end(), Offset(i64::MAX))?;
        let mut bytes = vec![0; found.header.size_in_bytes()];
        file.read_exact_at(&mut bytes, found.position)?;
        let undecoded = Some((found.header.base_offset, found.header.max_timestamp));
        let Ok(decoded) = record::decode(&bytes, DECOMPRESSED_BATCH_BYTES_MAX) else { return Ok(undecoded) };
        for record in decoded.records() {
            match record {
                Ok(record) if fits(&record) => return Ok(Some((record.offset, record.timestamp))),
                Ok(_) => {}
                Err(_) => return Ok(undecoded),
            }
        }
        Ok(None)
    }

    /// Makes a failed walk an error of this segment.
    pub(crate) fn scanned(&self, next: Result<Option<Found>, ScanError>) -> Result<Option<Found>, ReadError> {
        next.map_err(|error| match error {
            ScanError::Io { position, error } => {
                let path = self.folder.path(self.base, Kind::Log);
                ReadError::Unreadable(Unreadable { path, position, error })
            }
            ScanError::Bad { position, error } => {
                ReadError::Corrupt(self.corruption(position, Damage::Batch(error)))
            }
        })
    }

    pub(crate) fn corruption(&self, position: u64, what: Damage) -> Corruption {
        Corruption { path: self.folder.path(self.base, Kind::Log), position, what }
    }
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> LogError {
        match error {
            ReadError::Io(error) => LogError::Io(error),
            ReadError::Corrupt(corruption) => LogError::Corrupt(corruption),
            ReadError::Unreadable(unreadable) => {
                LogError::Io(io::Error::new(unreadable.error.kind(), unreadable.to_string()))
            }
            ReadError::OutOfRange { .. } | ReadError::Cold | ReadError::Closed => {
                LogError::Io(io::Error::other(error.to_string()))
            }
        }
    }
}
