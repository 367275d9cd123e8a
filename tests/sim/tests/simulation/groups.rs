//! A group whose member dies goes on, in simulated time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{
    Client, Consumer, ConsumerConfig, Event, GroupConfig, NewRecord, Producer, ProducerConfig, Reset,
    TopicPartition,
};
use model::{ErrorCode, Offset, PartitionIndex, TopicName};
use rt::sim::Sim;
use sim_tests::load::{HEARTBEAT_INTERVAL, SESSION_TIMEOUT};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;

/// Partitions of the topic.
const PARTITIONS: i32 = 4;

/// How long a rebalance waits for a member.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a rebalance of one member takes beyond the wait for its next heartbeat: a few answers and a few syncs.
const REBALANCE: Duration = Duration::from_secs(1);

type Seen = Arc<Mutex<BTreeSet<(PartitionIndex, Offset)>>>;

#[test]
fn a_dead_member_is_replaced_after_its_session_timeout() {
    for seed in seeds(15) {
        let sim = Sim::new(seed);
        sim.run(replace_a_member(&sim));
    }
}

/// "Committed" must not be said by a consumer that the group may have gone on without.
#[test]
fn a_member_that_was_cut_off_cannot_commit() {
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &[]).await;
            let rt = sim.node("reader");
            let client = server.client(&rt).await;
            let topic = create_topic(&client, "orders", PARTITIONS).await;
            start_producer(&sim, &server, &topic, &Seen::default()).await;
            let mut reader = join(&client, &topic);
            while !matches!(reader.poll(Duration::from_secs(1)).await.unwrap(), Event::Records(_)) {}
            sim.network().partition("reader", NODE);
            sim.kill("producer");
            // Until a heartbeat went unanswered, and the member stopped waiting for the next poll, too.
            rt.sleep(client.config().request_timeout + SESSION_TIMEOUT + 2 * REBALANCE_TIMEOUT).await;
            let error = reader.commit().await.unwrap_err();
            assert_eq!(error.code(), Some(ErrorCode::RebalanceInProgress), "{error}");
        });
    }
}

async fn replace_a_member(sim: &Sim) {
    let server = Server::started(sim, &[]).await;
    let rt = sim.node("survivor");
    let client = server.client(&rt).await;
    let topic = create_topic(&client, "orders", PARTITIONS).await;
    let (seen, sent) = (Seen::default(), Seen::default());
    start_producer(sim, &server, &topic, &sent).await;
    let mut survivor = join(&client, &topic);
    start_victim(sim, &server, &topic, &seen).await;
    // Both are in once the survivor was given half.
    poll_until(&mut survivor, &seen, 2).await;
    rt.sleep(Duration::from_millis(rt.random_u64() % 3_000)).await;
    let died_at = rt.now();
    sim.kill("victim");
    poll_until(&mut survivor, &seen, 4).await;
    let took = rt.now().saturating_since(died_at);
    let soonest = SESSION_TIMEOUT.saturating_sub(HEARTBEAT_INTERVAL + REBALANCE);
    let latest = SESSION_TIMEOUT + HEARTBEAT_INTERVAL + REBALANCE;
    assert!((soonest..=latest).contains(&took), "the dead member was replaced after {took:?}");
    sim.kill("producer");
    let sent = sent.lock().unwrap().clone();
    let deadline = rt.now() + Duration::from_secs(30);
    while !sent.is_subset(&seen.lock().unwrap()) {
        assert!(rt.now() < deadline, "records were acknowledged that no member was given");
        poll(&mut survivor, &seen).await;
    }
}

fn join(client: &Client, topic: &TopicName) -> Consumer {
    let config = ConsumerConfig { reset: Reset::Earliest, ..ConsumerConfig::default() };
    let group = GroupConfig {
        session_timeout: SESSION_TIMEOUT,
        rebalance_timeout: REBALANCE_TIMEOUT,
        heartbeat_interval: HEARTBEAT_INTERVAL,
        auto_commit: None,
        ..GroupConfig::new("readers")
    };
    Consumer::in_group(client, config, group, vec![topic.clone()])
}

/// Polls once, and commits what was seen; how many partitions the member was given, if it was.
async fn poll(consumer: &mut Consumer, seen: &Seen) -> Option<usize> {
    match consumer.poll(Duration::from_millis(100)).await.unwrap() {
        Event::Assigned(places) => return Some(places.len()),
        Event::Records(records) => {
            seen.lock().unwrap().extend(records.iter().map(|record| (record.partition, record.offset)));
            // A rebalance may come first; then the records come again.
            let _ = consumer.commit().await;
        }
        Event::Revoked(_) | Event::Lost(_) | Event::Idle => {}
    }
    None
}

async fn poll_until(consumer: &mut Consumer, seen: &Seen, partitions: usize) {
    while poll(consumer, seen).await != Some(partitions) {}
}

/// Starts a member on a node of its own, and waits until it is connected.
async fn start_victim(sim: &Sim, server: &Server<'_>, topic: &TopicName, seen: &Seen) {
    let rt = sim.node("victim");
    let client = server.client(&rt).await;
    let (topic, seen) = (topic.clone(), Arc::clone(seen));
    rt.spawn("victim", async move {
        let mut consumer = join(&client, &topic);
        loop {
            poll(&mut consumer, &seen).await;
        }
    });
}

/// Starts a producer on a node of its own: one record after the other, each written down once it is acknowledged.
async fn start_producer(sim: &Sim, server: &Server<'_>, topic: &TopicName, sent: &Seen) {
    let rt = sim.node("producer");
    let client = server.client(&rt).await;
    let (topic, sent) = (topic.clone(), Arc::clone(sent));
    rt.clone().spawn("producer", async move {
        let config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
        let producer = Producer::new(&client, config);
        for number in 0i32.. {
            let place = TopicPartition::new(topic.clone(), number % PARTITIONS);
            let value = Some(&b"value"[..]);
            let record = NewRecord { partition: Some(place.partition), value, ..NewRecord::default() };
            let written = producer.send(&topic, record).await.unwrap().await.unwrap();
            sent.lock().unwrap().insert((written.partition, written.offset.unwrap()));
            rt.sleep(Duration::from_millis(50)).await;
        }
    });
}
