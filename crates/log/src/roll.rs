//! When a segment is full, and how the next one begins.

use std::io;
use std::sync::Arc;

use model::{Offset, TimestampMs};
use record::BatchHeader;

use crate::locks::write;
use crate::log::Log;
use crate::log_error::LogError;
use crate::recovery::create_segment;
use crate::segment::IndexCursor;
use crate::space_ahead::SpaceAhead;

impl Log {
    pub(crate) fn roll_is_due(
        &mut self,
        header: &BatchHeader,
        size: u64,
        now_ms: i64,
    ) -> Result<bool, LogError> {
        let position = self.active.size() + self.gather.size();
        if position == 0 {
            return Ok(false);
        }
        let too_far = i32::try_from(header.last_offset().since(self.active.base())).is_err();
        // The time index keeps room for the entry that closes it.
        let full = self.config.segment_bytes < position + size
            || self.config.index_bytes_max / 8 <= self.active.offsets.len()
            || self.config.index_bytes_max / 12 <= self.active.times.len() + 1
            || too_far;
        Ok(full || self.roll_wait_is_over(header, now_ms)?)
    }

    /// Whether the batch is so much newer than the segment's first one that time rolls it.
    fn roll_wait_is_over(&mut self, header: &BatchHeader, now_ms: i64) -> Result<bool, LogError> {
        if self.first_timestamp.is_none() {
            let first = self.active.batch_at(0, self.active.size())?;
            self.first_timestamp = first.map(|found| found.header.max_timestamp);
        }
        let waited = match self.first_timestamp {
            Some(first) if TimestampMs::NONE < first && TimestampMs::NONE < header.max_timestamp => {
                header.max_timestamp.0.saturating_sub(first.0)
            }
            Some(_) | None => now_ms.saturating_sub(*self.active_since_ms.get_or_insert(now_ms)),
        };
        Ok(self.config.segment_ms.saturating_sub(self.jitter()) < waited)
    }

    /// A part of the jitter that is this segment's own and the same after every start.
    fn jitter(&self) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let dir = self.shared.folder.dir.as_os_str().as_encoded_bytes();
        for byte in dir.iter().chain(&self.active.base().0.to_be_bytes()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let bound = u64::try_from(self.config.segment_jitter_ms).unwrap_or(0);
        hash.checked_rem(bound).map_or(0, |jitter| i64::try_from(jitter).unwrap_or(0))
    }

    /// Closes the newest segment and begins the next one.
    ///
    /// The order: batches are written, then the closed segment's index entries, then the new files are created.
    /// Nothing is synced here. Closed file, indexes and names are all part of the next sync job, and only when that
    /// is done may anything in the new segment count as durable. The snapshot of producers is written after it (V1
    /// of recovery). A crash before finds names missing or tails torn, all above the durable end.
    ///
    /// What fails may be done again: the log has rolled, or goes on as if nothing had been tried.
    pub(crate) fn roll(&mut self) -> Result<(), LogError> {
        self.write()?;
        self.close_segment()?;
        Ok(self.begin_segment(self.next)?)
    }

    fn close_segment(&mut self) -> io::Result<()> {
        self.active.index_time(self.cursor.largest);
        self.take_snapshot()?;
        self.give_indexes_to_sync()?;
        self.give_space_back()?;
        self.dirty.others.extend(self.dirty.log.take());
        Ok(())
    }

    pub(crate) fn begin_segment(&mut self, base: Offset) -> io::Result<()> {
        let segment = create_segment(&self.shared.folder, base)?;
        self.dirty.names = true;
        {
            let mut state = write(&self.shared.state);
            // A log that was cut to nothing begins its only segment anew.
            state.segments.retain(|old| old.base() < base);
            state.segments.push(Arc::clone(&segment));
        }
        self.active = segment;
        self.space_ahead = SpaceAhead::default();
        self.cursor = IndexCursor::START;
        self.first_timestamp = None;
        self.active_since_ms = None;
        Ok(())
    }
}
