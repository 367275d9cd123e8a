//! Compacted topics keep the newest value of each key, whatever happens to the broker meanwhile, and what lives in them
//! goes on after it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{Admin, Client, FetchBounds, NewRecord, Producer, ProducerConfig, TopicPartition};
use model::{Offset, PartitionIndex, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic_with;

use crate::support::alter;

const MINUTE: Duration = Duration::from_secs(60);

/// Segments of a few records, compacted as soon as one has been closed.
const EAGER: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("internal.segment.bytes", "1000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "600000"),
];

type Newest = BTreeMap<String, (i64, Option<String>)>;

/// Writes records `key n`, every fifth of them a deletion, one after the other until `count` or the power's end; notes
/// what was sent before it is, for it may be there without an acknowledgement.
async fn produce(client: &Client, topic: &TopicName, count: usize, newest: &mut Newest) -> usize {
    let producer =
        Producer::new(client, ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() });
    for number in 0..count {
        let key = format!("key {}", (number * 7) % 10);
        let value = (number % 5 != 4).then(|| format!("value {number} {}", "x".repeat(100)));
        let record = NewRecord {
            key: Some(key.as_bytes()),
            value: value.as_ref().map(String::as_bytes),
            ..NewRecord::default()
        };
        let Ok(delivery) = producer.send(topic, record).await else { return number };
        let Ok(written) = delivery.await else { return number };
        newest.insert(key, (written.offset.unwrap().0, value));
    }
    count
}

/// Every record of the only partition, as a consumer from its beginning gets them.
async fn read_all(client: &Client, topic: &TopicName) -> Vec<(i64, String, Option<String>)> {
    let node = client.refresh(Some(std::slice::from_ref(topic))).await.unwrap();
    let leader = node.leader(&TopicPartition::new(topic.clone(), 0)).unwrap();
    let direct = client.direct(leader).await.unwrap();
    let bounds = FetchBounds { fetch_bytes: 1 << 20, partition_bytes: 1 << 20, wait: Duration::ZERO };
    let (mut next, mut all) = (Offset::ZERO, Vec::new());
    loop {
        let fetched = direct.fetch(topic, &[(PartitionIndex(0), next)], &bounds).await.unwrap();
        let mut rest = &fetched[0].records[..];
        if rest.is_empty() {
            return all;
        }
        while let Ok(header) = record::check(rest) {
            let (batch, after) = rest.split_at(header.size_in_bytes());
            for record in record::decode(batch, usize::MAX).unwrap().records() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                all.push((record.offset.0, text(record.key.unwrap()), record.value.map(text)));
            }
            (rest, next) = (after, header.next_offset());
        }
    }
}

/// Asserts that the newest acknowledged state of every key is what a reader ends with. A key that was written later,
/// without an acknowledgement, may have that instead.
fn assert_newest(all: &[(i64, String, Option<String>)], newest: &Newest, context: &str) {
    assert!(all.is_sorted_by(|one, next| one.0 < next.0), "{context}: offsets grow");
    let last: BTreeMap<_, _> = all.iter().map(|(offset, key, value)| (key, (*offset, value))).collect();
    for (key, (offset, value)) in newest {
        match last.get(key) {
            Some(&(found, held)) if found == *offset => assert_eq!(held, value, "{context}: {key}"),
            Some(&(found, _)) => assert!(*offset < found, "{context}: {key} is {found}, not {offset}"),
            None => assert_eq!(*value, None, "{context}: {key} is gone"),
        }
    }
}

async fn started(sim: &Sim) -> (Server<'_>, Rt, Client) {
    started_with(sim, &[]).await
}

async fn started_with<'a>(sim: &'a Sim, settings: &[(&str, &str)]) -> (Server<'a>, Rt, Client) {
    let server = Server::started(sim, settings).await;
    let rt = sim.node("client");
    let client = server.client(&rt).await;
    (server, rt, client)
}

#[test]
fn the_newest_value_of_each_key_stays_and_deletions_go_after_their_time() {
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let topic = create_topic_with(&client, "state", 1, EAGER).await;
            let mut newest = Newest::new();
            assert_eq!(produce(&client, &topic, 100, &mut newest).await, 100);
            rt.sleep(MINUTE).await;
            let all = read_all(&client, &topic).await;
            assert!(all.len() < 20, "seed {seed}: ten keys, and what is not closed yet: {}", all.len());
            assert_newest(&all, &newest, &format!("seed {seed}"));
            let deleted = newest.values().filter(|(_, value)| value.is_none()).count();
            let kept = all.iter().filter(|(_, _, value)| value.is_none()).count();
            assert!(0 < deleted && deleted <= kept, "seed {seed}: {kept} deletions of {deleted} wait");
            sim.power_cut(NODE);
            server.start().await.unwrap();
            let client = server.client(&rt).await;
            assert_eq!(read_all(&client, &topic).await, all, "seed {seed}: as it was");
            rt.sleep(20 * MINUTE).await;
            // Deletions go with a later pass, for which something has to be written.
            let others = TopicName::parse("state").unwrap();
            let mut later = Newest::new();
            produce(&client, &others, 4, &mut later).await;
            produce(&client, &others, 40, &mut later).await;
            rt.sleep(MINUTE).await;
            let all = read_all(&client, &topic).await;
            assert_newest(&all, &later, &format!("seed {seed}, later"));
            assert_eq!(all.last().map(|record| record.0), Some(143), "seed {seed}: offsets go on");
        });
    }
}

