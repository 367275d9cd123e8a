//! Logs on real files: scripts of appends, syncs, crashes and reads; and random ones against a model.

use std::path::PathBuf;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchHeader, BatchOptions, CheckedBatch, Compression, Producer};
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
