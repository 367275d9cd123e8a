//! Transactions in a log: how far readers of committed records read, what they leave out, and the files that say so.

use std::path::Path;
use std::sync::Arc;

use model::{
    CoordinatorEpoch, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TransactionResult,
};
use record::{BatchBuilder, BatchOptions, CheckedBatch, EndTransaction, Producer};
use rt::sim::Sim;

use crate::tests::{ALL, Folder, append, files, small_segments, sync};
use crate::*;

/// A record in a transaction, without a sequence number.
fn record(id: i64) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(b"x"), &[], TimestampMs(1000));
    let producer = Producer { id: ProducerId(id), epoch: ProducerEpoch(0), base_sequence: -1 };
    let options = BatchOptions { producer: Some(producer), transactional: true, ..BatchOptions::default() };
    builder.build(options).expect("a record")
}

fn end(id: i64, result: TransactionResult) -> CheckedBatch {
    let end = EndTransaction { result, coordinator_epoch: CoordinatorEpoch(0) };
    end.batch(ProducerId(id), ProducerEpoch(0), TimestampMs(1000))
}

/// Appends `w1` (a record of producer 1), `a1` (its abort), `c1` (its commit), `-` (a record of nobody's), a batch each.
fn run(log: &mut Log, script: &str) {
    for step in script.split_whitespace() {
        let id = || step[1..].parse().expect("a producer");
        let batch = match &step[..1] {
            "w" => record(id()),
            "a" => end(id(), TransactionResult::Abort),
            "c" => end(id(), TransactionResult::Commit),
            _ => {
                append(log, &["x"]);
                continue;
            }
        };
        log.append(batch, LeaderEpoch(0), 0).expect("appends");
    }
}

/// `producer:first-last` of what was aborted among some offsets.
#[track_caller]
fn check_aborted(log: &Log, from: i64, up_to: i64, expected: &str) {
    let aborted = log.reader().aborted_transactions(Offset(from), Offset(up_to)).expect("reads");
    let aborted: Vec<String> = aborted
        .iter()
        .map(|it| format!("{}:{}-{}", it.producer.0, it.first_offset, it.last_offset))
        .collect();
    assert_eq!(aborted.join(" "), expected, "{from} to {up_to}");
}

const SCRIPT: &str = "w1 w2 - a1 w3 w1 c2 a1 w2 - a3 a2 - -";

#[track_caller]
fn check_script(log: &Log) {
    check_aborted(log, 0, 14, "1:0-3 3:4-10 1:5-7 2:8-11");
    check_aborted(log, 4, 14, "3:4-10 1:5-7 2:8-11");
    check_aborted(log, 8, 9, "3:4-10 2:8-11");
    check_aborted(log, 0, 1, "1:0-3");
    check_aborted(log, 12, 14, "");
}

#[test]
fn the_last_stable_offset_waits_for_the_earliest_undecided_transaction() {
    let folder = Folder::new("stable");
    let (mut log, _) = folder.open(Recovery::Clean);
    for (script, high_watermark, stable) in [
        ("- w1 - w2 -", 5, 1),
        ("c2 w3 -", 8, 1),
        ("a1", 8, 1),
        ("", 9, 6),
        ("c3", 9, 6),
        ("", 10, 10),
        ("w1", 10, 10),
        ("", 11, 10),
    ] {
        run(&mut log, script);
        sync(&mut log, &folder.fs);
        log.set_high_watermark(Offset(high_watermark));
        assert_eq!(log.last_stable_offset(), Offset(stable), "{script} at {high_watermark}");
    }
    log.advance_start(Offset(11)).expect("moves");
    assert_eq!(log.last_stable_offset(), Offset(11), "nobody waits below the log's start");
}

#[test]
fn aborted_transactions_are_found_across_segments_and_restarts() {
    let folder = Folder::new("aborted");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    run(&mut log, SCRIPT);
    sync(&mut log, &folder.fs);
    check_script(&log);
    let written = |folder: &Folder| files(folder).iter().filter(|name| name.ends_with(".txnindex")).count();
    log.close().expect("closes");
    assert_eq!(written(&folder), 3, "only segments with a marker that aborts have a file");
    for recovery in [Recovery::Clean, Recovery::From(Offset(14)), Recovery::From(Offset::ZERO)] {
        let (log, report) = Log::open(&folder.fs, small_segments(&folder, recovery)).expect("opens");
        check_script(&log);
        assert_eq!((report.rebuilt_indexes, log.last_stable_offset()), (0, Offset::ZERO));
    }
}

#[test]
fn files_of_segments_that_go_are_closed() {
    let folder = Folder::new("closed");
    let options = small_segments(&folder, Recovery::Clean);
    let files = Arc::clone(&options.files);
    let (mut log, _) = Log::open(&folder.fs, options).expect("opens");
    run(&mut log, SCRIPT);
    sync(&mut log, &folder.fs);
    check_script(&log);
    log.advance_start(Offset(14)).expect("moves");
    assert!(0 < log.remove_before_start().expect("removes"));
    assert_eq!(files.count(), 1, "the batches of the segment in use");
}

