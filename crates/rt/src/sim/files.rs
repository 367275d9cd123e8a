//! Open files and locks of a simulated node.

use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::disk::InodeId;
use super::handle::Handle;
use super::trace::hash_of;
use crate::Open;

/// An open file.
pub(crate) struct File {
    node: Handle,
    inode: InodeId,
    path: PathBuf,
    how: Open,
}

impl File {
    pub(super) fn new(node: Handle, inode: InodeId, path: PathBuf, how: Open) -> File {
        File { node, inode, path, how }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let what = format_args!("read {} at {position}, {} bytes", self.path.display(), buffer.len());
        self.node.look(what, |disk| disk.read(self.inode, buffer, position))
    }

    pub(crate) fn write_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        let (path, hash) = (self.path.display(), hash_of(&bytes));
        let what = format_args!("write {path} at {position}, {} bytes {hash:016x}", bytes.len());
        let now_ms = self.node.wall_clock_ms();
        self.node.change(what, |disk| disk.write(self.inode, &bytes, position, now_ms))
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.node.change(format_args!("sync {}", self.path.display()), |disk| disk.sync_file(self.inode))
    }

    pub(crate) fn sync_filesystem(&self) -> io::Result<()> {
        self.node.sync_filesystem()
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let what = format_args!("set length of {} to {len}", self.path.display());
        self.node.change(what, |disk| disk.set_len(self.inode, len))
    }

    pub(crate) fn reserve(&self, range: &Range<u64>) -> io::Result<()> {
        self.check_writable()?;
        let what = format_args!("set {range:?} of {} aside", self.path.display());
        self.node.change(what, |disk| disk.reserve(self.inode, range.end))
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        self.node.look(format_args!("length of {}", self.path.display()), |disk| disk.len(self.inode))
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.how {
            Open::Read => Err(ErrorKind::PermissionDenied.into()),
            Open::ReadWrite | Open::Create | Open::CreateNew => Ok(()),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let mut state = self.node.world.lock();
        if state.is_alive(self.node.life) {
            state.node_mut(self.node.life.node).disk.close(self.inode);
        }
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("File").field(&self.path).finish()
    }
}

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    pub(super) fn take(file: File) -> io::Result<Lock> {
        let what = format_args!("lock {}", file.path.display());
        file.node.look(what, |disk| disk.lock(file.inode))?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.0.node.world.lock();
        if state.is_alive(self.0.node.life) {
            state.node_mut(self.0.node.life.node).disk.unlock(self.0.inode);
        }
    }
}
