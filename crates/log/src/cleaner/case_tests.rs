//! What a pass makes of a log, case by case: batches in, passes at some times, what is left of them.

use std::sync::Arc;

use model::{
    CoordinatorEpoch, LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TransactionResult,
};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Compression, EndTransaction, Producer};

use crate::tests::{ALL, Folder, sync};
use crate::*;

const RETENTION_MS: i64 = 100;

/// A batch: `a=1,b=` are records of nobody's, the second a deletion, `=x` one without a key; `p7:` in front says whose,
/// `t7:` in whose transaction; `A7` and `C7` abort and commit it.
fn batch(text: &str, next: Offset, compression: Compression) -> CheckedBatch {
    let end = |id: &str, result| {
        let end = EndTransaction { result, coordinator_epoch: CoordinatorEpoch(0) };
        let id = ProducerId(id.parse().expect("a producer"));
        end.batch(id, ProducerEpoch(0), TimestampMs(1))
    };
    match text.split_at(1) {
        ("A", id) => return end(id, TransactionResult::Abort),
        ("C", id) => return end(id, TransactionResult::Commit),
        _ => {}
    }
    let (who, records) = text.split_once(':').unwrap_or(("", text));
    let mut builder = BatchBuilder::new();
    for record in records.split(',') {
        let (key, value) = record.split_once('=').expect("a key and a value");
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (key, value) = (some(key), some(value));
        builder.push(
            key.as_ref().map(String::as_bytes),
            value.as_ref().map(String::as_bytes),
            &[],
            TimestampMs(1),
        );
    }
    let producer = who.get(1..).map(|id| Producer {
        id: ProducerId(id.parse().expect("a producer")),
        epoch: ProducerEpoch(0),
        base_sequence: i32::try_from(next.0).expect("small"),
    });
    let options = BatchOptions { compression, producer, transactional: who.starts_with('t'), control: false };
    builder.build(options).expect("records")
}

/// A log of these batches, with `|` where a segment ends; all of it sealed.
fn log_of(folder: &Folder, script: &str, compression: Compression) -> Log {
    let (mut log, _) = folder.open(Recovery::Clean);
    for step in script.split_whitespace() {
        if step == "|" {
            log.roll().expect("rolls");
        } else {
            let batch = batch(step, log.log_end(), compression);
            log.append(batch, LeaderEpoch(0), 1).expect("appends");
        }
    }
    log.roll().expect("rolls");
    sync(&mut log, &folder.fs);
    log
}

fn options(log: &Log, now_ms: i64) -> CleanOptions {
    CleanOptions {
        first_dirty: Offset::ZERO,
        bound: log.log_end(),
        now_ms,
        delete_retention_ms: RETENTION_MS,
        segment_bytes: 1 << 20,
        index_bytes_max: 1 << 20,
        index_interval_bytes: 100,
        key_map_bytes: 1 << 20,
        key_map_load: 0.9,
        buffer_bytes: 4096,
        seed: 1,
        last_batches: log.producers().last_batches(),
    }
}

/// One whole pass; how far it came.
fn pass(log: &mut Log, options: CleanOptions) -> Offset {
    let mut cleaning = log.reader().clean(options).expect("begins");
    loop {
        match cleaning.step().expect("works") {
            Step::Worked(_) => {}
            Step::Swap(cleaned, _) => {
                log.swap_in(*cleaned).expect("swaps").remove().expect("frees");
            }
            Step::Done(to) => return to,
        }
    }
}

fn shown(log: &Log) -> String {
    shown_from(log, 0)
}

/// What is in a log, batch by batch: `0-1 a=1 b=2;`, with `@` and the delete horizon.
fn shown_from(log: &Log, from: i64) -> String {
    let (reader, mut next, mut shown) = (log.reader(), Offset(from), String::new());
    loop {
        let bytes = reader.read_bytes(next, log.log_end(), ALL).expect("reads");
        if bytes.is_empty() {
            return shown;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record::check(rest).expect("sound");
            let (batch, after) = rest.split_at(header.size_in_bytes());
            shown += &if shown.is_empty() { String::new() } else { " ".to_owned() };
            shown += &format!("{}-{}", header.base_offset, header.last_offset());
            let end = header.is_control().then(|| EndTransaction::read(batch).expect("a marker")).flatten();
            if let Some(end) = end {
                shown += &format!(" {:?} {}", end.result, header.producer_id.0);
            } else {
                for record in record::decode(batch, 1 << 20).expect("decodes").records() {
                    let record = record.expect("reads");
                    assert_eq!(record.timestamp, TimestampMs(1));
                    let text = |bytes: Option<&[u8]>| {
                        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                    };
                    shown += &format!(" {}={}", text(record.key), text(record.value));
                }
            }
            if let Some(horizon) = header.delete_horizon() {
                shown += &format!(" @{}", horizon.0);
            }
            shown += ";";
            (rest, next) = (after, header.next_offset());
        }
    }
}

