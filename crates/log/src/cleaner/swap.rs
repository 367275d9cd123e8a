//! Putting a compacted segment in the place of those it was made of, as Kafka names and orders it.
//!
//! - W1 `.cleaned` → `.swap` → the final name, batches last at each step: once the batches are `.log.swap`, durably, the
//!   new segment is what counts, and a start finishes the rest; before, the old ones are untouched.
//! - W2 The old segments are put away, durably, before `.swap` goes from the batches' name: which ones they were follows
//!   from the offsets inside, and nothing else.
//! - W3 Readers find the new segment before a name changes, and read it through files that are open. Who reads an old
//!   one goes on through the file that is open, and looks again when it has none.
//!
//! Only the log's writer swaps; a group that lost a segment meanwhile is thrown away.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::Offset;
use rt::Entry;

use crate::batch_scan::{BatchScan, Depth, ScanError};
use crate::folder::Folder;
use crate::locks::{read, write};
use crate::log::Log;
use crate::log_error::LogError;
use crate::names::{self, CLEANED, Kind, SEGMENT_KINDS, SWAP};
use crate::retention::PutAway;
use crate::segment::Segment;

/// A new segment, on the disk but for its names, and the ones it was made of.
pub struct Cleaned {
    folder: Arc<Folder>,
    segment: Arc<Segment>,
    replaced: Vec<Arc<Segment>>,
}

/// What makes batches quick to find, before the batches.
const INDEXES: [Kind; 3] = [Kind::OffsetIndex, Kind::TimeIndex, Kind::AbortedIndex];

impl Cleaned {
    /// Prepares the swap: the indexes are `.swap`, and the batches will be.
    pub(crate) fn stage(segment: Segment, replaced: Vec<Arc<Segment>>) -> io::Result<Cleaned> {
        let folder = Arc::clone(segment.folder());
        let (dir, base) = (&folder.dir, segment.base());
        for kind in INDEXES {
            // A try that was given up may have left one, and not every segment has one of the aborted transactions.
            folder.remove_if_there(&names::swap_path(dir, base, kind))?;
            folder
                .rename_if_there(&names::cleaned_path(dir, base, kind), &names::swap_path(dir, base, kind))?;
        }
        folder.fs.sync_dir(&folder.dir)?;
        Ok(Cleaned { folder, segment: Arc::new(segment), replaced })
    }

    /// Bytes of the segments it was made of, and its own.
    pub fn sizes(&self) -> (u64, u64) {
        (self.replaced.iter().map(|segment| segment.size()).sum(), self.segment.size())
    }

    /// Throws it away.
    pub fn discard(self) -> io::Result<()> {
        let (dir, base) = (&self.folder.dir, self.segment.base());
        self.folder.remove_if_there(&names::cleaned_path(dir, base, Kind::Log))?;
        INDEXES.iter().try_for_each(|&kind| self.folder.remove_if_there(&names::swap_path(dir, base, kind)))
    }

    /// From here on the new segment counts, whatever happens (W1), but for the sync of the names.
    fn commit(&self) -> io::Result<()> {
        let (dir, base) = (&self.folder.dir, self.segment.base());
        let (from, to) = (names::cleaned_path(dir, base, Kind::Log), names::swap_path(dir, base, Kind::Log));
        self.folder.fs.rename(&from, &to)
    }

    /// Puts the old segments away and gives their names to the new one (W2). The last name is durable with the log's
    /// next sync: until then a start does it again.
    fn rename(&self) -> io::Result<()> {
        let (folder, dir) = (&self.folder, &self.folder.dir);
        for old in &self.replaced {
            for kind in SEGMENT_KINDS {
                let from = folder.path(old.base(), kind);
                folder.put_away(&from, &names::deleted_path(dir, old.base(), kind))?;
            }
        }
        let base = self.segment.base();
        let give =
            |kind| folder.rename_if_there(&names::swap_path(dir, base, kind), &folder.path(base, kind));
        INDEXES.into_iter().try_for_each(|kind| give(kind).map(drop))?;
        folder.fs.sync_dir(dir)?;
        give(Kind::Log).map(drop)
    }
}

impl Log {
    /// Puts a compacted segment in force; yields what the old ones left on the disk. Nothing happens when one of them is
    /// no part of the log any more. What fails fences the log, unless nothing had changed.
    pub fn swap_in(&mut self, cleaned: Cleaned) -> Result<PutAway, LogError> {
        self.check_fence()?;
        let folder = Arc::clone(&self.shared.folder);
        if self.place_of(&cleaned).is_none() {
            cleaned.discard()?;
            return Ok(PutAway::new(&folder, Vec::new()));
        }
        if let Err(error) = cleaned.commit() {
            cleaned.discard()?;
            return Err(error.into());
        }
        folder.fs.sync_dir(&folder.dir).map_err(|error| self.fence_on(error))?;
        self.publish(&cleaned);
        let renamed = cleaned.rename().and_then(|()| self.drop_old_snapshots());
        renamed.map_err(|error| self.fence_on(error))?;
        self.dirty.names = true;
        cleaned.segment.let_go();
        Ok(PutAway::new(&folder, cleaned.replaced.iter().map(|old| old.base()).collect()))
    }

