//! Snappy as Kafka's clients write it: raw blocks behind the xerial stream header, or one raw block alone.
//!
//! - X1 A block's stated size is believed only as far as its compressed bytes could reach and the reader's
//!   bound allows.

use std::io::{self, Read};

/// Opens a xerial stream: magic, then version 1 and compatible version 1.
const STREAM_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const MAGIC_BYTES: usize = 8;

/// Uncompressed bytes of one block, as `SnappyOutputStream` writes them.
const BLOCK_BYTES: usize = 32 * 1024;

/// Raw snappy's densest element is a copy of 64 bytes in three, so nothing honest expands further than this.
const EXPANSION_MAX: usize = 64;

/// Decompresses block after block.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    read: usize,
    bytes_max: usize,
}

impl<'a> Reader<'a> {
    /// Reads a xerial stream, or a raw block when the header is not there; no block larger than `bytes_max`.
    pub(crate) fn new(input: &'a [u8], bytes_max: usize) -> Reader<'a> {
        let framed =
            input.len() >= STREAM_HEADER.len() && input[..MAGIC_BYTES] == STREAM_HEADER[..MAGIC_BYTES];
        let rest = if framed { &input[STREAM_HEADER.len()..] } else { input };
        Reader { rest, framed, block: Vec::new(), read: 0, bytes_max }
    }

    fn next_block(&mut self) -> io::Result<()> {
        let compressed = if self.framed {
            let Some((length, rest)) = self.rest.split_first_chunk::<4>() else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            // Streams may be joined: a header in the place of a length opens the next one.
            if self.rest.len() >= STREAM_HEADER.len()
                && self.rest[..MAGIC_BYTES] == STREAM_HEADER[..MAGIC_BYTES]
            {
                self.rest = &self.rest[STREAM_HEADER.len()..];
                self.block.clear();
                self.read = 0;
                return Ok(());
            }
            let length = usize::try_from(i32::from_be_bytes(*length)).map_err(invalid)?;
            let Some((block, rest)) = rest.split_at_checked(length) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.rest = rest;
            block
        } else {
            std::mem::take(&mut self.rest)
        };
        let size = snap::raw::decompress_len(compressed).map_err(invalid)?;
        if self.bytes_max < size {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if compressed.len().saturating_mul(EXPANSION_MAX) < size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.block.resize(size, 0);
        self.read = 0;
        snap::raw::Decoder::new().decompress(compressed, &mut self.block).map_err(invalid)?;
        Ok(())
    }
}

fn invalid<E: Into<Box<dyn std::error::Error + Send + Sync>>>(cause: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.block.len() && !self.rest.is_empty() {
            self.next_block()?;
        }
        let count = out.len().min(self.block.len() - self.read);
        out[..count].copy_from_slice(&self.block[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

/// Compresses into a xerial stream.
pub(crate) fn compress(input: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = STREAM_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(invalid)?;
        let length = i32::try_from(compressed.len()).map_err(invalid)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_joined_streams_are_read() {
        let raw = snap::raw::Encoder::new().compress_vec(b"hello").expect("compresses");
        let mut joined = compress(b"hel").expect("compresses");
        joined.extend(compress(b"lo").expect("compresses"));
        for input in [&raw, &joined] {
            let mut out = String::new();
            Reader::new(input, 100).read_to_string(&mut out).expect("reads");
            assert_eq!(out, "hello");
        }
    }

    #[test]
    fn a_stated_size_beyond_reach_is_refused() {
        // A raw block that says it holds 32 MiB in two bytes.
        let lie = [0x80, 0x80, 0x80, 0x10, 0x00, 0x00];
        let error = Reader::new(&lie, 1 << 30).read(&mut [0; 8]).expect_err("a lie");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = Reader::new(&lie, 1 << 20).read(&mut [0; 8]).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
