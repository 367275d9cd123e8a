//! Consumers: each is given every record of a partition from where it began, in order.
//!
//! - P1 What may be skipped is what nobody else saw there: markers, aborted records, what never was.
//! - P2 A consumer that is assigned, subscribes or crashes begins anew; one that seeks goes on there.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::event::{Event, Place, Poll};
use crate::ledger::Ledger;

/// The offset that a consumer expects of a partition.
type Positions<'a> = BTreeMap<&'a str, BTreeMap<&'a Place, Position>>;

#[derive(Clone, Copy)]
struct Position {
    next: i64,
    /// The last offset it was given since it began.
    last: Option<i64>,
}

pub(crate) fn check(events: &[Event], ledger: &Ledger<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut positions = Positions::new();
    for event in events {
        if let Event::Assign { client, .. } | Event::Subscribe { client, .. } | Event::Crash { client } =
            event
        {
            positions.remove(client.as_str());
        } else if let Event::Seek { client, place, offset } = event {
            let position = Position { next: *offset, last: None };
            positions.entry(client).or_default().insert(place, position);
        } else if let Event::Poll(poll) = event {
            on_poll(poll, ledger, positions.entry(&poll.client).or_default(), anomalies);
        }
    }
}

fn on_poll<'a>(
    poll: &'a Poll,
    ledger: &Ledger<'_>,
    positions: &mut BTreeMap<&'a Place, Position>,
    anomalies: &mut Vec<Anomaly>,
) {
    let known = ledger.partitions.get(&poll.place).map(|partition| &partition.shown);
    let first_skipped = |from: i64, to: i64| {
        known.filter(|_| from < to).and_then(|known| known.range(from..to).next()).map(|(offset, _)| *offset)
    };
    let named = || (poll.client.clone(), poll.place.clone());
    let mut at = positions.get(&poll.place).copied();
    for (index, row) in poll.rows.iter().enumerate() {
        let is_internal = 0 < index;
        let (client, place) = named();
        if let Some(before) = at.filter(|at| row.offset < at.next) {
            let before = before.last.unwrap_or(before.next);
            anomalies.push(if is_internal {
                Anomaly::InternalNonmonotonicPoll(client, place, before, row.offset)
            } else {
                Anomaly::NonmonotonicPoll(client, place, before, row.offset)
            });
        } else if let Some(skipped) = at.and_then(|at| first_skipped(at.next, row.offset)) {
            anomalies.push(if is_internal {
                Anomaly::InternalPollSkip(client, place, skipped)
            } else {
                Anomaly::PollSkip(client, place, skipped)
            });
        }
        at = Some(Position { next: row.offset + 1, last: Some(row.offset) });
    }
    if let (Some(position), Some(before)) = (poll.position, at) {
        // What lies between the last record and the position is passed for good, as it was never given.
        if let Some(skipped) = first_skipped(before.next, position) {
            let (client, place) = named();
            anomalies.push(Anomaly::PollSkip(client, place, skipped));
        }
        at = Some(Position { next: position.max(before.next), last: before.last });
    } else if let Some(next) = poll.position {
        at = Some(Position { next, last: None });
    }
    positions.extend(at.map(|at| (&poll.place, at)));
}

/// What the members of each group were given.
pub(crate) fn given_to_groups(events: &[Event]) -> BTreeMap<&str, BTreeMap<&Place, BTreeSet<i64>>> {
    let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
    let mut given: BTreeMap<&str, BTreeMap<&Place, BTreeSet<i64>>> = BTreeMap::new();
    for event in events {
        if let Event::Subscribe { client, group } = event {
            groups.insert(client, group);
            given.entry(group).or_default();
        } else if let Event::Poll(poll) = event
            && let Some(group) = groups.get(poll.client.as_str())
        {
            let offsets = given.entry(group).or_default().entry(&poll.place).or_default();
            offsets.extend(poll.rows.iter().map(|row| row.offset));
        }
    }
    given
}
