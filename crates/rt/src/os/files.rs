//! The system's files: thin, safe calls; the facade adds paths to errors.

use std::fs::OpenOptions;
use std::io::{self, IoSlice, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::{Entry, Open};

/// An open descriptor and the name it was opened by.
#[derive(Debug)]
pub(crate) struct File {
    file: std::fs::File,
    path: PathBuf,
}

impl File {
    pub(crate) fn open(path: &Path, how: Open) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::ReadWrite => {
                options.write(true);
            }
            Open::Create => {
                options.write(true).create(true).truncate(false);
            }
            Open::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        Ok(File { file: options.open(path)?, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn descriptor(&self) -> &std::fs::File {
        &self.file
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        uninterrupted(|| self.file.read_at(buffer, position))
    }

    /// From where the descriptor stands, which is the beginning: nothing else moves it.
    pub(crate) fn read_to_end(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        // rustix passes at most IOV_MAX slices on, and the caller goes on where the system stopped.
        uninterrupted(|| Ok(rustix::io::pwritev(&self.file, slices, position)?))
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        // Not repeated when interrupted: whether a failed sync cleaned the pages is not known.
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.file)?)
    }

    pub(crate) fn sync_filesystem(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.file)?)
    }

    pub(crate) fn filesystem_sync_reports_errors(&self) -> io::Result<bool> {
        // The magic numbers of linux/magic.h.
        const EXT4: i128 = 0xef53;
        const XFS: i128 = 0x5846_5342;
        let kind = i128::from(rustix::fs::fstatfs(&self.file)?.f_type);
        Ok(kind == EXT4 || kind == XFS)
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        uninterrupted(|| Ok(rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len)?))
    }

    pub(crate) fn reserve(&self, range: &Range<u64>) -> io::Result<()> {
        let len = range.end.saturating_sub(range.start);
        uninterrupted(|| Ok(rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, range.start, len)?))
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

pub(crate) fn remove_dir_all(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}

pub(crate) fn create_dir_all(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

pub(crate) fn read_dir(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
        }
    }
    Ok(entries)
}

pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::fsync(std::fs::File::open(path)?)?)
}

pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    path.try_exists()
}

pub(crate) fn file_len(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

pub(crate) fn modified_ms(path: &Path) -> io::Result<i64> {
    let since = std::fs::metadata(path)?.modified()?.duration_since(std::time::UNIX_EPOCH);
    // A file older than 1970 reads as one of 1970.
    Ok(i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
}

pub(crate) fn lock_exclusive(path: &Path) -> io::Result<File> {
    let file = File::open(path, Open::Create)?;
    rustix::fs::flock(&file.file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

pub(crate) fn total_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// Repeats a call that a signal interrupted before it did anything.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
