//! Holds what clients were told to what is there at the end.
//!
//! Histories are of partitions that nothing expires from, written by [`RecordId`]s, read by one group, and topics whose
//! names are used once. Knows nothing of how a history came about.

use std::collections::{BTreeMap, BTreeSet};

use client::TopicPartition;
use model::{Offset, TopicName};

use crate::history::{Found, History, Outcome, RecordId, Row, Write};

/// Something that must not be, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// An acknowledged record is nowhere; the offset is where it was said to be.
    LostWrite(RecordId, TopicPartition, Option<Offset>),
    /// An acknowledged record is not where it was said to be (first offset) but elsewhere (the others).
    MovedWrite(RecordId, TopicPartition, Offset, Vec<Offset>),
    /// A record of an idempotent producer is there more than once.
    Duplicate(RecordId, TopicPartition, Vec<Offset>),
    /// A record has other bytes than were written.
    ChangedWrite(RecordId, TopicPartition, Offset),
    /// A record with this key that nobody sent to this place.
    Phantom(Vec<u8>, TopicPartition, Offset),
    /// Offsets are not dense: the one expected, and the one that came.
    Gap(TopicPartition, Offset, Offset),
    /// A producer's record comes after one that it sent later.
    Reordered(RecordId, RecordId, TopicPartition),
    /// An idempotent producer with time enough gave a record up, for this error.
    GaveUp(RecordId, TopicPartition, String),
    /// A record that a consumer was given, with this key, is not there.
    LostRead(TopicPartition, Offset, Vec<u8>),
    /// The group's offset passed a record that no member was given.
    SkippedRead(TopicPartition, Offset),
    /// The group's offset (second) is older than the last acknowledged one (first), or one that nobody committed.
    LostCommit(TopicPartition, Option<Offset>, Option<Offset>),
    /// A topic whose creation was acknowledged is gone.
    LostTopic(TopicName),
    /// A topic whose deletion was acknowledged is back.
    RevivedTopic(TopicName),
}

/// Everything that is wrong, partition by partition.
pub fn check(history: &History, found: &Found) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let mut where_found: BTreeMap<RecordId, Vec<Offset>> = BTreeMap::new();
    for (place, log) in &found.logs {
        check_log(history, place, log, &mut where_found, &mut anomalies);
    }
    for (id, write) in &history.writes {
        let offsets = where_found.get(id).map_or(&[][..], Vec::as_slice);
        check_write(*id, write, offsets, &mut anomalies);
    }
    check_reads(history, found, &mut anomalies);
    for (place, attempts) in &history.commits {
        let last = attempts.iter().rposition(|attempt| attempt.is_acknowledged);
        let allowed: BTreeSet<Offset> =
            attempts[last.unwrap_or(0)..].iter().map(|attempt| attempt.offset).collect();
        let committed = found.committed.get(place).copied();
        let is_well = committed.map_or(last.is_none(), |offset| allowed.contains(&offset));
        if !is_well {
            let acknowledged = last.map(|last| attempts[last].offset);
            anomalies.push(Anomaly::LostCommit(place.clone(), acknowledged, committed));
        }
    }
    for (name, life) in &history.topics {
        let is_there = found.topics.contains(name);
        if life.is_deleted && is_there {
            anomalies.push(Anomaly::RevivedTopic(name.clone()));
        }
        if life.is_created && !life.deletion_asked && !is_there {
            anomalies.push(Anomaly::LostTopic(name.clone()));
        }
    }
    anomalies
}

/// The log by itself: dense, of records that were sent here, in their writers' order.
fn check_log(
    history: &History,
    place: &TopicPartition,
    log: &[Row],
    where_found: &mut BTreeMap<RecordId, Vec<Offset>>,
    anomalies: &mut Vec<Anomaly>,
) {
    let mut expected = Offset::ZERO;
    let mut last_of: BTreeMap<u32, (RecordId, u64)> = BTreeMap::new();
    for (offset, key, value) in log {
        let offset = *offset;
        if offset != expected {
            anomalies.push(Anomaly::Gap(place.clone(), expected, offset));
        }
        expected = offset.next();
        let sent = RecordId::parse(key).and_then(|id| Some((id, history.writes.get(&id)?)));
        let Some((id, write)) = sent.filter(|(_, write)| is_sent_to(write, place)) else {
            anomalies.push(Anomaly::Phantom(key.clone(), place.clone(), offset));
            continue;
        };
        if *value != write.value {
            anomalies.push(Anomaly::ChangedWrite(id, place.clone(), offset));
        }
        if let Some((before, batch)) = last_of.insert(id.writer, (id, write.batch))
            && (write.batch < batch || write.batch == batch && write.is_idempotent && id < before)
        {
            anomalies.push(Anomaly::Reordered(id, before, place.clone()));
        }
        where_found.entry(id).or_default().push(offset);
    }
}

fn is_sent_to(write: &Write, place: &TopicPartition) -> bool {
    write.place == *place && !matches!(write.outcome, Outcome::Unsent(_))
}