/// Passes over a log at some times, each with what it leaves.
#[track_caller]
fn check(name: &str, script: &str, passes: &[(i64, &str)]) {
    for compression in [Compression::None, Compression::Lz4] {
        let folder = Folder::new(&format!("clean-{name}-{}", compression.name()));
        let mut log = log_of(&folder, script, compression);
        for &(now_ms, expected) in passes {
            let options = options(&log, now_ms);
            assert_eq!(pass(&mut log, options), log.log_end());
            assert_eq!(shown(&log), expected, "at {now_ms}");
        }
        let end = log.log_end();
        log.close().expect("closes");
        let (log, report) = folder.open(Recovery::Clean);
        assert_eq!((log.log_end(), report.rebuilt_indexes), (end, 0));
        assert_eq!(shown(&log), passes.last().expect("one pass").1, "after a restart");
    }
}

#[test]
fn the_newest_record_of_a_key_stays_at_its_offset_in_its_batch() {
    let left = "0-1 b=1; 3-3 c=1; 4-6 a=3;";
    check("newest", "a=1,b=1 a=2 | c=1 a=2,a=3,a=3", &[(0, "0-1 b=1; 3-3 c=1; 4-6 a=3;"), (1, left)]);
}

#[test]
fn a_deletion_waits_from_the_first_pass_on_and_the_last_batch_stays_when_it_is_empty() {
    let waiting = "1-1 b=1; 2-2 a= @1100;";
    check("deletion", "a=1 b=1 a=", &[(1000, waiting), (1099, waiting), (1100, "1-1 b=1; 2-2;")]);
}

#[test]
fn the_last_batch_of_each_producer_stays_for_its_sequence_numbers() {
    let script = "p1:a=1 p1:a=2 p2:a=3 a=4";
    check("producers", script, &[(0, "1-1; 2-2; 3-3 a=4;")]);
}

#[test]
fn records_without_a_key_go() {
    check("keyless", "a=1 =x,b=1 =y | c=1", &[(0, "0-0 a=1; 1-2 b=1; 4-4 c=1;")]);
}

#[test]
fn aborted_records_go_then_their_marker_waits_and_goes() {
    let script = "a=1 t1:a=2 t2:b=1 A1 C2 t1:c=1 C1 x=1";
    check(
        "aborted",
        script,
        &[
            // Something of the first was there, so its marker stays as it is; the other's records are as any others.
            (1000, "0-0 a=1; 2-2 b=1; 3-3 Abort 1; 4-4 Commit 2; 5-5 c=1; 6-6 Commit 1; 7-7 x=1;"),
            (2000, "0-0 a=1; 2-2 b=1; 3-3 Abort 1 @2100; 4-4 Commit 2; 5-5 c=1; 6-6 Commit 1; 7-7 x=1;"),
            (2099, "0-0 a=1; 2-2 b=1; 3-3 Abort 1 @2100; 4-4 Commit 2; 5-5 c=1; 6-6 Commit 1; 7-7 x=1;"),
            (2100, "0-0 a=1; 2-2 b=1; 4-4 Commit 2; 5-5 c=1; 6-6 Commit 1; 7-7 x=1;"),
        ],
    );
}

#[test]
fn a_commits_marker_goes_after_its_records() {
    let script = "t1:a=1 C1 t2:a=2 C2 p1:x=1 p2:x=2";
    let first = "1-1 Commit 1 @1100; 2-2 a=2; 3-3 Commit 2; 4-4; 5-5 x=2;";
    // A batch that was met is a transaction that is not empty, for this pass.
    let met = "1-1 Commit 1; 2-2 a=2; 3-3 Commit 2; 4-4; 5-5 x=2;";
    check("committed", script, &[(500, met), (1000, first), (1100, "2-2 a=2; 3-3 Commit 2; 4-4; 5-5 x=2;")]);
}

#[test]
fn readers_of_committed_records_are_told_of_an_abort_while_something_of_it_was_there() {
    let folder = Folder::new("clean-index");
    let mut log = log_of(&folder, "t1:a=1 | A1 b=1 | t2:b=2 A2 c=1 t1:d=1 C1 t2:e=1 C2", Compression::None);
    let aborted = |log: &Log| {
        let aborted = log.reader().aborted_transactions(Offset::ZERO, log.log_end()).expect("reads");
        aborted.into_iter().map(|aborted| (aborted.producer.0, aborted.last_offset.0)).collect::<Vec<_>>()
    };
    for expected in [vec![(1, 1), (2, 4)], vec![]] {
        let options = options(&log, 0);
        pass(&mut log, options);
        assert_eq!(aborted(&log), expected);
        let closed = log.close();
        closed.expect("closes");
        log = folder.open(Recovery::From(Offset::ZERO)).0;
        assert_eq!(aborted(&log), expected, "after a restart");
    }
}

