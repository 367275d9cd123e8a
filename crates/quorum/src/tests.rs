//! The whole door on a simulated disk: power cuts, failed syncs, damaged files, and what survives them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use log::{DataDir, GroupCommit, OpenFiles, Owner};
use meta::{
    ApplyError, Change, ConfigResource, ConfigResourceKind, Image, Index, MetadataRecord, RunningHash,
};
use model::{BrokerId, ClusterId, Offset, TopicId, Uuid};
use rt::channel::mpsc;
use rt::sim::Sim;
use rt::{Open, Rt};

use crate::snapshot;
use crate::*;

const DATA: &str = "/data";

/// The options of a process.
fn roomy(options: QuorumOptions) -> QuorumOptions {
    options
}

/// A snapshot every seven entries, a segment about every eight.
fn small(options: QuorumOptions) -> QuorumOptions {
    QuorumOptions { snapshot_every: 7, segment_bytes: 1000, ..options }
}

/// Opens on a data folder, as the process prepares it.
async fn open(rt: &Rt, sizes: fn(QuorumOptions) -> QuorumOptions) -> Result<Opened, OpenError> {
    let owner = Owner { node_id: BrokerId(1), cluster_id: None };
    let data_dir = DataDir::open(rt.fs(), Path::new(DATA), owner, || Uuid([3; 16]));
    let data_dir = data_dir.map_err(|error| OpenError::Io(std::io::Error::other(error)))?;
    let group_commit = GroupCommit::start(rt, &data_dir)?;
    let files = Arc::new(OpenFiles::new(16));
    let options = QuorumOptions::new(data_dir.path().to_path_buf(), BrokerId(1), files, group_commit);
    Quorum::open(rt, sizes(options)).await
}

fn dir() -> PathBuf {
    Path::new(DATA).join(METADATA_DIR)
}

fn resource() -> ConfigResource {
    ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() }
}

fn set(key: &str) -> MetadataRecord {
    MetadataRecord::ConfigSet { resource: resource(), key: key.to_owned(), value: "v".into() }
}

fn keys(image: &Image) -> BTreeSet<String> {
    image.config(&resource()).map(|set| set.keys().cloned().collect()).unwrap_or_default()
}

/// Takes what is committed, as a broker does, and checks its order.
async fn follow(mut committed: mpsc::Receiver<Committed>, mut next: Index) {
    while let Some(entry) = committed.recv().await {
        assert_eq!(entry.index, next, "committed entries come in order, none is missing");
        assert_eq!(entry.image.next_index(), next.next());
        next = next.next();
    }
}

#[test]
fn updates_are_decided_one_after_the_other_and_share_syncs() {
    let sim = Sim::new(1);
    let rt = sim.node("n1");
    let world = sim.run(async {
        let Opened { quorum, image, committed } = open(&rt, roomy).await.unwrap();
        assert_eq!((image.next_index(), quorum.term()), (Index(2), Term(1)));
        rt.spawn("follower", follow(committed, image.next_index()));
        let before = sim.disk_ops("n1");
        // Each counts the keys before it: with anything in between, two would count the same.
        let counted: Vec<_> = (0..200).map(|_| count_and_set(&quorum)).collect();
        let mut counts = Vec::new();
        for count in counted {
            let updated = count.await.unwrap();
            assert!(updated.index.is_some());
            counts.push(updated.value);
        }
        counts.sort_unstable();
        assert_eq!(counts, (0..200).collect::<Vec<_>>());
        assert_eq!(keys(&quorum.image()).len(), 200);
        sim.disk_ops("n1") - before
    });
    assert!(world < 420, "{world} calls changed the disk: sequential updates need a write and a sync each");
    let sim = Sim::new(2);
    let rt = sim.node("n1");
    let together = sim.run(async {
        let Opened { quorum, image, committed } = open(&rt, roomy).await.unwrap();
        rt.spawn("follower", follow(committed, image.next_index()));
        let before = sim.disk_ops("n1");
        let (done, mut finished) = mpsc::channel(200);
        for _ in 0..200 {
            let (quorum, done) = (quorum.clone(), done.clone());
            rt.spawn("proposer", async move {
                let count = count_and_set(&quorum).await.unwrap().value;
                done.send(count).await.unwrap();
            });
        }
        let mut counts = Vec::new();
        for _ in 0..200 {
            counts.push(finished.recv().await.unwrap());
        }
        counts.sort_unstable();
        assert_eq!(counts, (0..200).collect::<Vec<_>>());
        sim.disk_ops("n1") - before
    });
    assert!(together < 40, "{together} calls changed the disk: updates that wait share a sync");
}

