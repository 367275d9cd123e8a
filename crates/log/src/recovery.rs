//! Opening a log: what is on disk becomes segments, producers and epochs again.
//!
//! - V1 A snapshot of producers at an offset exists only once all below it (batches, index entries, epochs) was
//!   synced: recovery trusts everything below the newest sound snapshot and derives everything else from the
//!   batches behind it. The cost follows from what was written since, never from the size of the log.
//! - V2 A bad batch below what was durable, or further from the end than may be unsynced, is corruption: nothing
//!   is cut. Anything else bad is a torn tail: it is cut, together with what follows it (D1).
//! - V3 What is kept is written over itself where that is not known to be durable, and synced before it is used. Later segments go before the one in front is cut, so that a crash
//!   in between finds a torn tail again, only a shorter one (I10).

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use model::{Offset, TopicId};
use rt::{File, Open};

use crate::cleaner::finish_swaps;
use crate::config::LogConfig;
use crate::folder::Folder;
use crate::index_file::IndexFile;
use crate::leader_epochs::LeaderEpochs;
use crate::log_error::{Corruption, Damage, LogError};
use crate::names::{self, Kind};
use crate::partition_folder::{is_damaged_copy, read_topic_id, topic_id_text};
use crate::producer_snapshot;
use crate::producers::Producers;
use crate::replay::Replay;
use crate::segment::{IndexCursor, Segment};

/// How the log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// By a clean shutdown: everything was synced.
    Clean,
    /// By a crash; everything below this offset was synced (the recovery point; zero when nothing is known).
    From(Offset),
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Bytes of batches read anew.
    pub scanned_bytes: u64,
    /// Bytes of torn tail cut off.
    pub cut_bytes: u64,
    /// Segments removed with it.
    pub cut_segments: usize,
    /// Segments whose indexes were missing or damaged and were built anew.
    pub rebuilt_indexes: usize,
}

/// What the writer starts from.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) cursor: IndexCursor,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    /// Snapshots on disk, ascending.
    pub(crate) snapshots: Vec<Offset>,
    /// Files changed and not synced; none after [`Recovery::From`].
    pub(crate) unsynced: Vec<File>,
    /// Whether names changed that were not synced: in the folder, and of the folder.
    pub(crate) unsynced_names: bool,
    pub(crate) report: RecoveryReport,
}

/// Opens what is in `folder`, creating it when there is nothing.
pub(crate) fn recover(
    folder: &Arc<Folder>,
    config: &LogConfig,
    recovery: Recovery,
    start_offset: Offset,
    topic_id: Option<TopicId>,
) -> Result<Recovered, LogError> {
    let created = !folder.fs.exists(&folder.dir)?;
    if created {
        folder.fs.create_dir_all(&folder.dir)?;
    }
    let named = name_topic(folder, topic_id)?;
    let listing = list(folder, start_offset)?;
    let durable = match recovery {
        Recovery::Clean => start_offset,
        Recovery::From(recovery_point) => recovery_point.max(start_offset),
    };
    let Some(&first) = listing.bases.first() else {
        return create(folder, start_offset, durable, named);
    };
    let start = start_offset.max(first);
    let (trusted, producers, snapshots) = newest_snapshot(folder, &listing, first)?;
    let (mut epochs, epochs_known) = read_epochs(folder);
    let epochs_before = epochs.clone();
    // Behind the snapshot the file may be older or newer than the batches: they say it all again.
    epochs.truncate_from_end(trusted);
    let mut replay = Replay {
        folder,
        indexed: &listing.indexed,
        snapshots: &snapshots,
        config,
        recovery,
        trusted,
        durable: durable.max(trusted),
        replay_epochs_from: if epochs_known { trusted } else { first },
        epochs,
        producers,
        segments: Vec::new(),
        cursor: IndexCursor::START,
        next: first,
        names_changed: created || listing.removed || named.is_some(),
        unsure: Vec::new(),
        touched: named.into_iter().collect(),
        report: RecoveryReport::default(),
    };
    replay.load_all(&listing.bases)?;
    replay.epochs.truncate_from_end(replay.next);
    replay.epochs.truncate_from_start(start);
    if replay.epochs != epochs_before || !epochs_known {
        let file = write_epochs(folder, &replay.epochs)?;
        replay.touched.push(file);
        replay.names_changed = true;
    }
    replay.finish(start)
}

/// Sees to it that the folder says which topic it belongs to; yields the file when it had to be written.
fn name_topic(folder: &Folder, topic_id: Option<TopicId>) -> Result<Option<File>, LogError> {
    let Some(wanted) = topic_id else { return Ok(None) };
    let path = folder.dir.join(names::PARTITION_METADATA);
    match read_topic_id(&folder.fs, &folder.dir)? {
        Some(found) if found == wanted => return Ok(None),
        Some(found) if !is_damaged_copy(found, wanted) => {
            return Err(LogError::OtherTopic { found, wanted });
        }
        Some(_) | None => {}
    }
    if folder.fs.exists(&path)? {
        tracing::warn!("{} is damaged: written again, as of topic {wanted}", path.display());
    }
    let file = folder.fs.open(&path, Open::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[io::IoSlice::new(topic_id_text(wanted).as_bytes())], 0)?;
    Ok(Some(file))
}

struct Listing {
    bases: Vec<Offset>,
    /// Which segments have which indexes.
    indexed: BTreeSet<(Offset, Kind)>,
    snapshots: Vec<Offset>,
    removed: bool,
}

