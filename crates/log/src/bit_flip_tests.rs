//! Bits that flip in the files of a log while nobody looks: they are found, or harmless; no wrong record is ever read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{LeaderEpoch, Offset, TimestampMs};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Compression};
use rt::Rt;
use rt::sim::Sim;

use crate::tests::sync;
use crate::*;

const NODE: &str = "n1";

const RECORDS: i64 = 120;

fn dir() -> PathBuf {
    PathBuf::from("/t-0")
}

fn open(rt: &Rt, recovery: Recovery) -> Result<Log, LogError> {
    let options = OpenOptions {
        dir: dir(),
        topic_id: None,
        config: LogConfig { index_interval_bytes: 300, segment_bytes: 6_000, ..LogConfig::default() },
        recovery,
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(8)),
    };
    Log::open(rt.fs(), options).map(|(log, _)| log)
}

fn text(offset: i64) -> String {
    format!("{offset:0100}")
}

/// The record at each offset has it as its text, and a time that grows with it.
fn batch(base: i64, count: i64) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    for offset in base..base + count {
        builder.push(None, Some(text(offset).as_bytes()), &[], TimestampMs(1_000 + 10 * offset));
    }
    let compression = if base % 2 == 0 { Compression::None } else { Compression::Lz4 };
    builder.build(BatchOptions { compression, ..BatchOptions::default() }).expect("records")
}

/// A log of several segments, closed or left as a crash leaves it.
fn write(rt: &Rt, closes: bool) -> Recovery {
    let mut log = open(rt, Recovery::From(Offset::ZERO)).expect("opens");
    let mut base = 0;
    while base < RECORDS {
        let count = 1 + base % 3;
        log.append(batch(base, count), LeaderEpoch(1), 0).expect("appends");
        base += count;
        sync(&mut log, rt.fs());
    }
    assert_eq!(log.log_end(), Offset(base));
    if closes {
        log.close().expect("closes");
        Recovery::Clean
    } else {
        Recovery::From(Offset(base))
    }
}

/// Reads from every offset; says how many reads were refused.
fn read_all(log: &Log, context: &str) -> usize {
    let (reader, end) = (log.reader(), log.log_end());
    let limits = ReadLimits { max_bytes: 1, first_batch: FirstBatch::Whole, cold: Cold::Check };
    let mut refused = 0;
    for offset in (0..end.0).rev() {
        let Ok(bytes) = reader.read_bytes(Offset(offset), end, limits) else {
            refused += 1;
            continue;
        };
        let decoded =
            record::decode(&bytes, 1 << 20).unwrap_or_else(|error| panic!("{context}: {offset}: {error}"));
        let found: Vec<(i64, String)> = decoded
            .records()
            .map(|record| record.expect("its checksum is right"))
            .map(|record| {
                let value = record.value.expect("has one").to_vec();
                (record.offset.0, String::from_utf8(value).expect("text"))
            })
            .collect();
        assert!(found.iter().any(|(at, _)| *at == offset), "{context}: {offset} read {found:?}");
        for (at, value) in found {
            assert_eq!(value, text(at), "{context}: at {at}");
        }
    }
    for wanted in (0..end.0).step_by(7) {
        match reader.offset_for_timestamp(TimestampMs(1_000 + 10 * wanted - 5), end) {
            Ok(found) => {
                let expected = Some((Offset(wanted), TimestampMs(1_000 + 10 * wanted)));
                assert_eq!(found, expected, "{context}: by time");
            }
            Err(_) => refused += 1,
        }
    }
    refused
}

#[test]
fn a_flipped_bit_is_found_or_harmless_wherever_it_is() {
    let (mut refused_starts, mut refused_reads, mut unharmed) = (0, 0, 0);
    for seed in 0..400_u64 {
        let sim = Sim::new(seed);
        let recovery = write(&sim.node(NODE), seed % 2 == 0);
        sim.kill(NODE);
        let rt = sim.node(NODE);
        let mut files: Vec<(PathBuf, u64)> = rt
            .fs()
            .read_dir(&dir())
            .expect("lists")
            .into_iter()
            .map(|entry| dir().join(entry.name))
            .map(|path| (path.clone(), rt.fs().file_len(&path).expect("is there")))
            .filter(|(_, len)| *len != 0)
            .collect();
        // Each kind of file as often as the others.
        let kinds = ["log", "index", "timeindex", "snapshot", "leader-epoch-checkpoint"];
        let draw = |range: u64, salt: u64| {
            let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt as u32 * 13);
            (mixed ^ (mixed >> 29)) % range
        };
        let kind = kinds[usize::try_from(draw(5, 1)).expect("few")];
        files.retain(|(path, _)| path.to_string_lossy().ends_with(kind));
        let Some((path, len)) = files.get(usize::try_from(draw(files.len().max(1) as u64, 2)).expect("few"))
        else {
            continue;
        };
        let newest = || files.iter().map(|(path, _)| path).max() == Some(path);
        let (position, bit) = (draw(*len, 3), u32::try_from(draw(8, 4)).expect("few"));
        // The base offset of the last batch: nothing follows that it could contradict.
        if kind == "log" && newest() && last_batch(&rt.fs().read(path).expect("reads")).contains(&position) {
            continue;
        }
        sim.disk(NODE).flip_bit(path, position, bit).expect("is there");
        let context = format!("seed {seed}: bit {bit} of byte {position} of {}", path.display());
        match open(&rt, recovery) {
            Err(LogError::Corrupt(_)) => refused_starts += 1,
            Err(error) => panic!("{context}: {error}"),
            Ok(log) => match read_all(&log, &context) {
                0 => {
                    assert_eq!(log.log_end(), log_end_written(), "{context}: nothing is missing");
                    unharmed += 1;
                }
                _ => refused_reads += 1,
            },
        }
    }
    println!("{refused_starts} starts refused, {refused_reads} logs with refused reads, {unharmed} unharmed");
    assert!(0 < refused_starts && 0 < refused_reads && 0 < unharmed);
}