async fn count_and_set(quorum: &Quorum) -> Result<Updated<usize>, UpdateError<()>> {
    let decide = |image: &Image| {
        let count = keys(image).len();
        Ok((vec![set(&format!("k{count}"))], count))
    };
    quorum.update(decide).await
}

#[test]
fn decisions_without_records_and_refusals_write_nothing() {
    let sim = Sim::new(3);
    let rt = sim.node("n1");
    sim.run(async {
        let Opened { quorum, image, mut committed } = open(&rt, roomy).await.unwrap();
        let nothing = quorum.update(|image| Ok::<_, ()>((vec![], image.next_index()))).await.unwrap();
        assert_eq!((nothing.index, nothing.value), (None, image.next_index()));
        let no = quorum.update(|_| Err::<(Vec<_>, ()), _>("no")).await;
        assert_eq!(no.unwrap_err(), UpdateError::Decision("no"));
        let unknown = TopicId(Uuid([9; 16]));
        let refused = quorum.propose(vec![MetadataRecord::TopicDeleted { topic_id: unknown }]).await;
        assert_eq!(refused.unwrap_err(), QuorumError::Refused(ApplyError::UnknownTopic(unknown)));
        let large = quorum.propose(vec![set(&"x".repeat(33 << 20))]).await;
        assert!(matches!(large.unwrap_err(), QuorumError::TooLarge { max, .. } if max == 32 << 20));

        let created = MetadataRecord::ClusterCreated { cluster_id: ClusterId(Uuid([5; 16])) };
        let updated = quorum.propose(vec![created]).await.unwrap();
        assert_eq!(updated.index, Some(image.next_index()), "nothing was written in between");
        let entry = committed.recv().await.unwrap();
        assert_eq!(entry.changes, [Change::ClusterCreated(ClusterId(Uuid([5; 16])))]);
        assert_eq!(quorum.image().cluster_id(), Some(ClusterId(Uuid([5; 16]))));
        quorum.close().await.unwrap();
        assert_eq!(quorum.propose(vec![]).await.unwrap_err(), QuorumError::Closed);
        assert!(committed.recv().await.is_none());
    });
}

