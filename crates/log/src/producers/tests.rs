//! Producers and their transactions by scripts: batches and markers, each with what becomes of it.

use super::*;
use record::{BatchBuilder, BatchOptions, Producer};

fn header(epoch: i16, base_sequence: i32, records: usize, base_offset: i64) -> BatchHeader {
    header_of(1, epoch, base_sequence, records, base_offset)
}

fn header_of(id: i64, epoch: i16, base_sequence: i32, records: usize, base_offset: i64) -> BatchHeader {
    let mut builder = BatchBuilder::new();
    for _ in 0..records {
        builder.push(None, Some(b"x"), &[], TimestampMs(1000));
    }
    let producer = Producer { id: ProducerId(id), epoch: ProducerEpoch(epoch), base_sequence };
    let options = BatchOptions { producer: Some(producer), ..BatchOptions::default() };
    let mut batch = builder.build(options).expect("records");
    batch.set_base_offset(Offset(base_offset));
    *batch.header()
}

/// Runs batches `epoch:sequence+records` against one partition and says what became of each.
#[track_caller]
fn check(script: &str) {
    let mut producers = Producers::default();
    let mut next_offset = 100;
    for step in script.split_whitespace() {
        let (batch, expected) = step.split_once('=').expect("a batch and an outcome");
        let (epoch, rest) = batch.split_once(':').expect("an epoch");
        let (sequence, records) = rest.split_once('+').expect("a sequence");
        let records: usize = records.parse().expect("a count");
        let header = header(
            epoch.parse().expect("an epoch"),
            sequence.parse().expect("a number"),
            records,
            next_offset,
        );
        let outcome = match producers.check(&header, Verified::No) {
            Ok(Sequence::New) => {
                producers.on_append(&header, None, TimestampMs(0));
                next_offset = header.next_offset().0;
                "new".to_owned()
            }
            Ok(Sequence::Duplicate { base_offset, .. }) => format!("dup@{base_offset}"),
            Err(error) => said(&error),
        };
        assert_eq!(outcome, expected, "{step} in {script}");
    }
}

#[test]
fn sequences_follow_each_other_and_the_last_five_batches_are_known() {
    check("0:0+2=new 0:2+1=new 0:2+1=dup@102 0:0+2=dup@100 0:4+1=order(2) 0:3+1=new");
    check(
        "0:0+1=new 0:1+1=new 0:2+1=new 0:3+1=new 0:4+1=new 0:0+1=dup@100 0:5+1=new 0:1+1=dup@101 0:0+1=order(5)",
    );
    check("0:0+3=new 0:1+2=order(2) 0:0+2=order(2) 0:2+2=order(2)");
}

#[test]
fn epochs_fence_and_begin_at_zero() {
    check("3:7+1=new 2:8+1=epoch(3) 4:8+1=order(-1) 4:0+1=new 3:8+1=epoch(4) 4:0+1=dup@101");
}

#[test]
fn sequences_wrap_after_the_largest() {
    check("0:2147483646+2=new 0:0+1=new 0:2147483646+2=dup@100 0:1+1=new");
    check("0:2147483646+4=new 0:2147483646+4=dup@100 0:2+1=new 0:3+1=new");
    check("0:2147483647+1=new 0:1+1=order(2147483647)");
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    check("5:123+1=new 5:124+1=new");
}

#[test]
fn the_silent_are_forgotten() {
    let mut producers = Producers::default();
    producers.on_append(&header_of(1, 0, 0, 1, 0), None, TimestampMs(10_000));
    producers.on_append(&header_of(2, 0, 0, 1, 1), None, TimestampMs(20_000));
    assert_eq!(producers.expire(TimestampMs(15_000), 6_000), 0);
    assert_eq!(producers.expire(TimestampMs(16_000), 6_000), 1);
    assert_eq!(producers.sorted()[0].0, ProducerId(2));
}

