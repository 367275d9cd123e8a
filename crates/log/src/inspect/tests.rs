//! Whatever the files hold, looking at them ends, and damage is found where it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{LeaderEpoch, Offset, TimestampMs};
use proptest::prelude::*;
use record::{BatchBuilder, BatchOptions};
use rt::Fs;
use rt::sim::Sim;

use super::batches::{Batches, StoredBatch};
use super::*;
use crate::{Log, LogConfig, OpenFiles, OpenOptions, Recovery};

/// A disk in memory, there as long as its machine.
fn disk() -> (Sim, Fs) {
    let sim = Sim::new(1);
    let fs = sim.node("n").fs().clone();
    (sim, fs)
}

/// A disk, and on it a log of ten batches of three records in `t-0`, closed.
fn written() -> (Sim, Fs, PathBuf) {
    let (sim, fs) = disk();
    let dir = PathBuf::from("/t-0");
    fs.create_dir_all(&dir).unwrap();
    let options = OpenOptions {
        dir: dir.clone(),
        topic_id: None,
        config: LogConfig { index_interval_bytes: 100, ..LogConfig::default() },
        recovery: Recovery::Clean,
        start_offset: Offset(0),
        files: Arc::new(OpenFiles::new(8)),
    };
    let (mut log, _) = Log::open(&fs, options).unwrap();
    for number in 0..10i64 {
        let mut batch = BatchBuilder::new();
        for _ in 0..3 {
            batch.push(Some(b"key"), Some(b"value"), &[], TimestampMs(1000 + number));
        }
        let batch = batch.build(BatchOptions::default()).unwrap();
        log.append(batch, LeaderEpoch(0), 0).unwrap();
        log.write().unwrap();
    }
    log.close().unwrap();
    (sim, fs, dir)
}

fn path(dir: &Path, extension: &str) -> PathBuf {
    dir.join(format!("{:020}.{extension}", 0))
}

fn walk(fs: &Fs, path: &Path) -> Vec<StoredBatch> {
    let mut batches = Batches::open(fs, path, Offset(0)).unwrap();
    std::iter::from_fn(|| batches.read().unwrap()).collect()
}

#[test]
fn a_sound_folder_has_no_flaws() {
    let (_sim, fs, dir) = written();
    let batches = walk(&fs, &path(&dir, "log"));
    let offsets: Vec<i64> = batches.iter().map(|batch| batch.header.unwrap().base_offset.0).collect();
    assert_eq!(offsets, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    assert!(batches.iter().all(|batch| batch.flaw.is_none()));

    let mut index = indexes::offset_index(&fs.read(&path(&dir, "index")).unwrap(), Offset(0));
    indexes::check_offset_index(&fs, &path(&dir, "log"), &mut index).unwrap();
    assert!(!index.items.is_empty());
    assert_eq!(index.flaws, []);
    let mut index = indexes::time_index(&fs.read(&path(&dir, "timeindex")).unwrap(), Offset(0));
    indexes::check_time_index(&fs, &path(&dir, "log"), &mut index).unwrap();
    assert!(!index.items.is_empty());
    assert_eq!(index.flaws, []);
    let epochs = texts::leader_epochs(&fs.read(&dir.join(LEADER_EPOCHS)).unwrap());
    assert_eq!(epochs.items, [(4, (LeaderEpoch(0), Offset(0)))]);
    assert_eq!(epochs.flaws, []);
}

#[test]
fn damage_is_found_where_it_is_and_reading_goes_on() {
    let (_sim, fs, dir) = written();
    let log = path(&dir, "log");
    let sound = fs.read(&log).unwrap();
    let second = walk(&fs, &log)[1].position;
    let at = usize::try_from(second).unwrap();
    let damaged = |place: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[place] ^= byte;
        fs.write_atomically(&log, &bytes).unwrap();
        let flaws = walk(&fs, &log).into_iter().filter_map(|batch| Some((batch.position, batch.flaw?)));
        (walk(&fs, &log).len(), flaws.collect::<Vec<_>>())
    };
    let (count, flaws) = damaged(at + 70, 1);
    assert_eq!(count, 10, "the others are found");
    assert!(matches!(flaws[..], [(position, Flaw::Batch(BatchError::BadCrc { .. }))] if position == second));
    let (count, flaws) = damaged(at + 7, 2);
    assert_eq!(count, 10);
    assert_eq!(flaws, [(second, Flaw::OffsetOrder { expected: Offset(3), found: Offset(1) })]);
    let (count, flaws) = damaged(at + 8, 0xff);
    assert_eq!(count, 2, "behind a length that makes no sense nothing can be found");
    assert!(matches!(flaws[..], [(position, Flaw::Batch(_))] if position == second));
}

