//! A file of sorted entries of one width, with its newest entries still in memory.
//!
//! - X1 Entries are sorted; the file is a prefix of them and `pending` the rest.
//! - X2 What an index says is a hint: whoever follows it checks that a batch of that offset lies there.
//! - X3 Nothing of a file is held in memory but its last entry.
//!
//! The writer alone adds; readers look up at the same time.

use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::sync::RwLock;

use rt::File;

use crate::locks::{read, write};

/// One entry: how wide it is in a file and what it says.
pub(crate) trait Entry: Copy {
    /// Bytes in the file.
    const WIDTH: usize;
    fn encode(self, out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Self;
    /// Whether it can be an entry at all.
    fn is_sound(self) -> bool;
    /// Whether `next` may stand behind `self`.
    fn precedes(self, next: Self) -> bool;
}

/// Entries kept in memory before they are written: few enough for 100,000 partitions, enough to save calls.
const PENDING_MAX: usize = 64;

/// Entries read at once when a search has come close.
const BLOCK_ENTRIES: u64 = 512;

#[derive(Debug)]
pub(crate) struct IndexFile<E> {
    entries: RwLock<Entries<E>>,
}

#[derive(Debug)]
struct Entries<E> {
    in_file: u64,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: Entry> IndexFile<E> {
    /// An index whose file holds `in_file` entries, of which `last` is the last one.
    pub(crate) fn new(in_file: u64, last: Option<E>) -> IndexFile<E> {
        IndexFile { entries: RwLock::new(Entries { in_file, pending: Vec::new(), last }) }
    }

    /// Entries in all.
    pub(crate) fn len(&self) -> u64 {
        let entries = read(&self.entries);
        entries.in_file + count(entries.pending.len())
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<E> {
        read(&self.entries).last
    }

    /// Adds an entry, if it may stand behind the last one (X1).
    pub(crate) fn push(&self, entry: E) {
        let mut entries = write(&self.entries);
        if entries.last.is_none_or(|last| last.precedes(entry)) {
            entries.pending.push(entry);
            entries.last = Some(entry);
        }
    }

    /// Whether enough entries wait in memory to be worth a write.
    pub(crate) fn wants_flush(&self) -> bool {
        PENDING_MAX <= read(&self.entries).pending.len()
    }

    /// Writes the entries that wait in memory; yields the file, which is not synced, if there were any.
    pub(crate) fn flush(&self, file: impl FnOnce() -> io::Result<File>) -> io::Result<Option<File>> {
        let (bytes, in_file, added) = {
            let entries = read(&self.entries);
            let mut bytes = Vec::with_capacity(entries.pending.len() * E::WIDTH);
            entries.pending.iter().for_each(|entry| entry.encode(&mut bytes));
            (bytes, entries.in_file, entries.pending.len())
        };
        if added == 0 {
            return Ok(None);
        }
        // Written without the lock: readers still find these entries in memory.
        let file = file()?;
        file.write_all_at(&[IoSlice::new(&bytes)], in_file * count(E::WIDTH))?;
        let mut entries = write(&self.entries);
        entries.pending = Vec::new();
        entries.in_file += count(added);
        Ok(Some(file))
    }

    /// The last entry for which `before` holds; it must hold for a prefix of the entries.
    pub(crate) fn last_where(
        &self,
        file: impl FnOnce() -> io::Result<File>,
        before: impl Fn(E) -> bool,
    ) -> io::Result<Option<E>> {
        let in_file = {
            let entries = read(&self.entries);
            let pending = entries.pending.partition_point(|&entry| before(entry));
            if let Some(&found) = entries.pending[..pending].last() {
                return Ok(Some(found));
            }
            entries.in_file
        };
        if in_file == 0 { Ok(None) } else { search::<E>(&file()?, in_file, before) }
    }

    /// Shows the entries from the first on for which `before` does not hold, until `see` has seen enough; `before` must
    /// hold for a prefix of the entries.
    pub(crate) fn walk(
        &self,
        file: impl FnOnce() -> io::Result<File>,
        before: impl Fn(E) -> bool,
        mut see: impl FnMut(E) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        // Taken together, so that entries on their way from memory to the file are seen once.
        let (in_file, pending) = {
            let entries = read(&self.entries);
            (entries.in_file, entries.pending.clone())
        };
        if 0 < in_file {
            let file = file()?;
            let mut next = partition_point::<E>(&file, in_file, &before)?;
            while next < in_file {
                for entry in entries_at::<E>(&file, next, in_file.min(next + BLOCK_ENTRIES))? {
                    if see(entry).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    next += 1;
                }
            }
        }
        Ok(pending.into_iter().skip_while(|&entry| before(entry)).try_for_each(see))
    }

    /// Drops the entries for which `keep` does not hold, from the file too; `keep` must hold for a prefix.
    pub(crate) fn cut(&self, file: &File, keep: impl Fn(E) -> bool) -> io::Result<()> {
        self.flush(|| Ok(file.clone()))?;
        let in_file = read(&self.entries).in_file;
        let kept = partition_point::<E>(file, in_file, keep)?;
        file.set_len(kept * count(E::WIDTH))?;
        let last = if kept == 0 { None } else { Some(entry_at::<E>(file, kept - 1)?) };
        *write(&self.entries) = Entries { in_file: kept, pending: Vec::new(), last };
        Ok(())
    }
}

/// Reads all entries of a file up to the first that cannot stand there, which is where a torn index ends.
pub(crate) fn sorted_prefix<E: Entry>(bytes: &[u8]) -> Vec<E> {
    let mut entries: Vec<E> = Vec::new();
    for chunk in bytes.chunks_exact(E::WIDTH) {
        let entry = E::decode(chunk);
        if !entry.is_sound() || entries.last().is_some_and(|last| !last.precedes(entry)) {
            break;
        }
        entries.push(entry);
    }
    entries
}

fn entry_at<E: Entry>(file: &File, index: u64) -> io::Result<E> {
    let mut bytes = vec![0; E::WIDTH];
    file.read_exact_at(&mut bytes, index * count(E::WIDTH))?;
    Ok(E::decode(&bytes))
}

/// The last entry of an index file with `entries` entries.
pub(crate) fn last_entry<E: Entry>(file: &File, entries: u64) -> io::Result<Option<E>> {
    entries.checked_sub(1).map(|last| entry_at(file, last)).transpose()
}

fn search<E: Entry>(file: &File, entries: u64, before: impl Fn(E) -> bool) -> io::Result<Option<E>> {
    last_entry(file, partition_point::<E>(file, entries, before)?)
}

fn partition_point<E: Entry>(file: &File, entries: u64, before: impl Fn(E) -> bool) -> io::Result<u64> {
    // `before` holds for everything below `low` and for nothing from `high` on.
    let (mut low, mut high) = (0, entries);
    while BLOCK_ENTRIES < high - low {
        let middle = low + (high - low) / 2;
        if before(entry_at(file, middle)?) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let matching = entries_at::<E>(file, low, high)?.into_iter().take_while(|&entry| before(entry)).count();
    Ok(low + count(matching))
}

/// The entries from index `low` to below `high`, a block at the most.
fn entries_at<E: Entry>(file: &File, low: u64, high: u64) -> io::Result<Vec<E>> {
    let mut block = vec![0; usize::try_from(high - low).unwrap_or(0) * E::WIDTH];
    file.read_exact_at(&mut block, low * count(E::WIDTH))?;
    Ok(block.chunks_exact(E::WIDTH).map(E::decode).collect())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("memory is not larger than 2^64 bytes")
}
