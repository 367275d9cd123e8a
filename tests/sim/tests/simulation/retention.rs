//! Records past their topic's retention go, whole segments at a time, and stay gone; offsets are never used again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{Client, NewRecord, OffsetQuery, Producer, ProducerConfig, TopicPartition};
use model::{Offset, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic_with;

use crate::support::{alter, alter_all_brokers};

const MINUTE: Duration = Duration::from_secs(60);

/// A broker that looks for expired records each minute, and a client of it.
async fn started(sim: &Sim) -> (Server<'_>, Rt, Client) {
    let server = Server::started(sim, &[("log.retention.check.interval.ms", "60000")]).await;
    let rt = sim.node("client");
    let client = server.client(&rt).await;
    (server, rt, client)
}

/// Writes `count` records of about a kilobyte each; the offset of the last.
async fn produce(client: &Client, topic: &TopicName, count: usize) -> Offset {
    let producer = Producer::new(client, ProducerConfig::default());
    let mut last = Offset(-1);
    for _ in 0..count {
        let value = vec![b'x'; 1000];
        let record = NewRecord { value: Some(&value), ..NewRecord::default() };
        let written = producer.send(topic, record).await.unwrap().await.unwrap();
        last = written.offset.unwrap();
    }
    last
}

/// The first offset and the high watermark of a topic's only partition.
async fn bounds(client: &Client, topic: &TopicName) -> (i64, i64) {
    let place = TopicPartition::new(topic.clone(), 0);
    let mut bounds = Vec::new();
    for query in [OffsetQuery::Earliest, OffsetQuery::Latest] {
        let found = client.list_offsets(&BTreeMap::from([(place.clone(), query)])).await.unwrap();
        bounds.push(found[&place].unwrap().0);
    }
    (bounds[0], bounds[1])
}

/// The files of a topic's only partition whose names end like this.
fn files(sim: &Sim, topic: &TopicName, ending: &str) -> Vec<String> {
    let folder = format!("/data/{topic}-0");
    let entries = sim.node(NODE).fs().read_dir(Path::new(&folder)).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(ending)).collect()
}

#[test]
fn records_past_their_age_go_and_their_offsets_with_them() {
    for seed in 0..10 {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let small = ("internal.segment.bytes", "4096");
            let aged = create_topic_with(&client, "aged", 1, &[("retention.ms", "600000"), small]).await;
            let kept = create_topic_with(&client, "kept", 1, &[("retention.ms", "-1"), small]).await;
            produce(&client, &aged, 20).await;
            produce(&client, &kept, 20).await;
            rt.sleep(6 * MINUTE).await;
            produce(&client, &aged, 4).await;
            rt.sleep(6 * MINUTE).await;
            let (start, end) = bounds(&client, &aged).await;
            assert!(
                (17..=20).contains(&start),
                "seed {seed}: the young segment stays, the old ones go: {start}"
            );
            assert_eq!(end, 24);
            rt.sleep(10 * MINUTE).await;
            assert_eq!(bounds(&client, &aged).await, (24, 24), "seed {seed}: all are old by now");
            assert_eq!(bounds(&client, &kept).await, (0, 20), "seed {seed}: this topic keeps everything");
            sim.power_cut(NODE);
            server.start().await.unwrap();
            let client = server.client(&rt).await;
            assert_eq!(bounds(&client, &aged).await, (24, 24), "seed {seed}: nothing comes back");
            assert_eq!(bounds(&client, &kept).await, (0, 20));
            assert_eq!(
                produce(&client, &aged, 1).await,
                Offset(24),
                "seed {seed}: no offset is used twice (I1)"
            );
        });
    }
}

#[test]
fn a_log_past_its_size_loses_its_oldest_segments() {
    let sim = Sim::new(7);
    sim.run(async {
        let (_server, rt, client) = started(&sim).await;
        let configs = [("retention.bytes", "10000"), ("internal.segment.bytes", "4096")];
        let topic = create_topic_with(&client, "sized", 1, &configs).await;
        produce(&client, &topic, 40).await;
        rt.sleep(2 * MINUTE).await;
        let (start, end) = bounds(&client, &topic).await;
        assert_eq!(end, 40);
        // Segments of three records of 1,069 bytes: a log of 10,000 bytes and at most one segment more stays.
        assert!((28..=31).contains(&start), "{start}");
    });
}

