//! A disk that has no room: what does not fit is refused and was never appended, and the log goes on when it fits again.

use std::path::Path;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Producer};
use rt::Rt;
use rt::sim::Sim;

use crate::tests::{sync, values};
use crate::*;

const NODE: &str = "n1";

fn options(recovery: Recovery) -> OpenOptions {
    OpenOptions {
        dir: Path::new("/t-0").to_path_buf(),
        topic_id: None,
        config: LogConfig { index_interval_bytes: 100, segment_bytes: 2_000, ..LogConfig::default() },
        recovery,
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(8)),
    }
}

fn open(rt: &Rt) -> Log {
    Log::open(rt.fs(), options(Recovery::From(Offset::ZERO))).expect("opens").0
}

/// The batch of an idempotent producer whose one record has `sequence` as its number and in its text.
fn batch(sequence: i32) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    let value = format!("{sequence:0100}");
    builder.push(None, Some(value.as_bytes()), &[], TimestampMs(1_000));
    let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(0), base_sequence: sequence };
    builder.build(BatchOptions { producer: Some(producer), ..BatchOptions::default() }).expect("records")
}

fn write_and_sync(rt: &Rt, log: &mut Log, sequences: std::ops::Range<i32>) {
    sequences.for_each(|sequence| {
        log.append(batch(sequence), LeaderEpoch(1), 0).expect("appends");
    });
    sync(log, rt.fs());
}

fn texts(sequences: std::ops::Range<i32>) -> Vec<String> {
    sequences.map(|sequence| format!("{sequence:0100}")).collect()
}

#[test]
fn a_log_that_finds_no_room_to_rest_rests_later() {
    for free in 0..200 {
        let sim = Sim::new(free);
        let rt = sim.node(NODE);
        let mut log = open(&rt);
        write_and_sync(&rt, &mut log, 0..5);
        sim.disk(NODE).set_free_bytes(free);
        let rested = log.rest();
        assert!(matches!(rested, Ok(()) | Err(LogError::Io(_))), "{free}: {rested:?}");
        assert_eq!((log.fenced(), log.is_rested()), (None, rested.is_ok()), "{free}");
        sync(&mut log, rt.fs());
        sim.disk(NODE).set_free_bytes(1 << 30);
        write_and_sync(&rt, &mut log, 5..7);
        log.rest().expect("there is room again");
        sync(&mut log, rt.fs());
        sync(&mut log, rt.fs());
        drop(log);
        sim.power_cut(NODE);
        let rt = sim.node(NODE);
        let (log, report) = Log::open(rt.fs(), options(Recovery::From(Offset(7)))).expect("opens");
        // Where the last batch ends, no index says.
        assert!(report.scanned_bytes < 200, "{free}: {} bytes were read again", report.scanned_bytes);
        assert_eq!(values(&log.reader(), Offset::ZERO, log.log_end()), texts(0..7), "{free}");
    }
}

#[test]
fn segments_are_put_away_where_no_name_fits() {
    let sim = Sim::new(1);
    let rt = sim.node(NODE);
    let mut log = open(&rt);
    write_and_sync(&rt, &mut log, 0..50);
    log.set_high_watermark(Offset(50));
    sim.disk(NODE).set_free_bytes(0);
    sim.disk(NODE).names_are_full(true);
    log.advance_start(Offset(30)).expect("in the log");
    let put_away = log.put_away_before_start().expect("they go");
    assert_eq!(log.fenced(), None);
    assert!(sim.disk(NODE).free_bytes() > 2_000, "their space is free");
    put_away.remove().expect("nothing is left of them");
    sim.disk(NODE).names_are_full(false);
    sim.disk(NODE).set_free_bytes(1 << 30);
    write_and_sync(&rt, &mut log, 50..60);
    drop(log);
    sim.power_cut(NODE);
    let rt = sim.node(NODE);
    let kept = OpenOptions { start_offset: Offset(30), ..options(Recovery::From(Offset(60))) };
    let (log, _) = Log::open(rt.fs(), kept).expect("opens");
    assert_eq!(values(&log.reader(), Offset(30), log.log_end()), texts(30..60));
}

#[test]
fn what_does_not_fit_was_never_appended() {
    // From nothing, over a part of a batch and of several, to what takes all but a roll.
    for free in (0..6_000).step_by(61) {
        let sim = Sim::new(free);
        let rt = sim.node(NODE);
        let mut log = open(&rt);
        log.append(batch(0), LeaderEpoch(1), 0).expect("appends");
        sync(&mut log, rt.fs());
        sim.disk(NODE).set_free_bytes(free);
        let mut next = 1;
        let refused = loop {
            let gathered = next;
            let appended = (0..3).try_for_each(|_| {
                log.append(batch(next), LeaderEpoch(1), 0)?;
                next += 1;
                Ok(())
            });
            if let Err(error) = appended.and_then(|()| log.write()) {
                // A roll may have come between: what it wrote before stays.
                let end = i32::try_from(log.log_end().0).expect("few");
                assert!((gathered..=next).contains(&end), "{free}: {end} of {gathered} to {next}");
                next = end;
                break error;
            }
            assert!(next < 100, "{free} bytes hold this much");
        };
        assert!(matches!(refused, LogError::Io(_)), "{free}: {refused}");
        assert_eq!(log.fenced(), None, "{free}");
        let again = batch(next);
        assert_eq!(
            log.check_sequence(again.header(), Verified::No),
            Ok(Sequence::New),
            "{free}: its producer may send it again"
        );
        sync(&mut log, rt.fs());
        assert_eq!(log.durable_end(), log.log_end(), "{free}: what was written can be synced");
        sim.disk(NODE).set_free_bytes(1 << 30);
        for sequence in next..next + 20 {
            log.append(batch(sequence), LeaderEpoch(1), 0).expect("there is room again");
        }
        sync(&mut log, rt.fs());
        let expected: Vec<String> = (0..next + 20).map(|sequence| format!("{sequence:0100}")).collect();
        assert_eq!(values(&log.reader(), Offset::ZERO, log.log_end()), expected, "{free}");
        drop(log);
        sim.power_cut(NODE);
        let log = open(&sim.node(NODE));
        assert_eq!(values(&log.reader(), Offset::ZERO, log.log_end()), expected, "{free}: after a power cut");
    }
}
