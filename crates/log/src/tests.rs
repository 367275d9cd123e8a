//! Logs on real files: scripts of appends, syncs, crashes and reads; and random ones against a model.

use std::path::PathBuf;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Producer};
use rt::Fs;

use crate::*;

/// A folder of this test's own, removed at its end.
pub(crate) struct Folder {
    pub(crate) fs: Fs,
    pub(crate) dir: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let fs = rt::os::run(|rt| async move { rt.fs().clone() }).expect("a runtime");
        let dir = std::env::temp_dir().join(format!("ottla-log-{}-{name}", std::process::id()));
        if fs.exists(&dir).expect("temporary folder") {
            fs.remove_dir_all(&dir).expect("removable");
        }
        Folder { fs, dir }
    }

    pub(crate) fn options(&self, recovery: Recovery) -> OpenOptions {
        OpenOptions {
            dir: self.dir.join("t-0"),
            topic_id: None,
            config: LogConfig { index_interval_bytes: 100, ..LogConfig::default() },
            recovery,
            start_offset: Offset::ZERO,
            files: Arc::new(OpenFiles::new(8)),
        }
    }

    pub(crate) fn open(&self, recovery: Recovery) -> (Log, RecoveryReport) {
        Log::open(&self.fs, self.options(recovery)).expect("opens")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.fs.remove_dir_all(&self.dir) {
            eprintln!("{error}");
        }
    }
}

pub(crate) fn batch_of(values: &[&str], timestamp: i64) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    for (index, value) in values.iter().enumerate() {
        let later = i64::try_from(index).expect("few");
        builder.push(None, Some(value.as_bytes()), &[], TimestampMs(timestamp + later));
    }
    builder.build(BatchOptions::default()).expect("records")
}

pub(crate) fn sync(log: &mut Log, fs: &Fs) {
    log.write().expect("writes");
    while let Some(job) = log.take_sync() {
        let synced = job.run(fs);
        log.synced(synced).expect("synced");
    }
}

pub(crate) const ALL: ReadLimits =
    ReadLimits { max_bytes: u64::MAX, first_batch: FirstBatch::Whole, cold: Cold::Check };

/// All values from `from` on, as a consumer would get them.
pub(crate) fn values(reader: &LogReader, from: Offset, up_to: Offset) -> Vec<String> {
    let (mut next, mut values) = (from, Vec::new());
    loop {
        let bytes = reader.read_bytes(next, up_to, ALL).expect("reads");
        if bytes.is_empty() {
            return values;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record::check(rest).expect("a whole batch");
            let (batch, after) = rest.split_at(header.size_in_bytes());
            let decoded = record::decode(batch, 1 << 20).expect("decodes");
            for record in decoded.records() {
                let record = record.expect("well formed");
                if next <= record.offset {
                    values.push(String::from_utf8_lossy(record.value.expect("a value")).into_owned());
                }
            }
            next = header.next_offset();
            rest = after;
        }
    }
}

/// Bytes of a batch with one record of one character.
pub(crate) const ONE: u64 = 69;

#[test]
fn what_is_appended_is_read_and_survives_a_clean_restart() {
    let folder = Folder::new("clean");
    let (mut log, _) = folder.open(Recovery::From(Offset::ZERO));
    let appended = log.append(batch_of(&["a", "b"], 1000), LeaderEpoch(3), 5).expect("appends");
    assert_eq!((appended.base_offset, appended.last_offset), (Offset(0), Offset(1)));
    log.append(batch_of(&["c"], 1001), LeaderEpoch(3), 5).expect("appends");
    let reader = log.reader();
    assert_eq!((reader.log_end(), log.log_end()), (Offset(0), Offset(3)));
    log.write().expect("writes");
    assert_eq!((reader.log_end(), log.durable_end()), (Offset(3), Offset(0)));
    sync(&mut log, &folder.fs);
    assert_eq!(log.durable_end(), Offset(3));
    assert_eq!(values(&reader, Offset(1), Offset(3)), ["b", "c"]);
    assert_eq!(values(&reader, Offset(0), Offset(2)), ["a", "b"]);
    log.close().expect("closes");
    assert!(matches!(reader.read(Offset(0), Offset(3), ALL), Err(ReadError::Closed)));

    let (mut log, report) = folder.open(Recovery::Clean);
    assert_eq!(report.rebuilt_indexes, 0);
    assert_eq!(values(&log.reader(), Offset(0), Offset(3)), ["a", "b", "c"]);
    assert_eq!(log.reader().end_offset_for_epoch(LeaderEpoch(3)), (LeaderEpoch(3), Offset(3)));
    log.append(batch_of(&["d"], 1002), LeaderEpoch(4), 5).expect("appends");
    sync(&mut log, &folder.fs);
    assert_eq!(log.reader().end_offset_for_epoch(LeaderEpoch(3)), (LeaderEpoch(3), Offset(3)));
    assert_eq!(values(&log.reader(), Offset(2), Offset(4)), ["c", "d"]);
}

