//! A reader that stops in the middle of an answer gets all that it was promised, whatever becomes of the files meanwhile.
//!
//! - Q1 The answer is larger than all that sockets take in between, so the broker is in the middle of it when it waits.
//! - Q2 The change shows from outside before the reader goes on: by names and sizes of files, and by what the broker has open.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use client::{Admin, NewTopic, TopicPartition};
use model::{Offset, TopicName};
use rt::Rt;
use sim_tests::process::{Folder, Process};
use sim_tests::raw::{self, Raw};

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds more than one answer.
const SEGMENT_BYTES: usize = 12 << 20;

/// Twice what Linux lets a socket send ahead by default; its other end takes little that nobody reads (Q1).
const ANSWER_BYTES_MIN: usize = 8 << 20;

const VALUE_BYTES: usize = 100_000;
const RECORDS_PER_BATCH: usize = 9;
/// One segment, and a second one that is in use.
const BATCHES: usize = SEGMENT_BYTES / (VALUE_BYTES * RECORDS_PER_BATCH) + 2;

/// More than the broker keeps files open for.
const OTHER_PARTITIONS: i32 = 600;

/// A broker with a topic whose first segment is closed.
struct Scene {
    rt: Rt,
    broker: Process,
    admin: Admin,
    place: TopicPartition,
    folder: Folder,
}

impl Scene {
    async fn new(rt: &Rt, name: &str) -> Scene {
        let folder = Folder::new(env!("CARGO_TARGET_TMPDIR"), name);
        let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
        for setting in ["log.cleaner.backoff.ms=20", "log.segment.delete.delay.ms=0"] {
            serve.args(["--set", setting]);
        }
        let broker = Process::start(&mut serve);
        let admin = Admin::new(&broker.client(rt).await);
        let place = TopicPartition::new(TopicName::parse("read-slowly").unwrap(), 0);
        let scene = Scene { rt: rt.clone(), broker, admin, place, folder };
        scene.create(&scene.place.topic, 1).await;
        for _ in 0..BATCHES {
            let key = |number: usize| format!("key {number}").into_bytes();
            let records: Vec<_> =
                (0..RECORDS_PER_BATCH).map(|number| (key(number), vec![b'v'; VALUE_BYTES])).collect();
            scene.write([scene.place.clone()], &records).await;
        }
        assert!(scene.segment().metadata().unwrap().len() < SEGMENT_BYTES as u64);
        scene
    }

