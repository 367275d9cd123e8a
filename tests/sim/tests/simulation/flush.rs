//! When logs are synced without being asked to by whoever writes: topics that promise no disk as they are configured, by
//! records or by time, and every log once it rests.

use std::path::Path;
use std::time::Duration;

use client::{NewRecord, OffsetQuery, Producer, ProducerConfig, TopicPartition};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic_with;

use rt::sim::Sim;

/// How many of ten records are there after a power cut some time after they were written.
async fn left(sim: &Sim, flush: &[(&str, &str)], wait: Duration) -> i64 {
    let server = Server::started(sim, &[]).await;
    let rt = sim.node("client");
    let client = server.client(&rt).await;
    let mut configs = vec![("ottla.durability", "memory")];
    configs.extend(flush);
    let topic = create_topic_with(&client, "memory", 1, &configs).await;
    let config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
    let producer = Producer::new(&client, config);
    for _ in 0..10 {
        let record = NewRecord { value: Some(b"x"), ..NewRecord::default() };
        producer.send(&topic, record).await.unwrap().await.unwrap();
    }
    rt.sleep(wait).await;
    sim.power_cut(NODE);
    server.start().await.unwrap();
    let client = server.client(&rt).await;
    let place = TopicPartition::new(topic, 0);
    let end = client.list_offsets(&[(place.clone(), OffsetQuery::Latest)].into()).await.unwrap();
    end[&place].unwrap().0
}

#[test]
fn flush_messages_and_flush_ms_sync_what_is_promised_in_memory_only() {
    const SECOND: Duration = Duration::from_secs(1);
    let mut lost = 0;
    for seed in seeds(5) {
        for (flush, wait, least) in [
            (&[("flush.messages", "4")][..], SECOND, 7),
            (&[("flush.ms", "3000")], 10 * SECOND, 10),
            // What is not synced may survive a power cut, and does not have to.
            (&[], 10 * SECOND, 0),
            (&[("flush.ms", "60000")], 10 * SECOND, 0),
        ] {
            let sim = Sim::new(seed);
            let left = sim.run(left(&sim, flush, wait));
            assert!(least <= left, "seed {seed}, {flush:?}: {left} of 10 records");
            lost += 10 - left;
        }
    }
    assert!(0 < lost, "or nothing was shown");
}

#[test]
fn a_log_that_rests_is_ready_for_a_crash() {
    for (durability, wait, is_ready) in [("disk", 50, false), ("disk", 150, true), ("memory", 150, true)] {
        let sim = Sim::new(wait);
        let flush = [("ottla.durability", durability)];
        let left = sim.run(left(&sim, &flush, Duration::from_secs(wait)));
        assert!(!is_ready || left == 10, "{durability}: {left} of 10 records");
        // With one at its end, recovery reads nothing of a log.
        let snapshot = Path::new("/data/memory-0/00000000000000000010.snapshot");
        let has_snapshot = sim.node(NODE).fs().exists(snapshot).unwrap();
        assert_eq!(has_snapshot, is_ready, "{durability}, after {wait} s");
    }
}
