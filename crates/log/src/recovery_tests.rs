//! What a crash or a damaged disk left, opened again.

use model::{Offset, TimestampMs};

use crate::tests::{ALL, Folder, ONE, append, files, small_segments, sync, values};
use crate::*;

#[test]
fn indexes_that_are_missing_short_or_garbage_are_built_anew() {
    let folder = Folder::new("indexes");
    let open = || Log::open(&folder.fs, small_segments(&folder, Recovery::Clean)).expect("opens");
    let (mut log, _) = open();
    for value in 0..20 {
        append(&mut log, &[&value.to_string()]);
    }
    log.close().expect("closes");
    let dir = folder.dir.join("t-0");
    let sound: Vec<(String, Vec<u8>)> = files(&folder)
        .into_iter()
        .filter(|name| name.ends_with("index"))
        .map(|name| (name.clone(), folder.fs.read(&dir.join(&name)).expect("reads")))
        .collect();
    assert!(sound.iter().all(|(name, bytes)| !bytes.is_empty() || name.ends_with(".index")), "times in each");
    for damage in ["remove", "empty", "odd", "ones"] {
        for (name, bytes) in &sound {
            let path = dir.join(name);
            let file = folder.fs.open(&path, rt::Open::ReadWrite).expect("opens");
            let write = |bytes: &[u8]| file.write_all_at(&[std::io::IoSlice::new(bytes)], 0).expect("writes");
            match damage {
                "remove" => folder.fs.remove_file(&path).expect("removes"),
                "empty" => file.set_len(0).expect("cuts"),
                "odd" => write(&vec![0; bytes.len() + 1]),
                _ => write(&vec![0xff; bytes.len().max(24)]),
            }
        }
        let (log, report) = open();
        assert!(0 < report.rebuilt_indexes, "{damage}");
        assert_eq!(values(&log.reader(), Offset(7), Offset(20)).len(), 13, "{damage}");
        assert_eq!(
            log.reader().offset_of_max_timestamp(Offset(20)).expect("searched"),
            Some((Offset(0), TimestampMs(1000)))
        );
        log.close().expect("closes");
        for (name, bytes) in &sound {
            assert_eq!(&folder.fs.read(&dir.join(name)).expect("reads"), bytes, "{name} after {damage}");
        }
    }
}

/// A log of ten batches, all synced up to offset 6, the rest only written; then the process is gone.
fn crashed(folder: &Folder) {
    let (mut log, _) = folder.open(Recovery::Clean);
    for value in 0..6 {
        append(&mut log, &[&value.to_string()]);
    }
    sync(&mut log, &folder.fs);
    for value in 6..10 {
        append(&mut log, &[&value.to_string()]);
    }
    log.write().expect("writes");
}

fn damage(folder: &Folder, position: u64, bytes: &[u8]) {
    let path = folder.dir.join("t-0/00000000000000000000.log");
    let file = folder.fs.open(&path, rt::Open::ReadWrite).expect("opens");
    file.write_all_at(&[std::io::IoSlice::new(bytes)], position).expect("writes");
}

#[test]
fn a_torn_tail_is_cut_and_what_was_durable_never_is() {
    for (name, position, bytes, recovery_point, expected) in [
        ("whole", 10 * ONE, &[][..], 6, Ok(10)),
        ("flipped", 8 * ONE + 67, &[1], 6, Ok(8)),
        ("length", 7 * ONE + 8, &[0x7f, 0, 0, 0], 6, Ok(7)),
        ("zeros", 10 * ONE, &[0; 100], 6, Ok(10)),
        ("first unsynced", 6 * ONE, &[9], 6, Ok(6)),
        ("durable", 5 * ONE + 67, &[1], 6, Err(5 * ONE)),
        ("no recovery point", 5 * ONE + 67, &[1], 0, Ok(5)),
        ("too little", 10 * ONE, &[], 11, Err(10 * ONE)),
    ] {
        let folder = Folder::new(&format!("torn-{}", name.replace(' ', "-")));
        crashed(&folder);
        damage(&folder, position, bytes);
        let before = files(&folder);
        let opened = Log::open(&folder.fs, folder.options(Recovery::From(Offset(recovery_point))));
        match (opened, expected) {
            (Ok((log, report)), Ok(end)) => {
                assert_eq!((log.log_end(), log.durable_end()), (Offset(end), Offset(end)), "{name}");
                assert_eq!(
                    values(&log.reader(), Offset(0), Offset(end)).len(),
                    usize::try_from(end).expect("few")
                );
                assert_eq!(0 < report.cut_bytes, end < 10 || name == "zeros", "{name}");
            }
            (Err(LogError::Corrupt(corruption)), Err(position)) => {
                assert_eq!(corruption.position, position, "{name}: {corruption}");
                assert_eq!(files(&folder), before, "nothing was cut");
                let again = Log::open(&folder.fs, folder.options(Recovery::From(Offset(recovery_point))));
                assert!(matches!(again, Err(LogError::Corrupt(_))), "{name}: found again");
            }
            (opened, expected) => {
                panic!("{name}: {:?}, not {expected:?}", opened.map(|(log, _)| log.log_end()))
            }
        }
    }
}