    /// Where in the log the segments are that go; `None` when they are not all there any more.
    fn place_of(&self, cleaned: &Cleaned) -> Option<usize> {
        let state = read(&self.shared.state);
        let first = state.segments.iter().position(|segment| Arc::ptr_eq(segment, &cleaned.replaced[0]))?;
        let last = first + cleaned.replaced.len();
        // The newest one is never sealed: somebody may be about to write to it.
        let there = state.segments.get(first..last).filter(|_| last < state.segments.len())?;
        there.iter().zip(&cleaned.replaced).all(|(one, other)| Arc::ptr_eq(one, other)).then_some(first)
    }

    /// Lets readers see the new segment (W3).
    fn publish(&mut self, cleaned: &Cleaned) {
        let Some(first) = self.place_of(cleaned) else { return };
        {
            let mut state = write(&self.shared.state);
            let last = first + cleaned.replaced.len();
            state.segments.splice(first..last, [Arc::clone(&cleaned.segment)]);
            // Positions are of the old segments.
            state.marks.clear();
        }
        let is_gone = |base: Offset| cleaned.replaced.iter().any(|old| old.base() == base);
        self.write_ends.retain(|end| !is_gone(end.segment));
        cleaned.replaced.iter().for_each(|old| old.give_names_away());
    }
}

/// At a start, in a folder with these entries: throws away what compaction had not committed, and finishes what it had
/// (W1, W2). Says whether any name changed.
pub(crate) fn finish_swaps(folder: &Folder, entries: &[Entry]) -> io::Result<bool> {
    let ending = |suffix: &str| -> Vec<(Offset, Kind, PathBuf)> {
        let stems = entries.iter().filter_map(|entry| Some((entry, entry.name.strip_suffix(suffix)?)));
        let parsed = stems.filter_map(|(entry, stem)| Some((entry, names::parse(stem)?)));
        parsed.map(|(entry, (base, kind))| (base, kind, folder.dir.join(&entry.name))).collect()
    };
    let (cleaned, swaps) = (ending(CLEANED), ending(SWAP));
    if cleaned.is_empty() && swaps.is_empty() {
        return Ok(false);
    }
    // Kafka's rule: what was still being written at an offset makes everything from there on not committed.
    let uncommitted_from = cleaned.iter().map(|&(base, ..)| base).min();
    let is_committed = |base: Offset| {
        uncommitted_from.is_none_or(|from| base < from)
            && swaps.iter().any(|&(other, kind, _)| other == base && kind == Kind::Log)
    };
    // A part of what was not committed is no more committed: indexes of it go first, then what names it.
    for (_, _, path) in swaps.iter().filter(|&&(base, ..)| !is_committed(base)) {
        folder.fs.remove_file(path)?;
    }
    folder.fs.sync_dir(&folder.dir)?;
    for (_, _, path) in &cleaned {
        folder.fs.remove_file(path)?;
    }
    for &(base, ..) in swaps.iter().filter(|&&(base, kind, _)| kind == Kind::Log && is_committed(base)) {
        finish_swap(folder, base)?;
    }
    Ok(true)
}

fn finish_swap(folder: &Folder, base: Offset) -> io::Result<()> {
    let swap = |kind| names::swap_path(&folder.dir, base, kind);
    let end = end_of(folder, &swap(Kind::Log))?;
    for entry in folder.fs.read_dir(&folder.dir)? {
        let Some((old, kind)) = names::parse(&entry.name) else { continue };
        if base < old && old < end && kind != Kind::Snapshot {
            folder.fs.remove_file(&folder.dir.join(&entry.name))?;
        }
    }
    for kind in INDEXES {
        // One that is not there any more has its name already.
        folder.rename_if_there(&swap(kind), &folder.path(base, kind))?;
    }
    folder.fs.sync_dir(&folder.dir)?;
    tracing::info!(dir = %folder.dir.display(), %base, "finished putting a compacted segment in place");
    folder.fs.rename(&swap(Kind::Log), &folder.path(base, Kind::Log))
}

/// The offset after the last batch of a file.
fn end_of(folder: &Folder, path: &std::path::Path) -> io::Result<Offset> {
    let file = folder.fs.open(path, rt::Open::Read)?;
    let mut scan = BatchScan::new(&file, 0, file.file_len()?, Depth::Headers);
    let mut end = Offset::ZERO;
    loop {
        match scan.next() {
            Ok(Some(found)) => end = found.header.next_offset(),
            // What is damaged is found when the segment is read; which segments it replaces, it says up to there.
            Ok(None) | Err(ScanError::Bad { .. }) => return Ok(end),
            Err(ScanError::Io { error, .. }) => return Err(error),
        }
    }
}