#[test]
fn a_cut_during_compaction_leaves_the_old_segments_or_the_new() {
    for seed in seeds(40) {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let topic = create_topic_with(&client, "state", 1, EAGER).await;
            let mut newest = Newest::new();
            let mut client = client;
            for round in 0..3 {
                sim.power_cut_after_disk_ops(NODE, 40 + (seed * 37 + round * 101) % 400);
                produce(&client, &topic, 60, &mut newest).await;
                rt.sleep(MINUTE).await;
                sim.power_cut(NODE);
                server.start().await.unwrap();
                client = server.client(&rt).await;
                let all = read_all(&client, &topic).await;
                assert_newest(&all, &newest, &format!("seed {seed}, round {round}"));
            }
        });
    }
}

/// How much is left of the logs of a coordinator's topic.
fn log_bytes(sim: &Sim, topic: &TopicName) -> u64 {
    let node = sim.node(NODE);
    let of_partition = |index: i32| {
        let folder = Path::new("/data").join(format!("{topic}-{index}"));
        let entries = node.fs().read_dir(&folder).unwrap();
        let logs = entries.into_iter().filter(|entry| entry.name.ends_with(".log"));
        logs.map(|log| node.fs().file_len(&folder.join(log.name)).unwrap()).sum::<u64>()
    };
    (0..4).map(of_partition).sum()
}

/// Has a coordinator's topic compacted a segment at a time, deletions included a minute later.
async fn compact_eagerly(client: &Client, topic: &TopicName) {
    alter(client, topic, "internal.segment.bytes", Some("2000")).await;
    alter(client, topic, "min.cleanable.dirty.ratio", Some("0.01")).await;
    alter(client, topic, "delete.retention.ms", Some("60000")).await;
}

#[test]
fn committed_offsets_are_read_again_after_their_topic_was_compacted() {
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let topic = create_topic_with(&client, "orders", 1, &[]).await;
            let admin = Admin::new(&client);
            let place = TopicPartition::new(topic.clone(), 0);
            let commit =
                |group: &'static str, offset: i64| (group, BTreeMap::from([(place.clone(), Offset(offset))]));
            let (group, first) = commit("readers", 0);
            admin.commit(group, &first).await.unwrap();
            let offsets = TopicName::consumer_offsets();
            compact_eagerly(&client, &offsets).await;
            let bytes = || log_bytes(&sim, &offsets);
            let (forgotten, gone) = commit("forgotten", 7);
            admin.commit(forgotten, &gone).await.unwrap();
            admin.delete_group(forgotten).await.unwrap();
            for number in 1..200 {
                for group in ["readers", "writers", "watchers"] {
                    let (group, offsets) = commit(group, number);
                    admin.commit(group, &offsets).await.unwrap();
                }
            }
            let before = bytes();
            rt.sleep(MINUTE).await;
            assert!(bytes() < before / 4, "seed {seed}: {before} bytes became {}", bytes());
            sim.power_cut(NODE);
            server.start().await.unwrap();
            let admin = Admin::new(&server.client(&rt).await);
            for group in ["readers", "writers", "watchers"] {
                let committed = admin.committed(group).await.unwrap();
                assert_eq!(committed.get(&place), Some(&Offset(199)), "seed {seed}: {group}");
            }
            assert_eq!(admin.committed(forgotten).await.unwrap(), BTreeMap::new(), "seed {seed}");
        });
    }
}

#[test]
fn transactional_ids_are_known_again_with_their_epochs_after_their_topic_was_compacted() {
    const USED: [&str; 3] = ["one", "two", "three"];
    const IDLE: [&str; 3] = ["four", "five", "six"];
    // Longer than what is measured below takes.
    let settings = [
        ("transactional.id.expiration.ms", "1200000"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "10000"),
    ];
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started_with(&sim, &settings).await;
            let mut admin = Admin::new(&client);
            for id in USED.iter().chain(&IDLE) {
                admin.fence_producer(id).await.unwrap();
            }
            let states = TopicName::transaction_state();
            compact_eagerly(&client, &states).await;
            let mut known = Vec::new();
            for id in USED.iter().chain(&IDLE) {
                known.push(admin.describe_transaction(id).await.unwrap().expect("an id in use"));
            }
            // The idle ones expire in the second round; their tombstones go in the third.
            for round in 1..=3 {
                let before = log_bytes(&sim, &states);
                for _ in 0..60 {
                    for id in USED {
                        admin.fence_producer(id).await.unwrap();
                    }
                    rt.sleep(Duration::from_secs(10)).await;
                }
                let after = log_bytes(&sim, &states);
                assert!(after < before + 60 * 3 * 100 / 4, "seed {seed}: {before} bytes became {after}");
                for (id, known) in USED.iter().zip(&mut known) {
                    known.epoch.0 += 60;
                    let described = admin.describe_transaction(id).await.unwrap();
                    assert_eq!(described.as_ref(), Some(&*known), "seed {seed}, round {round}: {id}");
                }
                sim.power_cut(NODE);
                server.start().await.unwrap();
                admin = Admin::new(&server.client(&rt).await);
                for (number, id) in USED.iter().chain(&IDLE).enumerate() {
                    let is_expired = 1 < round && USED.len() <= number;
                    let expected = (!is_expired).then_some(&known[number]);
                    let described = admin.describe_transaction(id).await.unwrap();
                    assert_eq!(described.as_ref(), expected, "seed {seed}, round {round}: {id}");
                }
            }
        });
    }
}
