//! What a broker's process costs, and what it bears: crowds, slow readers and hostile frames.
//!
//! `OTTLA_HOSTILE_SECONDS` lets the hostile run go on for so long, at least once over all APIs and versions.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use client::{Admin, Client, TopicPartition};
use model::ErrorCode;
use rt::Rt;
use rt::channel::watch;
use sim_tests::draw::Draw;
use sim_tests::hostile::{frames, served};
use sim_tests::process::{Folder, Process};
use sim_tests::raw::{self, Raw};
use sim_tests::samples::VICTIM;
use sim_tests::topics;
use wire::{ApiVersionsRequest, FetchResponse};

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one idle connection may cost, bytes.
const CONNECTION_BYTES_MAX: u64 = 20 * 1024;

/// How much hostile frames may leave behind, bytes.
const HOSTILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

fn start(folder: &Folder) -> Process {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        "auto.create.topics.enable=false",
        "--data-dir",
    ]);
    Process::start(serve.arg(folder.path().join("data")))
}

/// A folder for the data of the broker called `name`.
fn folder(name: &str) -> Folder {
    Folder::new(env!("CARGO_TARGET_TMPDIR"), &format!("limits-{name}"))
}

async fn create_topic(client: &Client, name: &str) -> TopicPartition {
    TopicPartition::new(topics::create_topic(client, name, 1).await, 0)
}

async fn produce(connection: &mut Raw, place: &TopicPartition, bytes: usize) -> (ErrorCode, i64) {
    connection.send(&raw::produce(1, place, &[(b"key".to_vec(), vec![7; bytes])])).await.unwrap();
    let (_, code, base) = raw::produced(&connection.receive().await.unwrap()).unwrap();
    (ErrorCode::from_code(code), base)
}

/// Whether the record at `offset` is read.
async fn is_read(connection: &mut Raw, place: &TopicPartition, offset: i64) -> bool {
    connection.send(&raw::fetch(1, place, offset)).await.unwrap();
    let answer = connection.receive().await.unwrap();
    let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&answer, 12).unwrap();
    let partition = &answer.responses[0].partitions[0];
    partition.error_code == 0 && offset < partition.high_watermark && partition.records.bytes().is_some()
}