/// What one life of a node attempted and was told.
#[derive(Default)]
struct History {
    attempted: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// Opens, has four proposers work without end, and dies when its power goes.
async fn live(rt: Rt, history: Arc<Mutex<History>>, life: u32) {
    let Ok(Opened { quorum, image, committed }) = open(&rt, small).await else { return };
    rt.spawn("follower", follow(committed, image.next_index()));
    for writer in 0..4 {
        let (quorum, history, clock) = (quorum.clone(), Arc::clone(&history), rt.clone());
        let work = async move {
            for round in 0.. {
                let key = format!("{life}-{writer}-{round}");
                history.lock().unwrap().attempted.insert(key.clone());
                match quorum.propose(vec![set(&key)]).await {
                    Ok(_) => history.lock().unwrap().acknowledged.insert(key),
                    Err(_) => return,
                };
                clock.sleep(std::time::Duration::from_micros(clock.random_u64() % 3000)).await;
            }
        };
        rt.spawn("proposer", work);
    }
}

#[test]
fn every_acknowledged_update_survives_power_cuts() {
    let (mut acknowledged, mut snapshots) = (0, 0);
    for seed in 0..60 {
        let sim = Sim::new(seed);
        let history = Arc::new(Mutex::new(History::default()));
        let mut terms = BTreeSet::new();
        for life in 0..4 {
            let rt = sim.node("n1");
            // Early cuts hit the start itself, late ones rounds and snapshots.
            let calls = if life % 2 == 0 { 1 + rt.random_u64() % 12 } else { 20 + rt.random_u64() % 150 };
            sim.power_cut_after_disk_ops("n1", calls);
            rt.spawn("life", live(rt.clone(), Arc::clone(&history), life));
            sim.run(sim.death("n1"));

            let rt = sim.node("n1");
            let (hash, found) = sim.run(async {
                let Opened { quorum, image, .. } = open(&rt, small).await.unwrap();
                assert!(terms.insert(quorum.term()), "no term is led twice (Q3)");
                snapshots += snapshot::names(rt.fs(), &dir()).unwrap().len();
                (image.hash(), keys(&image))
            });
            let history = history.lock().unwrap();
            assert!(history.acknowledged.is_subset(&found), "seed {seed}: an acknowledged update is gone");
            assert!(found.is_subset(&history.attempted), "seed {seed}: nobody wrote this");
            drop(history);
            sim.power_cut("n1");
            assert_eq!(hash_of_next_start(&sim), hash, "seed {seed}: what was read once stays");
            sim.kill("n1");
        }
        acknowledged += history.lock().unwrap().acknowledged.len();
    }
    assert!(1000 < acknowledged && 100 < snapshots, "{acknowledged} updates, {snapshots} snapshots: too few");
}

fn hash_of_next_start(sim: &Sim) -> RunningHash {
    let rt = sim.node("n1");
    sim.run(async { open(&rt, small).await.unwrap().image.hash() })
}

/// A node with twenty updates and snapshots on the way, closed.
fn closed_node(sim: &Sim) -> RunningHash {
    closed_node_of(sim, small)
}

fn closed_node_of(sim: &Sim, sizes: fn(QuorumOptions) -> QuorumOptions) -> RunningHash {
    let rt = sim.node("n1");
    sim.run(async {
        let Opened { quorum, image, committed } = open(&rt, sizes).await.unwrap();
        rt.spawn("follower", follow(committed, image.next_index()));
        for key in 0..20 {
            quorum.propose(vec![set(&key.to_string())]).await.unwrap();
        }
        quorum.close().await.unwrap();
        let names = snapshot::names(rt.fs(), &dir()).unwrap();
        assert_eq!(names.len(), 2);
        quorum.image().hash()
    })
}

fn damage_snapshot(sim: &Sim, place: usize) {
    let rt = sim.node("n1");
    let names = snapshot::names(rt.fs(), &dir()).unwrap();
    sim.disk("n1").flip_bit(&dir().join(&names[place].1), 40, 3).unwrap();
    sim.kill("n1");
}

#[test]
fn a_damaged_snapshot_costs_time_only() {
    let sim = Sim::new(5);
    let hash = closed_node(&sim);
    damage_snapshot(&sim, 1);
    assert_eq!(hash_of_next_start(&sim), hash);
    // The entries before the older snapshot are gone: now nothing tells of them.
    damage_snapshot(&sim, 0);
    let rt = sim.node("n1");
    let error = sim.run(open(&rt, small)).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, OpenError::SnapshotsDamaged { log_start, .. } if Index(0) < log_start),
        "{error}"
    );
}

#[test]
fn entries_go_while_the_log_is_served() {
    let sim = Sim::new(5);
    closed_node(&sim);
    let rt = sim.node("n1");
    let first = rt.fs().read_dir(&dir()).unwrap().into_iter().find(|entry| entry.name.ends_with(".log"));
    assert!("00000000000000000000.log" < first.unwrap().name.as_str());
}

#[test]
fn a_whole_log_needs_no_snapshot() {
    let sim = Sim::new(5);
    // In one segment nothing goes.
    let hash = closed_node_of(&sim, |options| QuorumOptions { snapshot_every: 7, ..options });
    damage_snapshot(&sim, 0);
    damage_snapshot(&sim, 1);
    assert_eq!(hash_of_next_start(&sim), hash);
}

#[test]
fn an_entry_larger_than_a_segment_is_refused() {
    let sim = Sim::new(9);
    let rt = sim.node("n1");
    sim.run(async {
        let Opened { quorum, image, committed } = open(&rt, small).await.unwrap();
        rt.spawn("follower", follow(committed, image.next_index()));
        let large = quorum.propose(vec![set(&"x".repeat(2000))]).await;
        assert!(matches!(large.unwrap_err(), QuorumError::TooLarge { max: 1000, .. }));
        quorum.propose(vec![set("small")]).await.unwrap();
    });
}

#[test]
fn a_damaged_or_missing_vote_stops_the_start() {
    let sim = Sim::new(6);
    closed_node(&sim);
    let rt = sim.node("n1");
    let path = dir().join("quorum-vote");
    let start = |rt: &Rt| sim.run(open(rt, small)).map(|_| ()).unwrap_err().to_string();
    sim.disk("n1").flip_bit(&path, 12, 0).unwrap();
    let damaged = start(&rt);
    assert!(damaged.starts_with("/data/__cluster_metadata-0/quorum-vote is missing or damaged"), "{damaged}");
    rt.fs().remove_file(&path).unwrap();
    assert_eq!(start(&rt), damaged);
}