pub(crate) fn small_segments(folder: &Folder, recovery: Recovery) -> OpenOptions {
    let mut options = folder.options(recovery);
    options.config.segment_bytes = 200;
    options
}

pub(crate) fn files(folder: &Folder) -> Vec<String> {
    let entries = folder.fs.read_dir(&folder.dir.join("t-0")).expect("listed");
    entries.into_iter().map(|entry| entry.name).collect()
}

pub(crate) fn append(log: &mut Log, values: &[&str]) -> Offset {
    log.append(batch_of(values, 1000), LeaderEpoch(0), 0).expect("appends").base_offset
}

#[test]
fn segments_roll_by_size_and_reads_cross_them() {
    let folder = Folder::new("roll");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    for value in ["a", "b", "c", "d", "e"] {
        append(&mut log, &[value, value]);
    }
    sync(&mut log, &folder.fs);
    let logs: Vec<String> = files(&folder).into_iter().filter(|name| name.ends_with(".log")).collect();
    assert_eq!(logs, ["00000000000000000000.log", "00000000000000000004.log", "00000000000000000008.log"]);
    assert_eq!(values(&log.reader(), Offset(3), Offset(10)), ["b", "c", "c", "d", "d", "e", "e"]);
    assert_eq!(values(&log.reader(), Offset(0), Offset(6)), ["a", "a", "b", "b", "c", "c"]);
    assert_eq!(log.reader().size_in_bytes(), 5 * 77);
}

#[test]
fn segments_roll_by_time_and_by_full_indexes() {
    for (name, config, expected) in [
        ("time", LogConfig { segment_ms: 1500, ..LogConfig::default() }, 3),
        ("index", LogConfig { index_bytes_max: 48, index_interval_bytes: 1, ..LogConfig::default() }, 2),
        ("none", LogConfig::default(), 1),
    ] {
        let folder = Folder::new(name);
        let options = OpenOptions { config, ..folder.options(Recovery::Clean) };
        let (mut log, _) = Log::open(&folder.fs, options).expect("opens");
        for second in 0..5 {
            log.append(batch_of(&["x"], second * 1000), LeaderEpoch(0), 0).expect("appends");
            log.write().expect("writes");
        }
        let logs = files(&folder).iter().filter(|name| name.ends_with(".log")).count();
        assert_eq!(logs, expected, "{name}");
    }
}

#[test]
fn a_slice_ends_at_its_limits() {
    let folder = Folder::new("limits");
    let (mut log, _) = folder.open(Recovery::Clean);
    for value in ["a", "b", "c"] {
        append(&mut log, &[value, value]);
    }
    log.write().expect("writes");
    let reader = log.reader();
    let size = 77;
    for (from, up_to, max_bytes, first_batch, expected) in [
        (0, 6, 1000, FirstBatch::Whole, Some((0, 3 * size))),
        (1, 6, 1000, FirstBatch::Whole, Some((0, 3 * size))),
        (2, 6, 1000, FirstBatch::Whole, Some((size, 2 * size))),
        (2, 4, 1000, FirstBatch::Whole, Some((size, size))),
        (0, 6, 100, FirstBatch::Whole, Some((0, 100))),
        (0, 6, 1, FirstBatch::Whole, Some((0, size))),
        (0, 6, 0, FirstBatch::Limited, None),
        (0, 6, size - 1, FirstBatch::Limited, None),
        (0, 6, size, FirstBatch::Limited, Some((0, size))),
        (4, 4, 1000, FirstBatch::Whole, None),
        (6, 6, 1000, FirstBatch::Whole, None),
        (5, 4, 1000, FirstBatch::Whole, None),
    ] {
        let limits = ReadLimits { max_bytes, first_batch, cold: Cold::Refuse };
        let read = reader.read(Offset(from), Offset(up_to), limits).expect("in range");
        let slice = read.slice.map(|slice| (slice.position, slice.len));
        assert_eq!(slice, expected, "{from}..{up_to} of {max_bytes} {first_batch:?}");
    }
    for outside in [-1, 7] {
        let error = reader.read(Offset(outside), Offset(6), ALL).expect_err("outside");
        assert!(matches!(error, ReadError::OutOfRange { start: Offset(0), end: Offset(6) }), "{error}");
    }
}

