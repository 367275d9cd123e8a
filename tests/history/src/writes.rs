//! Records: each acknowledged one is there, once, where it was said to be, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::event::{Kind, Place};
use crate::ledger::{Fate, Ledger, Partition, Write};

/// The offsets of each record.
type Found<'a> = BTreeMap<&'a str, BTreeSet<i64>>;

pub(crate) fn check(ledger: &Ledger<'_>, anomalies: &mut Vec<Anomaly>) {
    let mut said: BTreeMap<&Place, BTreeMap<i64, BTreeSet<&str>>> = BTreeMap::new();
    for (record, write) in &ledger.writes {
        if let Some(offset) = write.said {
            said.entry(&write.send.place).or_default().entry(offset).or_default().insert(record);
        }
    }
    let mut torn = Torn::default();
    for (place, partition) in &ledger.partitions {
        let found = found_in(partition);
        let said = said.remove(place).unwrap_or_default();
        check_offsets(place, partition, &said, anomalies);
        check_seen(ledger, place, partition, anomalies);
        check_order(ledger, place, partition, &said, anomalies);
        check_log(ledger, place, partition, anomalies);
        for (record, write) in ledger.writes.iter().filter(|(_, write)| write.send.place == **place) {
            let at = found.get(record).into_iter().flatten().copied().collect::<Vec<_>>();
            check_write(ledger, write, partition, &at, anomalies);
            torn.note(ledger, write, partition, &at);
        }
    }
    torn.check(anomalies);
}

/// Where each record is: in the final log if that is known, else where consumers were given it.
fn found_in<'a>(partition: &Partition<'a>) -> Found<'a> {
    let mut found = Found::new();
    match partition.log {
        Some((_, rows)) => {
            for row in rows {
                found.entry(&row.record).or_default().insert(row.offset);
            }
        }
        None => {
            for (offset, records) in &partition.shown {
                records.iter().for_each(|record| _ = found.entry(record).or_default().insert(*offset));
            }
        }
    }
    found
}

fn check_write(
    ledger: &Ledger<'_>,
    write: &Write<'_>,
    partition: &Partition<'_>,
    found: &[i64],
    anomalies: &mut Vec<Anomaly>,
) {
    let (record, place) = (write.send.record.clone(), write.send.place.clone());
    if write.send.kind != Kind::Plain && 1 < found.len() {
        anomalies.push(Anomaly::Duplicate(record.clone(), place.clone(), found.to_vec()));
    }
    match (ledger.fate(write), write.said) {
        (Fate::Certain, said) if found.is_empty() => match &partition.log {
            Some((start, _)) if said.is_some_and(|said| said < *start) => {}
            None if said.is_none() || partition.last_seen() < said => {
                anomalies.push(Anomaly::Unseen(record, place, said));
            }
            Some(_) | None => anomalies.push(Anomaly::LostWrite(record, place, said)),
        },
        (Fate::Certain | Fate::Maybe, Some(said)) if !found.is_empty() && !found.contains(&said) => {
            anomalies.push(Anomaly::MovedWrite(record, place, said, found.to_vec()));
        }
        (Fate::Certain | Fate::Maybe | Fate::Never, _) => {}
    }
}

/// An offset holds one record, whoever speaks of it.
fn check_offsets(
    place: &Place,
    partition: &Partition<'_>,
    said: &BTreeMap<i64, BTreeSet<&str>>,
    anomalies: &mut Vec<Anomaly>,
) {
    let mut all: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for (offset, records) in partition.shown.iter().chain(&partition.uncommitted).chain(said) {
        all.entry(*offset).or_default().extend(records);
    }
    for (offset, records) in all.into_iter().filter(|(_, records)| 1 < records.len()) {
        let records = records.into_iter().map(str::to_owned).collect();
        anomalies.push(Anomaly::InconsistentOffset(place.clone(), offset, records));
    }
}

