//! Appended batches that wait for one write (D4).
//!
//! Headers and small bodies are copied together, large bodies stay where they came in: one `pwritev` takes both,
//! and neither many small slices nor large copies slow it down.

use std::io::{self, IoSlice};

use bytes::Bytes;
use record::{BatchHeader, CheckedBatch};
use rt::File;

use crate::batch_scan::bytes;

/// Bodies below this are copied: about what a slice more costs the system.
const COPIED_BODY_MAX: usize = 2048;

enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
}

#[derive(Default)]
pub(crate) struct Gather {
    pieces: Vec<Piece>,
    headers: Vec<BatchHeader>,
    size: u64,
}

impl Gather {
    pub(crate) fn push(&mut self, batch: CheckedBatch) {
        self.size += bytes(batch.size_in_bytes());
        self.headers.push(*batch.header());
        let (head, body) = batch.into_parts();
        if !matches!(self.pieces.last(), Some(Piece::Copied(_))) {
            self.pieces.push(Piece::Copied(Vec::new()));
        }
        if let Some(Piece::Copied(copied)) = self.pieces.last_mut() {
            copied.extend_from_slice(&head);
            if body.len() < COPIED_BODY_MAX {
                copied.extend_from_slice(&body);
                return;
            }
        }
        self.pieces.push(Piece::Shared(body));
    }

    /// Bytes that wait.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Writes everything at `position`, in order.
    pub(crate) fn write_to(&self, file: &File, position: u64) -> io::Result<()> {
        let slices: Vec<IoSlice<'_>> = self.pieces.iter().map(Piece::as_slice).collect();
        file.write_all_at(&slices, position)
    }

    /// Gives the headers back in order, and is empty again.
    pub(crate) fn take_headers(&mut self) -> Vec<BatchHeader> {
        self.pieces.clear();
        self.size = 0;
        std::mem::take(&mut self.headers)
    }
}

impl Piece {
    fn as_slice(&self) -> IoSlice<'_> {
        match self {
            Piece::Copied(copied) => IoSlice::new(copied),
            Piece::Shared(shared) => IoSlice::new(shared),
        }
    }
}
