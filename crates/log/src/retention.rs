//! Letting go of a log's oldest records: by age, by size, or because somebody deleted them.
//!
//! - N1 The log's start moves before files go, and the caller persists it in between: a crash never brings records
//!   back that were said to be gone.
//! - N2 Whole segments go, never the newest one, never anything above the high watermark.

use std::sync::Arc;

use model::{Offset, TimestampMs};

use crate::locks::{read, write};
use crate::log::Log;
use crate::log_error::LogError;
use crate::recovery::remove_segment;
use crate::segment::Segment;

/// What may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records may be this old, ms (`retention.ms`); `None` is for ever.
    pub age_ms: Option<i64>,
    /// The log may be this large, bytes (`retention.bytes`); `None` is without bound.
    pub bytes: Option<u64>,
}

impl Log {
    /// Where the log would start if `retention` were applied now, when that is later than it does.
    ///
    /// Closes the newest segment when it has expired as a whole, so that it can go too. Nothing else changes: persist
    /// the offset, then [`Log::advance_start`], then [`Log::remove_before_start`] (N1).
    pub fn expired_to(
        &mut self,
        retention: Retention,
        now_ms: i64,
        high_watermark: Offset,
    ) -> Result<Option<Offset>, LogError> {
        let segments = read(&self.shared.state).segments.clone();
        let mut excess = retention
            .bytes
            .map_or(0, |max| segments.iter().map(|segment| segment.size()).sum::<u64>().saturating_sub(max));
        let mut start = None;
        for (index, segment) in segments.iter().enumerate() {
            let end = segments.get(index + 1).map_or(self.next, |next| next.base());
            let size = segment.size();
            let oversized = 0 < size && size <= excess;
            if high_watermark < end || size == 0 || !(oversized || is_expired(segment, retention, now_ms)) {
                break;
            }
            excess = excess.saturating_sub(size);
            start = Some(end);
        }
        if start == Some(self.next) && 0 < self.active.size() {
            self.roll()?;
        }
        Ok(start.filter(|&start| self.log_start() < start))
    }

    /// Moves the start of the log: records below are no longer read.
    pub fn advance_start(&mut self, start: Offset) -> Result<(), LogError> {
        if self.next < start {
            return Err(LogError::NotNext { expected: self.next, found: start });
        }
        let mut state = write(&self.shared.state);
        state.start = state.start.max(start);
        Ok(())
    }

    /// Removes the segments that lie below the log's start, oldest first; says how many.
    pub fn remove_before_start(&mut self) -> Result<usize, LogError> {
        self.check_fence()?;
        let (gone, start) = {
            let mut state = write(&self.shared.state);
            let start = state.start;
            let below = state.segments.partition_point(|segment| segment.base() <= start).saturating_sub(1);
            (state.segments.drain(..below).collect::<Vec<Arc<Segment>>>(), start)
        };
        let removed = self.remove_files_of(&gone, start);
        removed.map_err(|error| self.fence_on(error))?;
        Ok(gone.len())
    }

    fn remove_files_of(&mut self, gone: &[Arc<Segment>], start: Offset) -> std::io::Result<()> {
        for segment in gone {
            segment.forget_files();
            remove_segment(&self.shared.folder, segment.base())?;
            self.dirty.names = true;
        }
        if write(&self.shared.epochs).truncate_from_start(start) {
            self.persist_epochs()?;
        }
        self.drop_old_snapshots()
    }
}

fn is_expired(segment: &Segment, retention: Retention, now_ms: i64) -> bool {
    let largest = segment.largest().timestamp;
    let old = |age: i64| age < now_ms.saturating_sub(largest.0);
    TimestampMs::NONE < largest && retention.age_ms.is_some_and(old)
}
