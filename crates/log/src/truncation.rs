//! Cutting a log's end off, as a follower does that diverged from its leader, and starting it anew elsewhere.
//!
//! - T1 Bytes of a file that anybody may be reading are never overwritten: a segment that is cut ends for good
//!   (a reader of what was cut finds its file shorter), and what is appended next goes to a new file.
//! - T2 From the end backwards: snapshots that vouch for what goes, later segments, then the cut; each durable
//!   before the next, so that a crash leaves a log that ends somewhere between the old end and the new one.
//!
//! Rare, and done at once: these calls block for the syncs they need.

use std::io;
use std::sync::Arc;

use model::{Offset, TimestampMs};

use crate::batch_scan::{BatchScan, Depth};
use crate::leader_epochs::LeaderEpochs;
use crate::locks::{read, write};
use crate::log::Log;
use crate::log_error::LogError;
use crate::names::Kind;
use crate::producer_snapshot;
use crate::producers::Producers;
use crate::recovery::remove_segment;
use crate::segment::Segment;

/// The caller's word that no durable recovery point checkpoint lies above an offset.
///
/// Were one to, the next recovery would take what is cut on purpose for a loss, and refuse the log.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryPointLowered {
    to: Offset,
}

impl RecoveryPointLowered {
    /// States that the checkpoint was written, durably, with `to` or less for this log.
    pub fn persisted(to: Offset) -> RecoveryPointLowered {
        RecoveryPointLowered { to }
    }
}

impl Log {
    /// Where the log would end if it were cut at `offset`: there, or before the batch that holds it. This is the
    /// recovery point to persist before [`Log::truncate_to`].
    pub fn end_if_cut_at(&mut self, offset: Offset) -> Result<Offset, LogError> {
        self.write()?;
        let target = offset.max(self.log_start());
        if self.next <= target {
            return Ok(self.next);
        }
        let (segment, _) = self.split_segments(target);
        let located = segment.locate(target, segment.size())?;
        let whole_batches = located.map_or(target, |found| found.header.base_offset.min(target));
        // A log may start inside a batch: it never ends before it starts.
        Ok(whole_batches.max(self.log_start()))
    }

    /// Cuts everything from the lowered recovery point on, which must be what [`Log::end_if_cut_at`] said; yields
    /// the new end. The log is fenced when anything fails.
    pub fn truncate_to(&mut self, lowered: RecoveryPointLowered) -> Result<Offset, LogError> {
        let end = self.end_if_cut_at(lowered.to)?;
        if end < lowered.to && end < self.next {
            return Err(LogError::InsideBatch { asked: lowered.to, boundary: end });
        }
        if end == self.next {
            return Ok(end);
        }
        let cut = self.cut_from(end);
        cut.map_err(|error| match error {
            LogError::Io(error) => self.fence_on(error),
            other => {
                self.fence(&other.to_string());
                other
            }
        })
    }

    /// Removes everything and goes on at `offset`: a follower whose leader has nothing below it any more.
    pub fn restart_at(&mut self, lowered: RecoveryPointLowered, offset: Offset) -> Result<(), LogError> {
        self.truncate_to(RecoveryPointLowered { to: lowered.to.min(self.log_start()) })?;
        let restarted = self.restart_empty_at(offset);
        restarted.map_err(|error| self.fence_on(error))
    }

    fn restart_empty_at(&mut self, offset: Offset) -> io::Result<()> {
        let folder = Arc::clone(&self.shared.folder);
        self.snapshots
            .drain(..)
            .try_for_each(|old| folder.remove_if_there(&folder.path(old, Kind::Snapshot)))?;
        folder.fs.sync_dir(&folder.dir)?;
        let old = read(&self.shared.state).segments.clone();
        if self.active.base() != offset {
            self.begin_segment(offset)?;
        }
        {
            let mut state = write(&self.shared.state);
            (state.start, state.end) = (offset, offset);
            state.segments = vec![Arc::clone(&self.active)];
        }
        (self.next, self.durable, self.snapshot_at) = (offset, offset, offset);
        for gone in old.iter().rev().filter(|gone| gone.base() != offset) {
            gone.forget_files();
            remove_segment(&folder, gone.base())?;
        }
        folder.fs.sync_dir(&folder.dir)?;
        *write(&self.shared.epochs) = LeaderEpochs::default();
        self.producers = Producers::default();
        self.persist_epochs()
    }

