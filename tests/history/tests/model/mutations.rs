//! Ways to spoil a history, and the anomaly that each must be found as.

#![allow(clippy::ptr_arg, reason = "all mutations are of one type, though some only change what is there")]

use std::collections::{BTreeMap, BTreeSet};

use history::{Ending, Event, Kind, Outcome, Place, Poll, Row};

use crate::broker::{Draw, WITHOUT_TRANSACTIONS};

/// Spoils a history; `None` where it has nothing to spoil in this way.
type Mutation = fn(&mut Vec<Event>, &mut Draw) -> Option<()>;

/// All of them: what is done, how, and what it must be found as.
pub const ALL: &[(&str, Mutation, &str)] = &[
    ("drop an acknowledged record", drop_acknowledged, "lost-write"),
    ("swap the offsets of two records", swap_offsets, "inconsistent-offset"),
    ("acknowledge a record elsewhere", acknowledge_elsewhere, "moved-write"),
    ("double an idempotent record", double_record, "duplicate"),
    ("show an aborted record", show_aborted, "aborted-read"),
    ("change the bytes of a record", change_bytes, "changed-write"),
    ("invent a record", invent_record, "phantom"),
    ("leave a hole in the offsets", leave_hole, "gap"),
    ("let a later record overtake", overtake, "nonmonotonic-send"),
    ("tear a transaction", tear, "torn-transaction"),
    ("lose what was read", lose_what_was_read, "lost-read"),
    ("skip inside a poll", skip_inside, "int-poll-skip"),
    ("skip between polls", skip_between, "poll-skip"),
    ("turn a poll around", turn_around, "int-nonmonotonic-poll"),
    ("give a poll again", give_again, "nonmonotonic-poll"),
    ("let two transactions read each other", read_each_other, "g1c"),
    ("hide a partition", hide_partition, "unseen"),
    ("go back behind a commit", go_back, "lost-commit"),
    ("commit what was not read", commit_unread, "passed-unread"),
    ("lose a topic", lose_topic, "lost-topic"),
    ("revive a topic", revive_topic, "revived-topic"),
];

/// Records of which everybody knows that they are there, with their places and offsets.
fn certain(events: &[Event]) -> Vec<(String, Place, i64)> {
    let committed: BTreeSet<&str> = ended_well(events);
    let mut sends: BTreeMap<&str, (&Place, &Kind)> = BTreeMap::new();
    let mut found = Vec::new();
    for event in events {
        if let Event::Send(send) = event {
            sends.insert(&send.record, (&send.place, &send.kind));
        } else if let Event::Sent { record, outcome: Outcome::Done(Some(offset)) } = event {
            let (place, kind) = sends[record.as_str()];
            let is_there = match kind {
                Kind::InTransaction(transaction) => committed.contains(transaction.as_str()),
                Kind::Plain | Kind::Idempotent => true,
            };
            if is_there {
                found.push((record.clone(), place.clone(), *offset));
            }
        }
    }
    found
}

/// Transactions whose commit was acknowledged.
fn ended_well(events: &[Event]) -> BTreeSet<&str> {
    let mut asked = BTreeSet::new();
    let mut committed = BTreeSet::new();
    for event in events {
        if let Event::End { transaction, ending: Ending::Commit } = event {
            asked.insert(transaction.as_str());
        } else if let Event::Ended { transaction, outcome: Outcome::Done(_) } = event
            && asked.contains(transaction.as_str())
        {
            committed.insert(transaction.as_str());
        }
    }
    committed
}

fn kind_of<'a>(events: &'a [Event], name: &str) -> Option<(&'a str, &'a Kind)> {
    events.iter().find_map(|event| match event {
        Event::Send(send) if send.record == name => Some((send.client.as_str(), &send.kind)),
        _ => None,
    })
}

fn log_of<'a>(events: &'a mut [Event], wanted: &Place) -> &'a mut Vec<Row> {
    let log = events.iter_mut().find_map(|event| match event {
        Event::Log { place, rows, .. } if place == wanted => Some(rows),
        _ => None,
    });
    log.expect("every partition is read at the end")
}

fn logs(events: &[Event]) -> Vec<(Place, Vec<Row>)> {
    let log = |event: &Event| match event {
        Event::Log { place, rows, .. } => Some((place.clone(), rows.clone())),
        _ => None,
    };
    events.iter().filter_map(log).collect()
}

fn polls(events: &[Event]) -> impl Iterator<Item = (usize, &Poll)> {
    events.iter().enumerate().filter_map(|(index, event)| match event {
        Event::Poll(poll) => Some((index, poll)),
        _ => None,
    })
}

fn drop_acknowledged(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (record, place, _) = draw.pick(&certain(events))?.clone();
    log_of(events, &place).retain(|row| row.record != record);
    Some(())
}

