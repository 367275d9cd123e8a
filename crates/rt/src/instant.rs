//! A point on the monotonic clock.

use std::ops::Add;
use std::time::Duration;

/// A point on a process's monotonic clock, in nanoseconds since the process (or the simulation) started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start of the clock.
    pub const START: Instant = Instant(0);

    /// Nanoseconds since the clock started.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the clock started.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time since the clock started.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of the clock, some 584 years after its start.
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addition_saturates_and_differences_never_go_below_zero() {
        let early = Instant::START + Duration::from_millis(5);
        let late = early + Duration::from_nanos(1);
        assert_eq!(late.saturating_since(early), Duration::from_nanos(1));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
        assert_eq!((late + Duration::MAX).as_nanos(), u64::MAX);
        assert_eq!(early.as_millis(), 5);
    }
}
