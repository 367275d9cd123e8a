//! Deadlines in order: what is due next, in monotonic ms.
//!
//! - T1 A timer has at most one deadline; scheduling it again replaces the old one.
//! - T2 Timers fire in order of deadline, then of `Timer`, so a run depends on nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{GroupId, MemberId};

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The join phase of a group ends.
    Join(GroupId),
    /// Members that have not synced are given up.
    Sync(GroupId),
    /// A member has not been heard of, or a name given out was not used.
    Session(GroupId, MemberId),
    /// Offsets are looked through for expired ones.
    OffsetExpiry,
}

/// All deadlines of one coordinator.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_deadline: BTreeSet<(u64, Timer)>,
    deadlines: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets the timer to fire at `deadline`, whatever it was set to before.
    pub fn schedule(&mut self, timer: Timer, deadline: u64) {
        if let Some(old) = self.deadlines.insert(timer.clone(), deadline) {
            self.by_deadline.remove(&(old, timer.clone()));
        }
        self.by_deadline.insert((deadline, timer));
    }

    /// Forgets the timer, if it is set.
    pub fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, deadline)) = self.deadlines.remove_entry(timer) {
            self.by_deadline.remove(&(deadline, timer));
        }
    }

    /// Takes the first timer whose deadline is not after `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<Timer> {
        if now < self.next_deadline()? {
            return None;
        }
        let (_, timer) = self.by_deadline.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<u64> {
        self.by_deadline.first().map(|&(deadline, _)| deadline)
    }
}

#[cfg(test)]
impl Timers {
    pub(crate) fn assert_invariants(&self) {
        let pairs = self.deadlines.iter().map(|(timer, &deadline)| (deadline, timer.clone()));
        assert_eq!(pairs.collect::<BTreeSet<_>>(), self.by_deadline, "T1");
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.deadlines.contains_key(timer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.deadlines.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_once_in_order_of_their_last_deadline() {
        let mut timers = Timers::default();
        timers.schedule(Timer::Join("a".into()), 10);
        timers.schedule(Timer::Sync("a".into()), 5);
        timers.schedule(Timer::Join("b".into()), 7);
        timers.schedule(Timer::Join("a".into()), 6);
        timers.cancel(&Timer::Join("b".into()));
        assert_eq!(timers.pop_due(4), None);
        assert_eq!(timers.pop_due(9), Some(Timer::Sync("a".into())));
        assert_eq!(timers.pop_due(9), Some(Timer::Join("a".into())));
        assert_eq!(timers.next_deadline(), None);
    }
}
