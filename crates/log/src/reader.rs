//! Reading a log while it is written.
//!
//! - D1 A slice holds whole files open and lies below what its reader may see: bytes in it never change.
//! - D2 A slice begins with the batch that holds the offset asked for, and ends at `up_to` at the latest.
//! - D3 Bytes leave only after this process wrote or checked them.
//!
//! Readers take a lock for a few instructions, never while the writer waits for a disk.

use std::ops::Range;
use std::sync::{Arc, RwLock};

use model::{LeaderEpoch, Offset, TimestampMs};
use rt::{FileSlice, SliceOwner};

use crate::batch_scan::bytes;
use crate::folder::Folder;
use crate::leader_epochs::LeaderEpochs;
use crate::locks::read;
use crate::log_error::ReadError;
use crate::names::Kind;
use crate::segment::{Largest, Segment};

/// How much one read may return, and what it may wait for.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Most bytes of the slice; a last batch may be cut short by it, which clients know to leave.
    pub max_bytes: u64,
    /// Whether the first batch is returned whole, however large.
    pub first_batch: FirstBatch,
    /// What to do with bytes that were never checked.
    pub cold: Cold,
}

/// Whether `max_bytes` holds for the first batch too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBatch {
    /// Whole, even when it is larger: so that a consumer gets ahead.
    Whole,
    /// Nothing, when it is larger.
    Limited,
}

/// What to do with a range that this process neither wrote nor checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cold {
    /// Read and check it now, which may wait for the disk.
    Check,
    /// Answer [`ReadError::Cold`], so that the caller asks again where waiting is fine.
    Refuse,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct Read {
    /// The bytes; `None` when there are none to be had now.
    pub slice: Option<FileSlice>,
    /// The segment they lie in.
    pub(crate) segment_base: Offset,
    /// The first offset of the log.
    pub log_start: Offset,
    /// The offset after its last record.
    pub log_end: Offset,
    /// Whether what may be read ends in a later segment than it begins: no single read returns all of it.
    pub spans_segments: bool,
}

/// A concurrent reader of one log; cheap to clone.
#[derive(Clone)]
pub struct LogReader {
    pub(crate) shared: Arc<Shared>,
}

/// What writer and readers share.
pub(crate) struct Shared {
    pub(crate) folder: Arc<Folder>,
    pub(crate) state: RwLock<State>,
    pub(crate) epochs: RwLock<LeaderEpochs>,
}

/// What readers may see.
pub(crate) struct State {
    /// By base offset, never empty; the last one grows.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) marks: Marks,
    pub(crate) closed: bool,
}

/// Offsets whose file positions are known: where readers of the tail begin and end.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    recent: [Option<Mark>; MARKS],
    next: usize,
}

const MARKS: usize = 8;

/// An offset at a batch boundary and its position in the segment with this base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: Offset,
    pub(crate) segment: Offset,
    pub(crate) position: u64,
}

impl Marks {
    pub(crate) fn add(&mut self, mark: Mark) {
        if !self.recent.contains(&Some(mark)) {
            self.recent[self.next % MARKS] = Some(mark);
            self.next += 1;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.recent = [None; MARKS];
    }

    fn position(&self, offset: Offset, segment: Offset) -> Option<u64> {
        let known =
            self.recent.iter().flatten().find(|mark| mark.offset == offset && mark.segment == segment);
        known.map(|mark| mark.position)
    }
}

/// A segment and its bytes as the state was looked at.
type SegmentAndSize = (Arc<Segment>, u64);

/// The part of a segment that one read may use.
struct View {
    segment: Arc<Segment>,
    /// Bytes written, as the state was looked at.
    size: u64,
    /// Where the next segment begins, or the log ends.
    bound: Offset,
    /// Whether all of the segment lies below the reader's bound.
    whole: bool,
    from: Option<u64>,
    up_to: Option<u64>,
}

impl LogReader {
    /// The first offset of the log.
    pub fn log_start(&self) -> Offset {
        read(&self.shared.state).start
    }

    /// The offset after the last record written.
    pub fn log_end(&self) -> Offset {
        read(&self.shared.state).end
    }

