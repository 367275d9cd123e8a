//! Reading a segment batch by batch, each whole and checked, through a buffer of bounded size.

use record::{BATCH_HEADER_BYTES, BatchError, BatchHeader};
use rt::File;

use model::limits::UNSYNCED_BYTES_MAX;

use crate::batch_scan::{ScanError, bytes};

/// Where the next batch begins, and what was read ahead of it.
pub(crate) struct BatchReader {
    file: File,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
    buffer_bytes: usize,
}

/// One whole batch with the right checksum.
pub(crate) struct Batch<'a> {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: &'a [u8],
}

impl BatchReader {
    /// From the batch at `position` to those that end by `end`; a batch larger than `buffer_bytes` widens the buffer.
    pub(crate) fn new(file: File, position: u64, end: u64, buffer_bytes: usize) -> BatchReader {
        BatchReader { file, position, end, buffer: Vec::new(), buffer_at: position, buffer_bytes }
    }

    /// Bytes read at a time.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// Whether all was read.
    pub(crate) fn is_done(&self) -> bool {
        self.end <= self.position
    }

    /// The next batch.
    pub(crate) fn next(&mut self) -> Result<Option<Batch<'_>>, ScanError> {
        if self.is_done() {
            return Ok(None);
        }
        let position = self.position;
        let bad = |error| ScanError::Bad { position, error };
        let refused = |error| ScanError::Io { position, error };
        self.fill(BATCH_HEADER_BYTES).map_err(refused)?;
        let header = BatchHeader::parse(self.window()).map_err(bad)?;
        let size = header.size_in_bytes();
        let left = self.end - position;
        if left < bytes(size) || UNSYNCED_BYTES_MAX < bytes(size) {
            let have = usize::try_from(left).unwrap_or(usize::MAX);
            return Err(bad(BatchError::Truncated { have, need: size }));
        }
        self.fill(size).map_err(refused)?;
        self.position += bytes(size);
        let from = usize::try_from(position - self.buffer_at).unwrap_or(usize::MAX);
        let whole = self.buffer.get(from..).unwrap_or_default();
        record::check(whole).map_err(bad)?;
        Ok(Some(Batch { header, bytes: &whole[..size] }))
    }

    fn window(&self) -> &[u8] {
        let from = usize::try_from(self.position - self.buffer_at).unwrap_or(usize::MAX);
        self.buffer.get(from..).unwrap_or_default()
    }

    /// Sees to it that `wanted` bytes from the current position are in the buffer, if the file has them.
    fn fill(&mut self, wanted: usize) -> std::io::Result<()> {
        if wanted <= self.window().len() {
            return Ok(());
        }
        let available = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        // A batch beyond the buffer's size was an exception: what it needed is given back.
        self.buffer.truncate(0);
        self.buffer.shrink_to(self.buffer_bytes.max(wanted));
        self.buffer.resize(self.buffer_bytes.max(wanted).min(available), 0);
        let read = self.file.read_at(&mut self.buffer, self.position)?;
        self.buffer.truncate(read);
        self.buffer_at = self.position;
        Ok(())
    }
}
