//! Files by name: open, create, rename, remove, list, lock, sync.
//!
//! - P1 Every call blocks: it is made on a lane or inside `Rt::blocking`.
//! - P2 A name that was created, renamed or removed is durable only after `sync_dir` of its directory.
//! - P3 Every error names the path and what was asked; its kind is the system's own.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file::{self, File};
use crate::{os, sim};

/// The file system.
#[derive(Clone)]
pub struct Fs(Kind);

#[derive(Clone)]
enum Kind {
    Os,
    Sim(sim::Handle),
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must exist; reading only.
    Read,
    /// It must exist; reading and writing.
    ReadWrite,
    /// Reading and writing; an empty one is created when there is none.
    Create,
    /// Reading and writing; `AlreadyExists` when there is one.
    CreateNew,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without its directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// An exclusive lock on a file, held until it is dropped or its process ends.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held for its Drop")] LockKind);

#[derive(Debug)]
enum LockKind {
    Os(#[expect(dead_code, reason = "the lock lives as long as this descriptor")] os::File),
    Sim(#[expect(dead_code, reason = "its Drop gives the lock back")] sim::Lock),
}

impl Fs {
    pub(crate) fn os() -> Fs {
        Fs(Kind::Os)
    }

    pub(crate) fn sim(node: sim::Handle) -> Fs {
        Fs(Kind::Sim(node))
    }

    /// Opens a file.
    pub fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        match &self.0 {
            Kind::Os => os::File::open(path, how).map(|file| File(file::Kind::Os(Arc::new(file)))),
            Kind::Sim(node) => node.open(path, how).map(|file| File(file::Kind::Sim(Arc::new(file)))),
        }
        .map_err(|err| error("open", path, err))
    }

    /// The whole of a file; on the system also of what has no length, such as a pipe (`<(…)` of a shell), to its end.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        if let file::Kind::Os(file) = &file.0 {
            return file.read_to_end().map_err(|err| error("read", path, err));
        }
        let len = usize::try_from(file.file_len()?)
            .map_err(|_| error("read", path, io::ErrorKind::FileTooLarge.into()))?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replaces the contents of `path`: after a crash at any moment it holds the old bytes or the new ones, and once
    /// this returned, the new ones. Writes `path` with `.tmp` appended on the way.
    pub fn write_atomically(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = with_suffix(path, ".tmp");
        let file = self.open(&temporary, Open::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }

    /// Gives `from` the name `to`, in place of what had that name. Durable after `sync_dir` of both directories (P2).
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Os => os::rename(from, to),
            Kind::Sim(node) => node.rename(from, to),
        }
        .map_err(|err| error(&format!("rename to {}", to.display()), from, err))
    }

    /// Removes a file's name; open handles keep its bytes. Durable after `sync_dir` (P2).
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Os => os::remove_file(path),
            Kind::Sim(node) => node.remove_file(path),
        }
        .map_err(|err| error("remove", path, err))
    }

    /// Removes a directory and all in it; a crash half-way leaves a part of it. Durable after `sync_dir` (P2).
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Os => os::remove_dir_all(path),
            Kind::Sim(node) => node.remove_dir_all(path),
        }
        .map_err(|err| error("remove", path, err))
    }

    /// Creates a directory and those above it that are missing. Durable after `sync_dir` of each one's parent (P2).
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Os => os::create_dir_all(path),
            Kind::Sim(node) => node.create_dir_all(path),
        }
        .map_err(|err| error("create the directory", path, err))
    }

    /// What a directory holds, sorted by name. Names that are not UTF-8 are left out: nothing of ours has one.
    pub fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = match &self.0 {
            Kind::Os => os::read_dir(path),
            Kind::Sim(node) => node.read_dir(path),
        }
        .map_err(|err| error("list", path, err))?;
        entries.sort();
        Ok(entries)
    }

    /// Makes a directory's names durable (P2). As with files, a failed sync is never to be retried.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match &self.0 {
            Kind::Os => os::sync_dir(path),
            Kind::Sim(node) => node.sync_dir(path),
        }
        .map_err(|err| error("sync the directory", path, err))
    }

    /// Whether `path` is there; an error when that cannot be known.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match &self.0 {
            Kind::Os => os::exists(path),
            Kind::Sim(node) => node.exists(path),
        }
        .map_err(|err| error("look for", path, err))
    }

    /// A file's length in bytes.
    pub fn file_len(&self, path: &Path) -> io::Result<u64> {
        match &self.0 {
            Kind::Os => os::file_len(path),
            Kind::Sim(node) => node.file_len(path),
        }
        .map_err(|err| error("ask the length of", path, err))
    }

    /// When a file was last written, milliseconds since the Unix epoch, by the clock of whoever wrote it.
    pub fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        match &self.0 {
            Kind::Os => os::modified_ms(path),
            Kind::Sim(node) => node.modified_ms(path),
        }
        .map_err(|err| error("ask the time of", path, err))
    }

    /// Takes the lock of the file `path`, creating it when missing. `WouldBlock` when another holds it.
    pub fn lock_exclusive(&self, path: &Path) -> io::Result<FileLock> {
        match &self.0 {
            Kind::Os => os::lock_exclusive(path).map(|file| FileLock(LockKind::Os(file))),
            Kind::Sim(node) => node.lock_exclusive(path).map(|lock| FileLock(LockKind::Sim(lock))),
        }
        .map_err(|err| error("lock", path, err))
    }

    /// Makes durable everything on the file system that holds `file`: bytes, lengths and names of all its files.
    /// Errors are reported through descriptors opened before the failure, so keep one file open since start.
    pub fn sync_filesystem(&self, file: &File) -> io::Result<()> {
        let (result, path) = match &file.0 {
            file::Kind::Os(file) => (file.sync_filesystem(), file.path()),
            file::Kind::Sim(file) => (file.sync_filesystem(), file.path()),
        };
        result.map_err(|err| error("sync the file system of", path, err))
    }

    /// Whether [`Fs::sync_filesystem`] of the file system that holds `file` is known to report every write that
    /// failed: ext4 and xfs do since Linux 5.8; elsewhere files are to be synced one by one.
    pub fn filesystem_sync_reports_errors(&self, file: &File) -> io::Result<bool> {
        let (result, path) = match &file.0 {
            file::Kind::Os(file) => (file.filesystem_sync_reports_errors(), file.path()),
            file::Kind::Sim(file) => (Ok(true), file.path()),
        };
        result.map_err(|err| error("ask the kind of the file system of", path, err))
    }

    /// Bytes that can still be written on the file system of `path`.
    pub fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        match &self.0 {
            Kind::Os => os::free_bytes(path),
            Kind::Sim(node) => node.free_bytes(path),
        }
        .map_err(|err| error("ask the free space at", path, err))
    }

    /// Bytes that the file system of `path` can hold in all.
    pub fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        match &self.0 {
            Kind::Os => os::total_bytes(path),
            Kind::Sim(node) => node.total_bytes(path),
        }
        .map_err(|err| error("ask the size of the file system at", path, err))
    }
}

/// The directory whose `sync_dir` makes the name `path` durable.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The same error, with the path and the deed in its message (P3).
pub(crate) fn error(what: &str, path: &Path, err: io::Error) -> io::Error {
    io::Error::new(err.kind(), format!("cannot {what} {}: {err}", path.display()))
}