/// Where the base offset of a file's last batch is.
fn last_batch(mut bytes: &[u8]) -> std::ops::Range<u64> {
    let (len, mut at) = (bytes.len(), 0);
    while let Ok(header) = record::check(bytes) {
        at = len - bytes.len();
        bytes = &bytes[header.size_in_bytes()..];
    }
    let at = u64::try_from(at).expect("small");
    at..at + 8
}

fn log_end_written() -> Offset {
    let mut base = 0;
    while base < RECORDS {
        base += 1 + base % 3;
    }
    Offset(base)
}

#[test]
fn an_unreadable_range_is_refused_and_its_neighbours_are_read() {
    let sim = Sim::new(1);
    let recovery = write(&sim.node(NODE), true);
    sim.kill(NODE);
    let rt = sim.node(NODE);
    let log = open(&rt, recovery).expect("opens");
    let path = Path::new("/t-0/00000000000000000000.log");
    sim.disk(NODE).make_unreadable(path, 2_000..2_100).expect("is there");
    let refused = read_all(&log, "unreadable");
    // Within one segment of many: what is around it in its index interval, and nothing else.
    assert!((1..20).contains(&refused), "{refused} of {RECORDS} reads");
}

#[test]
fn a_scrubber_finds_what_went_bad_after_it_was_checked() {
    let sim = Sim::new(2);
    let rt = sim.node(NODE);
    let mut log = open(&rt, Recovery::From(Offset::ZERO)).expect("opens");
    for offset in 0..RECORDS {
        log.append(batch(offset, 1), LeaderEpoch(1), 0).expect("appends");
        sync(&mut log, rt.fs());
    }
    let reader = log.reader();
    let pass = || {
        let (mut place, mut bytes, mut found) = (Some(ScrubPlace::START), 0, Vec::new());
        while let Some(next) = place {
            let piece = reader.scrub(next, 1_000);
            bytes += piece.bytes;
            found.extend(piece.found);
            place = piece.next;
        }
        (bytes, found)
    };
    let mut paths: Vec<PathBuf> =
        rt.fs().read_dir(&dir()).expect("lists").into_iter().map(|entry| dir().join(entry.name)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    let sealed: u64 =
        paths[..paths.len() - 1].iter().map(|path| rt.fs().file_len(path).expect("there")).sum();
    let (bytes, found) = pass();
    assert!(bytes == sealed && found.is_empty(), "{bytes} of {sealed} bytes, {found:?}");
    sim.disk(NODE).flip_bit(&paths[0], 300, 3).expect("is there");
    let refused = |offset: i64| {
        let limits = ReadLimits { max_bytes: 1, first_batch: FirstBatch::Whole, cold: Cold::Check };
        reader.read(Offset(offset), log.log_end(), limits).is_err()
    };
    let all_refused = || (0..RECORDS).filter(|&offset| refused(offset)).collect::<Vec<i64>>();
    assert_eq!(all_refused(), [] as [i64; 0], "it was all checked once");
    sim.disk(NODE).make_unreadable(&paths[1], 300..301).expect("is there");
    let (_, found) = pass();
    assert!(matches!(found[..], [ReadError::Corrupt(_), ReadError::Unreadable(_)]), "{found:?}");
    let second = crate::names::parse(&paths[1].file_name().expect("a name").to_string_lossy());
    let (second, _) = second.expect("a segment");
    let (first, others): (Vec<i64>, Vec<i64>) = all_refused().into_iter().partition(|&at| at < second.0);
    assert_eq!(first, [2], "the batch with the flipped bit, and none around it");
    assert!((1..20).contains(&others.len()), "what is around the range that cannot be read: {others:?}");
}

#[test]
fn what_lies_before_damage_is_read_however_much_is_asked_for() {
    for (is_flipped, seed) in [(true, 3), (false, 4)] {
        let sim = Sim::new(seed);
        let recovery = write(&sim.node(NODE), true);
        sim.kill(NODE);
        let rt = sim.node(NODE);
        let log = open(&rt, recovery).expect("opens");
        let path = Path::new("/t-0/00000000000000000000.log");
        if is_flipped {
            sim.disk(NODE).flip_bit(path, 2_000, 1).expect("is there");
        } else {
            sim.disk(NODE).make_unreadable(path, 2_000..2_001).expect("is there");
        }
        let limits = ReadLimits { max_bytes: u64::MAX, first_batch: FirstBatch::Whole, cold: Cold::Check };
        let (reader, mut next) = (log.reader(), Offset::ZERO);
        let refused = loop {
            match reader.read_bytes(next, log.log_end(), limits) {
                Ok(bytes) => {
                    for batch in batches(&bytes) {
                        next = record::check(batch).expect("a sound batch").next_offset();
                    }
                }
                Err(error) => break error,
            }
        };
        assert_eq!(matches!(refused, ReadError::Corrupt(_)), is_flipped, "{refused}");
        assert!((5..20).contains(&next.0), "it is refused from {next} on, which lies around byte 2,000");
    }
}

fn batches(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = record::check(bytes).ok()?;
        let (batch, rest) = bytes.split_at(header.size_in_bytes());
        bytes = rest;
        Some(batch)
    })
}
