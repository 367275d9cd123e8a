//! The same batch with another codec, for topics that store all batches alike (`compression.type`).
//!
//! - C1 Only how the records are written changes: what they decompress to stays byte for byte, and with it every
//!   key, header, timestamp and offset; so do the producer's id, epoch and sequence number.

use std::io::{ErrorKind, Read};

use crate::batch::CheckedBatch;
use crate::batch_error::BatchError;
use crate::compression::{Compression, Decoder};

impl CheckedBatch {
    /// Writes the records with `compression` at `level` (`None` is its default), unless they are already.
    ///
    /// Whoever wants to be sure that they are records checked them before ([`crate::Validation::Records`]). Fails
    /// with `DecompressedTooLarge` once they take more than `decompressed_bytes_max`. Blocks for as long as the
    /// codecs take.
    pub fn recompress(
        mut self,
        compression: Compression,
        level: Option<i32>,
        decompressed_bytes_max: usize,
    ) -> Result<CheckedBatch, BatchError> {
        let stored = self.header().compression()?;
        if stored == compression {
            return Ok(self);
        }
        let [_, body] = self.parts();
        let mut plain = Vec::new();
        Decoder::new(stored, body, decompressed_bytes_max)
            .and_then(|mut decoder| decoder.read_to_end(&mut plain))
            .map_err(|error| match error.kind() {
                ErrorKind::FileTooLarge => BatchError::DecompressedTooLarge { max: decompressed_bytes_max },
                _ => BatchError::Decompression,
            })?;
        let body = compression.compress(plain, level).map_err(|_| BatchError::Decompression)?;
        self.set_body(compression, body)?;
        Ok(self)
    }
}
