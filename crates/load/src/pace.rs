//! Who sends what when: numbered turns, taken by whoever is free.
//!
//! - P1 Every number below the total is given out once; after the time, or a stop, none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rt::Instant;

/// See the module.
pub(crate) struct Pace {
    next: AtomicU64,
    total: Option<u64>,
    stopped: AtomicBool,
    start: Instant,
    until: Option<Instant>,
    interval: Option<Duration>,
}

impl Pace {
    /// Turns from `start` on: `total` of them or as many as fit in `time`, one each `interval` or as fast as they are taken.
    pub(crate) fn new(
        start: Instant,
        total: Option<u64>,
        time: Option<Duration>,
        interval: Option<Duration>,
    ) -> Pace {
        Pace {
            next: AtomicU64::new(0),
            total,
            stopped: AtomicBool::new(false),
            start,
            until: time.map(|time| start + time),
            interval,
        }
    }

    /// When the first turn was, or could have been.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// The next turn, and when it is due if there is a rate.
    pub(crate) fn take(&self, now: Instant) -> Option<(u64, Option<Instant>)> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.interval.map(|interval| {
            let after = u128::from(turn) * interval.as_nanos();
            self.start + Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
        });
        let over = self.until.is_some_and(|until| until <= due.unwrap_or(now));
        let given_out = self.total.is_some_and(|total| total <= turn);
        (!over && !given_out).then_some((turn, due))
    }

    /// Gives out no more turns.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_timed_and_end() {
        let at = |ms| Instant::START + Duration::from_millis(ms);
        let counted = Pace::new(at(0), Some(2), None, None);
        assert_eq!(counted.take(at(9)), Some((0, None)));
        assert_eq!(counted.take(at(9)), Some((1, None)));
        assert_eq!(counted.take(at(9)), None);
        let timed = Pace::new(at(0), None, Some(Duration::from_millis(5)), None);
        assert_eq!(timed.take(at(4)), Some((0, None)));
        assert_eq!(timed.take(at(5)), None);
        let paced = Pace::new(at(10), None, Some(Duration::from_millis(5)), Some(Duration::from_millis(3)));
        assert_eq!(paced.take(at(99)), Some((0, Some(at(10)))), "late turns are still due when they were");
        assert_eq!(paced.take(at(99)), Some((1, Some(at(13)))));
        assert_eq!(paced.take(at(0)), None, "the next would be due after the end");
        let stopped = Pace::new(at(0), Some(2), None, None);
        stopped.stop();
        assert_eq!(stopped.take(at(0)), None);
    }
}
