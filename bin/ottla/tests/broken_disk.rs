//! A real process on a disk that fails: what it says, what it still serves, and how it ends.
//!
//! - B1 The disk is a file behind a loop device. One that has no room where it lies fails writes, and so syncs; one that is
//!   made shorter fails reads and writes of what lay behind its end.
//! - B2 Where this user may not set up a loop device the tests fail: nothing else shows this.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use client::{Client, TopicPartition};
use model::ErrorCode;
use sim_tests::process::Process;
use sim_tests::raw::{self, Raw};
use sim_tests::topics;
use wire::create_topics::CreatableTopic;
use wire::{CreateTopicsRequest, FetchResponse};

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of the disk. Its file takes room only where it was written.
const DISK_BYTES: u64 = 128 << 20;

/// Where the file lies: more than what is written before the disk fails.
const ROOM: &str = "size=48m";

/// Of the file system.
const BLOCK_BYTES: u64 = 4096;

const CREATE_TOPICS_VERSION: i16 = 5;

const VALUE_BYTES: usize = 100_000;

/// Runs a command that has to work; what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let ended =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(ended.stdout).unwrap()
}

/// A disk that can be made to fail (B1), gone with the value.
struct Disk {
    root: PathBuf,
    device: String,
}

impl Disk {
    fn new(name: &str) -> Disk {
        let root =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broken-{name}-{}", std::process::id()));
        for folder in ["room", "mounted"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let mut disk = Disk { root, device: String::new() };
        run("mount", &["-t", "tmpfs", "-o", ROOM, "tmpfs", &disk.path("room")]);
        let image = disk.path("room/image");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        // Nothing is written later that nobody asked for.
        run(
            "mkfs.ext4",
            &[
                "-q",
                "-F",
                "-b",
                &BLOCK_BYTES.to_string(),
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0",
                &image,
            ],
        );
        disk.device = run("losetup", &["--find", "--show", &image]).trim().to_owned();
        disk.mount();
        disk
    }

    fn mount(&self) {
        run("mount", &[&self.device, &self.path("mounted")]);
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    /// Takes the room away in which the disk could still be written.
    fn fail_writes(&self) {
        let mut ballast = File::create(self.path("room/ballast")).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Gives it back, and what was written to the disk before it failed is there again.
    fn repair(&self) {
        fs::remove_file(self.path("room/ballast")).unwrap();
        run("umount", &[&self.path("mounted")]);
        // 1: something was mended.
        let mended = Command::new("fsck.ext4").args(["-f", "-y", &self.device]).output().unwrap();
        assert!(mended.status.code().is_some_and(|code| code <= 1), "{mended:?}");
        self.mount();
    }

    /// Ends the disk in the middle of a file's bytes, none of which is in memory then.
    fn end_within(&self, file: &str) {
        let middle = middle_block(&run("filefrag", &["-v", file]));
        run(
            "dd",
            &[&format!("of={file}"), "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"],
        );
        File::options()
            .write(true)
            .open(self.path("room/image"))
            .unwrap()
            .set_len(middle * BLOCK_BYTES)
            .unwrap();
        run("losetup", &["--set-capacity", &self.device]);
    }
}

/// Where on the disk the middle of a file is; `told` are lines like `0:  0..  2047:  34816..  36863:  2048: last,eof`.
fn middle_block(told: &str) -> u64 {
    let numbers = |line: &str| -> Option<[u64; 4]> {
        let words: Vec<&str> = line.split([':', '.', ' ']).filter(|word| !word.is_empty()).collect();
        let number = |place: usize| words.get(place)?.parse().ok();
        Some([number(1)?, number(2)?, number(3)?, number(4)?])
    };
    let extents: Vec<[u64; 4]> = told.lines().filter_map(numbers).collect();
    let middle = extents.last().unwrap_or_else(|| panic!("no extents in {told}"))[1] / 2;
    let [logical, _, physical, _] = extents.iter().find(|extent| middle <= extent[1]).unwrap();
    let block = physical + middle - logical;
    assert!(extents[0][2] < block, "the file begins behind its middle: {told}");
    block
}

impl Drop for Disk {
    fn drop(&mut self) {
        let ignored =
            |program: &str, arguments: &[&str]| drop(Command::new(program).args(arguments).output());
        ignored("umount", &["--lazy", &self.path("mounted")]);
        ignored("losetup", &["--detach", &self.device]);
        ignored("umount", &["--lazy", &self.path("room")]);
        drop(fs::remove_dir_all(&self.root));
    }
}

/// A broker on the disk, and what it says in its log.
fn start(disk: &Disk) -> (Process, String) {
    let said = disk.path("said");
    let mut serve = Command::new("sh");
    serve.args(["-c", &format!("exec \"$0\" \"$@\" 2>> {said}"), env!("CARGO_BIN_EXE_ottla"), "serve"]);
    serve.args(["--listen", "127.0.0.1:0", "--set", "ottla.disk.reserve.bytes=0", "--data-dir"]);
    (Process::start(serve.arg(disk.path("mounted/data"))), said)
}

async fn create_topic(client: &Client, name: &str) -> TopicPartition {
    TopicPartition::new(topics::create_topic(client, name, 1).await, 0)
}

/// Produces a record whose key is its offset; `None` when the connection ends instead of an answer.
async fn produce(connection: &mut Raw, place: &TopicPartition, offset: i64) -> Option<ErrorCode> {
    let record = (offset.to_string().into_bytes(), vec![7; VALUE_BYTES]);
    connection.send(&raw::produce(1, place, &[record])).await.ok()?;
    let (_, code, base) = raw::produced(&connection.receive().await?).unwrap();
    let code = ErrorCode::from_code(code);
    assert!(code != ErrorCode::None || base == offset);
    Some(code)
}

/// The error of a fetch and how many bytes of records it has; `None` when the connection ends in its answer.
async fn fetch(connection: &mut Raw, place: &TopicPartition, offset: i64) -> Option<(ErrorCode, usize)> {
    connection.send(&raw::fetch(1, place, offset)).await.ok()?;
    let answer = connection.receive().await?;
    let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&answer, 12).unwrap();
    let partition = &answer.responses[0].partitions[0];
    let bytes = partition.records.bytes().map_or(0, |bytes| bytes.len());
    Some((ErrorCode::from_code(partition.error_code), bytes))
}

#[test]
fn a_broker_that_nothing_can_be_written_on_says_so_ends_and_keeps_what_it_acknowledged() {
    let disk = Disk::new("writes");
    let (mut broker, said) = start(&disk);
    let (failing, serving) = (&disk, &broker);
    let (place, acknowledged) = rt::os::run(|rt| async move {
        let client = serving.client(&rt).await;
        let place = create_topic(&client, "kept").await;
        let mut connection = Raw::connect(&rt, serving.address()).await.unwrap();
        let mut acknowledged = 0;
        for _ in 0..20 {
            assert_eq!(produce(&mut connection, &place, acknowledged).await, Some(ErrorCode::None));
            acknowledged += 1;
        }
        failing.fail_writes();
        let writing = async {
            while let Some(code) = produce(&mut connection, &place, acknowledged).await {
                match code {
                    ErrorCode::None => acknowledged += 1,
                    refused => {
                        assert_eq!(refused, ErrorCode::KafkaStorageError);
                        break;
                    }
                }
            }
        };
        rt.timeout(PATIENCE, writing).await.expect("a disk that failed is noticed");
        // If it was the partition's log only that was fenced, the metadata log is next.
        let changing = async {
            let topic = CreatableTopic {
                name: "more".into(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            };
            let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
            while connection.ask(&request, CREATE_TOPICS_VERSION).await.is_some() {}
        };
        rt.timeout(PATIENCE, changing).await.expect("the broker ends");
        (place, acknowledged)
    })
    .unwrap();
    let code = broker.ended();
    let told = fs::read_to_string(&said).unwrap();
    let last = told.lines().last().unwrap_or_default();
    assert_eq!(code, Some(1), "{told}");
    assert!(last.starts_with("ottla: stopped, because nothing can be written safely any more: "), "{told}");
    assert!(last.ends_with(". What was acknowledged is kept: start again once the disk is sound"), "{told}");

    disk.repair();
    let (broker, _) = start(&disk);
    let (broker, place) = (&broker, &place);
    rt::os::run(|rt| async move {
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        for offset in 0..acknowledged {
            let (code, bytes) = fetch(&mut connection, place, offset).await.unwrap();
            assert!(
                code == ErrorCode::None && VALUE_BYTES < bytes,
                "{offset} of {acknowledged}: {code:?}, {bytes} bytes"
            );
        }
    })
    .unwrap();
    println!("{last}; {acknowledged} records acknowledged and there");
}

#[test]
fn bytes_that_cannot_be_read_in_the_middle_of_an_answer_end_its_connection_and_are_refused_then() {
    let disk = Disk::new("reads");
    let (broker, said) = start(&disk);
    let (disk, broker) = (&disk, &broker);
    rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        let (place, other) = (create_topic(&client, "lost").await, create_topic(&client, "other").await);
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        for (place, count) in [(&place, 80), (&other, 1)] {
            for offset in 0..count {
                assert_eq!(produce(&mut connection, place, offset).await, Some(ErrorCode::None));
            }
        }
        disk.end_within(&disk.path("mounted/data/lost-0/00000000000000000000.log"));
        assert_eq!(fetch(&mut connection, &place, 0).await, None, "the answer was under way");
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        for offset in [79, 60, 79, 60, 60] {
            let refused = fetch(&mut connection, &place, offset).await;
            assert_eq!(refused, Some((ErrorCode::KafkaStorageError, 0)), "{offset}");
        }
        for (place, offset) in [(&place, 0), (&other, 0)] {
            let (code, bytes) = fetch(&mut connection, place, offset).await.unwrap();
            assert!(
                code == ErrorCode::None && VALUE_BYTES < bytes,
                "{place} {offset}: {code:?}, {bytes} bytes"
            );
        }
    })
    .unwrap();
    let told = fs::read_to_string(&said).unwrap();
    let of_it: Vec<&str> = told.lines().filter(|line| line.contains("lost-0")).collect();
    assert!(
        of_it.len() == 2
            && of_it.iter().all(|line| line.contains(
                "/lost-0/00000000000000000000.log: Input/output error (os error 5), in the batch at byte "
            )),
        "each of the two places once: {told}"
    );
}
