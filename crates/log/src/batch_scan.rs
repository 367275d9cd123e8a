//! Walking from batch to batch through a file.
//!
//! - W1 Nothing is believed that the bytes do not bear out: a length beyond the end or beyond what one append may
//!   write ends the walk with what is wrong, and sizes no allocation.

use std::io;

use model::limits::UNSYNCED_BYTES_MAX;
use record::{BATCH_HEADER_BYTES, BatchError, BatchHeader, EndTransaction};
use rt::File;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only headers: for finding a place in what is known to be sound.
    Headers,
    /// Whole batches with their checksums.
    Checksums,
}

/// A batch in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its first byte.
    pub(crate) position: u64,
    /// Its header.
    pub(crate) header: BatchHeader,
}

impl Found {
    /// The byte after it.
    pub(crate) fn end(&self) -> u64 {
        self.position + bytes(self.header.size_in_bytes())
    }

    /// What it says when it ends a transaction.
    pub(crate) fn end_transaction(&self, file: &File) -> io::Result<Option<EndTransaction>> {
        let size = self.header.size_in_bytes();
        if !self.header.is_control() || CONTROL_BATCH_BYTES_MAX < size {
            return Ok(None);
        }
        let mut batch = vec![0; size];
        file.read_exact_at(&mut batch, self.position)?;
        Ok(EndTransaction::read(&batch).unwrap_or_default())
    }
}

/// A marker has less than a hundred bytes.
const CONTROL_BATCH_BYTES_MAX: usize = 4096;

/// Why a walk stopped before its end.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The file system refused what lies at `position`.
    Io { position: u64, error: io::Error },
    /// What lies at `position` is no sound batch.
    Bad { position: u64, error: BatchError },
}

/// Read at once when only headers are wanted: an index interval and a little more.
const HEADER_CHUNK: usize = 8 * 1024;

/// Read at once when everything is wanted.
const CHECKSUM_CHUNK: usize = 1024 * 1024;

pub(crate) struct BatchScan<'a> {
    file: &'a File,
    depth: Depth,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<'a> BatchScan<'a> {
    /// Walks the batches of `file` from the one that begins at `position` to those that end by `end`.
    pub(crate) fn new(file: &'a File, position: u64, end: u64, depth: Depth) -> BatchScan<'a> {
        BatchScan { file, depth, position, end, buffer: Vec::new(), buffer_at: 0 }
    }

    /// The next batch; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, ScanError> {
        if self.end <= self.position {
            return Ok(None);
        }
        let position = self.position;
        let bad = |error| ScanError::Bad { position, error };
        let refused = |error| ScanError::Io { position, error };
        let header = BatchHeader::parse(self.window(BATCH_HEADER_BYTES).map_err(refused)?).map_err(bad)?;
        let size = header.size_in_bytes();
        let left = self.end - position;
        if left < bytes(size) || UNSYNCED_BYTES_MAX < bytes(size) {
            let have = usize::try_from(left).unwrap_or(usize::MAX);
            return Err(bad(BatchError::Truncated { have, need: size }));
        }
        if self.depth == Depth::Checksums {
            record::check(self.window(size).map_err(refused)?).map_err(bad)?;
        }
        self.position += bytes(size);
        Ok(Some(Found { position, header }))
    }

    /// The bytes from the current position, `wanted` of them or what there is.
    fn window(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let available = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = wanted.min(available);
        let held = usize::try_from(self.position.saturating_sub(self.buffer_at)).unwrap_or(usize::MAX);
        let inside = self.buffer_at <= self.position && held.saturating_add(wanted) <= self.buffer.len();
        if !inside {
            let chunk = match self.depth {
                Depth::Headers => HEADER_CHUNK,
                Depth::Checksums => CHECKSUM_CHUNK,
            };
            self.buffer.resize(chunk.max(wanted).min(available), 0);
            let read = match self.file.read_at(&mut self.buffer, self.position) {
                // Bytes that were read ahead may be what the disk has lost.
                Err(_) if wanted < self.buffer.len() => {
                    self.buffer.truncate(wanted);
                    self.file.read_at(&mut self.buffer, self.position)?
                }
                read => read?,
            };
            self.buffer.truncate(read);
            self.buffer_at = self.position;
        }
        let from = usize::try_from(self.position - self.buffer_at).unwrap_or(usize::MAX);
        let to = from.saturating_add(wanted).min(self.buffer.len());
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }
}

pub(crate) fn bytes(length: usize) -> u64 {
    u64::try_from(length).expect("memory is not larger than 2^64 bytes")
}