#[test]
fn a_failed_sync_fences_and_is_told() {
    let sim = Sim::new(7);
    let rt = sim.node("n1");
    sim.run(async {
        let Opened { quorum, image, committed } = open(&rt, roomy).await.unwrap();
        rt.spawn("follower", follow(committed, image.next_index()));
        quorum.propose(vec![set("durable")]).await.unwrap();
        let durable = quorum.image();
        sim.disk("n1").fail_next_sync();
        let error = quorum.propose(vec![set("lost")]).await.unwrap_err();
        let QuorumError::Fenced(reason) = &error else { panic!("{error}") };
        assert_eq!(&quorum.failed().await, reason);
        assert_eq!(quorum.propose(vec![set("late")]).await.unwrap_err(), error);
        assert_eq!(quorum.image(), durable, "nothing is published that is not durable (Q4)");
        assert_eq!(quorum.close().await.unwrap_err(), error);
    });
    sim.power_cut("n1");
    let rt = sim.node("n1");
    let found = sim.run(async { keys(&open(&rt, roomy).await.unwrap().image) });
    assert_eq!(found, BTreeSet::from(["durable".to_owned()]));
}

#[test]
fn a_full_disk_refuses_changes_and_takes_them_again() {
    // Nothing, and less than the head of an entry.
    for free in [0, 20, 60] {
        let sim = Sim::new(9);
        let rt = sim.node("n1");
        sim.run(async {
            let Opened { quorum, image, committed } = open(&rt, roomy).await.unwrap();
            rt.spawn("follower", follow(committed, image.next_index()));
            quorum.propose(vec![set("before")]).await.unwrap();
            let before = quorum.image();
            sim.disk("n1").set_free_bytes(free);
            // Whether they wait for one write or not, the next change is decided on what was taken back.
            let (first, second) = (quorum.clone(), quorum.clone());
            let (done, mut results) = mpsc::unbounded_channel();
            for (quorum, key) in [(first, "one"), (second, "two")] {
                let done = done.clone();
                rt.spawn("proposer", async move {
                    drop(done.send(quorum.propose(vec![set(key)]).await.map(drop)));
                });
            }
            for _ in 0..2 {
                let error = results.recv().await.unwrap().unwrap_err();
                assert!(matches!(error, QuorumError::NotWritten(_)), "{free}: {error}");
            }
            assert_eq!(quorum.image(), before);
            sim.disk("n1").set_free_bytes(1 << 30);
            quorum.propose(vec![set("after")]).await.unwrap();
            assert_eq!(keys(&quorum.image()), BTreeSet::from(["before".to_owned(), "after".to_owned()]));
        });
        sim.power_cut("n1");
        let rt = sim.node("n1");
        let found = sim.run(async { keys(&open(&rt, roomy).await.unwrap().image) });
        assert_eq!(found, BTreeSet::from(["before".to_owned(), "after".to_owned()]), "{free}");
    }
}

#[test]
fn the_folder_is_kafkas_log_with_a_vote_and_checkpoints() {
    let sim = Sim::new(8);
    closed_node_of(&sim, |options| QuorumOptions { snapshot_every: 7, ..options });
    let rt = sim.node("n1");
    let names: Vec<_> = rt.fs().read_dir(&dir()).unwrap().into_iter().map(|entry| entry.name).collect();
    for name in [
        "00000000000000000000.log",
        "00000000000000000014-0000000001.checkpoint",
        "00000000000000000021-0000000001.checkpoint",
        "quorum-vote",
    ] {
        assert!(names.iter().any(|there| there == name), "{name} is not in {names:?}");
    }
    let file = rt.fs().open(&dir().join("00000000000000000000.log"), Open::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.file_len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let first = record::check(&bytes).unwrap();
    assert_eq!((first.base_offset, first.record_count), (Offset(0), 1));
}

#[test]
fn one_seed_is_one_run() {
    let run = || {
        let sim = Sim::new(11);
        closed_node(&sim);
        sim.trace_hash()
    };
    assert_eq!(run(), run());
}