#[test]
fn a_cut_while_records_go_loses_no_offset_and_brings_nothing_back() {
    for seed in 0..40 {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let configs = [("retention.ms", "600000"), ("internal.segment.bytes", "4096")];
            let topic = create_topic_with(&client, "aged", 1, &configs).await;
            produce(&client, &topic, 20).await;
            // Minutes 1 to 9 write checkpoints at most; the pass of minute 11 has more to do than 20 calls.
            rt.sleep(10 * MINUTE).await;
            sim.power_cut_after_disk_ops(NODE, 1 + seed % 20);
            rt.sleep(3 * MINUTE).await;
            sim.power_cut(NODE);
            server.start().await.unwrap();
            let client = server.client(&rt).await;
            let (start, end) = bounds(&client, &topic).await;
            assert!(start <= end && end == 20, "seed {seed}: {start} to {end}, and 20 were acknowledged");
            assert_eq!(produce(&client, &topic, 1).await, Offset(20), "seed {seed}: the next offset (I1)");
            rt.sleep(2 * MINUTE).await;
            let (later, _) = bounds(&client, &topic).await;
            assert!(start <= later, "seed {seed}: the start went back from {start} to {later}");
        });
    }
}

#[test]
fn deleted_segments_keep_their_space_for_the_files_delete_delay() {
    for seed in 0..10 {
        let sim = Sim::new(seed);
        sim.run(async {
            let (server, rt, client) = started(&sim).await;
            let configs = [
                ("retention.ms", "600000"),
                ("internal.segment.bytes", "4096"),
                ("file.delete.delay.ms", "300000"),
            ];
            let topic = create_topic_with(&client, "aged", 1, &configs).await;
            produce(&client, &topic, 20).await;
            rt.sleep(9 * MINUTE).await;
            assert_eq!(files(&sim, &topic, ".deleted"), Vec::<String>::new(), "seed {seed}");
            rt.sleep(4 * MINUTE).await;
            assert_eq!(bounds(&client, &topic).await, (20, 20));
            let put_away = files(&sim, &topic, ".log.deleted").len();
            assert!(6 <= put_away, "seed {seed}: {put_away} segments");
            assert_eq!(files(&sim, &topic, "index.deleted").len(), 2 * put_away, "with their indexes");
            assert_eq!(files(&sim, &topic, ".log").len(), 1, "seed {seed}: the one to write to");
            if seed % 2 == 0 {
                rt.sleep(5 * MINUTE).await;
            } else {
                // Whoever was to remove them is gone; the next start does.
                sim.power_cut(NODE);
                server.start().await.unwrap();
            }
            assert_eq!(files(&sim, &topic, ".deleted"), Vec::<String>::new(), "seed {seed}");
            let client = server.client(&rt).await;
            assert_eq!(bounds(&client, &topic).await, (20, 20));
        });
    }
}

#[test]
fn a_changed_retention_holds_for_what_is_there() {
    let sim = Sim::new(3);
    sim.run(async {
        let (server, rt, client) = started(&sim).await;
        alter_all_brokers(&rt, server.address(), "log.retention.ms", Some("-1")).await.unwrap();
        let small = ("internal.segment.bytes", "4096");
        let one = create_topic_with(&client, "one", 1, &[small]).await;
        let other = create_topic_with(&client, "other", 1, &[small]).await;
        produce(&client, &one, 20).await;
        produce(&client, &other, 20).await;
        // A default of seven days would have let both go.
        rt.sleep(14 * 24 * 60 * MINUTE).await;
        let client = server.client(&rt).await;
        assert_eq!((bounds(&client, &one).await, bounds(&client, &other).await), ((0, 20), (0, 20)));
        alter(&client, &one, "retention.ms", Some("60000")).await;
        rt.sleep(2 * MINUTE).await;
        assert_eq!((bounds(&client, &one).await, bounds(&client, &other).await), ((20, 20), (0, 20)));
        alter(&client, &one, "retention.ms", Some("-1")).await;
        alter_all_brokers(&rt, server.address(), "log.retention.ms", Some("60000")).await.unwrap();
        produce(&client, &one, 20).await;
        rt.sleep(3 * MINUTE).await;
        assert_eq!((bounds(&client, &one).await, bounds(&client, &other).await), ((20, 40), (20, 20)));
        alter_all_brokers(&rt, server.address(), "log.retention.ms", None).await.unwrap();
        alter(&client, &other, "retention.bytes", Some("10000")).await;
        produce(&client, &other, 40).await;
        rt.sleep(2 * MINUTE).await;
        let (start, end) = bounds(&client, &other).await;
        assert!((48..=51).contains(&start) && end == 60, "ten kilobytes and at most a segment stay: {start}");
    });
}