#[test]
fn there_are_never_too_many() {
    let mut producers = Producers::default();
    let template = header_of(0, 0, 0, 1, 0);
    let all = i64::try_from(PRODUCERS_PER_PARTITION_MAX).expect("small");
    for id in 0..all + 5 {
        producers.on_append(
            &BatchHeader { producer_id: ProducerId(id), ..template },
            None,
            TimestampMs(10_000 + id),
        );
        assert!(producers.len() <= PRODUCERS_PER_PARTITION_MAX);
    }
    let sorted = producers.sorted();
    assert_eq!(sorted.last().map(|&(id, _)| id), Some(ProducerId(all + 4)));
    assert_eq!(sorted.first().map(|&(id, _)| id), Some(ProducerId(all / 10)), "the oldest tenth is gone");
}

fn said(error: &SequenceError) -> String {
    match error {
        SequenceError::OutOfOrder { last_sequence, .. } => format!("order({last_sequence})"),
        SequenceError::InvalidEpoch { known, .. } => format!("epoch({})", known.0),
        SequenceError::NoTransaction { .. } => "no-transaction".to_owned(),
        SequenceError::OutsideTransaction { first_offset, .. } => format!("outside({first_offset})"),
    }
}

/// Runs batches of one record and markers of producer 1 against one partition, from offset 100 on.
///
/// `epoch:sequence` is a batch; with `!` of a transaction nobody was asked about, `?n` of one that was ongoing when the
/// high watermark was n, `*` of one that has the epoch for itself. `commit1(epoch,coordinator)` is a marker, of protocol 1.
#[track_caller]
fn check_transactions(script: &str) {
    let mut producers = Producers::default();
    let mut next_offset = 100;
    for step in script.split_whitespace() {
        let (what, expected) = step.split_once('=').expect("a step and an outcome");
        let outcome = match what.split_once('(') {
            Some((kind, epochs)) => end(&mut producers, next_offset, kind, epochs.trim_end_matches(')')),
            None => write(&mut producers, next_offset, what),
        };
        assert_eq!(outcome, expected, "{step} in {script}");
        let is_appended = |outcome: &str| {
            ["@", "committed", "aborted", "nothing"].iter().any(|said| outcome.starts_with(said))
        };
        next_offset += i64::from(is_appended(&outcome));
    }
}

fn write(producers: &mut Producers, offset: i64, what: &str) -> String {
    let (batch, verified) = match what.find(['!', '?', '*']) {
        None => (what, None),
        Some(at) => (&what[..at], Some(&what[at..])),
    };
    let (epoch, sequence) = batch.split_once(':').expect("an epoch");
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(b"x"), &[], TimestampMs(1000));
    let epoch = ProducerEpoch(epoch.parse().expect("an epoch"));
    let base_sequence = sequence.parse().expect("a sequence");
    let producer = Producer { id: ProducerId(1), epoch, base_sequence };
    let transactional = verified.is_some();
    let options = BatchOptions { producer: Some(producer), transactional, ..BatchOptions::default() };
    let mut batch = builder.build(options).expect("a record");
    batch.set_base_offset(Offset(offset));
    let verified = match verified {
        Some("*") => Verified::ForEpoch,
        Some(since) if since.starts_with('?') => Verified::Since(Offset(number(&since[1..]))),
        Some(_) | None => Verified::No,
    };
    match producers.check(batch.header(), verified) {
        Ok(Sequence::New) => {
            assert_eq!(producers.on_append(batch.header(), None, TimestampMs(0)), None);
            format!("@{offset}")
        }
        Ok(Sequence::Duplicate { base_offset, .. }) => format!("dup@{base_offset}"),
        Err(error) => said(&error),
    }
}

