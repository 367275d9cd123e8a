//! How much of a log was written since it was compacted last, and whether that must not wait.

use model::{Offset, TimestampMs};

use crate::locks::read;
use crate::log_error::ReadError;
use crate::reader::LogReader;
use crate::segment::Segment;

/// How long records stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lags {
    /// At least so long, ms (`min.compaction.lag.ms`).
    pub min_ms: i64,
    /// At most so long, ms (`max.compaction.lag.ms`); `None` is for ever.
    pub max_ms: Option<i64>,
}

/// What compaction would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirtiness {
    /// The first offset that was never compacted.
    pub first_dirty: Offset,
    /// Compaction ends before this.
    pub bound: Offset,
    /// Bytes of segments below the first dirty offset.
    pub clean_bytes: u64,
    /// Bytes of segments from there to the bound.
    pub dirty_bytes: u64,
    /// Whether a record has waited for as long as it may.
    pub is_overdue: bool,
}

impl Dirtiness {
    /// The dirty share of what can be compacted.
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    pub fn ratio(&self) -> f64 {
        let all = self.clean_bytes + self.dirty_bytes;
        if all == 0 { 0.0 } else { self.dirty_bytes as f64 / all as f64 }
    }
}

impl LogReader {
    /// What compaction would find in a log that was compacted up to `cleaned_to` (from its checkpoint, if there is one)
    /// and of which nothing at or above `decided_to` is to be touched. Blocks where a largest lag is set.
    pub fn dirtiness(
        &self,
        cleaned_to: Option<Offset>,
        decided_to: Offset,
        lags: Lags,
        now_ms: i64,
    ) -> Result<Dirtiness, ReadError> {
        let (segments, start) = {
            let state = read(&self.shared.state);
            if state.closed {
                return Err(ReadError::Closed);
            }
            (state.segments.clone(), state.start)
        };
        let active = segments.last().map_or(start, |segment| segment.base());
        // A checkpoint outside the log is of another life of it.
        let first_dirty = cleaned_to.filter(|to| (start..=active).contains(to)).unwrap_or(start);
        let mut bound = decided_to.min(active);
        let dirty =
            segments.iter().zip(segments.iter().skip(1)).filter(|(_, next)| first_dirty < next.base());
        let is_too_young =
            |segment: &Segment| 0 < lags.min_ms && now_ms.saturating_sub(lags.min_ms) < youngest(segment).0;
        if let Some((segment, _)) = dirty.clone().find(|(segment, _)| is_too_young(segment)) {
            bound = bound.min(segment.base());
        }
        let bound = bound.max(first_dirty);
        let size = |from: Offset, to: Offset| -> u64 {
            let within = segments.iter().filter(|segment| from <= segment.base() && segment.base() < to);
            within.map(|segment| segment.size()).sum()
        };
        let first_dirty_segment = dirty.clone().next().map_or(first_dirty, |(segment, _)| segment.base());
        let mut is_overdue = false;
        if let Some(max_ms) = lags.max_ms {
            for (segment, _) in dirty.take_while(|(segment, _)| segment.base() < bound) {
                let oldest = segment.batch_at(0, segment.size())?.map(|found| found.header.max_timestamp);
                is_overdue |= oldest.is_some_and(|oldest| {
                    TimestampMs::NONE < oldest && max_ms < now_ms.saturating_sub(oldest.0)
                });
            }
        }
        Ok(Dirtiness {
            first_dirty,
            bound,
            clean_bytes: size(Offset::ZERO, first_dirty_segment),
            dirty_bytes: size(first_dirty_segment, bound),
            is_overdue,
        })
    }
}

/// When the youngest record of a segment came; by its file where the records do not say.
fn youngest(segment: &Segment) -> TimestampMs {
    match segment.largest().timestamp {
        TimestampMs::NONE => segment.modified().unwrap_or(TimestampMs(i64::MAX)),
        largest => largest,
    }
}
