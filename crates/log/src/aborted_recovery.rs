//! Aborted transactions at a start: taken over as far as their file is trusted, or found again in the batches.
//!
//! - R1 Entries below what is trusted were synced with it; those behind it follow from the batches there.
//! - R2 A segment without a file aborted nothing, unless its other indexes are missing too.

use std::io;
use std::sync::Arc;

use model::{Offset, TimestampMs};
use rt::File;

use crate::aborted_index::AbortedEntry;
use crate::batch_scan::{BatchScan, Depth};
use crate::index_file::{Entry, IndexFile, sorted_prefix};
use crate::log_error::LogError;
use crate::names::Kind;
use crate::offset_index::OffsetEntry;
use crate::producer_snapshot;
use crate::producers::Producers;
use crate::replay::Replay;
use crate::segment::Segment;
use crate::time_index::TimeEntry;

impl Replay<'_> {
    /// The entries of a segment below what is trusted; `None` when they are to be found in the batches again.
    pub(crate) fn trusted_aborted(&self, base: Offset) -> io::Result<Option<Vec<AbortedEntry>>> {
        if !self.indexed.contains(&(base, Kind::AbortedIndex)) {
            let is_alone = self.trusted <= base || self.indexed.contains(&(base, Kind::OffsetIndex));
            return Ok(is_alone.then(Vec::new));
        }
        let bytes = self.folder.fs.read(&self.folder.path(base, Kind::AbortedIndex))?;
        let mut entries: Vec<AbortedEntry> = sorted_prefix(&bytes);
        let is_whole = entries.len() * AbortedEntry::WIDTH == bytes.len()
            && entries.first().is_none_or(|first| base <= first.transaction.last_offset);
        entries.retain(|entry| entry.transaction.last_offset < self.trusted);
        Ok(Some(entries).filter(|_| is_whole || self.trusted <= base))
    }

    /// A segment whose file of aborted transactions holds just these, or those that its trusted batches tell of.
    pub(crate) fn segment_of(
        &mut self,
        base: Offset,
        size: u64,
        offsets: IndexFile<OffsetEntry>,
        times: IndexFile<TimeEntry>,
        aborted: Option<Vec<AbortedEntry>>,
    ) -> Result<Segment, LogError> {
        let kept = aborted.as_deref().unwrap_or_default();
        let path = self.folder.path(base, Kind::AbortedIndex);
        let index = if kept.is_empty() && !self.indexed.contains(&(base, Kind::AbortedIndex)) {
            IndexFile::new(0, None)
        } else {
            self.index_of(base, Kind::AbortedIndex, kept)?
        };
        let segment = Segment::new(Arc::clone(self.folder), base, size, offsets, times, index);
        if aborted.is_none() {
            tracing::warn!(path = %path.display(), "aborted transactions are missing or damaged; looking for them in the batches");
            self.report.rebuilt_indexes += 1;
            self.find_aborted(&segment)?;
            self.flush_indexes(&segment)?;
        }
        Ok(segment)
    }

    fn find_aborted(&mut self, segment: &Segment) -> Result<(), LogError> {
        let mut producers = self.producers_before(segment.base())?;
        let file = segment.file(Kind::Log)?;
        let scanned =
            walk(segment, &file, 0, self.trusted, |aborted| segment.aborted.push(aborted), &mut producers)?;
        self.report.scanned_bytes += scanned;
        Ok(())
    }

    /// The producers at the front of a segment: the newest sound snapshot up to there, and the batches in between.
    fn producers_before(&self, base: Offset) -> Result<Producers, LogError> {
        let mut from = Offset::ZERO;
        let mut producers = Producers::default();
        for &offset in self.snapshots.iter().rev().filter(|&&offset| offset <= base) {
            let bytes = self.folder.fs.read(&self.folder.path(offset, Kind::Snapshot))?;
            if let Some(found) = producer_snapshot::decode(&bytes) {
                (from, producers) = (offset, found);
                break;
            }
        }
        for (index, segment) in self.segments.iter().enumerate() {
            let end = self.segments.get(index + 1).map_or(base, |next| next.base());
            if end <= from || base <= segment.base() {
                continue;
            }
            let Some(first) = segment.locate(from, segment.size())? else { continue };
            walk(segment, &segment.file(Kind::Log)?, first.position, base, |_| {}, &mut producers)?;
        }
        Ok(producers)
    }
}

/// Walks the batches from `position` to below `up_to`; says how many bytes they are.
fn walk(
    segment: &Segment,
    file: &File,
    position: u64,
    up_to: Offset,
    mut on_aborted: impl FnMut(AbortedEntry),
    producers: &mut Producers,
) -> Result<u64, LogError> {
    let mut end = position;
    let mut scan = BatchScan::new(file, position, segment.size(), Depth::Headers);
    while let Some(found) = segment.scanned(scan.next())?.filter(|found| found.header.base_offset < up_to) {
        let aborted = producers.on_append(&found.header, found.end_transaction(file)?, TimestampMs::NONE);
        aborted.into_iter().for_each(|aborted| on_aborted(aborted.into()));
        end = found.end();
    }
    Ok(end - position)
}