fn end(producers: &mut Producers, offset: i64, kind: &str, epochs: &str) -> String {
    let (epoch, coordinator) = epochs.split_once(',').expect("two epochs");
    let marker = Marker {
        producer: ProducerId(1),
        epoch: ProducerEpoch(epoch.parse().expect("an epoch")),
        coordinator_epoch: CoordinatorEpoch(coordinator.parse().expect("an epoch")),
        result: if kind.starts_with("commit") { TransactionResult::Commit } else { TransactionResult::Abort },
        version: if kind.ends_with('1') { TransactionVersion::Tv1 } else { TransactionVersion::Tv2 },
    };
    match producers.check_marker(&marker) {
        Err(MarkerError::InvalidEpoch { known, .. }) => return format!("epoch({})", known.0),
        Err(MarkerError::CoordinatorFenced { known, .. }) => return format!("fenced({})", known.0),
        Ok(()) => {}
    }
    let open = producers.entries.get(&ProducerId(1)).and_then(|entry| entry.transaction);
    let said = EndTransaction { result: marker.result, coordinator_epoch: marker.coordinator_epoch };
    let mut batch = said.batch(marker.producer, marker.epoch, TimestampMs(1000));
    batch.set_base_offset(Offset(offset));
    let aborted = producers.on_append(batch.header(), Some(said), TimestampMs(0));
    match (open, aborted) {
        (None, None) => "nothing".to_owned(),
        (Some(first), None) => format!("committed@{first}"),
        (_, Some(aborted)) => {
            assert_eq!(aborted.last_offset, Offset(offset));
            format!("aborted@{}<{}", aborted.first_offset, aborted.last_stable_offset)
        }
    }
}

#[test]
fn a_transaction_begins_verified_and_goes_on_unasked() {
    check_transactions(
        "0:0!=no-transaction 0:0?100=@100 0:1!=@101 commit1(0,0)=committed@100 0:2!=no-transaction",
    );
    check_transactions("0:0?100=@100 0:1=outside(100) abort1(0,0)=aborted@100<102 0:1=@102");
}

#[test]
fn a_verification_is_void_once_a_marker_came_after_it() {
    check_transactions("0:0?100=@100 abort1(0,0)=aborted@100<102 0:1?101=no-transaction 0:1?102=@102");
    check_transactions("0:0*=@100 abort2(1,0)=aborted@100<102 0:1*=epoch(1) 1:0*=@102");
}

#[test]
fn a_batch_that_is_there_is_a_duplicate_whatever_its_transaction_came_to() {
    check_transactions("0:0?100=@100 0:0!=dup@100 abort1(0,0)=aborted@100<102 0:0!=dup@100");
}

#[test]
fn an_epoch_of_one_transaction_begins_at_sequence_zero() {
    check_transactions("3:5*=order(-1) 3:0*=@100 4:1*=order(-1)");
    check_transactions("3:5?100=@100");
}

#[test]
fn older_epochs_and_older_coordinators_end_nothing() {
    check_transactions(
        "2:0?100=@100 abort1(1,0)=epoch(2) abort1(2,5)=aborted@100<102 commit1(2,4)=fenced(5)",
    );
    check_transactions("2:0*=@100 commit2(2,0)=epoch(2) commit2(3,0)=committed@100 2:1*=epoch(3)");
}

#[test]
fn a_marker_that_is_repeated_ends_nothing() {
    check_transactions("0:0?100=@100 commit1(0,0)=committed@100 commit1(0,0)=nothing abort1(0,0)=nothing");
    check_transactions("0:0*=@100 commit2(1,0)=committed@100 commit2(1,0)=nothing");
    check_transactions("abort2(7,3)=nothing 6:0*=epoch(7) abort2(7,2)=fenced(3)");
    check_transactions("32767:0*=@100 commit2(32767,0)=committed@100");
}

#[test]
fn coordinators_number_none_of_their_batches() {
    check_transactions("0:-1?100=@100 0:-1!=@101 commit1(0,0)=committed@100 0:-1!=no-transaction");
}

#[test]
fn who_has_a_transaction_open_is_never_forgotten() {
    let mut producers = Producers::default();
    assert_eq!(write(&mut producers, 100, "0:0*"), "@100");
    assert_eq!(producers.expire(TimestampMs(i64::MAX), 1), 0);
    let template = header_of(0, 0, 0, 1, 0);
    for id in 2..=i64::try_from(PRODUCERS_PER_PARTITION_MAX).expect("small") + 2 {
        let header = BatchHeader { producer_id: ProducerId(id), ..template };
        producers.on_append(&header, None, TimestampMs(10_000 + id));
    }
    assert_eq!(producers.active()[0].transaction_first_offset, Some(Offset(100)));
    assert_eq!(end(&mut producers, 101, "abort1", "0,0"), "aborted@100<102");
    assert_eq!(producers.first_undecided(), Some(Offset(100)));
    producers.on_high_watermark(Offset(102));
    assert_eq!(producers.first_undecided(), None);
}