#[test]
fn a_read_is_told_of_the_transactions_in_it_and_of_few_others() {
    let folder = Folder::new("told");
    let (mut log, _) = folder.open(Recovery::Clean);
    for _ in 0..100 {
        run(&mut log, "w1 a1");
    }
    sync(&mut log, &folder.fs);
    let reader = log.reader();
    assert!(reader.may_hold_aborted(Offset(50)));
    let limits = ReadLimits { max_bytes: 1000, ..ALL };
    let found = reader.read(Offset(50), Offset(200), limits).expect("reads");
    let aborted = reader.aborted_in(&found, Offset(50), Offset(200)).expect("reads");
    assert_eq!(aborted.first().map(|aborted| aborted.first_offset), Some(Offset(50)));
    assert!((7..12).contains(&aborted.len()), "{} in 1000 bytes", aborted.len());
    let nothing = reader.read(Offset(200), Offset(200), limits).expect("reads");
    assert_eq!(reader.aborted_in(&nothing, Offset(200), Offset(200)).expect("reads"), []);
}

#[test]
fn what_cannot_be_the_aborted_transactions_is_looked_for_in_the_batches() {
    let folder = Folder::new("aborted-damage");
    let open = |recovery| Log::open(&folder.fs, small_segments(&folder, recovery)).expect("opens");
    let (mut log, _) = open(Recovery::Clean);
    run(&mut log, SCRIPT);
    log.close().expect("closes");
    let dir = folder.dir.join("t-0");
    let names: Vec<String> = files(&folder).into_iter().filter(|name| name.ends_with(".txnindex")).collect();
    let sound: Vec<Vec<u8>> =
        names.iter().map(|name| folder.fs.read(&dir.join(name)).expect("reads")).collect();
    for damage in ["version", "odd", "zeros", "removed with the other indexes"] {
        for name in &names {
            let path = dir.join(name);
            let file = folder.fs.open(&path, rt::Open::ReadWrite).expect("opens");
            let write = |bytes: &[u8]| file.write_all_at(&[std::io::IoSlice::new(bytes)], 0).expect("writes");
            match damage {
                "version" => write(&[0, 9]),
                "odd" => file.set_len(33).expect("cuts"),
                "zeros" => write(&[0; 34]),
                _ => {
                    folder.fs.remove_file(&path).expect("removes");
                    folder.fs.remove_file(&path.with_extension("index")).expect("removes");
                }
            }
        }
        let (log, report) = open(Recovery::Clean);
        assert!(names.len() <= report.rebuilt_indexes, "{damage}: {report:?}");
        check_script(&log);
        log.close().expect("closes");
        for (name, sound) in names.iter().zip(&sound) {
            assert_eq!(&folder.fs.read(&dir.join(name)).expect("reads"), sound, "{name} after {damage}");
        }
    }
}

#[test]
fn files_of_aborted_transactions_go_with_their_segments() {
    let folder = Folder::new("aborted-gone");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    run(&mut log, SCRIPT);
    sync(&mut log, &folder.fs);
    let count = |suffix: &str| files(&folder).iter().filter(|name| name.ends_with(suffix)).count();
    let before = count(".txnindex");
    log.advance_start(Offset(8)).expect("moves");
    let put_away = log.put_away_before_start().expect("renamed");
    let gone = count(".txnindex.deleted");
    assert!(0 < gone && count(".txnindex") == before - gone);
    put_away.remove().expect("removes");
    assert_eq!(count(".deleted"), 0);
    check_aborted(&log, 8, 14, "3:4-10 2:8-11");
    let lowered = RecoveryPointLowered::persisted(Offset(11));
    assert_eq!(log.truncate_to(lowered).expect("cuts"), Offset(11));
    check_aborted(&log, 8, 11, "3:4-10");
    log.set_high_watermark(Offset(11));
    assert_eq!(
        log.last_stable_offset(),
        Offset(8),
        "its abort was cut off, so the transaction is open again"
    );
    run(&mut log, "c2");
    sync(&mut log, &folder.fs);
    log.close().expect("closes");
    let (log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    check_aborted(&log, 0, 12, "3:4-10");
}

#[test]
fn what_could_not_be_written_began_and_ended_nothing() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    let options = OpenOptions {
        dir: Path::new("/t-0").to_path_buf(),
        topic_id: None,
        config: LogConfig::default(),
        recovery: Recovery::From(Offset::ZERO),
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(8)),
    };
    let mut log = Log::open(rt.fs(), options).expect("opens").0;
    run(&mut log, "w1 w2 a2");
    // What was written is in a snapshot, which does not say where markers were.
    log.rest().expect("rests");
    sync(&mut log, rt.fs());
    log.set_high_watermark(Offset(3));
    sim.disk("n1").set_free_bytes(0);
    run(&mut log, "a1 w3");
    log.write().expect_err("no room");
    assert_eq!(log.producers().open_transactions().collect::<Vec<_>>(), [(ProducerId(1), ProducerEpoch(0))]);
    check_aborted(&log, 0, 3, "2:1-2");
    let batch = record(2);
    let stale = log.check_sequence(batch.header(), Verified::Since(Offset(2)));
    assert!(stale.is_err(), "the marker at 2 is still known to have come after the verification");
    assert_eq!(log.check_sequence(batch.header(), Verified::Since(Offset(3))), Ok(Sequence::New));
    sim.disk("n1").set_free_bytes(1 << 20);
    run(&mut log, "c1");
    sync(&mut log, rt.fs());
    log.set_high_watermark(Offset(4));
    assert_eq!(log.last_stable_offset(), Offset(4));
    check_aborted(&log, 0, 4, "2:1-2");
}