    /// Batches from the one that holds `from` on, below `up_to` (a batch boundary, as high watermarks are).
    ///
    /// `from` between `up_to` and the log's end reads nothing; outside the log it is out of range.
    pub fn read(&self, from: Offset, up_to: Offset, limits: ReadLimits) -> Result<Read, ReadError> {
        again_where_gone(|| self.read_segments(from, up_to, limits))
    }

    fn read_segments(&self, from: Offset, up_to: Offset, limits: ReadLimits) -> Result<Read, ReadError> {
        let mut from = from;
        loop {
            let (bounds, view) = self.look(from, up_to)?;
            let Some(view) = view else { return Ok(bounds) };
            let segment = &view.segment;
            if limits.cold == Cold::Refuse && !view.is_warm() {
                return Err(ReadError::Cold);
            }
            let end = view.end(up_to, limits.cold)?;
            let start = match view.from {
                Some(position) => Some(position),
                None => segment.locate_among(from, view.size, limits.cold)?.map(|found| found.position),
            };
            if let Some(start) = start.filter(|&start| start < end) {
                let slice = view.slice(start, end, limits)?;
                return Ok(Read { slice, segment_base: segment.base(), ..bounds });
            }
            // Compaction may leave nothing at a segment's end: the records go on in the next one.
            let Some(next) = self.segment_after(segment.base()).filter(|_| view.whole) else {
                return Ok(bounds);
            };
            if up_to <= next {
                return Ok(bounds);
            }
            from = from.max(next);
        }
    }

    /// The bytes a read finds, copied: for those who replay a log rather than send it.
    pub fn read_bytes(&self, from: Offset, up_to: Offset, limits: ReadLimits) -> Result<Vec<u8>, ReadError> {
        let Some(slice) = self.read(from, up_to, limits)?.slice else { return Ok(Vec::new()) };
        let len =
            usize::try_from(slice.len).map_err(|_| std::io::Error::from(std::io::ErrorKind::FileTooLarge))?;
        let mut copy = vec![0; len];
        slice.file.read_exact_at(&mut copy, slice.position)?;
        Ok(copy)
    }

    /// The first record below `up_to` with a timestamp of `wanted` or later, and its timestamp (ListOffsets).
    pub fn offset_for_timestamp(
        &self,
        wanted: TimestampMs,
        up_to: Offset,
    ) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        again_where_gone(|| {
            let (start, segments) = self.segments_below(up_to)?;
            for (segment, size) in segments {
                if segment.sure_largest()?.timestamp < wanted {
                    continue;
                }
                if let Some(found) = segment.first_at_or_after(wanted, start, size)? {
                    return Ok(Some(found).filter(|&(offset, _)| offset < up_to));
                }
            }
            Ok(None)
        })
    }