/// What is seen was sent here, did not fail, and has the bytes it was sent with.
fn check_seen(ledger: &Ledger<'_>, place: &Place, partition: &Partition<'_>, anomalies: &mut Vec<Anomaly>) {
    let sent_here = |record: &str| ledger.writes.get(record).filter(|write| write.send.place == *place);
    let both = [(&partition.shown, false), (&partition.uncommitted, true)];
    for (seen, is_uncommitted) in both {
        for (offset, record) in
            seen.iter().flat_map(|(offset, all)| all.iter().map(move |one| (*offset, *one)))
        {
            let Some(write) = sent_here(record) else {
                anomalies.push(Anomaly::Phantom(record.to_owned(), place.clone(), offset));
                continue;
            };
            let fate = if is_uncommitted { write.fate } else { ledger.fate(write) };
            if fate == Fate::Never {
                anomalies.push(Anomaly::AbortedRead(record.to_owned(), place.clone(), offset));
            }
        }
    }
    let mut changed = BTreeSet::new();
    for (record, offset, sum) in &partition.sums {
        let sent = sent_here(record).and_then(|write| write.send.sum);
        if sent.is_some_and(|sent| sent != *sum) && changed.insert((record, offset)) {
            anomalies.push(Anomaly::ChangedWrite((*record).to_owned(), place.clone(), *offset));
        }
    }
}

/// What one client sent later lies behind what it sent before. A plain producer that does not wait may be overtaken by
/// its own retries, so that only what was settled before the other was sent has an order.
fn check_order(
    ledger: &Ledger<'_>,
    place: &Place,
    partition: &Partition<'_>,
    said: &BTreeMap<i64, BTreeSet<&str>>,
    anomalies: &mut Vec<Anomaly>,
) {
    let mut order: BTreeSet<(i64, &str)> = BTreeSet::new();
    for (offset, records) in partition.shown.iter().chain(said) {
        order.extend(records.iter().map(|record| (*offset, *record)));
    }
    let mut latest: BTreeMap<(&str, usize), &Write<'_>> = BTreeMap::new();
    for (_, record) in order {
        let Some(write) = ledger.writes.get(record).filter(|write| write.send.place == *place) else {
            continue;
        };
        let latest = latest.entry((&write.send.client, write.life)).or_insert(write);
        let is_behind = match write.send.kind {
            Kind::Plain => write.settled_at.is_some_and(|settled| settled < latest.sent_at),
            Kind::Idempotent | Kind::InTransaction(_) => write.sent_at < latest.sent_at,
        };
        if is_behind {
            let (record, later) = (record.to_owned(), latest.send.record.clone());
            anomalies.push(Anomaly::NonmonotonicSend(record, later, place.clone()));
        } else if latest.sent_at < write.sent_at {
            *latest = write;
        }
    }
}

/// The final log has no gaps but those of transactions, and has what consumers were given.
fn check_log(ledger: &Ledger<'_>, place: &Place, partition: &Partition<'_>, anomalies: &mut Vec<Anomaly>) {
    let Some((start, rows)) = partition.log else { return };
    let is_here = |write: &&Write<'_>| write.send.place == *place;
    let has_transactions =
        ledger.writes.values().filter(is_here).any(|write| matches!(write.send.kind, Kind::InTransaction(_)));
    let mut expected = start;
    for row in rows {
        if row.offset != expected && (row.offset < expected || !has_transactions) {
            anomalies.push(Anomaly::Gap(place.clone(), expected, row.offset));
        }
        expected = row.offset + 1;
    }
    let there: BTreeSet<(i64, &str)> = rows.iter().map(|row| (row.offset, row.record.as_str())).collect();
    for (offset, records) in partition.shown.range(start..) {
        for record in records.iter().filter(|record| !there.contains(&(*offset, **record))) {
            anomalies.push(Anomaly::LostRead((*record).to_owned(), place.clone(), *offset));
        }
    }
}

/// Transactions whose end nobody knows: each must be there as a whole, or not at all, in the final logs.
#[derive(Default)]
struct Torn<'a>(BTreeMap<&'a str, (Option<&'a str>, Option<&'a str>)>);

impl<'a> Torn<'a> {
    fn note(&mut self, ledger: &Ledger<'a>, write: &Write<'a>, partition: &Partition<'_>, found: &[i64]) {
        let Kind::InTransaction(transaction) = &write.send.kind else { return };
        let is_open = ledger.fate_of_transaction(transaction) == Fate::Maybe && write.fate == Fate::Certain;
        let Some((start, _)) = partition.log.filter(|_| is_open) else { return };
        let (there, missing) = self.0.entry(transaction).or_default();
        if !found.is_empty() {
            there.get_or_insert(&write.send.record);
        } else if write.said.is_none_or(|said| start <= said) {
            missing.get_or_insert(&write.send.record);
        }
    }

    fn check(self, anomalies: &mut Vec<Anomaly>) {
        for (transaction, seen) in self.0 {
            if let (Some(there), Some(missing)) = seen {
                let [there, missing] = [there, missing].map(str::to_owned);
                anomalies.push(Anomaly::TornTransaction(transaction.to_owned(), there, missing));
            }
        }
    }
}