fn check_write(id: RecordId, write: &Write, found: &[Offset], anomalies: &mut Vec<Anomaly>) {
    let place = || write.place.clone();
    if write.is_idempotent && 1 < found.len() {
        anomalies.push(Anomaly::Duplicate(id, place(), found.to_vec()));
    }
    match &write.outcome {
        Outcome::Acknowledged(offset) if found.is_empty() => {
            anomalies.push(Anomaly::LostWrite(id, place(), *offset));
        }
        Outcome::Acknowledged(Some(said)) if !found.contains(said) => {
            anomalies.push(Anomaly::MovedWrite(id, place(), *said, found.to_vec()));
        }
        Outcome::Unknown(error) if write.is_idempotent => {
            anomalies.push(Anomaly::GaveUp(id, place(), error.clone()));
        }
        Outcome::Acknowledged(_) | Outcome::Open | Outcome::Unknown(_) | Outcome::Unsent(_) => {}
    }
}

fn check_reads(history: &History, found: &Found, anomalies: &mut Vec<Anomaly>) {
    let mut read: BTreeMap<&TopicPartition, BTreeSet<Offset>> = BTreeMap::new();
    for record in &history.reads {
        let log = found.logs.get(&record.place).map_or(&[][..], Vec::as_slice);
        let there = log.binary_search_by_key(&record.offset, |(offset, _, _)| *offset);
        if there.is_err() || there.is_ok_and(|index| log[index].1 != record.key) {
            let (place, offset, key) = (record.place.clone(), record.offset, record.key.clone());
            anomalies.push(Anomaly::LostRead(place, offset, key));
        }
        read.entry(&record.place).or_default().insert(record.offset);
    }
    let nothing = BTreeSet::new();
    for (place, committed) in &found.committed {
        let seen = read.get(place).unwrap_or(&nothing);
        let log = found.logs.get(place).map_or(&[][..], Vec::as_slice);
        let passed = log.iter().map(|(offset, _, _)| *offset).take_while(|offset| offset < committed);
        for offset in passed.filter(|offset| !seen.contains(offset)) {
            anomalies.push(Anomaly::SkippedRead(place.clone(), offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Commit, Read, TopicLife};

    fn place() -> TopicPartition {
        TopicPartition::new(name("t"), 0)
    }

    fn name(text: &str) -> TopicName {
        TopicName::parse(text).unwrap()
    }

    fn id(writer: u32, number: u64) -> RecordId {
        RecordId { writer, number }
    }

    fn row(offset: i64, writer: u32, number: u64) -> Row {
        (Offset(offset), id(writer, number).to_string().into_bytes(), vec![7])
    }

    /// Writer 1 is idempotent, writer 2 is not; both had two records acknowledged, which are there, read and committed.
    fn good() -> (History, Found) {
        let mut history = History::default();
        for (offset, record) in [(0, id(1, 0)), (1, id(2, 0)), (2, id(1, 1)), (3, id(2, 1))] {
            let outcome = Outcome::Acknowledged(Some(Offset(offset)));
            let is_idempotent = record.writer == 1;
            let (value, batch) = (vec![7], record.number);
            history.writes.insert(record, Write { place: place(), value, batch, is_idempotent, outcome });
            let key = record.to_string().into_bytes();
            history.reads.push(Read { place: place(), offset: Offset(offset), key });
        }
        let log = vec![row(0, 1, 0), row(1, 2, 0), row(2, 1, 1), row(3, 2, 1)];
        let commit = |offset, is_acknowledged| Commit { offset: Offset(offset), is_acknowledged };
        history.commits.insert(place(), vec![commit(1, true), commit(2, true), commit(4, false)]);
        let alive = TopicLife { is_created: true, ..TopicLife::default() };
        let gone = TopicLife { is_created: true, deletion_asked: true, is_deleted: true };
        history.topics.extend([(name("alive"), alive), (name("gone"), gone)]);
        let found = Found {
            logs: BTreeMap::from([(place(), log)]),
            committed: BTreeMap::from([(place(), Offset(4))]),
            topics: vec![name("t"), name("alive")],
        };
        (history, found)
    }

    /// What is found after `spoil` had its way with a good history.
    fn spoiled(spoil: impl FnOnce(&mut History, &mut Vec<Row>, &mut Found)) -> Vec<Anomaly> {
        let (mut history, mut found) = good();
        let mut log = found.logs.remove(&place()).unwrap();
        spoil(&mut history, &mut log, &mut found);
        found.logs.insert(place(), log);
        check(&history, &found)
    }

    #[test]
    fn a_good_history_has_no_anomaly() {
        assert_eq!(spoiled(|_, _, _| {}), []);
    }

    #[test]
    fn a_lost_write_is_found() {
        let anomalies = spoiled(|history, log, found| {
            log.pop();
            history.reads.pop();
            found.committed.insert(place(), Offset(2));
        });
        assert_eq!(anomalies, [Anomaly::LostWrite(id(2, 1), place(), Some(Offset(3)))]);
    }

    #[test]
    fn a_write_without_an_offset_is_lost_all_the_same() {
        let anomalies = spoiled(|history, log, found| {
            history.writes.get_mut(&id(2, 1)).unwrap().outcome = Outcome::Acknowledged(None);
            log.pop();
            history.reads.pop();
            found.committed.insert(place(), Offset(2));
        });
        assert_eq!(anomalies, [Anomaly::LostWrite(id(2, 1), place(), None)]);
    }

    #[test]
    fn a_moved_write_is_found() {
        let anomalies = spoiled(|history, _, _| {
            history.writes.get_mut(&id(1, 1)).unwrap().outcome = Outcome::Acknowledged(Some(Offset(9)));
        });
        let found = vec![Offset(2)];
        assert_eq!(anomalies, [Anomaly::MovedWrite(id(1, 1), place(), Offset(9), found)]);
    }

    #[test]
    fn a_duplicate_is_one_for_an_idempotent_producer_only() {
        assert_eq!(spoiled(|_, log, _| log.push(row(4, 2, 1))), []);
        let anomalies = spoiled(|_, log, _| log.push(row(4, 1, 1)));
        let found = vec![Offset(2), Offset(4)];
        assert_eq!(anomalies, [Anomaly::Duplicate(id(1, 1), place(), found)]);
    }

    #[test]
    fn changed_bytes_are_found() {
        let anomalies = spoiled(|_, log, _| log[2].2 = vec![8]);
        assert_eq!(anomalies, [Anomaly::ChangedWrite(id(1, 1), place(), Offset(2))]);
    }

    #[test]
    fn what_nobody_sent_is_found() {
        let anomalies = spoiled(|_, log, _| log.push((Offset(4), b"who".to_vec(), vec![7])));
        assert_eq!(anomalies, [Anomaly::Phantom(b"who".to_vec(), place(), Offset(4))]);
        let anomalies = spoiled(|history, log, _| {
            let mut unsent = history.writes[&id(2, 1)].clone();
            unsent.outcome = Outcome::Unsent("no such topic".into());
            history.writes.insert(id(2, 2), unsent);
            log.push(row(4, 2, 2));
        });
        assert_eq!(anomalies, [Anomaly::Phantom(b"2/2".to_vec(), place(), Offset(4))]);
    }

    #[test]
    fn a_gap_is_found() {
        let anomalies = spoiled(|_, log, _| log.push(row(5, 2, 1)));
        let expected = Offset(4);
        assert_eq!(anomalies, [Anomaly::Gap(place(), expected, Offset(5))]);
    }

    #[test]
    fn a_wrong_order_is_found() {
        let anomalies = spoiled(|_, log, _| log.push(row(4, 2, 0)));
        assert_eq!(anomalies, [Anomaly::Reordered(id(2, 0), id(2, 1), place())]);
    }

    #[test]
    fn giving_up_is_found_for_an_idempotent_producer_only() {
        let unknown = || Outcome::Unknown("no answer".into());
        assert_eq!(
            spoiled(|history, _, _| history.writes.get_mut(&id(2, 1)).unwrap().outcome = unknown()),
            []
        );
        let anomalies =
            spoiled(|history, _, _| history.writes.get_mut(&id(1, 1)).unwrap().outcome = unknown());
        assert_eq!(anomalies, [Anomaly::GaveUp(id(1, 1), place(), "no answer".into())]);
    }

    #[test]
    fn what_was_read_must_be_there() {
        let anomalies = spoiled(|history, _, _| history.reads[1].key = b"1/9".to_vec());
        let (offset, key) = (Offset(1), b"1/9".to_vec());
        assert_eq!(anomalies, [Anomaly::LostRead(place(), offset, key)]);
    }

    #[test]
    fn what_the_group_passed_must_have_been_read() {
        let anomalies = spoiled(|history, _, _| drop(history.reads.remove(1)));
        assert_eq!(anomalies, [Anomaly::SkippedRead(place(), Offset(1))]);
    }

    #[test]
    fn a_commit_is_the_last_acknowledged_or_a_later_one() {
        let committed = |offset: Option<i64>| {
            spoiled(|_, _, found| {
                found.committed = offset.map(|offset| (place(), Offset(offset))).into_iter().collect();
            })
        };
        let lost = |found: Option<i64>| Anomaly::LostCommit(place(), Some(Offset(2)), found.map(Offset));
        assert_eq!(committed(Some(2)), []);
        assert_eq!(committed(Some(4)), []);
        assert_eq!(committed(Some(1)), [lost(Some(1))]);
        assert_eq!(committed(Some(3)), [lost(Some(3))]);
        assert_eq!(committed(None), [lost(None)]);
    }

    #[test]
    fn topics_stay_and_stay_away() {
        let anomalies = spoiled(|_, _, found| found.topics = vec![name("gone")]);
        assert_eq!(anomalies, [Anomaly::LostTopic(name("alive")), Anomaly::RevivedTopic(name("gone"))]);
    }
}
