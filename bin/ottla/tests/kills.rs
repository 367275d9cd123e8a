//! The process is killed (`kill -9`) again and again under a mix of clients, and the history checker finds nothing.
//!
//! `OTTLA_KILLS` sets how often (6), `OTTLA_SEED` what is drawn; a failure names its seed and where the history is.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this test runs processes of the real operating system, and fails where it fails"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use client::{Admin, NewTopic, TopicPartition};
use history::Recorder;
use model::{TopicName, TransactionVersion};
use rt::Rt;
use rt::channel::watch;
use sim_tests::copies::{self, COPIES};
use sim_tests::draw::Draw;
use sim_tests::found;
use sim_tests::load::{self, GROUP, Worker};
use sim_tests::process::Process;
use sim_tests::server::connect;
use sim_tests::transactions::transactional as transactional_writer;

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The topics, the second one for transactions only and the third for copies of the first, and their partitions.
const TOPICS: [(&str, i32); 3] = [(COPIED, 4), (TRANSACTIONAL, 3), (COPIES, 4)];
const COPIED: &str = "orders";
const TRANSACTIONAL: &str = "payments";

/// Starts the broker on the same folder and port in each of its lives.
fn start(folder: &Path, address: &str) -> Process {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", address]);
    serve.args(["--set", "auto.create.topics.enable=false", "--set", "group.initial.rebalance.delay.ms=0"]);
    serve.args(["--set", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000"]);
    Process::start(serve.arg("--data-dir").arg(folder))
}

fn kill_and_start_again(broker: &mut Process, folder: &Path) {
    broker.kill();
    *broker = start(folder, &broker.address().to_string());
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

fn places() -> Vec<TopicPartition> {
    let of = |(topic, partitions): (&str, i32)| {
        let topic = TopicName::parse(topic).unwrap();
        (0..partitions).map(move |partition| TopicPartition::new(topic.clone(), partition))
    };
    TOPICS.into_iter().flat_map(of).collect()
}

/// The clients of the load, each until it is told to stop.
fn start_clients(rt: &Rt, address: SocketAddr, recorder: &Recorder, draw: &mut Draw) -> Clients {
    let (stop_writing, writing) = watch::channel(false);
    let (stop_reading, reading) = watch::channel(false);
    let mut worker = |name: &str, stop: &watch::Receiver<bool>| Worker {
        name: name.to_owned(),
        rt: rt.clone(),
        address,
        recorder: recorder.clone(),
        draw: draw.split(),
        stop: stop.clone(),
    };
    let topics = TOPICS.map(|(name, _)| TopicName::parse(name).unwrap()).to_vec();
    let of = |topic: &str| -> Vec<_> {
        places().into_iter().filter(|place| place.topic.as_str() == topic).collect()
    };
    let (transactional, calm) = (of(TRANSACTIONAL), of(COPIED));
    let (one_half, other_half) = calm.split_at(calm.len() / 2);
    let (first, second) = (TransactionVersion::Tv1, TransactionVersion::Tv2);
    let writers = vec![
        rt.spawn("writer", load::idempotent(worker("idempotent-0", &writing), calm.clone())),
        rt.spawn("writer", load::idempotent(worker("idempotent-1", &writing), calm.clone())),
        rt.spawn("writer", load::plain(worker("plain-0", &writing), calm.clone())),
        rt.spawn("writer", load::plain(worker("plain-1", &writing), calm.clone())),
        rt.spawn(
            "writer",
            transactional_writer(worker("transactional-0", &writing), first, transactional.clone()),
        ),
        rt.spawn("writer", transactional_writer(worker("transactional-1", &writing), second, transactional)),
        rt.spawn("copier", copies::copier(worker("copier-0", &writing), first, one_half.to_vec())),
        rt.spawn("copier", copies::copier(worker("copier-1", &writing), second, other_half.to_vec())),
        rt.spawn("churn", load::churn(worker("admin", &writing))),
    ];
    let readers = vec![
        rt.spawn("member", load::member(worker("member-0", &reading), topics.clone())),
        rt.spawn("member", load::member(worker("member-1", &reading), topics)),
    ];
    Clients { writers, readers, stop_writing, stop_reading }
}

struct Clients {
    writers: Vec<rt::Task>,
    readers: Vec<rt::Task>,
    stop_writing: watch::Sender<bool>,
    stop_reading: watch::Sender<bool>,
}

/// Waits for what must happen.
async fn eventually(rt: &Rt, what: &str, recorder: &Recorder, mut happened: impl FnMut() -> bool) {
    let deadline = rt.now() + PATIENCE;
    while !happened() {
        assert!(
            rt.now() < deadline,
            "within {PATIENCE:?} this did not come about: {what}; open: {:?}",
            recorder.open()
        );
        rt.sleep(Duration::from_millis(20)).await;
    }
}

/// Where the history of a failed run is kept: read it with `check-history`.
fn keep(recorder: &Recorder) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kills-history.jsonl");
    std::fs::write(&path, history::write_lines(&recorder.events())).unwrap();
    path
}

async fn drive(rt: Rt, folder: PathBuf, kills: u64, seed: u64) {
    let mut draw = Draw::new(seed);
    let recorder = Recorder::default();
    let mut broker = start(&folder, "127.0.0.1:0");
    let client = connect(&rt, broker.address()).await;
    for (name, partitions) in TOPICS {
        let topic = NewTopic {
            name: TopicName::parse(name).unwrap(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            configs: BTreeMap::new(),
        };
        Admin::new(&client).create_topic(&topic).await.unwrap();
    }
    let clients = start_clients(&rt, broker.address(), &recorder, &mut draw);
    for _ in 0..kills {
        let acknowledged = recorder.acknowledged();
        eventually(&rt, "something is acknowledged", &recorder, || acknowledged < recorder.acknowledged())
            .await;
        // The moment of the kill is what is drawn.
        rt.sleep(Duration::from_millis(draw.within(10..=600))).await;
        kill_and_start_again(&mut broker, &folder);
    }
    clients.stop_writing.send_replace(true);
    eventually(&rt, "the writers end", &recorder, || {
        clients.writers.iter().all(rt::Task::is_finished) && recorder.open().is_empty()
    })
    .await;
    eventually(&rt, "the group reads everything", &recorder, || recorder.is_all_read()).await;
    clients.stop_reading.send_replace(true);
    eventually(&rt, "the readers end", &recorder, || clients.readers.iter().all(rt::Task::is_finished)).await;
    kill_and_start_again(&mut broker, &folder);
    for place in places() {
        found::note_log(&recorder, &place, found::rows_of(&client, &place).await);
    }
    found::note_topics(&recorder, &client).await;
    for group in [GROUP, copies::COPIERS] {
        found::note_offsets(&recorder, group, &Admin::new(&client).committed(group).await.unwrap());
    }
    let disagreements = copies::disagreements(&recorder.events(), COPIED);
    assert!(
        disagreements.is_empty(),
        "seed {seed}, history {}: {disagreements:?}",
        keep(&recorder).display()
    );
    let anomalies = history::check(&recorder.events()).anomalies;
    assert!(
        anomalies.is_empty(),
        "seed {seed}, history {}: {} anomalies, the first: {:?}",
        keep(&recorder).display(),
        anomalies.len(),
        &anomalies[..anomalies.len().min(10)]
    );
    println!("{} kills, {} records acknowledged", kills + 1, recorder.acknowledged());
}

#[test]
fn a_killed_broker_shows_no_anomaly() {
    let seed = number("OTTLA_SEED", u64::from(std::process::id()));
    let kills = number("OTTLA_KILLS", 6);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kills-{}", std::process::id()));
    println!("OTTLA_SEED={seed}");
    rt::os::run(|rt| drive(rt, folder.clone(), kills, seed)).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
