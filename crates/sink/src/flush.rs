//! When rows are written: as soon as there are many, much, or the first one is old.

use std::time::Duration;

use rt::Instant;

use crate::rows::Rows;

/// The bounds, of which the first one that is reached counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// So many rows.
    pub rows: usize,
    /// So many bytes of memory.
    pub bytes: usize,
    /// So long after the first record was read.
    pub age: Duration,
}

impl Default for Flush {
    fn default() -> Flush {
        Flush { rows: 50_000, bytes: 16 * 1024 * 1024, age: Duration::from_millis(500) }
    }
}

impl Flush {
    /// Whether there are so many rows that more have to wait.
    pub fn is_full(&self, rows: &Rows) -> bool {
        self.rows <= rows.len() || self.bytes <= rows.size_in_bytes()
    }

    /// Whether rows of which the first is from `since` are to be written now.
    pub fn is_due(&self, rows: &Rows, since: Instant, now: Instant) -> bool {
        self.is_full(rows) || since + self.age <= now
    }
}
