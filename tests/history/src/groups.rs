//! Groups: what was committed is what they go on at, and they pass nothing that no member was given.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::event::{Event, Place};
use crate::ledger::{Fate, Ledger};
use crate::polls;

/// One attempt: when it took effect if it did, what, and whether it did.
#[derive(Clone, Copy)]
struct Attempt {
    at: usize,
    offset: i64,
    fate: Fate,
}

type Attempts<'a> = BTreeMap<(&'a str, &'a Place), Vec<Attempt>>;

pub(crate) fn check(events: &[Event], ledger: &Ledger<'_>, anomalies: &mut Vec<Anomaly>) {
    let given = polls::given_to_groups(events);
    let attempts = attempts(events, ledger);
    for event in events {
        let Event::Offsets { group, offsets } = event else { continue };
        let of_group = attempts.iter().filter(|((name, _), _)| name == group);
        for ((_, place), attempts) in of_group {
            check_commits(group, place, attempts, offsets.get(*place).copied(), anomalies);
        }
        let uncommitted =
            offsets.iter().filter(|(place, _)| !attempts.contains_key(&(group.as_str(), *place)));
        for (place, offset) in uncommitted {
            anomalies.push(Anomaly::LostCommit(group.clone(), place.clone(), None, Some(*offset)));
        }
        if let Some(given) = given.get(group.as_str()) {
            check_passed(group, offsets, given, ledger, anomalies);
        }
    }
}

/// Attempts by group and place, in the order in which they may have taken effect: one of a transaction with its end.
fn attempts<'a>(events: &'a [Event], ledger: &Ledger<'_>) -> Attempts<'a> {
    let mut yes = BTreeSet::new();
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        if let Event::Committed { attempt } = event {
            yes.insert(attempt.as_str());
        } else if let Event::End { transaction, .. } = event {
            ends.insert(transaction, at);
        }
    }
    let mut attempts = Attempts::new();
    for (at, event) in events.iter().enumerate() {
        let Event::Commit(commit) = event else { continue };
        let is_heard = yes.contains(commit.attempt.as_str());
        let (at, fate) = match &commit.transaction {
            None if is_heard => (at, Fate::Certain),
            None => (at, Fate::Maybe),
            Some(transaction) => {
                let end = ends.get(transaction.as_str()).copied().unwrap_or(at);
                match ledger.fate_of_transaction(transaction) {
                    Fate::Certain if !is_heard => (end, Fate::Maybe),
                    fate => (end, fate),
                }
            }
        };
        for (place, offset) in &commit.offsets {
            let of_place = attempts.entry((&commit.group, place)).or_default();
            of_place.push(Attempt { at, offset: *offset, fate });
        }
    }
    attempts.values_mut().for_each(|all| all.sort_by_key(|attempt| attempt.at));
    attempts
}

fn check_commits(
    group: &str,
    place: &Place,
    attempts: &[Attempt],
    found: Option<i64>,
    anomalies: &mut Vec<Anomaly>,
) {
    let last = attempts.iter().rposition(|attempt| attempt.fate == Fate::Certain);
    let allowed = attempts[last.unwrap_or(0)..].iter().filter(|attempt| attempt.fate != Fate::Never);
    let allowed: BTreeSet<i64> = allowed.map(|attempt| attempt.offset).collect();
    let is_well = found.map_or(last.is_none(), |offset| allowed.contains(&offset));
    if !is_well {
        let said = last.map(|last| attempts[last].offset);
        anomalies.push(Anomaly::LostCommit(group.to_owned(), place.clone(), said, found));
    }
}

fn check_passed(
    group: &str,
    offsets: &BTreeMap<Place, i64>,
    given: &BTreeMap<&Place, BTreeSet<i64>>,
    ledger: &Ledger<'_>,
    anomalies: &mut Vec<Anomaly>,
) {
    for (place, committed) in offsets {
        let log = ledger.partitions.get(place).and_then(|partition| partition.log);
        let passed = log.into_iter().flat_map(|(_, rows)| rows).take_while(|row| row.offset < *committed);
        let is_given = |offset| given.get(place).is_some_and(|given| given.contains(offset));
        for row in passed.filter(|row| !is_given(&row.offset)) {
            anomalies.push(Anomaly::PassedUnread(group.to_owned(), place.clone(), row.offset));
        }
    }
}