fn swap_offsets(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (record, place, offset) = draw.pick(&certain(events))?.clone();
    let log = log_of(events, &place);
    let other = log.iter().position(|row| row.offset != offset && row.record != record)?;
    let one = log.iter().position(|row| row.offset == offset)?;
    let (first, second) = (log[one].record.clone(), log[other].record.clone());
    (log[one].record, log[other].record) = (second, first);
    Some(())
}

fn acknowledge_elsewhere(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (moved, _, _) = draw.pick(&certain(events))?.clone();
    for event in events {
        if let Event::Sent { record, outcome: Outcome::Done(Some(offset)) } = event
            && *record == moved
        {
            *offset += 1_000;
        }
    }
    Some(())
}

fn double_record(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let certain = certain(events);
    let single = |(record, ..): &&(String, Place, i64)| {
        kind_of(events, record).is_some_and(|(_, kind)| *kind != Kind::Plain)
    };
    let all: Vec<_> = certain.iter().filter(single).collect();
    let (record, place, _) = draw.pick(&all)?;
    let log = log_of(events, place);
    let offset = log.last()?.offset + 1;
    log.push(Row { offset, record: record.clone(), sum: None });
    Some(())
}

fn show_aborted(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let aborted: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::End { transaction, ending: Ending::Abort } => Some(transaction.as_str()),
            _ => None,
        })
        .collect();
    let of_aborted = |event: &Event| match event {
        Event::Send(send) => match &send.kind {
            Kind::InTransaction(transaction) if aborted.contains(&transaction.as_str()) => {
                Some((send.record.clone(), send.place.clone()))
            }
            Kind::InTransaction(_) | Kind::Plain | Kind::Idempotent => None,
        },
        _ => None,
    };
    let all: Vec<_> = events.iter().filter_map(of_aborted).collect();
    let (record, place) = draw.pick(&all)?.clone();
    let offset = events.iter().find_map(|event| match event {
        Event::Sent { record: sent, outcome: Outcome::Done(offset) } if *sent == record => *offset,
        _ => None,
    })?;
    let log = log_of(events, &place);
    let index = log.partition_point(|row| row.offset < offset);
    log.insert(index, Row { offset, record, sum: None });
    Some(())
}

fn change_bytes(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (record, place, _) = draw.pick(&certain(events))?.clone();
    let row = log_of(events, &place).iter_mut().find(|row| row.record == record)?;
    row.sum = row.sum.map(|sum| sum ^ 1);
    Some(())
}

fn invent_record(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (record, place, _) = draw.pick(&certain(events))?.clone();
    log_of(events, &place).iter_mut().find(|row| row.record == record)?.record = "invented".into();
    Some(())
}

fn leave_hole(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let log = log_of(events, &Place::parse(WITHOUT_TRANSACTIONS)?);
    let inner = log.len().checked_sub(2)?;
    if inner == 0 {
        return None;
    }
    log.remove(draw.below(inner));
    Some(())
}

fn overtake(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let mut pairs = Vec::new();
    let mut before: BTreeMap<(&str, Place), String> = BTreeMap::new();
    for (record, place, _) in certain(events) {
        let (client, kind) = kind_of(events, &record)?;
        if *kind != Kind::Plain
            && let Some(earlier) = before.insert((client, place), record.clone())
        {
            pairs.push((earlier, record));
        }
    }
    let (one, other) = draw.pick(&pairs)?.clone();
    // Wherever one of them was, or was said to be, the other one is.
    let swap = |name: &mut String| {
        if *name == one {
            name.clone_from(&other);
        } else if *name == other {
            name.clone_from(&one);
        }
    };
    for event in events {
        match event {
            Event::Sent { record, .. } => swap(record),
            Event::Poll(Poll { rows, .. }) | Event::Log { rows, .. } => {
                rows.iter_mut().for_each(|row| swap(&mut row.record));
            }
            _ => {}
        }
    }
    Some(())
}

fn tear(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let sure: BTreeSet<&str> = ended_well(events);
    let polled: BTreeSet<&str> =
        polls(events).flat_map(|(_, poll)| poll.rows.iter().map(|row| row.record.as_str())).collect();
    let mut of: BTreeMap<&str, Vec<(Place, String)>> = BTreeMap::new();
    let logs = logs(events);
    for (place, row) in logs.iter().flat_map(|(place, rows)| rows.iter().map(move |row| (place, row))) {
        if let Some((_, Kind::InTransaction(transaction))) = kind_of(events, &row.record)
            && !sure.contains(transaction.as_str())
        {
            of.entry(transaction).or_default().push((place.clone(), row.record.clone()));
        }
    }
    let torn = |records: Vec<(Place, String)>| {
        if records.len() < 2 {
            None
        } else {
            records.into_iter().find(|(_, name)| !polled.contains(name.as_str()))
        }
    };
    let all: Vec<_> = of.into_values().filter_map(torn).collect();
    let (place, record) = draw.pick(&all)?.clone();
    log_of(events, &place).retain(|row| row.record != record);
    Some(())
}