#[test]
fn an_index_that_leads_astray_is_noticed() {
    let (_sim, fs, dir) = written();
    let mut bytes = fs.read(&path(&dir, "index")).unwrap();
    bytes[7] ^= 1;
    bytes.extend([0; 16]);
    let mut found = indexes::offset_index(&bytes, Offset(0));
    assert_eq!((found.unused_bytes, &found.flaws[..]), (16, &[][..]));
    indexes::check_offset_index(&fs, &path(&dir, "log"), &mut found).unwrap();
    assert!(matches!(found.flaws[..], [(0, Flaw::NoBatchThere { .. })]), "{:?}", found.flaws);

    let mut bytes = fs.read(&path(&dir, "timeindex")).unwrap();
    bytes[7] ^= 1;
    let mut found = indexes::time_index(&bytes, Offset(0));
    indexes::check_time_index(&fs, &path(&dir, "log"), &mut found).unwrap();
    assert!(matches!(found.flaws[..], [(0, Flaw::OtherTimestamp { .. })]), "{:?}", found.flaws);
}

#[test]
fn wrong_lines_are_named() {
    let wrong = |text: &str| texts::leader_epochs(text.as_bytes()).flaws;
    let line = |at, number, expected| vec![(at, Flaw::Line { number, expected })];
    assert_eq!(wrong("0\n2\n0 0\n1 5\n"), []);
    assert_eq!(wrong(""), line(0, 1, "version 0"));
    assert_eq!(wrong("1\n0\n"), line(0, 1, "version 0"));
    assert_eq!(wrong("0\nmany\n"), line(2, 2, "the number of lines that follow"));
    assert_eq!(wrong("0\n1\n0 x\n"), line(4, 3, "EPOCH OFFSET"));
    assert_eq!(wrong("0\n1\n0 0"), line(4, 3, "EPOCH OFFSET"));
    assert_eq!(wrong("0\n2\n0 0\n"), [(8, Flaw::Count { said: 2, found: 1 })]);
    assert_eq!(wrong("0\n2\n1 5\n0 9\n"), [(8, Flaw::EntryOrder)]);
    let named = texts::offsets(b"0\n1\na-b 3 17\n");
    assert_eq!((named.items[0].1.0.to_folder(), named.items[0].1.1), ("a-b-3".to_owned(), Offset(17)));
}

#[test]
fn names_say_what_files_are() {
    for (name, kind) in [
        ("00000000000000000042.log", Some(FileKind::Log(Offset(42)))),
        ("00000000000000000042.timeindex.deleted", Some(FileKind::TimeIndex(Offset(42)))),
        ("recovery-point-offset-checkpoint", Some(FileKind::Offsets)),
        ("leader-epoch-checkpoint", Some(FileKind::LeaderEpochs)),
        ("partition.metadata", Some(FileKind::TopicId)),
        ("meta.properties", Some(FileKind::MetaProperties)),
        ("notes.txt", None),
    ] {
        assert_eq!(FileKind::of(name), kind, "{name}");
    }
}

/// Bytes of any kind, or a sound file with a few of its bits flipped and its end cut off.
fn garbage(sound: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = sound.len();
    let flips = prop::collection::vec((0..length.max(1), 0..8u8), 0..4);
    let flipped = (flips, 0..=length).prop_map(move |(flips, end)| {
        let mut bytes = sound.clone();
        flips.iter().for_each(|&(at, bit)| bytes[at] ^= 1 << bit);
        bytes.truncate(end);
        bytes
    });
    prop_oneof![flipped, prop::collection::vec(any::<u8>(), 0..400)]
}

fn file(extension: &str) -> Vec<u8> {
    let (_sim, fs, dir) = written();
    fs.read(&path(&dir, extension)).unwrap()
}

proptest! {
    #[test]
    fn no_segment_is_too_damaged_to_be_looked_at(bytes in garbage(file("log"))) {
        let (_sim, fs) = disk();
        let path = PathBuf::from("/00000000000000000000.log");
        fs.write_atomically(&path, &bytes).unwrap();
        for batch in walk(&fs, &path) {
            if let Ok(decoded) = batch.decode(1 << 20) {
                decoded.records().for_each(drop);
            }
        }
        let mut index = indexes::time_index(&bytes, Offset(i64::MAX));
        indexes::check_time_index(&fs, &path, &mut index).unwrap();
        let mut index = indexes::offset_index(&bytes, Offset(i64::MAX));
        indexes::check_offset_index(&fs, &path, &mut index).unwrap();
    }

    #[test]
    fn no_index_is_too_damaged_to_be_looked_at(bytes in garbage(file("index")), base in any::<i64>()) {
        indexes::offset_index(&bytes, Offset(base));
        indexes::time_index(&bytes, Offset(base));
    }

    #[test]
    fn no_text_is_too_damaged_to_be_looked_at(bytes in garbage(b"0\n2\n0 0\n3 17\n".to_vec())) {
        texts::leader_epochs(&bytes);
        texts::offsets(&bytes);
        texts::meta_properties(&bytes);
        texts::topic_id(&bytes);
        producer_snapshot(&bytes);
    }
}
