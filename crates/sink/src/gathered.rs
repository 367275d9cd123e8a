//! What was read since the last batch.

use client::TopicPartition;
use model::Offset;
use rt::Instant;

use crate::dead_letter::DeadLetter;
use crate::flush::Flush;
use crate::rows::Rows;

/// Most letters of a batch.
const LETTERS_MAX: usize = 1_000;

/// Most bytes of a batch, whatever is asked for; far less than what texts may be (`Rows`, W3).
const BYTES_MAX: usize = 1 << 30;

/// Rows, letters, and how many records they were.
pub(crate) struct Gathered {
    pub(crate) rows: Rows,
    pub(crate) letters: Vec<DeadLetter>,
    /// How many records there were, in rows, letters or neither.
    pub(crate) records: usize,
    /// The last one.
    pub(crate) last: Option<(TopicPartition, Offset)>,
    /// When there was the first one, or something else to write.
    pub(crate) since: Option<Instant>,
    letters_bytes: usize,
}

impl Gathered {
    /// Nothing; rows go into these, of which there are none.
    pub(crate) fn new(rows: Rows) -> Gathered {
        Gathered { rows, letters: Vec::new(), records: 0, last: None, since: None, letters_bytes: 0 }
    }

    /// Forgets all of it, and keeps its memory for what comes next.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.letters.clear();
        (self.records, self.last, self.since, self.letters_bytes) = (0, None, None, 0);
    }

    pub(crate) fn push_letter(&mut self, letter: DeadLetter) {
        self.letters_bytes += letter.size_in_bytes();
        self.letters.push(letter);
    }

    /// Whether more has to wait, where a batch may have so many records.
    pub(crate) fn is_full(&self, flush: &Flush, records_max: usize) -> bool {
        records_max <= self.records
            || flush.rows <= self.rows.len()
            || flush.bytes.min(BYTES_MAX) <= self.rows.size_in_bytes() + self.letters_bytes
            || LETTERS_MAX <= self.letters.len()
    }

    /// Whether it is to be written now.
    pub(crate) fn is_due(&self, flush: &Flush, records_max: usize, now: Instant) -> bool {
        self.since.is_some_and(|since| self.is_full(flush, records_max) || since + flush.age <= now)
    }
}