/// A client that minds its own business until it is told to stop: each record is acknowledged at the next offset and
/// read back.
async fn neighbour(
    rt: Rt,
    address: SocketAddr,
    place: TopicPartition,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    let mut connection = Raw::connect(&rt, address).await.unwrap();
    for offset in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let turn = async {
            assert_eq!(produce(&mut connection, &place, 100).await, (ErrorCode::None, offset));
            assert!(is_read(&mut connection, &place, offset).await);
        };
        rt.timeout(PATIENCE, turn).await.expect("a neighbour is served");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs `meanwhile` beside a neighbour, which must get on with its work.
async fn beside_a_neighbour(
    rt: &Rt,
    broker: &Process,
    client: &Client,
    meanwhile: impl Future<Output = ()>,
) -> u64 {
    let place = create_topic(client, "neighbour").await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let working = neighbour(rt.clone(), broker.address(), place, Arc::clone(&stop), Arc::clone(&done));
    let task = rt.spawn("neighbour", working);
    until(rt, "the neighbour gets nothing done", || 0 < done.load(Ordering::Relaxed)).await;
    meanwhile.await;
    let before = done.load(Ordering::Relaxed);
    while done.load(Ordering::Relaxed) < before + 2 {
        assert!(!task.is_finished(), "the neighbour gave up");
        rt.sleep(Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    while !task.is_finished() {
        rt.sleep(Duration::from_millis(1)).await;
    }
    done.load(Ordering::Relaxed)
}

#[test]
fn idle_connections_and_slow_readers_cost_little_and_disturb_nobody() {
    let folder = folder("idle");
    let broker = start(&folder);
    rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        let large = create_topic(&client, "large").await;
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        for _ in 0..8 {
            assert_eq!(produce(&mut connection, &large, 1_000_000).await.0, ErrorCode::None);
        }
        let wanted = 5_000.min(rt.descriptors_max() / 2 - 200);
        let before = broker.memory_bytes("VmRSS");
        let mut idle = Vec::new();
        let done = beside_a_neighbour(&rt, &broker, &client, async {
            for _ in 0..wanted {
                let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
                connection.send(&raw::frame(1, &ApiVersionsRequest::default(), 0)).await.unwrap();
                connection.receive().await.unwrap();
                idle.push(connection);
            }
        });
        let done = done.await;
        let per_connection = (broker.memory_bytes("VmRSS").saturating_sub(before)) / u64::from(wanted);
        println!(
            "{wanted} idle connections: {per_connection} bytes each, while a neighbour wrote {done} records"
        );
        assert!(per_connection <= CONNECTION_BYTES_MAX, "{per_connection} bytes for each of {wanted}");

        // Each asks for 8 MB twenty times and reads nothing.
        let before = broker.memory_bytes("VmRSS");
        let mut slow = Vec::new();
        for _ in 0..50 {
            let connection = Raw::connect(&rt, broker.address()).await.unwrap();
            for _ in 0..20 {
                connection.send(&raw::fetch(1, &large, 0)).await.unwrap();
            }
            slow.push(connection);
        }
        for connection in slow.iter_mut().take(1) {
            assert!(
                4_000_000 < connection.receive().await.unwrap().len(),
                "they would be served if they read"
            );
        }
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        assert!(is_read(&mut connection, &large, 0).await, "others are");
        let grown = broker.memory_bytes("VmRSS").saturating_sub(before);
        println!("50 slow readers of 8 GB in all: {} bytes each", grown / 50);
        assert!(grown <= 50 * 4 * CONNECTION_BYTES_MAX, "{grown} bytes for 50 readers");
        drop((idle, slow));
    })
    .unwrap();
}

/// Descriptors of a broker that has few; half of them are for connections.
const FEW_DESCRIPTORS: u32 = 128;

/// A broker that has few descriptors, and what it says in its log.
fn start_with_few_descriptors(folder: &Folder) -> (Process, PathBuf) {
    let said = folder.path().join("said");
    let mut serve = Command::new("sh");
    serve.args(["-c", &format!("ulimit -n {FEW_DESCRIPTORS}; exec \"$0\" \"$@\" 2> {}", said.display())]);
    serve.args([env!("CARGO_BIN_EXE_ottla"), "serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    (Process::start(serve.arg(folder.path().join("data"))), said)
}

/// Connects and asks; says so in `answered` until it is dropped.
async fn visit(rt: Rt, address: SocketAddr, answered: Arc<AtomicU64>, leave: watch::Receiver<bool>) {
    let mut leave = leave;
    let mut connection = Raw::connect(&rt, address).await.unwrap();
    connection.send(&raw::frame(1, &ApiVersionsRequest::default(), 0)).await.unwrap();
    connection.receive().await.expect("whoever waits is served in the end");
    answered.fetch_add(1, Ordering::Relaxed);
    // An error is an end of the test, too.
    let _ = leave.wait_for(|leave| *leave).await;
}

async fn until(rt: &Rt, what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            rt.sleep(Duration::from_millis(1)).await;
        }
    };
    rt.timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[test]
fn connections_for_which_there_are_no_descriptors_wait_and_disturb_nobody() {
    let folder = folder("descriptors");
    let (broker, said) = start_with_few_descriptors(&folder);
    rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        let (answered, (leave, left)) = (Arc::new(AtomicU64::new(0)), watch::channel(false));
        let crowd = u64::from(FEW_DESCRIPTORS);
        let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
        assert!(
            !is_read(&mut connection, &create_topic(&client, "first").await, 0).await,
            "nothing is there yet"
        );
        let mut visitors = Vec::new();
        beside_a_neighbour(&rt, &broker, &client, async {
            for _ in 0..crowd {
                let visitor = visit(rt.clone(), broker.address(), Arc::clone(&answered), left.clone());
                visitors.push(rt.spawn("visitor", visitor));
            }
            // All places are taken but those of the client and the neighbour, and one that the listener keeps.
            let places = u64::from(FEW_DESCRIPTORS / 2);
            until(&rt, "places are left", || places - 8 <= answered.load(Ordering::Relaxed)).await;
        })
        .await;
        assert!(answered.load(Ordering::Relaxed) < u64::from(FEW_DESCRIPTORS / 2), "the others wait");

        // Each has a file of its own, and there are more of them than descriptors.
        for number in 0..crowd {
            let place = create_topic(&client, &format!("topic-{number}")).await;
            assert_eq!(produce(&mut connection, &place, 100).await, (ErrorCode::None, 0), "{place}");
        }
        leave.send_replace(true);
        until(&rt, "the others wait for ever", || answered.load(Ordering::Relaxed) == crowd).await;
        until(&rt, "some stay", || visitors.iter().all(rt::Task::is_finished)).await;
    })
    .unwrap();
    let said = std::fs::read_to_string(said).unwrap();
    assert!(
        said.contains("at most 64 connections are served at a time: this process may open 128 files"),
        "{said}"
    );
    assert!(!said.contains("ERROR"), "{said}");
}

