//! The batches of a segment, one after the other, sound or not.

use std::io;
use std::path::Path;

use model::Offset;
use record::{BatchError, BatchHeader};
use rt::{File, Fs, Open};

use crate::batch_scan::{BatchScan, Depth, ScanError};
use crate::inspect::Flaw;

/// What lies at a place of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBatch {
    /// Its first byte.
    pub position: u64,
    /// What it says of itself; `None` when that makes no sense, and then it is the last one that can be found.
    pub header: Option<BatchHeader>,
    /// All of it; empty without a header.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub flaw: Option<Flaw>,
}

/// A walk through a segment.
pub struct Batches {
    file: File,
    position: u64,
    end: u64,
    expected: Offset,
}

impl Batches {
    /// Begins at the first byte of the segment that begins at `base`. Blocks, as `read` does.
    pub fn open(fs: &Fs, path: &Path, base: Offset) -> io::Result<Batches> {
        let file = fs.open(path, Open::Read)?;
        let end = file.file_len()?;
        Ok(Batches { file, position: 0, end, expected: base })
    }

    /// Bytes of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.end
    }

    /// The next batch; `None` at the end, and behind what cannot be read.
    pub fn read(&mut self) -> io::Result<Option<StoredBatch>> {
        let position = self.position;
        let found = match BatchScan::new(&self.file, position, self.end, Depth::Headers).next() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(ScanError::Io { error, .. }) => return Err(error),
            Err(ScanError::Bad { error, .. }) => {
                // Without a length nothing says where the next batch begins.
                self.position = self.end;
                let flaw = Some(Flaw::Batch(error));
                return Ok(Some(StoredBatch { position, header: None, bytes: Vec::new(), flaw }));
            }
        };
        let mut bytes = vec![0; found.header.size_in_bytes()];
        self.file.read_exact_at(&mut bytes, position)?;
        self.position = found.end();
        let flaw = self.flaw_of(&found.header, &bytes);
        Ok(Some(StoredBatch { position, header: Some(found.header), bytes, flaw }))
    }

    fn flaw_of(&mut self, header: &BatchHeader, bytes: &[u8]) -> Option<Flaw> {
        if let Err(error) = record::check(bytes) {
            return Some(Flaw::Batch(error));
        }
        let (expected, found) = (self.expected, header.base_offset);
        // Offsets are outside the checksum, so a wrong one says nothing of where the next batch belongs.
        if found < expected {
            return Some(Flaw::OffsetOrder { expected, found });
        }
        self.expected = header.next_offset();
        None
    }
}

impl StoredBatch {
    /// What is wrong inside: records that cannot be read, though the checksum fits. Decompresses at most
    /// `decompressed_bytes_max` bytes.
    pub fn decode(&self, decompressed_bytes_max: usize) -> Result<record::Decoded<'_>, BatchError> {
        record::decode(&self.bytes, decompressed_bytes_max)
    }
}
