//! What a log gives out to be synced, what follows when it is, and the snapshots that this allows.
//!
//! A snapshot of producers at an offset vouches for everything below it (V1 of recovery), so its way to the disk is:
//! captured with the indexes flushed, held back while the sync job that contains them runs, written when that
//! succeeded, durable with the job after.

use std::io;

use model::Offset;
use rt::Open;

use crate::locks::read;
use crate::log::Log;
use crate::log_error::LogError;
use crate::names::Kind;
use crate::producer_snapshot;
use crate::sync::{SyncJob, SyncTicket, Synced};

/// A sync under way.
pub(crate) struct InFlight {
    ticket: Offset,
    /// What will be durable: what the ticket says, unless the log was cut since.
    durable_to: Offset,
    pub(crate) bytes: u64,
    snapshots: Vec<(Offset, Vec<u8>)>,
}

impl Log {
    /// Takes what is to be synced now; `None` when nothing is, a sync is under way, or the log is fenced.
    ///
    /// What was appended and not written is not part of it: write first.
    pub fn take_sync(&mut self) -> Option<SyncJob> {
        let nothing = self.dirty.is_empty() && self.waiting_snapshots.is_empty();
        if self.in_flight.is_some() || self.fenced.is_some() || nothing {
            return None;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let mut dirs = Vec::new();
        if dirty.names {
            dirs.push(self.shared.folder.dir.clone());
        }
        if dirty.folder_name {
            dirs.push(self.shared.folder.parent().to_path_buf());
        }
        let durable_to = read(&self.shared.state).end;
        let snapshots = std::mem::take(&mut self.waiting_snapshots);
        self.in_flight = Some(InFlight { ticket: durable_to, durable_to, bytes: dirty.bytes, snapshots });
        let mut files = dirty.others;
        files.extend(dirty.log);
        Some(SyncJob { files, dirs, ticket: SyncTicket { durable_to } })
    }

    /// Hears how a sync ended: the durable end moves, or the log is fenced for good (Y3).
    pub fn synced(&mut self, synced: Synced) -> Result<Offset, LogError> {
        let Some(job) = self.in_flight.take() else { return Ok(self.durable) };
        assert_eq!(job.ticket, synced.ticket.durable_to, "one sync is under way at a time (Y3)");
        if let Err(error) = synced.result {
            let error = io::Error::new(error.kind(), format!("a sync failed: {error}"));
            return Err(self.fence_on(error));
        }
        self.check_fence()?;
        self.durable = self.durable.max(job.durable_to);
        for (offset, snapshot) in job.snapshots {
            // A snapshot saves time at the next start: one that finds no room is taken again at the next occasion, and a
            // part of one is no sound one.
            if let Err(error) = self.write_snapshot(offset, &snapshot) {
                self.snapshot_at = self.snapshots.last().copied().unwrap_or_else(|| self.log_start());
                tracing::warn!(dir = %self.shared.folder.dir.display(), %error, "snapshot of producers not written");
            }
        }
        Ok(self.durable)
    }

    /// Prepares a log that rests, or is about to be closed, so that its next recovery reads nothing: what is left in
    /// memory is written, and a snapshot taken, which gets its place on disk with the syncs that follow.
    ///
    /// What finds no room waits in memory: nothing is lost by trying again later. To close many logs see
    /// [`crate::close_all`].
    pub fn rest(&mut self) -> Result<(), LogError> {
        self.write()?;
        self.give_space_back()?;
        self.active.index_time(self.cursor.largest);
        if self.snapshot_at < self.next {
            self.take_snapshot()?
        } else {
            self.give_indexes_to_sync()?
        }
        Ok(())
    }

    /// Whether files or names were changed that no sync has yet; it holds a descriptor to each such file (Y2).
    pub fn has_unsynced_files(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether a recovery would read nothing, once the syncs under way are done.
    pub fn is_rested(&self) -> bool {
        self.gather.is_empty() && self.next <= self.snapshot_at && !self.may_hold_space()
    }

    /// Makes everything durable and ends: the next start may be [`crate::Recovery::Clean`], once the folder's clean
    /// mark is durable too. Blocks for what [`Log::rest`] and the syncs after it have not done yet.
    ///
    /// A sync under way is to be waited for first: its outcome decides whether the log may be called closed.
    pub fn close(mut self) -> Result<(), LogError> {
        if self.in_flight.is_some() {
            return Err(LogError::SyncUnderWay);
        }
        self.rest()?;
        while let Some(job) = self.take_sync() {
            let synced = job.run(&self.shared.folder.fs);
            self.synced(synced)?;
        }
        self.end_readers();
        Ok(())
    }

    /// What was under way when the log was cut says nothing about what is appended in its place.
    pub(crate) fn forget_syncs_above(&mut self, end: Offset) {
        self.waiting_snapshots.retain(|&(offset, _)| offset <= end);
        if let Some(job) = &mut self.in_flight {
            job.durable_to = job.durable_to.min(end);
            job.snapshots.retain(|&(offset, _)| offset <= end);
        }
    }

    /// Captures the producers at the log's end, everything before being written, to be put on disk after the next
    /// sync, which takes the indexes along.
    pub(crate) fn take_snapshot(&mut self) -> io::Result<()> {
        self.give_indexes_to_sync()?;
        if self.snapshot_at < self.next {
            self.waiting_snapshots.push((self.next, producer_snapshot::encode(&self.producers)));
            self.snapshot_at = self.next;
        }
        self.bytes_since_snapshot = 0;
        Ok(())
    }

    fn write_snapshot(&mut self, offset: Offset, snapshot: &[u8]) -> io::Result<()> {
        let folder = &self.shared.folder;
        let file = folder.fs.open(&folder.path(offset, Kind::Snapshot), Open::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[io::IoSlice::new(snapshot)], 0)?;
        self.dirty.others.push(file);
        self.dirty.names = true;
        self.snapshots.push(offset);
        self.drop_old_snapshots()
    }

    /// Keeps the snapshots of segments, as Kafka does, and the newest two: one more in case the last is torn.
    pub(crate) fn drop_old_snapshots(&mut self) -> io::Result<()> {
        let bases: Vec<Offset> =
            read(&self.shared.state).segments.iter().map(|segment| segment.base()).collect();
        let newest = self.snapshots.len().saturating_sub(2);
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (index, &offset) in self.snapshots.iter().enumerate() {
            let keep = newest <= index || bases.binary_search(&offset).is_ok();
            if keep { kept.push(offset) } else { dropped.push(offset) }
        }
        self.snapshots = kept;
        for offset in dropped {
            self.shared.folder.remove_if_there(&self.shared.folder.path(offset, Kind::Snapshot))?;
        }
        Ok(())
    }

    /// Writes index entries that wait in memory; they are synced with the next snapshot or roll.
    pub(crate) fn flush_indexes(&mut self) -> io::Result<()> {
        let flushed = self.active.flush_indexes(&mut self.dirty_indexes);
        // The first aborted transaction of a segment creates its file.
        self.dirty.names |= self.dirty_indexes.contains_key(&Kind::AbortedIndex);
        flushed
    }

    /// Flushes the indexes and makes them part of the next sync job.
    pub(crate) fn give_indexes_to_sync(&mut self) -> io::Result<()> {
        self.flush_indexes()?;
        self.dirty.others.extend(std::mem::take(&mut self.dirty_indexes).into_values());
        Ok(())
    }
}