#[test]
fn a_broker_that_has_no_descriptor_for_a_connection_says_so_and_serves_the_others() {
    let folder = folder("no-descriptor");
    let (broker, said) = start_with_few_descriptors(&folder);
    let allow = |descriptors: u32| {
        let mut prlimit = Command::new("prlimit");
        prlimit.args([
            "--pid",
            &broker.pid().to_string(),
            &format!("--nofile={descriptors}:{FEW_DESCRIPTORS}"),
        ]);
        assert!(prlimit.status().unwrap().success());
    };
    let (broker, file) = (&broker, &said);
    rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        let (answered, (leave, left)) = (Arc::new(AtomicU64::new(0)), watch::channel(false));
        beside_a_neighbour(&rt, broker, &client, async {
            // Fewer than it has open.
            allow(8);
            rt.spawn("visitor", visit(rt.clone(), broker.address(), Arc::clone(&answered), left.clone()));
            until(&rt, "it says nothing", || {
                std::fs::read_to_string(file).unwrap().contains("cannot accept a connection: ")
            })
            .await;
        })
        .await;
        assert_eq!(answered.load(Ordering::Relaxed), 0);
        allow(FEW_DESCRIPTORS);
        until(&rt, "nobody is served again", || answered.load(Ordering::Relaxed) == 1).await;
        leave.send_replace(true);
    })
    .unwrap();
    let said = std::fs::read_to_string(&said).unwrap();
    let line = "cannot accept a connection: Too many open files (os error 24); those that are there are served, and the \
                next one is tried again every 50 ms";
    assert_eq!(said.matches(line).count(), 1, "{said}");
    assert!(said.contains("connections are accepted again"), "{said}");
    assert!(!said.contains("ERROR"), "{said}");
}

#[test]
fn hostile_frames_cost_no_memory_and_disturb_nobody() {
    let seconds = std::env::var("OTTLA_HOSTILE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let seconds = Duration::from_secs(seconds.unwrap_or(0));
    let folder = folder("hostile");
    let broker = start(&folder);
    rt::os::run(|rt| async move {
        let client = broker.client(&rt).await;
        let victim = create_topic(&client, VICTIM).await;
        let snapshot = client.refresh(Some(std::slice::from_ref(&victim.topic))).await.unwrap();
        let topic_id = snapshot.topics[&victim.topic].id;
        // Coordinators, threads and buffers that come with the first request of a kind are no growth.
        Admin::new(&client).committed(VICTIM).await.unwrap();
        let mut draw = Draw::new(1);
        let apis = served(&rt, broker.address()).await;
        let (mut rounds, mut sent) = (0, 0_u64);
        let before = broker.memory_bytes("VmRSS");
        let began = rt.now();
        let done = beside_a_neighbour(&rt, &broker, &client, async {
            while rounds == 0 || rt.now().saturating_since(began) < seconds {
                for &(key, first, last) in &apis {
                    for version in first - 1..=last + 1 {
                        let is_served = (first..=last).contains(&version);
                        for hostile in frames(key, version, topic_id, is_served, &mut draw) {
                            let mut connection = Raw::connect(&rt, broker.address()).await.unwrap();
                            // The broker may close before it has everything.
                            let _ = connection.send(&hostile.bytes).await;
                            connection.shutdown();
                            let ending = async { while connection.receive().await.is_some() {} };
                            let ended = rt.timeout(PATIENCE, ending).await;
                            assert!(ended.is_ok(), "{key} {version}: {:02x?} hangs", hostile.bytes);
                            sent += 1;
                        }
                    }
                }
                rounds += 1;
            }
        })
        .await;
        let grown = broker.memory_bytes("VmRSS").saturating_sub(before);
        println!("{sent} hostile frames in {rounds} rounds: {grown} bytes more, while a neighbour wrote {done} records");
        assert!(grown <= HOSTILE_BYTES_MAX, "{grown} bytes more after {sent} frames");
    })
    .unwrap();
}
