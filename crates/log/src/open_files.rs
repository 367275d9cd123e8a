//! The bounded set of files kept open for segments of all logs of a process.
//!
//! - O1 At most `capacity` descriptors are held here; the one used longest ago goes first.
//! - O2 Closing here never closes a file somebody uses: slices and unsynced writers hold their own handle.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rt::File;
use rustc_hash::FxHashMap;

use crate::locks::lock;
use crate::names::{Kind, SEGMENT_KINDS};

/// Which file: the segment's number in this process, and which of its files.
pub(crate) type FileId = (u64, Kind);

/// Open files by use; shared by every log that is given a clone of its `Arc`.
#[derive(Debug)]
pub struct OpenFiles {
    capacity: usize,
    next_segment: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    uses: u64,
    files: FxHashMap<FileId, (File, u64)>,
    by_use: BTreeMap<u64, FileId>,
}

impl Default for OpenFiles {
    fn default() -> OpenFiles {
        OpenFiles::new(model::limits::OPEN_SEGMENTS_MAX)
    }
}

impl OpenFiles {
    /// Keeps at most `capacity` files open (O1).
    pub fn new(capacity: usize) -> OpenFiles {
        OpenFiles { capacity, next_segment: AtomicU64::new(0), held: Mutex::default() }
    }

    /// A number for a segment, never given twice.
    pub(crate) fn number_segment(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// The file, from here or from `open`.
    pub(crate) fn get(&self, id: FileId, open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
        if let Some(file) = lock(&self.held).touch(id) {
            return Ok(file);
        }
        // Opened without the lock: a slow disk must not stop readers of other segments.
        let file = open()?;
        let evicted = lock(&self.held).insert(id, file.clone(), self.capacity);
        drop(evicted);
        Ok(file)
    }

    /// Lets go of all files of a segment that was deleted.
    pub(crate) fn forget(&self, segment: u64) {
        let mut held = lock(&self.held);
        for kind in SEGMENT_KINDS {
            if let Some((_, used)) = held.files.remove(&(segment, kind)) {
                held.by_use.remove(&used);
            }
        }
    }

    /// Files held now.
    pub fn count(&self) -> usize {
        lock(&self.held).files.len()
    }
}

impl Held {
    fn touch(&mut self, id: FileId) -> Option<File> {
        let (file, used) = self.files.get_mut(&id)?;
        self.uses += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, id);
        *used = self.uses;
        Some(file.clone())
    }

    fn insert(&mut self, id: FileId, file: File, capacity: usize) -> Option<File> {
        self.uses += 1;
        if let Some((_, used)) = self.files.insert(id, (file, self.uses)) {
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.uses, id);
        if self.files.len() <= capacity {
            return None;
        }
        let (_, oldest) = self.by_use.pop_first()?;
        self.files.remove(&oldest).map(|(file, _)| file)
    }
}