#[test]
fn damage_after_a_clean_shutdown_is_never_cut() {
    let folder = Folder::new("clean-damage");
    let (mut log, _) = folder.open(Recovery::Clean);
    append(&mut log, &["a"]);
    log.close().expect("closes");
    damage(&folder, ONE, &[0; 10]);
    let opened = Log::open(&folder.fs, folder.options(Recovery::Clean));
    assert!(matches!(opened, Err(LogError::Corrupt(_))));
}

#[test]
fn a_range_not_written_here_is_checked_at_its_first_read() {
    let folder = Folder::new("cold");
    let (mut log, _) = folder.open(Recovery::Clean);
    for value in ["a", "b", "c"] {
        append(&mut log, &[value]);
    }
    log.close().expect("closes");
    damage(&folder, 2 * ONE + 67, &[1]);
    let (mut log, _) = folder.open(Recovery::Clean);
    append(&mut log, &["d"]);
    log.write().expect("writes");
    log.set_high_watermark(Offset(4));
    let refuse = ReadLimits { cold: Cold::Refuse, ..ALL };
    let reader = log.reader();
    assert!(reader.read(Offset(3), Offset(4), refuse).expect("written here").slice.is_some());
    assert!(matches!(reader.read(Offset(0), Offset(2), refuse), Err(ReadError::Cold)));
    assert_eq!(values(&reader, Offset(0), Offset(2)), ["a", "b"]);
    assert!(reader.read(Offset(0), Offset(2), refuse).expect("checked by now").slice.is_some());
    let error = reader.read(Offset(2), Offset(4), ALL).expect_err("damaged");
    assert!(matches!(error, ReadError::Corrupt(_)), "{error}");
}

#[test]
fn damage_further_from_the_end_than_may_be_unsynced_is_corruption() {
    let folder = Folder::new("far");
    let (mut log, _) = folder.open(Recovery::Clean);
    append(&mut log, &["small"]);
    let large = "x".repeat(1 << 20);
    for _ in 0..65 {
        append(&mut log, &[&large]);
        sync(&mut log, &folder.fs);
    }
    drop(log);
    // What vouches for the batches goes first, as if it had been lost: only the distance is left to judge by.
    for name in files(&folder).iter().filter(|name| name.ends_with(".snapshot")) {
        folder.fs.remove_file(&folder.dir.join("t-0").join(name)).expect("removes");
    }
    damage(&folder, 67, &[1]);
    let opened = Log::open(&folder.fs, folder.options(Recovery::From(Offset::ZERO)));
    let Err(LogError::Corrupt(corruption)) = opened else { panic!("cut, though too far from the end") };
    assert_eq!((corruption.position, corruption.path.ends_with("00000000000000000000.log")), (0, true));
}

#[test]
fn a_snapshot_spares_the_next_recovery_what_lies_before_it() {
    let folder = Folder::new("spared");
    let (mut log, _) = folder.open(Recovery::Clean);
    for value in 0..100 {
        append(&mut log, &[&value.to_string()]);
    }
    log.rest().expect("rests");
    sync(&mut log, &folder.fs);
    let (_, report) = folder.open(Recovery::From(Offset::ZERO));
    assert!(report.scanned_bytes < 4 * ONE, "{report:?}");
    drop(log);
    let path = folder.dir.join("t-0/00000000000000000100.snapshot");
    folder.fs.open(&path, rt::Open::ReadWrite).expect("there").set_len(9).expect("cuts");
    let (log, report) = folder.open(Recovery::From(Offset(100)));
    assert_eq!((log.log_end(), report.cut_bytes), (Offset(100), 0));
    assert!(99 * ONE < report.scanned_bytes, "a torn snapshot vouches for nothing: {report:?}");
}
