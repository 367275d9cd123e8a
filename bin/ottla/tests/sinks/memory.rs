//! What a worker takes of a machine's memory while more than that waits for it.

use std::fmt::Write;
use std::process::Stdio;

use servers::run;
use sim_tests::process::memory_bytes;

use super::database::{Database, SqliteFile};
use super::{Worker, folder, ottla, produce, start_broker};

/// What a worker may take, whatever waits.
const MEMORY_BYTES_MAX: u64 = 100_000_000;

/// Records, and the bytes of a text in each: half as much again as a worker may take.
const RECORDS: usize = 75_000;
const TEXT_BYTES: usize = 2_000;

#[test]
fn a_worker_stays_small_whatever_waits() {
    let (data, files) = (folder("sink-memory-data"), folder("sink-memory-files"));
    let broker = start_broker(&data, "127.0.0.1:0");
    run(&mut ottla(&broker, &["topic", "create", "large", "--partitions", "6"]));
    let text = "x".repeat(TEXT_BYTES);
    let mut lines = String::new();
    for id in 0..RECORDS {
        writeln!(lines, "{{\"id\":{id},\"said\":{{\"text\":\"{text}\"}}}}").unwrap();
    }
    produce(&broker, &files, "large", &lines);
    let database = SqliteFile(files.path().join("db"));
    let file = files.path().join("large.toml");
    let url = database.url();
    let definition = format!("name = 'large'\ntopics = 'large'\ntable = 'large'\ndatabase.url = '{url}'\n");
    std::fs::write(&file, definition).unwrap();
    let worker = Worker::start(&file, &broker, Stdio::null());
    database.wait_for("SELECT count(*) FROM large", |answer| answer == RECORDS.to_string());
    let taken = memory_bytes(worker.child.id(), "VmHWM");
    assert!(taken <= MEMORY_BYTES_MAX, "{taken} bytes");
    worker.stop();
}
