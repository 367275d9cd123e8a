//! What happened, as lines of text: one observable step each, in order.
//!
//! - A1 The hash covers every line; the bytes are kept up to [`TRACE_BYTES_MAX`], so a long run stays small.

use std::fmt;
use std::io::Write;

/// See A1.
const TRACE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Trace {
    bytes: Vec<u8>,
    line: Vec<u8>,
    hash: u64,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Trace {
        let mut trace = Trace { bytes: Vec::new(), line: Vec::new(), hash: hash_of(b"") };
        trace.add(0, format_args!("seed {seed}"));
        trace
    }

    /// Adds a line: the time in nanoseconds and what happened then.
    pub(super) fn add(&mut self, now: u64, what: fmt::Arguments<'_>) {
        self.line.clear();
        writeln!(self.line, "{now} {what}").expect("memory takes every line");
        self.hash = hash_on(self.hash, &self.line);
        if self.bytes.len() + self.line.len() <= TRACE_BYTES_MAX {
            self.bytes.extend_from_slice(&self.line);
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}

/// A hash of bytes that is the same in every run and on every machine: FNV-1a over words of 8 bytes.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    hash_on(0xcbf2_9ce4_8422_2325, bytes)
}

fn hash_on(start: u64, bytes: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}