#[test]
fn timestamps_are_found_record_by_record() {
    let folder = Folder::new("timestamps");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    // Offsets 0..=7 with timestamps 10 11, 30 31, 20 21, 40 41, in two segments.
    for timestamp in [10, 30, 20, 40] {
        log.append(batch_of(&["x", "y"], timestamp), LeaderEpoch(0), 0).expect("appends");
    }
    log.write().expect("writes");
    let reader = log.reader();
    for (wanted, up_to, expected) in [
        (0, 8, Some((0, 10))),
        (11, 8, Some((1, 11))),
        (12, 8, Some((2, 30))),
        (31, 8, Some((3, 31))),
        (32, 8, Some((6, 40))),
        (32, 6, None),
        (41, 8, Some((7, 41))),
        (42, 8, None),
    ] {
        let found = reader.offset_for_timestamp(TimestampMs(wanted), Offset(up_to)).expect("searched");
        let expected = expected.map(|(offset, timestamp)| (Offset(offset), TimestampMs(timestamp)));
        assert_eq!(found, expected, "{wanted} below {up_to}");
    }
    for (up_to, expected) in [(8, Some((7, 41))), (6, Some((3, 31))), (2, Some((1, 11))), (0, None)] {
        let found = reader.offset_of_max_timestamp(Offset(up_to)).expect("searched");
        assert_eq!(
            found,
            expected.map(|(offset, timestamp)| (Offset(offset), TimestampMs(timestamp))),
            "{up_to}"
        );
    }
}

fn idempotent(sequence: i32, value: &str) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(value.as_bytes()), &[], TimestampMs(1000));
    let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(0), base_sequence: sequence };
    builder.build(BatchOptions { producer: Some(producer), ..BatchOptions::default() }).expect("records")
}

#[test]
fn producers_survive_restarts_of_every_kind() {
    let folder = Folder::new("producers");
    let duplicate = |log: &Log, sequence: i32| match log
        .check_sequence(idempotent(sequence, "x").header(), Verified::No)
    {
        Ok(Sequence::Duplicate { base_offset, .. }) => Some(base_offset.0),
        Ok(Sequence::New) | Err(_) => None,
    };
    let (mut log, _) = folder.open(Recovery::Clean);
    for sequence in 0..7 {
        log.append(idempotent(sequence, "x"), LeaderEpoch(0), 0).expect("appends");
    }
    sync(&mut log, &folder.fs);
    let before = log.producers().clone();
    assert_eq!((duplicate(&log, 1), duplicate(&log, 2), duplicate(&log, 6)), (None, Some(2), Some(6)));
    drop(log);
    let (log, _) = folder.open(Recovery::From(Offset(3)));
    assert_eq!(log.producers(), &before, "after a crash");
    log.close().expect("closes");
    let (mut log, report) = folder.open(Recovery::Clean);
    assert_eq!(log.producers(), &before, "after a clean shutdown");
    assert!(report.scanned_bytes < 3 * 77, "from the snapshot, not from the batches");
    log.truncate_to(RecoveryPointLowered::persisted(Offset(5))).expect("cuts");
    assert_eq!((duplicate(&log, 4), duplicate(&log, 5)), (Some(4), None));
    log.append(idempotent(5, "y"), LeaderEpoch(0), 0).expect("appends");
    sync(&mut log, &folder.fs);
    assert_eq!(values(&log.reader(), Offset(4), Offset(6)), ["x", "y"]);
}

