//! An open file, read and written at positions.
//!
//! - F1 Every error names the file and what was asked of it; its kind is the system's own.
//! - F2 What was written is durable after `sync_data` returned, and the file's *name* only after its directory was
//!   synced too.
//! - F3 A failed sync says nothing about what is durable, now or later: the file must not be trusted again.

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use crate::{os, sim};

/// An open file; clones share one descriptor, which closes with the last of them.
#[derive(Clone, Debug)]
pub struct File(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Os(Arc<os::File>),
    Sim(Arc<sim::File>),
}

/// A range of an open file, kept open by the slice: what [`crate::Stream::send_file`] sends.
#[derive(Clone)]
pub struct FileSlice {
    /// The file; its bytes in the range must not change while the slice lives.
    pub file: File,
    /// Where the range starts, in bytes.
    pub position: u64,
    /// How long it is, in bytes.
    pub len: u64,
    /// Who hears that the range could not be read while it was sent, if anybody.
    pub owner: Option<Arc<dyn SliceOwner>>,
}

/// Whose bytes a slice is.
pub trait SliceOwner: Send + Sync {
    /// Some bytes of the range could not be read: the disk failed, or the file is shorter than it was.
    fn on_unreadable(&self, range: Range<u64>);
}

impl FileSlice {
    pub(crate) fn tell_unreadable(&self) {
        if let Some(owner) = &self.owner {
            owner.on_unreadable(self.position..self.position + self.len);
        }
    }
}

impl fmt::Debug for FileSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileSlice { file, position, len, owner: _ } = self;
        f.debug_struct("FileSlice").field("file", file).field("position", position).field("len", len).finish()
    }
}

impl File {
    /// Reads at most `buffer.len()` bytes at `position`; fewer only at the end of the file.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.read_some_at(&mut buffer[read..], position + size(read))? {
                0 => break,
                n => read += n,
            }
        }
        Ok(read)
    }

    /// Fills `buffer` from `position`; `UnexpectedEof` when the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let wanted = buffer.len();
        let read = self.read_at(buffer, position)?;
        if read < wanted {
            let what = format!("the file ends after {read} of {wanted} bytes at {position}");
            return Err(self.error("read", io::Error::new(io::ErrorKind::UnexpectedEof, what)));
        }
        Ok(())
    }

    /// Writes all of `slices`, one after the other, from `position` on; one system call unless the system takes less.
    pub fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = slices.to_vec();
        let mut rest = slices.as_mut_slice();
        let mut position = position;
        // Empty slices in front would make a full write look like a write of nothing.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = self.write_some_at(rest, position)?;
            if written == 0 {
                return Err(self.error("write", io::ErrorKind::WriteZero.into()));
            }
            position += size(written);
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    /// Makes the file's bytes and length durable (F2, F3).
    pub fn sync_data(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Os(file) => file.sync_data(),
            Kind::Sim(file) => file.sync(),
        }
        .map_err(|err| self.error("sync", err))
    }

    /// Makes the file's bytes, length and attributes durable (F2, F3).
    pub fn sync_all(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Os(file) => file.sync_all(),
            Kind::Sim(file) => file.sync(),
        }
        .map_err(|err| self.error("sync", err))
    }

    /// Cuts the file to `len` bytes, or extends it with zeros.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        match &self.0 {
            Kind::Os(file) => file.set_len(len),
            Kind::Sim(file) => file.set_len(len),
        }
        .map_err(|err| self.error("set the length of", err))
    }

    /// Extends the file to `len` bytes, zeros, that the file system sets aside for it.
    pub fn allocate(&self, len: u64) -> io::Result<()> {
        match &self.0 {
            Kind::Os(file) => file.allocate(len),
            Kind::Sim(file) => file.set_len(len),
        }
        .map_err(|err| self.error("set space aside for", err))
    }

    /// Sets space aside for a range that lies at the file's end or behind it; the file keeps its length. A file that is cut,
    /// to its own length too, gives back what lies behind.
    pub fn reserve(&self, range: &Range<u64>) -> io::Result<()> {
        match &self.0 {
            Kind::Os(file) => file.reserve(range),
            Kind::Sim(file) => file.reserve(range),
        }
        .map_err(|err| self.error("set space aside for", err))
    }

    /// The file's length in bytes.
    pub fn file_len(&self) -> io::Result<u64> {
        match &self.0 {
            Kind::Os(file) => file.len(),
            Kind::Sim(file) => file.len(),
        }
        .map_err(|err| self.error("ask the length of", err))
    }

    fn read_some_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        match &self.0 {
            Kind::Os(file) => file.read_at(buffer, position),
            Kind::Sim(file) => file.read_at(buffer, position),
        }
        .map_err(|err| self.error("read", err))
    }

    fn write_some_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        match &self.0 {
            Kind::Os(file) => file.write_at(slices, position),
            Kind::Sim(file) => file.write_at(slices, position),
        }
        .map_err(|err| self.error("write", err))
    }

    fn error(&self, what: &str, err: io::Error) -> io::Error {
        let path = match &self.0 {
            Kind::Os(file) => file.path(),
            Kind::Sim(file) => file.path(),
        };
        crate::fs::error(what, path, err)
    }
}

/// A count of bytes in memory as a file's measure.
fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("memory is not larger than 2^64 bytes")
}
