//! The folder of one partition: where its files are and how they are reached.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Offset;
use rt::{File, Fs, Open};

use crate::names::{self, Kind};
use crate::open_files::OpenFiles;

/// Shared by the writer, its readers and every segment.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) fs: Fs,
    pub(crate) dir: PathBuf,
    pub(crate) files: Arc<OpenFiles>,
}

impl Folder {
    pub(crate) fn path(&self, offset: Offset, kind: Kind) -> PathBuf {
        names::path(&self.dir, offset, kind)
    }

    /// A file of a segment that is there.
    pub(crate) fn open(&self, offset: Offset, kind: Kind) -> io::Result<File> {
        self.fs.open(&self.path(offset, kind), Open::ReadWrite)
    }

    /// A file of a segment, from the open ones or opened now, created where there is none.
    pub(crate) fn new_segment_file(&self, number: u64, base: Offset, kind: Kind) -> io::Result<File> {
        self.files.get((number, kind), || self.fs.open(&self.path(base, kind), Open::Create))
    }

    /// The directory whose sync makes this folder's own name durable.
    pub(crate) fn parent(&self) -> &Path {
        self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Renames a file that may not be there; says whether it was.
    pub(crate) fn rename_if_there(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match self.fs.rename(from, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a file that may not be there the name of a deleted one, or removes it where the disk has no room for that.
    pub(crate) fn put_away(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_if_there(from, to).map(drop).or_else(|_| self.remove_if_there(from))
    }

    /// Removes a file that may be gone already.
    pub(crate) fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
