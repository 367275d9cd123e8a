//! Walking the batches behind what is trusted, and deciding where the log ends (V1 to V3 of [`crate::recovery`]).
//!
//! What is kept and was never known to be durable is written over itself before it is synced. After a sync that failed
//! the page cache holds such bytes as clean: a later sync succeeds without taking them to the disk.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use model::limits::UNSYNCED_BYTES_MAX;
use model::{LeaderEpoch, Offset, TimestampMs};
use record::BatchHeader;
use rt::File;

use crate::batch_scan::{BatchScan, Depth, Found, ScanError};
use crate::config::LogConfig;
use crate::folder::Folder;
use crate::leader_epochs::LeaderEpochs;
use crate::log_error::{Corruption, Damage, LogError};
use crate::names::Kind;
use crate::producers::Producers;
use crate::recovery::{Recovered, Recovery, RecoveryReport, remove_segment};
use crate::segment::{IndexCursor, Segment};

/// Bytes written over themselves at a time.
const REWRITE_BYTES: u64 = 1024 * 1024;

/// Where a log stops being sound.
struct Torn {
    /// Which of the listed segments.
    segment: usize,
    position: u64,
    what: Damage,
}

/// A recovery under way: what was seen so far.
pub(crate) struct Replay<'a> {
    pub(crate) folder: &'a Arc<Folder>,
    /// Which segments had which indexes.
    pub(crate) indexed: &'a BTreeSet<(Offset, Kind)>,
    /// Snapshots on disk, ascending.
    pub(crate) snapshots: &'a [Offset],
    pub(crate) config: &'a LogConfig,
    pub(crate) recovery: Recovery,
    /// Everything below was synced before the snapshot here was written (V1).
    pub(crate) trusted: Offset,
    /// Everything below was synced: losing it is corruption.
    pub(crate) durable: Offset,
    pub(crate) replay_epochs_from: Offset,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) cursor: IndexCursor,
    /// The offset after the last batch seen.
    pub(crate) next: Offset,
    /// Bytes that are kept and may be in the page cache only.
    pub(crate) unsure: Vec<(Arc<Segment>, Range<u64>)>,
    pub(crate) touched: Vec<File>,
    pub(crate) names_changed: bool,
    pub(crate) report: RecoveryReport,
}

impl Replay<'_> {
    pub(crate) fn load_all(&mut self, bases: &[Offset]) -> Result<(), LogError> {
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

    pub(crate) fn replay_epochs(&mut self, base: Offset) -> Result<(), LogError> {
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
        let mut unsure_from = None;
        let torn = loop {
            match scan.next() {
                Ok(None) => break None,
                Err(ScanError::Io { error, .. }) => return Err(error.into()),
                Err(ScanError::Bad { position, error }) => break Some((position, Damage::Batch(error))),
                Ok(Some(found)) if !self.may_follow(base, &found.header) => {
                    let what = Damage::OffsetOrder { expected: self.next, found: found.header.base_offset };
                    break Some((found.position, what));
                }
                Ok(Some(found)) => {
                    if self.durable <= found.header.base_offset {
                        unsure_from.get_or_insert(found.position);
                    }
                    self.on_batch(&segment, &file, &found)?;
                    end = found.end();
                }
            }
        };
        if depth == Depth::Checksums {
            segment.mark_checked(start..end);
        }
        self.report.scanned_bytes += end - start;
        segment.cut(end, self.cursor.largest);
        let segment = Arc::new(segment);
        self.unsure.extend(unsure_from.map(|from| (Arc::clone(&segment), from..end)));
        self.segments.push(segment);
        Ok(torn)
    }

    /// Whether a batch's offsets can stand here: the base offset is not covered by the checksum.
    fn may_follow(&self, base: Offset, header: &BatchHeader) -> bool {
        let fits = i32::try_from(header.last_offset().since(base)).is_ok();
        self.next <= header.base_offset && fits
    }

    fn on_batch(&mut self, segment: &Segment, file: &File, found: &Found) -> io::Result<()> {
        let header = &found.header;
        segment.index(&mut self.cursor, header, found.position, self.config.index_interval_bytes);
        if self.trusted <= header.base_offset {
            let end = found.end_transaction(file)?;
            let aborted = self.producers.on_append(header, end, TimestampMs::NONE);
            aborted.into_iter().for_each(|aborted| segment.aborted.push(aborted.into()));
        }
        if self.replay_epochs_from <= header.base_offset {
            self.note_epoch(header);
        }
        self.next = header.next_offset();
        Ok(())
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

    /// Indexes of such segments are written whole: which of their entries are sure is not known.
    fn write_unsure_again(&mut self) -> io::Result<()> {
        for (segment, range) in std::mem::take(&mut self.unsure) {
            write_again(&segment.file(Kind::Log)?, range)?;
            let aborted = (0 < segment.aborted.len()).then_some(Kind::AbortedIndex);
            for kind in [Kind::OffsetIndex, Kind::TimeIndex].into_iter().chain(aborted) {
                let file = segment.file(kind)?;
                let length = self.folder.fs.file_len(&self.folder.path(segment.base(), kind))?;
                write_again(&file, 0..length)?;
                self.touched.push(file);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self, start: Offset) -> Result<Recovered, LogError> {
        let snapshots = self.snapshots;
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
            self.write_unsure_again()?;
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

/// Writes bytes of a file over themselves, so that the next sync takes them to the disk.
fn write_again(file: &File, range: Range<u64>) -> io::Result<()> {
    let mut position = range.start;
    while position < range.end {
        let count = (range.end - position).min(REWRITE_BYTES);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
        file.read_exact_at(&mut bytes, position)?;
        file.write_all_at(&[IoSlice::new(&bytes)], position)?;
        position += count;
    }
    Ok(())
}