#[test]
fn truncation_keeps_what_a_slice_holds_and_survives_a_restart() {
    let folder = Folder::new("truncation");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    for value in 0..10 {
        log.append(batch_of(&[&value.to_string()], 1000), LeaderEpoch(value / 4), 0).expect("appends");
    }
    sync(&mut log, &folder.fs);
    let slice = log.reader().read(Offset(0), Offset(2), ALL).expect("reads").slice.expect("bytes");
    assert_eq!(
        log.truncate_to(RecoveryPointLowered::persisted(Offset(12))).expect("nothing to cut"),
        Offset(10)
    );
    assert_eq!(log.truncate_to(RecoveryPointLowered::persisted(Offset(5))).expect("cuts"), Offset(5));
    assert_eq!(log.reader().latest_epoch(), Some((LeaderEpoch(1), Offset(4))));
    assert_eq!(log.truncate_to(RecoveryPointLowered::persisted(Offset(1))).expect("cuts"), Offset(1));
    log.append(batch_of(&["new"], 1000), LeaderEpoch(3), 0).expect("appends");
    sync(&mut log, &folder.fs);
    let mut first = vec![0; usize::try_from(ONE).expect("small")];
    slice.file.read_exact_at(&mut first, 0).expect("still there");
    assert!(record::check(&first).is_ok());
    let second = slice.file.read_at(&mut first, ONE).expect("the file ends here");
    assert_eq!(second, 0, "what was cut is gone, not overwritten");
    for recovery in [Recovery::From(Offset(1)), Recovery::Clean] {
        assert_eq!(values(&log.reader(), Offset(0), Offset(2)), ["0", "new"]);
        log.close().expect("closes");
        (log, _) = Log::open(&folder.fs, small_segments(&folder, recovery)).expect("opens");
        assert_eq!(log.log_end(), Offset(2));
    }
    assert_eq!(log.truncate_to(RecoveryPointLowered::persisted(Offset(0))).expect("cuts"), Offset(0));
    assert_eq!(append(&mut log, &["again"]), Offset(0));
    log.restart_at(RecoveryPointLowered::persisted(Offset(0)), Offset(50)).expect("restarts");
    assert_eq!((log.log_start(), log.log_end()), (Offset(50), Offset(50)));
    assert_eq!(append(&mut log, &["far"]), Offset(50));
    sync(&mut log, &folder.fs);
    log.close().expect("closes");
    let options = OpenOptions { start_offset: Offset(50), ..folder.options(Recovery::Clean) };
    let (log, _) = Log::open(&folder.fs, options).expect("opens");
    assert_eq!(values(&log.reader(), Offset(50), Offset(51)), ["far"]);
}

#[test]
fn old_segments_go_by_age_size_and_request() {
    let folder = Folder::new("retention");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    // Two batches a segment: segments at 0, 2, 4, 6, with timestamps 1000 to 8000.
    for value in 0..8 {
        log.append(batch_of(&["x"], 1000 * (value + 1)), LeaderEpoch(0), 0).expect("appends");
    }
    sync(&mut log, &folder.fs);
    let (none, all) = (Retention { age_ms: None, bytes: None }, Offset(8));
    let age = |age_ms| Retention { age_ms: Some(age_ms), ..none };
    let size = |bytes| Retention { bytes: Some(bytes), ..none };
    for (retention, now, high_watermark, expected) in [
        (none, 1_000_000, all, None),
        (age(5000), 9_000, all, Some(2)),
        (age(5000), 9_500, Offset(1), None),
        (age(5000), 11_500, all, Some(6)),
        (size(8 * ONE), 0, all, None),
        (size(6 * ONE), 0, all, Some(2)),
        (size(5 * ONE), 0, all, Some(2)),
        (size(3 * ONE), 0, Offset(3), Some(2)),
    ] {
        let start = log.expired_to(retention, now, high_watermark).expect("computed");
        assert_eq!(start, expected.map(Offset), "{retention:?} at {now} below {high_watermark}");
    }
    log.advance_start(Offset(5)).expect("within the log");
    assert_eq!(log.remove_before_start().expect("removes"), 2);
    assert!(matches!(log.reader().read(Offset(4), all, ALL), Err(ReadError::OutOfRange { .. })));
    assert_eq!(log.reader().end_offset_for_epoch(LeaderEpoch(0)), (LeaderEpoch(0), all));
    assert_eq!(values(&log.reader(), Offset(5), all).len(), 3);
    assert_eq!(
        log.expired_to(age(5000), 1_000_000, all).expect("computed"),
        Some(all),
        "the newest one as well"
    );
    log.advance_start(all).expect("within the log");
    assert_eq!(log.remove_before_start().expect("removes"), 2);
    let logs: Vec<String> = files(&folder).into_iter().filter(|name| name.ends_with(".log")).collect();
    assert_eq!(logs, ["00000000000000000008.log"]);
    assert_eq!(append(&mut log, &["next"]), all);
    log.close().expect("closes");
    let options = OpenOptions { start_offset: all, ..folder.options(Recovery::Clean) };
    let (log, _) = Log::open(&folder.fs, options).expect("opens");
    assert_eq!((log.log_start(), log.log_end()), (all, Offset(9)));
}