fn lose_what_was_read(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let read: Vec<_> =
        polls(events).flat_map(|(_, poll)| poll.rows.iter().map(move |row| (poll, row))).collect();
    let (poll, row) = draw.pick(&read)?;
    let (place, record) = (poll.place.clone(), row.record.clone());
    log_of(events, &place).retain(|row| row.record != record);
    Some(())
}

fn skip_inside(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let long: Vec<_> =
        polls(events).filter(|(_, poll)| 3 <= poll.rows.len()).map(|(index, _)| index).collect();
    let index = *draw.pick(&long)?;
    if let Event::Poll(poll) = &mut events[index] {
        poll.rows.remove(1);
    }
    Some(())
}

fn skip_between(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let with_rows: Vec<_> = polls(events).filter(|(_, poll)| !poll.rows.is_empty()).collect();
    let mut middles = Vec::new();
    for (at, (index, poll)) in with_rows.iter().enumerate() {
        let same = |(_, other): &&(usize, &Poll)| other.client == poll.client && other.place == poll.place;
        let (before, after) =
            (with_rows[..at].iter().rev().find(same), with_rows[at + 1..].iter().find(same));
        let (Some((first, _)), Some((last, _))) = (before, after) else { continue };
        let is_moved = events[*first..*last].iter().any(|event| match event {
            Event::Seek { client, place, .. } => *client == poll.client && *place == poll.place,
            _ => false,
        });
        if !is_moved {
            middles.push(*index);
        }
    }
    events.remove(*draw.pick(&middles)?);
    Some(())
}

fn turn_around(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let long: Vec<_> =
        polls(events).filter(|(_, poll)| 2 <= poll.rows.len()).map(|(index, _)| index).collect();
    let index = *draw.pick(&long)?;
    if let Event::Poll(poll) = &mut events[index] {
        poll.rows.reverse();
    }
    Some(())
}

fn give_again(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let with_rows: Vec<_> =
        polls(events).filter(|(_, poll)| !poll.rows.is_empty()).map(|(index, _)| index).collect();
    let index = *draw.pick(&with_rows)?;
    events.insert(index, events[index].clone());
    Some(())
}

fn read_each_other(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let mut of: BTreeMap<String, (Place, i64, String)> = BTreeMap::new();
    for (record, place, offset) in certain(events) {
        if let Some((_, Kind::InTransaction(transaction))) = kind_of(events, &record) {
            of.insert(transaction.clone(), (place, offset, record));
        }
    }
    let all: Vec<_> = of.into_iter().collect();
    let (one, other) = (draw.pick(&all)?, draw.pick(&all)?);
    if one.0 == other.0 {
        return None;
    }
    for ((transaction, _), (_, (place, offset, record))) in [(one, other), (other, one)] {
        let rows = vec![Row { offset: *offset, record: record.clone(), sum: None }];
        let (client, place, transaction) =
            (format!("of-{transaction}"), place.clone(), Some(transaction.clone()));
        let poll = Poll { client, place, rows, position: None, is_uncommitted: false, transaction };
        events.push(Event::Poll(poll));
    }
    Some(())
}

fn hide_partition(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let (_, hidden, _) = draw.pick(&certain(events))?.clone();
    events.retain(|event| match event {
        Event::Poll(Poll { place, .. }) | Event::Log { place, .. } => *place != hidden,
        _ => true,
    });
    Some(())
}

fn go_back(events: &mut Vec<Event>, _: &mut Draw) -> Option<()> {
    let Some(Event::Offsets { offsets, .. }) =
        events.iter_mut().find(|event| matches!(event, Event::Offsets { .. }))
    else {
        return None;
    };
    *offsets.values_mut().find(|offset| 0 < **offset)? = -1;
    Some(())
}

fn commit_unread(events: &mut Vec<Event>, draw: &mut Draw) -> Option<()> {
    let committed = events.iter().find_map(|event| match event {
        Event::Offsets { offsets, .. } => Some(offsets.clone()),
        _ => None,
    })?;
    let passed: Vec<usize> = polls(events)
        .filter(|(_, poll)| poll.client == "r0")
        .filter(|(_, poll)| {
            poll.rows.iter().any(|row| committed.get(&poll.place).is_some_and(|end| row.offset < *end))
        })
        .map(|(index, _)| index)
        .collect();
    events.remove(*draw.pick(&passed)?);
    Some(())
}

fn lose_topic(events: &mut Vec<Event>, _: &mut Draw) -> Option<()> {
    set_topics(events, &["busy"])
}

fn revive_topic(events: &mut Vec<Event>, _: &mut Draw) -> Option<()> {
    set_topics(events, &["busy", "calm", "gone"])
}

fn set_topics(events: &mut Vec<Event>, names: &[&str]) -> Option<()> {
    let Some(Event::Topics { topics }) = events.last_mut() else { return None };
    *topics = names.iter().map(|name| (*name).to_owned()).collect();
    Some(())
}
