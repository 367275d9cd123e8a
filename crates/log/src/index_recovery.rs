//! Indexes at a start: taken over as far as they are trusted, cut there, or built anew from the batches.
//!
//! - R1 Entries below what is trusted were synced with it; a file that is missing, or cannot be what was written, is
//!   trusted nowhere.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use model::Offset;
use rt::Open;

use crate::batch_scan::{BatchScan, Depth, ScanError};
use crate::index_file::{Entry, IndexFile, last_entry, sorted_prefix};
use crate::log_error::{LogError, ReadError};
use crate::names::Kind;
use crate::offset_index::OffsetEntry;
use crate::recovery::Recovery;
use crate::replay::Replay;
use crate::segment::{IndexCursor, Segment};
use crate::time_index::TimeEntry;

/// More bytes than this behind the last entry of an index, and not one batch alone: entries are missing.
const UNINDEXED_BYTES_MAX: u64 = 1 << 20;

impl Replay<'_> {
    /// A segment that ends below what is trusted: only its indexes are looked at.
    pub(crate) fn load_trusted(&mut self, base: Offset, next_base: Offset) -> Result<(), LogError> {
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
            let aborted = self.trusted_aborted(base)?;
            let segment = self.segment_of(base, size, offsets, times, aborted)?;
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

    /// A segment with the part of its indexes that is trusted, and where to walk on from.
    pub(crate) fn segment_trusted_to(&mut self, base: Offset, size: u64) -> Result<(Segment, u64), LogError> {
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
            Ok(Some(found))
                if found.header.last_offset() == floor.last_offset(base)
                    && segment.is_borne_out(segment.largest())? =>
            {
                self.cursor.largest = segment.largest();
                self.next = found.header.base_offset;
                Ok((segment, floor.position()))
            }
            Err(ScanError::Io { error, .. }) => Err(error.into()),
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
    ) -> Result<Segment, LogError> {
        let aborted = self.trusted_aborted(base)?;
        let offsets = self.index_of(base, Kind::OffsetIndex, &offsets)?;
        let times = self.index_of(base, Kind::TimeIndex, &times)?;
        self.segment_of(base, size, offsets, times, aborted)
    }

    /// Cuts an index file to the entries that are kept, a prefix of it.
    pub(crate) fn index_of<E: Entry>(
        &mut self,
        base: Offset,
        kind: Kind,
        kept: &[E],
    ) -> io::Result<IndexFile<E>> {
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

    pub(crate) fn flush_indexes(&mut self, segment: &Segment) -> io::Result<()> {
        let mut unsynced = BTreeMap::new();
        segment.flush_indexes(&mut unsynced)?;
        self.names_changed |= unsynced.contains_key(&Kind::AbortedIndex);
        self.touched.extend(unsynced.into_values());
        Ok(())
    }
}

/// Whether an index goes on to the end of its segment, as far as an index of any interval does.
fn reaches_end(segment: &Segment, size: u64) -> Result<bool, LogError> {
    let last = segment.offsets.last().map_or(0, |entry| entry.position());
    if size - last.min(size) <= UNINDEXED_BYTES_MAX {
        return Ok(true);
    }
    match segment.batch_at(last, size) {
        Ok(batch) => Ok(batch.is_some_and(|batch| size - batch.end() <= UNINDEXED_BYTES_MAX)),
        // There is no batch where the entry says.
        Err(ReadError::Corrupt(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
