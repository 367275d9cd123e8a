//! Letting go of a log's oldest records: by age, by size, or because somebody deleted them.
//!
//! - N1 The log's start moves before files go, and the caller persists it in between: a crash never brings records
//!   back that were said to be gone.
//! - N2 Whole segments go, never the newest one, never anything above the high watermark.
//! - N3 The files of a segment that goes get names that end in `.deleted`, batches last: whatever a crash leaves of them
//!   is removed at the next start. On a disk with no room for names they go at once.

use std::io;
use std::sync::Arc;

use model::{Offset, TimestampMs};

use crate::folder::Folder;
use crate::locks::{read, write};
use crate::log::Log;
use crate::log_error::LogError;
use crate::names::{self, SEGMENT_KINDS};
use crate::segment::Segment;

/// What may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Records may be this old, ms (`retention.ms`); `None` is for ever.
    pub age_ms: Option<i64>,
    /// The log may be this large, bytes (`retention.bytes`); `None` is without bound.
    pub bytes: Option<u64>,
}

/// Segments that are no part of their log any more, under names of deleted files (N3).
#[must_use = "the space is freed by `remove`, or by the next start"]
pub struct PutAway {
    folder: Arc<Folder>,
    segments: Vec<Offset>,
}

impl PutAway {
    pub(crate) fn new(folder: &Arc<Folder>, segments: Vec<Offset>) -> PutAway {
        PutAway { folder: Arc::clone(folder), segments }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Frees the space; says of how many segments. Somebody who began to read them goes on reading.
    pub fn remove(self) -> io::Result<usize> {
        for &base in &self.segments {
            for kind in SEGMENT_KINDS {
                self.folder.remove_if_there(&names::deleted_path(&self.folder.dir, base, kind))?;
            }
        }
        Ok(self.segments.len())
    }
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

    /// Takes the segments that lie below the log's start out of the log, oldest first (N3).
    pub fn put_away_before_start(&mut self) -> Result<PutAway, LogError> {
        self.check_fence()?;
        let (gone, start) = {
            let mut state = write(&self.shared.state);
            let start = state.start;
            let below = state.segments.partition_point(|segment| segment.base() <= start).saturating_sub(1);
            (state.segments.drain(..below).collect::<Vec<Arc<Segment>>>(), start)
        };
        self.put_away(&gone, start);
        let segments = gone.iter().map(|segment| segment.base()).collect();
        Ok(PutAway::new(&self.shared.folder, segments))
    }

    /// Removes the segments that lie below the log's start at once; says how many. What cannot be removed goes at the
    /// next start.
    pub fn remove_before_start(&mut self) -> Result<usize, LogError> {
        Ok(self.put_away_before_start()?.remove()?)
    }

    /// Nothing of it is needed for the log to be right: what fails is left to the next start, which removes all below
    /// the log's start and cuts the epochs there.
    fn put_away(&mut self, gone: &[Arc<Segment>], start: Offset) {
        let folder = Arc::clone(&self.shared.folder);
        let mut tidied = Ok(());
        for segment in gone {
            segment.forget_files();
            for kind in SEGMENT_KINDS {
                let (from, to) = (
                    folder.path(segment.base(), kind),
                    names::deleted_path(&folder.dir, segment.base(), kind),
                );
                tidied = tidied.and(folder.put_away(&from, &to));
            }
            self.dirty.names = true;
        }
        if write(&self.shared.epochs).truncate_from_start(start) {
            tidied = tidied.and(self.persist_epochs());
        }
        if let Err(error) = tidied.and(self.drop_old_snapshots()) {
            tracing::warn!(dir = %folder.dir.display(), %error, "what lies before the log's start stays until the next start");
        }
    }
}

fn is_expired(segment: &Segment, retention: Retention, now_ms: i64) -> bool {
    let Some(age) = retention.age_ms else { return false };
    // A time index with a flipped bit must not make a segment old; one that cannot be asked stays.
    let Ok(largest) = segment.sure_largest() else { return false };
    let newest = match largest.timestamp {
        // Its records say nothing of their age, so the file has to.
        TimestampMs::NONE => segment.modified().unwrap_or(TimestampMs(i64::MAX)),
        largest => largest,
    };
    age < now_ms.saturating_sub(newest.0)
}