#[test]
fn what_cannot_be_appended_changes_nothing() {
    let folder = Folder::new("refused");
    let (mut log, _) = Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    let large = "x".repeat(300);
    let error = log.append(batch_of(&[&large], 0), LeaderEpoch(0), 0).expect_err("larger than a segment");
    assert!(matches!(error, LogError::BatchTooLarge { max: 200, .. }), "{error}");
    log.append(batch_of(&["a"], 0), LeaderEpoch(5), 0).expect("appends");
    let error = log.append(batch_of(&["b"], 0), LeaderEpoch(4), 0).expect_err("an old leader");
    assert!(matches!(error, LogError::StaleEpoch { newest: 5, asked: 4 }), "{error}");
    let error = log.append_replicated(batch_of(&["b"], 0), 0).expect_err("offset 0 again");
    assert!(matches!(error, LogError::NotNext { expected: Offset(1), found: Offset(0) }), "{error}");
    log.fence("for the test");
    let error = log.append(batch_of(&["b"], 0), LeaderEpoch(5), 0).expect_err("fenced");
    assert!(matches!(error, LogError::Fenced { .. }), "{error}");
    assert_eq!(log.log_end(), Offset(1));
}

#[test]
fn unsynced_bytes_are_bounded() {
    let folder = Folder::new("unsynced");
    let (mut log, _) = folder.open(Recovery::Clean);
    let large = "x".repeat(1 << 20);
    let mut appended = 0;
    let error = loop {
        match log.append(batch_of(&[&large], 0), LeaderEpoch(0), 0) {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LogError::UnsyncedFull { .. }), "{error}");
    assert_eq!(appended, 63, "of a mebibyte and a little each");
    sync(&mut log, &folder.fs);
    assert!(log.has_room_for(1 << 20));
    assert_eq!(append(&mut log, &["more"]), Offset(63));
}

#[test]
fn descriptors_are_bounded_and_appends_by_time_carry_it() {
    let folder = Folder::new("descriptors");
    let mut options = small_segments(&folder, Recovery::Clean);
    options.config.timestamp_type = record::TimestampType::LogAppendTime;
    let files = Arc::clone(&options.files);
    let (mut log, _) = Log::open(&folder.fs, options).expect("opens");
    for value in 0..40 {
        let appended = log.append(batch_of(&[&value.to_string()], 0), LeaderEpoch(0), 77).expect("appends");
        assert_eq!(appended.log_append_time, Some(TimestampMs(77)));
    }
    sync(&mut log, &folder.fs);
    assert_eq!(values(&log.reader(), Offset(0), Offset(40)).len(), 40);
    assert!(files.count() <= 8);
    let found = log.reader().offset_for_timestamp(TimestampMs(70), Offset(40)).expect("searched");
    assert_eq!(found, Some((Offset(0), TimestampMs(77))));
}