/// Lists the folder and removes what a crash left half-done, and segments below the start of the log.
fn list(folder: &Folder, start_offset: Offset) -> io::Result<Listing> {
    let (mut bases, mut indexes, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
    let mut entries = folder.fs.read_dir(&folder.dir)?;
    let mut removed = finish_swaps(folder, &entries)?;
    if removed {
        entries = folder.fs.read_dir(&folder.dir)?;
    }
    for entry in entries {
        let leftover = [".tmp", ".deleted"].iter().any(|suffix| entry.name.ends_with(suffix));
        match names::parse(&entry.name) {
            Some((base, Kind::Log)) => bases.push(base),
            Some((base, kind @ (Kind::OffsetIndex | Kind::TimeIndex | Kind::AbortedIndex))) => {
                indexes.push((base, kind, entry.name));
            }
            Some((offset, Kind::Snapshot)) => snapshots.push(offset),
            None if leftover && !entry.is_dir => {
                folder.fs.remove_file(&folder.dir.join(&entry.name))?;
                removed = true;
            }
            None => {}
        }
    }
    let mut indexed = BTreeSet::new();
    for (base, kind, name) in indexes {
        if bases.binary_search(&base).is_err() {
            folder.fs.remove_file(&folder.dir.join(name))?;
            removed = true;
        } else {
            indexed.insert((base, kind));
        }
    }
    let below = bases.partition_point(|&base| base <= start_offset).saturating_sub(1);
    for base in bases.drain(..below) {
        remove_segment(folder, base)?;
        removed = true;
    }
    Ok(Listing { bases, indexed, snapshots, removed })
}

/// Removes the files of a segment; what a crash leaves of them is removed or built anew at the next start.
pub(crate) fn remove_segment(folder: &Folder, base: Offset) -> io::Result<()> {
    for kind in [Kind::OffsetIndex, Kind::TimeIndex, Kind::AbortedIndex, Kind::Log] {
        folder.remove_if_there(&folder.path(base, kind))?;
    }
    Ok(())
}

/// A log that holds nothing yet.
fn create(
    folder: &Arc<Folder>,
    start: Offset,
    durable: Offset,
    named: Option<File>,
) -> Result<Recovered, LogError> {
    if start < durable {
        let what = Damage::Missing { from: start, to: durable };
        return Err(Corruption { path: folder.dir.clone(), position: 0, what }.into());
    }
    Ok(Recovered {
        segments: vec![create_segment(folder, start)?],
        cursor: IndexCursor::START,
        start,
        end: start,
        epochs: LeaderEpochs::default(),
        producers: Producers::default(),
        snapshots: Vec::new(),
        unsynced: named.into_iter().collect(),
        unsynced_names: true,
        report: RecoveryReport::default(),
    })
}

/// Creates the three files of an empty segment; nothing is synced.
pub(crate) fn create_segment(folder: &Arc<Folder>, base: Offset) -> io::Result<Arc<Segment>> {
    for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
        // One may be left of a segment whose batches are gone, or that was never begun.
        folder.fs.open(&folder.path(base, kind), Open::Create)?.set_len(0)?;
    }
    folder.remove_if_there(&folder.path(base, Kind::AbortedIndex))?;
    folder.fs.open(&folder.path(base, Kind::Log), Open::CreateNew)?;
    let (offsets, times, aborted) =
        (IndexFile::new(0, None), IndexFile::new(0, None), IndexFile::new(0, None));
    Ok(Arc::new(Segment::new(Arc::clone(folder), base, 0, offsets, times, aborted)))
}

/// The newest sound snapshot at or above `first`, what it holds, and all that are left on disk.
fn newest_snapshot(
    folder: &Folder,
    listing: &Listing,
    first: Offset,
) -> io::Result<(Offset, Producers, Vec<Offset>)> {
    let mut kept = listing.snapshots.clone();
    while let Some(&newest) = kept.last().filter(|&&newest| first <= newest) {
        let path = folder.path(newest, Kind::Snapshot);
        let read = folder.fs.read(&path).ok();
        if let Some(producers) = read.and_then(|bytes| producer_snapshot::decode(&bytes)) {
            return Ok((newest, producers, kept));
        }
        tracing::warn!(path = %path.display(), "snapshot of producers is damaged; an older one is used");
        folder.remove_if_there(&path)?;
        kept.pop();
    }
    Ok((first, Producers::default(), kept))
}

/// The epochs, and whether the file could be read; a file that is missing knows nothing.
fn read_epochs(folder: &Folder) -> (LeaderEpochs, bool) {
    let path = folder.dir.join(names::LEADER_EPOCHS);
    let known = match folder.fs.read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => {
            let known = read.ok().and_then(|bytes| LeaderEpochs::from_text(&bytes));
            if known.is_none() {
                tracing::warn!("{} is damaged and made anew of the batches", path.display());
            }
            known
        }
    };
    (known.clone().unwrap_or_default(), known.is_some())
}

/// Replaces the checkpoint of epochs. Not synced: the caller syncs the file and the folder's names, and until then
/// either file may be found, whole or not; what is not readable comes from the batches (L2).
pub(crate) fn write_epochs(folder: &Folder, epochs: &LeaderEpochs) -> io::Result<File> {
    let path = folder.dir.join(names::LEADER_EPOCHS);
    let temporary = folder.dir.join(format!("{}.tmp", names::LEADER_EPOCHS));
    let file = folder.fs.open(&temporary, Open::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[io::IoSlice::new(epochs.to_text().as_bytes())], 0)?;
    folder.fs.rename(&temporary, &path)?;
    Ok(file)
}