    async fn create(&self, topic: &TopicName, partitions: i32) {
        let configs =
            [("segment.bytes", SEGMENT_BYTES.to_string()), ("min.cleanable.dirty.ratio", "0".to_owned())];
        let topic = NewTopic {
            name: topic.clone(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            configs: configs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        };
        self.admin.create_topic(&topic).await.unwrap();
    }

    /// Writes these records to each of these partitions.
    async fn write(&self, places: impl IntoIterator<Item = TopicPartition>, records: &[(Vec<u8>, Vec<u8>)]) {
        let mut connection = Raw::connect(&self.rt, self.broker.address()).await.unwrap();
        let mut sent = 0;
        for place in places {
            connection.send(&raw::produce(1, &place, records)).await.unwrap();
            sent += 1;
        }
        for _ in 0..sent {
            let (_, code, _) = raw::produced(&connection.receive().await.expect("the broker lives")).unwrap();
            assert_eq!(code, 0);
        }
    }

    /// A connection on which everything was asked for.
    async fn asked(&self) -> Raw {
        let connection = Raw::connect(&self.rt, self.broker.address()).await.unwrap();
        connection.send(&raw::fetch(1, &self.place, 0)).await.unwrap();
        connection
    }

    /// The folder of the partition.
    fn folder(&self) -> PathBuf {
        self.folder.path().join(format!("{}-0", self.place.topic))
    }

    /// Its first segment.
    fn segment(&self) -> PathBuf {
        self.folder().join("00000000000000000000.log")
    }

    /// Whether the broker has the first segment open.
    fn is_open(&self) -> bool {
        self.broker.open_files().contains(&self.segment().canonicalize().unwrap())
    }

    /// Whether the broker has a file open that is gone by its name.
    fn holds_what_is_gone(&self) -> bool {
        let is_gone = |path: &PathBuf| path.to_string_lossy().ends_with(" (deleted)");
        self.broker.open_files().iter().any(is_gone)
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = self.rt.now() + PATIENCE;
        while !is_so() {
            assert!(self.rt.now() < deadline, "still not so: {what}");
            self.rt.sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Reads everything, and again with a pause during which `change` happens; then the broker lets go of the file, as
/// `is_let_go` says.
fn check(name: &str, change: impl AsyncFn(&Scene), is_let_go: impl Fn(&Scene) -> bool) {
    rt::os::run(|rt| async move {
        let scene = Scene::new(&rt, name).await;
        let whole: Bytes = scene.asked().await.receive().await.expect("an answer");
        assert!(ANSWER_BYTES_MIN < whole.len(), "{} bytes", whole.len());
        let mut paused = scene.asked().await;
        paused.begun().await;
        change(&scene).await;
        let got = paused.receive().await.expect("the rest of the answer");
        assert!(got == whole, "{} bytes came, which are others than those promised", got.len());
        scene.until("the broker lets go of the file", || is_let_go(&scene)).await;
    })
    .unwrap();
}

fn let_go_of_what_is_gone(scene: &Scene) -> bool {
    !scene.holds_what_is_gone()
}

#[test]
fn a_paused_reader_gets_records_that_are_deleted_meanwhile() {
    let deletion = async |scene: &Scene| {
        let end = Offset(i64::try_from(BATCHES * RECORDS_PER_BATCH).unwrap());
        scene.admin.delete_records(&BTreeMap::from([(scene.place.clone(), end)])).await.unwrap();
        scene.until("the segment is gone", || scene.holds_what_is_gone()).await;
    };
    check("paused-records", deletion, let_go_of_what_is_gone);
}

#[test]
fn a_paused_reader_gets_records_that_are_compacted_meanwhile() {
    let compaction = async |scene: &Scene| {
        let before = scene.segment().metadata().unwrap().len();
        let policy = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        scene.admin.alter_topic_configs(&scene.place.topic, &policy, &[]).await.unwrap();
        let is_small = || scene.segment().metadata().is_ok_and(|file| file.len() < before / 2);
        scene.until("another segment has its name", is_small).await;
        scene.until("the old one is gone", || scene.holds_what_is_gone()).await;
    };
    check("paused-compaction", compaction, let_go_of_what_is_gone);
}

#[test]
fn a_paused_reader_gets_records_of_a_topic_that_is_deleted_meanwhile() {
    let deletion = async |scene: &Scene| {
        scene.admin.delete_topic(&scene.place.topic).await.unwrap();
        let has_folder = || {
            let mut entries = std::fs::read_dir(scene.folder.path()).unwrap();
            let topic = scene.place.topic.as_str();
            entries.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(topic))
        };
        scene.until("its folder is gone", || !has_folder()).await;
        assert!(scene.holds_what_is_gone());
    };
    check("paused-deletion", deletion, let_go_of_what_is_gone);
}

#[test]
fn a_paused_reader_gets_records_whose_file_is_closed_meanwhile() {
    let eviction = async |scene: &Scene| {
        assert!(scene.is_open());
        let others = TopicName::parse("others").unwrap();
        scene.create(&others, OTHER_PARTITIONS).await;
        let record = (b"key".to_vec(), b"value".to_vec());
        let places = (0..OTHER_PARTITIONS).map(|partition| TopicPartition::new(others.clone(), partition));
        scene.write(places, &[record]).await;
        assert!(scene.is_open(), "as long as somebody reads");
    };
    check("paused-eviction", eviction, |scene| !scene.is_open());
}