#[test]
fn a_data_folder_knows_its_owner_and_how_it_was_left() {
    use model::{BrokerId, ClusterId, PartitionIndex, TopicId, TopicName, Uuid};
    let folder = Folder::new("data-dir");
    let cluster = ClusterId(Uuid([1; 16]));
    let open = |node, cluster_id| {
        DataDir::open(&folder.fs, &folder.dir, Owner { node_id: BrokerId(node), cluster_id }, || {
            Uuid([2; 16])
        })
    };
    let dir = open(1, Some(cluster)).expect("new");
    assert!(!dir.was_clean());
    assert!(matches!(open(1, None), Err(DataDirError::InUse(_))));
    let name = |partition| PartitionName {
        topic: TopicName::parse("a-b").expect("legal"),
        partition: PartitionIndex(partition),
    };
    assert_eq!(dir.read_checkpoint(Checkpoint::LogStart).expect("none yet"), Offsets::new());
    let offsets = Offsets::from([(name(0), Offset(5)), (name(1), Offset(0))]);
    dir.write_checkpoint(Checkpoint::LogStart, &offsets).expect("writes");
    for partition in 0..2 {
        let options = OpenOptions {
            dir: dir.partition_path(&name(partition)),
            topic_id: Some(TopicId(Uuid([3; 16]))),
            ..folder.options(Recovery::Clean)
        };
        Log::open(&folder.fs, options.clone()).expect("creates").0.close().expect("closes");
        let other = OpenOptions { topic_id: Some(TopicId(Uuid([4; 16]))), ..options };
        assert!(matches!(Log::open(&folder.fs, other), Err(LogError::OtherTopic { .. })));
    }
    dir.close_clean().expect("marks");
    drop(dir);

    assert!(matches!(open(2, None), Err(DataDirError::Foreign { .. })));
    assert!(matches!(open(1, Some(ClusterId(Uuid([9; 16])))), Err(DataDirError::Foreign { .. })));
    let dir = open(1, None).expect("ours");
    assert_eq!((dir.was_clean(), dir.meta().cluster_id), (true, cluster));
    assert_eq!(dir.read_checkpoint(Checkpoint::LogStart).expect("reads"), offsets);
    let text = folder.fs.read(&folder.dir.join("log-start-offset-checkpoint")).expect("reads");
    assert_eq!(String::from_utf8_lossy(&text), "0\n3\na-b 0 5\na-b 1 0\n#crc32c 0 3097542622\n");
    let found = dir.partitions().expect("listed");
    let ids: Vec<_> = found.iter().map(|found| (found.name.partition.0, found.topic_id)).collect();
    assert_eq!(ids, [(0, Some(TopicId(Uuid([3; 16])))), (1, Some(TopicId(Uuid([3; 16]))))]);
    dir.rename_for_deletion(&name(0), Uuid([5; 16])).expect("renames");
    assert_eq!(dir.partitions().expect("listed").len(), 1);
    let left = Offsets::from([(name(1), Offset(0))]);
    assert_eq!(dir.read_checkpoint(Checkpoint::LogStart).expect("reads"), left, "the name may be used again");
    assert_eq!(dir.remove_deleted().expect("removes"), 1);
    drop(dir);
    assert!(!open(1, None).expect("ours").was_clean(), "the mark holds once");
}

#[test]
fn a_damaged_file_of_the_folder_says_which_it_is_and_what_to_do() {
    let folder = Folder::new("damaged-own");
    let open = || {
        let owner = Owner { node_id: model::BrokerId(1), cluster_id: None };
        DataDir::open(&folder.fs, &folder.dir, owner, || model::Uuid([2; 16]))
    };
    let damage = |name: &str| {
        let path = folder.dir.join(name);
        folder.fs.write_atomically(&path, b"0\n1\nwhat is this\n").expect("writes");
        path
    };
    let dir = open().expect("new");
    let copy = "; put a copy in its place";
    let log_start = "; put a copy in its place (without one, records that were deleted from the front of a log may \
                     come back)";
    for (which, remedy) in [
        (Checkpoint::RecoveryPoint, ""),
        (Checkpoint::LogStart, log_start),
        (Checkpoint::HighWatermark, ""),
        (Checkpoint::CleanerOffset, ""),
    ] {
        let path = damage(which.file_name());
        let error = dir.read_checkpoint(which).expect_err("damaged");
        assert_eq!(
            error.to_string(),
            format!("{} cannot be read: its text is damaged{remedy}", path.display())
        );
        let DataDirError::Damaged { path: named, what } = error else { panic!("{error}") };
        assert_eq!((named, what), (path, OwnFile::Checkpoint(which)));
    }
    drop(dir);
    let path = damage("meta.properties");
    let error = open().err().expect("damaged");
    assert_eq!(error.to_string(), format!("{} cannot be read: its text is damaged{copy}", path.display()));
    assert!(matches!(error, DataDirError::Damaged { what: OwnFile::MetaProperties, .. }));
}

#[test]
fn a_log_that_rests_after_its_syncs_still_gets_its_snapshot() {
    let folder = Folder::new("late-rest");
    let (mut log, _) = folder.open(Recovery::Clean);
    append(&mut log, &["a"]);
    sync(&mut log, &folder.fs);
    drop(log);
    // Recovery left nothing to sync, and no snapshot.
    let (mut log, _) = folder.open(Recovery::From(Offset(1)));
    sync(&mut log, &folder.fs);
    for _ in 0..2 {
        log.rest().expect("rests");
        sync(&mut log, &folder.fs);
        assert!(files(&folder).contains(&"00000000000000000001.snapshot".to_owned()));
    }
    assert!(log.take_sync().is_none());
    append(&mut log, &["b"]);
    log.write().expect("writes");
    let job = log.take_sync().expect("something to sync");
    assert!(matches!(log.close(), Err(LogError::SyncUnderWay)));
    drop(job);
}