    /// The record below `up_to` with the largest timestamp, the first of equals, and its timestamp.
    pub fn offset_of_max_timestamp(&self, up_to: Offset) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        again_where_gone(|| self.look_for_max_timestamp(up_to))
    }

    fn look_for_max_timestamp(&self, up_to: Offset) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
        let (_, segments) = self.segments_below(up_to)?;
        let mut best: Option<(Arc<Segment>, Largest)> = None;
        for (segment, size) in segments {
            let known = segment.sure_largest()?;
            let largest =
                if known.last_offset < up_to { known } else { segment.largest_below(up_to, size)? };
            let larger = best.as_ref().is_none_or(|(_, best)| best.timestamp < largest.timestamp);
            if larger && TimestampMs::NONE < largest.timestamp {
                best = Some((segment, largest));
            }
        }
        best.map_or(Ok(None), |(segment, largest)| segment.record_with(largest))
    }

    /// Answers OffsetForLeaderEpoch; see [`LeaderEpochs::end_offset_for`].
    pub fn end_offset_for_epoch(&self, asked: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let end = self.log_end();
        read(&self.shared.epochs).end_offset_for(asked, end)
    }

    /// The newest leader epoch that has written, and where it began.
    pub fn latest_epoch(&self) -> Option<(LeaderEpoch, Offset)> {
        read(&self.shared.epochs).latest()
    }

    /// The leader epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        read(&self.shared.epochs).epoch_at(offset)
    }

    /// Bytes of all its segments.
    pub fn size_in_bytes(&self) -> u64 {
        read(&self.shared.state).segments.iter().map(|segment| segment.size()).sum()
    }

    /// Bounds of the log, and the segment that may hold `from` unless there is nothing to read.
    fn look(&self, from: Offset, up_to: Offset) -> Result<(Read, Option<View>), ReadError> {
        let state = read(&self.shared.state);
        if state.closed {
            return Err(ReadError::Closed);
        }
        if from < state.start || state.end < from {
            return Err(ReadError::OutOfRange { start: state.start, end: state.end });
        }
        let bounds = Read {
            slice: None,
            segment_base: state.start,
            log_start: state.start,
            log_end: state.end,
            spans_segments: false,
        };
        let up_to = up_to.min(state.end);
        if up_to <= from {
            return Ok((bounds, None));
        }
        let index = state.segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        let segment = &state.segments[index];
        let end = state.segments.get(index + 1).map_or(state.end, |next| next.base());
        let view = View {
            segment: Arc::clone(segment),
            size: segment.size(),
            bound: end,
            whole: end <= up_to,
            from: state.marks.position(from, segment.base()),
            up_to: state.marks.position(up_to, segment.base()),
        };
        Ok((Read { spans_segments: end < up_to, ..bounds }, Some(view)))
    }

    pub(crate) fn segment_after(&self, base: Offset) -> Option<Offset> {
        let state = read(&self.shared.state);
        let index = state.segments.partition_point(|segment| segment.base() <= base);
        state.segments.get(index).map(|segment| segment.base())
    }

    /// The log's start, and the segments that begin below `up_to` with their sizes.
    fn segments_below(&self, up_to: Offset) -> Result<(Offset, Vec<SegmentAndSize>), ReadError> {
        let state = read(&self.shared.state);
        if state.closed {
            return Err(ReadError::Closed);
        }
        let below = state.segments.iter().filter(|segment| segment.base() < up_to);
        Ok((state.start, below.map(|segment| (Arc::clone(segment), segment.size())).collect()))
    }
}

/// Does it again where a segment was gone by the time its files were opened: retention has removed it, which the bounds
/// say then, or compaction has put another one in its place, which is found then.
fn again_where_gone<T>(read: impl Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
    match read() {
        Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => read(),
        read => read,
    }
}

impl View {
    /// Whether anything of the segment was written or checked here; else even finding the place may wait.
    fn is_warm(&self) -> bool {
        self.from.is_some() || self.segment.is_any_checked()
    }

    /// Where the reader's bound lies.
    fn end(&self, up_to: Offset, cold: Cold) -> Result<u64, ReadError> {
        match self.up_to {
            _ if self.whole => Ok(self.size),
            Some(position) => Ok(position),
            None => Ok(self
                .segment
                .locate_among(up_to, self.size, cold)?
                .map_or(self.size, |found| found.position)),
        }
    }

    /// The slice from `start`, a batch's first byte, to `end` or the limit.
    fn slice(&self, start: u64, end: u64, limits: ReadLimits) -> Result<Option<FileSlice>, ReadError> {
        let mut len = (end - start).min(limits.max_bytes);
        if len < end - start {
            let first = self.segment.batch_at(start, end)?;
            let first = first.map_or(0, |found| bytes(found.header.size_in_bytes()));
            len = match limits.first_batch {
                FirstBatch::Whole => len.max(first),
                FirstBatch::Limited if len < first => return Ok(None),
                FirstBatch::Limited => len,
            };
        }
        let range: Range<u64> = start..start + len;
        if limits.cold == Cold::Refuse && !self.segment.is_checked(&range) {
            return Err(ReadError::Cold);
        }
        if let Err(error) = self.segment.verify(range.clone(), self.bound) {
            // What is asked for ends before what is bad, if it does not begin with it.
            let sound_to = self.segment.first_unchecked(&range).filter(|&to| start < to).ok_or(error)?;
            len = sound_to - start;
        }
        let owner = Arc::clone(&self.segment) as Arc<dyn SliceOwner>;
        Ok(Some(FileSlice { file: self.segment.file(Kind::Log)?, position: start, len, owner: Some(owner) }))
    }
}
