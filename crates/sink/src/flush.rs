//! When rows are written: as soon as there are many, much, or the first one is old.

use std::time::Duration;

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
        Flush { rows: 50_000, bytes: 8 * 1024 * 1024, age: Duration::from_millis(500) }
    }
}
