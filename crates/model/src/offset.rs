//! Where and when: offsets in a partition, the epochs of its leaders, record timestamps.

use std::fmt;

/// A record's place in its partition, counted from zero, never reused below the high watermark (I1).
///
/// Also used for ends: "log end offset" is the offset the next record will get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    /// The first offset of a new log.
    pub const ZERO: Offset = Offset(0);

    /// The offset `records` further on; saturates, since no log reaches `i64::MAX`.
    pub fn plus(self, records: i64) -> Offset {
        Offset(self.0.saturating_add(records))
    }

    /// The offset after this one.
    pub fn next(self) -> Offset {
        self.plus(1)
    }

    /// How many offsets lie from `earlier` (inclusive) to here; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Offset) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a leadership of one partition; grows with every change of leader (KIP-101).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    /// "Not known": a request that does not check epochs.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);

    /// The epoch of the next leadership.
    pub fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0.saturating_add(1))
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds since 1970 UTC, as records carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// "No timestamp": an empty answer, a record without one.
    pub const NONE: TimestampMs = TimestampMs(-1);
}