    fn cut_from(&mut self, end: Offset) -> Result<Offset, LogError> {
        let (segment, later) = self.split_segments(end);
        let located = segment.locate(end, segment.size())?;
        let position = located.map_or(segment.size(), |found| found.position);
        self.hide_from(end, &segment);
        self.drop_snapshots_above(end)?;
        let folder = Arc::clone(&self.shared.folder);
        for gone in later.iter().rev() {
            gone.forget_files();
            remove_segment(&folder, gone.base())?;
        }
        folder.fs.sync_dir(&folder.dir)?;
        if position == 0 {
            segment.forget_files();
            remove_segment(&folder, segment.base())?;
            folder.fs.sync_dir(&folder.dir)?;
        } else {
            cut_segment(&segment, end, position)?;
        }
        self.begin_segment(end)?;
        folder.fs.sync_dir(&folder.dir)?;
        write(&self.shared.epochs).truncate_from_end(end);
        self.persist_epochs()?;
        self.producers = self.producers_at(end)?;
        Ok(end)
    }

    /// The segment that holds `target`, and those behind it.
    fn split_segments(&self, target: Offset) -> (Arc<Segment>, Vec<Arc<Segment>>) {
        let state = read(&self.shared.state);
        let index = state.segments.partition_point(|segment| segment.base() <= target).saturating_sub(1);
        (Arc::clone(&state.segments[index]), state.segments[index + 1..].to_vec())
    }

    /// From now on nobody begins to read at or beyond `end`, and nothing there counts as anything.
    fn hide_from(&mut self, end: Offset, last: &Segment) {
        {
            let mut state = write(&self.shared.state);
            state.end = end;
            state.marks.clear();
            state.segments.retain(|segment| segment.base() <= last.base());
        }
        self.next = end;
        self.durable = self.durable.min(end);
        self.write_ends.clear();
        self.dirty.log = None;
        self.high_watermark = self.high_watermark.min(end);
        self.dirty_indexes.clear();
        self.forget_syncs_above(end);
    }

    fn drop_snapshots_above(&mut self, end: Offset) -> io::Result<()> {
        let folder = &self.shared.folder;
        let above = self.snapshots.partition_point(|&offset| offset <= end);
        for offset in self.snapshots.drain(above..) {
            folder.remove_if_there(&folder.path(offset, Kind::Snapshot))?;
        }
        self.snapshot_at = self.snapshots.last().copied().unwrap_or(read(&self.shared.state).start);
        folder.fs.sync_dir(&folder.dir)
    }

    /// The producers as they were at `end`: the newest snapshot, and the batches behind it.
    pub(crate) fn producers_at(&self, end: Offset) -> Result<Producers, LogError> {
        let folder = &self.shared.folder;
        let mut from = self.log_start();
        let mut producers = Producers::default();
        for &offset in self.snapshots.iter().rev().filter(|&&offset| offset <= end) {
            if let Some(found) =
                producer_snapshot::decode(&folder.fs.read(&folder.path(offset, Kind::Snapshot))?)
            {
                (from, producers) = (offset, found);
                break;
            }
        }
        let segments = read(&self.shared.state).segments.clone();
        for (index, segment) in segments.iter().enumerate() {
            if segments.get(index + 1).is_some_and(|next| next.base() <= from) {
                continue;
            }
            let Some(first) = segment.locate(from, segment.size())? else { continue };
            let file = segment.file(Kind::Log)?;
            let mut scan = BatchScan::new(&file, first.position, segment.size(), Depth::Headers);
            while let Some(found) = segment.scanned(scan.next())? {
                producers.on_append(&found.header, found.end_transaction(&file)?, TimestampMs::NONE);
            }
        }
        producers.on_high_watermark(self.high_watermark);
        producers.remember_markers_of(&self.producers);
        Ok(producers)
    }
}

/// Ends a segment at `position`, durably, indexes first: entries beyond the end would be found out, but why leave them.
fn cut_segment(segment: &Segment, end: Offset, position: u64) -> Result<(), LogError> {
    let largest = segment.largest_below(end, position)?;
    let base = segment.base();
    let (offsets, times) = (segment.file(Kind::OffsetIndex)?, segment.file(Kind::TimeIndex)?);
    segment.offsets.cut(&offsets, |entry| entry.last_offset(base) < end)?;
    segment.times.cut(&times, |entry| entry.last_offset(base) < end)?;
    segment.index_time(largest);
    segment.times.flush(|| Ok(times.clone()))?;
    if 0 < segment.aborted.len() {
        let aborted = segment.file(Kind::AbortedIndex)?;
        segment.aborted.cut(&aborted, |entry| entry.transaction.last_offset < end)?;
        aborted.sync_all()?;
    }
    segment.cut(position, largest);
    let batches = segment.file(Kind::Log)?;
    batches.set_len(position)?;
    for file in [offsets, times, batches] {
        file.sync_all()?;
    }
    Ok(())
}
