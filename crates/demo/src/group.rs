//! A consumer group as it is watched: who has which partition, and how far it came in each.
//!
//! - G1 How far a group came is counted in offsets from where it began, so nothing is lost with a member that cannot tell any
//!   more: whoever begins next says where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::TopicPartition;
use model::Offset;
use rt::Instant;

/// A group.
#[derive(Default)]
pub(crate) struct Group(Mutex<State>);

#[derive(Default)]
struct State {
    /// What each member has, by its number.
    members: BTreeMap<usize, BTreeSet<TopicPartition>>,
    origins: BTreeMap<TopicPartition, Offset>,
    next: BTreeMap<TopicPartition, Offset>,
    /// Partitions that nobody had when a member was killed, and when that was.
    orphans: BTreeSet<TopicPartition>,
    killed_at: Option<Instant>,
    takeover: Option<Duration>,
    failure: Option<String>,
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member was given these partitions, so nobody else has them.
    pub(crate) fn assign(&self, member: usize, places: &[TopicPartition]) {
        let mut state = self.state();
        for other in state.members.values_mut() {
            other.retain(|place| !places.contains(place));
        }
        state.members.insert(member, places.iter().cloned().collect());
    }

    /// A member has no partitions now.
    pub(crate) fn revoke(&self, member: usize) {
        self.state().members.insert(member, BTreeSet::new());
    }

    /// A member is no more.
    pub(crate) fn remove(&self, member: usize) {
        self.state().members.remove(&member);
    }

    /// A member is no more, and did not say so. It may have had to let its partitions go a moment before, for others to come.
    pub(crate) fn kill(&self, member: usize, now: Instant) {
        let mut state = self.state();
        state.members.remove(&member);
        let is_had = |place: &&TopicPartition| state.members.values().any(|places| places.contains(*place));
        state.orphans = state.next.keys().filter(|place| !is_had(place)).cloned().collect();
        state.killed_at = Some(now);
    }

    /// Somebody reads a partition from here on.
    pub(crate) fn begin(&self, place: &TopicPartition, next: Offset, now: Instant) {
        let mut state = self.state();
        state.origins.entry(place.clone()).or_insert(next);
        state.next.insert(place.clone(), next);
        if state.orphans.remove(place) && state.orphans.is_empty() {
            state.takeover = state.killed_at.map(|at| now.saturating_since(at));
        }
    }

    /// A partition is done up to here.
    pub(crate) fn advance(&self, place: &TopicPartition, next: Offset) {
        self.state().next.insert(place.clone(), next);
    }

    /// It cannot go on, for this reason.
    pub(crate) fn fail(&self, reason: String) {
        self.state().failure.get_or_insert(reason);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Where it is in a partition, if it ever was.
    pub(crate) fn position(&self, place: &TopicPartition) -> Option<Offset> {
        self.state().next.get(place).copied()
    }

    /// How many partitions it has begun with.
    pub(crate) fn begun(&self) -> usize {
        self.state().next.len()
    }

    /// Messages it is done with.
    pub(crate) fn messages(&self) -> u64 {
        let state = self.state();
        let done = |(place, next): (&TopicPartition, &Offset)| {
            next.0 - state.origins.get(place).map_or(0, |at| at.0)
        };
        state.next.iter().map(|place| u64::try_from(done(place)).unwrap_or(0)).sum()
    }

    /// How long partitions of the member that was killed were nobody's.
    pub(crate) fn takeover(&self) -> Option<Duration> {
        self.state().takeover
    }

    /// Each member's number and partitions.
    pub(crate) fn members(&self) -> Vec<(usize, Vec<i32>)> {
        let numbers =
            |places: &BTreeSet<TopicPartition>| places.iter().map(|place| place.partition.0).collect();
        self.state().members.iter().map(|(member, places)| (*member, numbers(places))).collect()
    }
}

#[cfg(test)]
mod tests {
    use model::TopicName;

    use super::*;

    #[test]
    fn what_a_killed_member_did_is_counted_when_another_one_begins() {
        let group = Group::default();
        let place = TopicPartition::new(TopicName::parse("t").expect("a name"), 0);
        let at = |ms| Instant::START + Duration::from_millis(ms);
        group.assign(1, std::slice::from_ref(&place));
        group.begin(&place, Offset(10), at(0));
        group.advance(&place, Offset(15));
        group.kill(1, at(100));
        assert_eq!((group.messages(), group.members(), group.takeover()), (5, vec![], None));
        group.assign(2, std::slice::from_ref(&place));
        group.begin(&place, Offset(17), at(350));
        assert_eq!(group.messages(), 7);
        assert_eq!(
            (group.members(), group.takeover()),
            (vec![(2, vec![0])], Some(Duration::from_millis(250)))
        );
    }

    #[test]
    fn a_member_that_is_killed_between_two_assignments_is_missed_too() {
        let group = Group::default();
        let place = TopicPartition::new(TopicName::parse("t").expect("a name"), 0);
        group.assign(1, std::slice::from_ref(&place));
        group.begin(&place, Offset(10), Instant::START);
        group.revoke(1);
        group.kill(1, Instant::START);
        group.begin(&place, Offset(10), Instant::START + Duration::from_millis(5));
        assert_eq!(group.takeover(), Some(Duration::from_millis(5)));
    }
}