#[test]
fn more_keys_than_fit_take_several_passes() {
    let folder = Folder::new("clean-passes");
    let script: Vec<String> = (0..100).map(|number| format!("k{}={number}", number % 40)).collect();
    let mut log = log_of(&folder, &script.join(" "), Compression::None);
    let (mut to, mut passes) = (Offset::ZERO, 0);
    while to < log.log_end() {
        let before = to;
        let options = CleanOptions { first_dirty: to, key_map_bytes: 24 * 20, ..options(&log, 0) };
        to = pass(&mut log, options);
        assert!(before < to);
        passes += 1;
    }
    assert!(2 < passes, "{passes}");
    let expected: Vec<String> =
        (60..100).map(|number| format!("{number}-{number} k{}={number};", number % 40)).collect();
    assert_eq!(shown(&log), expected.join(" "));
}

#[test]
fn a_batch_whose_keys_do_not_fit_is_an_error_and_changes_nothing() {
    let folder = Folder::new("clean-full");
    let log = log_of(&folder, "a=1,b=1,c=1,d=1", Compression::None);
    let options = CleanOptions { key_map_bytes: 24 * 3, ..options(&log, 0) };
    let error = log.reader().clean(options).expect("begins").step().err().expect("no room");
    assert!(matches!(error, CleanError::KeyMapFull { at: Offset(0) }) && error.is_lasting(), "{error}");
    assert_eq!(shown(&log), "0-3 a=1 b=1 c=1 d=1;");
}

#[test]
fn segments_are_put_together_as_long_as_they_fit_into_one() {
    let folder = Folder::new("clean-groups");
    let value = "x".repeat(1000);
    let script: Vec<String> = (0..9).map(|number| format!("k{number}={value}")).collect();
    let mut log = log_of(&folder, &script.join(" | "), Compression::None);
    let options = CleanOptions { segment_bytes: 3500, ..options(&log, 0) };
    pass(&mut log, options);
    let logs = || {
        let names = crate::tests::files(&folder).into_iter();
        names.filter(|name| name.ends_with(".log")).collect::<Vec<_>>()
    };
    let expected = ["00000000000000000000.log", "00000000000000000003.log", "00000000000000000006.log"];
    assert_eq!(logs()[..3], expected);
    assert_eq!(logs().len(), 4, "and the one to write to");
    assert!(
        crate::tests::files(&folder)
            .iter()
            .all(|name| !name.ends_with(".swap") && !name.ends_with(".cleaned"))
    );
}

/// D3: whoever was promised bytes gets them, though the segment was swapped and its descriptor evicted meanwhile.
#[test]
fn a_reader_keeps_the_bytes_it_was_promised_across_a_swap() {
    let folder = Folder::new("clean-promised");
    let value = "x".repeat(5000);
    let script: Vec<String> = (0..40).map(|number| format!("k{}={value}", number % 4)).collect();
    let options_of = |log: &Log| CleanOptions { segment_bytes: 100_000, ..options(log, 0) };
    let mut log = log_of(&folder, &script.join(" | "), Compression::None);
    let reader = log.reader();
    let slice =
        |from: i64| reader.read(Offset(from), log.log_end(), ALL).expect("reads").slice.expect("bytes");
    let promised: Vec<(rt::FileSlice, Vec<u8>)> = (0..40)
        .map(|from| {
            let slice = slice(from);
            let mut bytes = vec![0; usize::try_from(slice.len).expect("small")];
            slice.file.read_exact_at(&mut bytes, slice.position).expect("reads");
            (slice, bytes)
        })
        .collect();
    let options = options_of(&log);
    pass(&mut log, options);
    assert!(log.reader().size_in_bytes() < 30_000, "four records stay");
    for (slice, expected) in promised {
        let mut bytes = vec![0; expected.len()];
        slice.file.read_exact_at(&mut bytes, slice.position).expect("reads on");
        assert_eq!(bytes, expected);
    }
}

#[test]
fn a_segment_that_retention_took_meanwhile_is_not_brought_back() {
    let folder = Folder::new("clean-gone");
    let mut log = log_of(&folder, "a=1 | a=2 b=1 | c=1", Compression::None);
    log.set_high_watermark(log.log_end());
    let mut cleaning = log.reader().clean(options(&log, 0)).expect("begins");
    let cleaned = loop {
        match cleaning.step().expect("works") {
            Step::Swap(cleaned, _) => break cleaned,
            Step::Worked(_) => {}
            Step::Done(_) => panic!("there is something to swap"),
        }
    };
    log.advance_start(Offset(1)).expect("moves");
    assert_eq!(log.remove_before_start().expect("removes"), 1);
    assert!(log.swap_in(*cleaned).expect("is thrown away").is_empty());
    assert_eq!(shown_from(&log, 1), "1-1 a=2; 2-2 b=1; 3-3 c=1;");
    drop(log);
    let options = OpenOptions { start_offset: Offset(1), ..folder.options(Recovery::From(Offset::ZERO)) };
    let (log, _) =
        Log::open(&folder.fs, OpenOptions { files: Arc::new(OpenFiles::new(2)), ..options }).expect("opens");
    assert_eq!(shown_from(&log, 1), "1-1 a=2; 2-2 b=1; 3-3 c=1;");
}
