//! Produces that arrive while the disk is busy are taken in, share a write and a sync, and are answered in order (D4).

use std::time::Duration;

use client::TopicPartition;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;
use wire::{ApiVersionsRequest, ApiVersionsResponse};

/// Time of one disk call, each way: far more than five requests need to arrive.
const DISK_LATENCY: Duration = Duration::from_millis(100);

/// Produces sent at once.
const PRODUCES: i32 = 5;

#[test]
fn produces_sent_at_once_share_a_write_and_a_sync_and_are_answered_in_order() {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let (answers, [writes, syncs]) = sim.run(send_at_once(&sim));
        let expected: Vec<_> = (0..PRODUCES).map(|number| (number, 0, i64::from(number) * 2)).collect();
        assert_eq!(answers, expected, "seed {seed}: correlation id, error, base offset");
        assert!((1..=2).contains(&syncs), "seed {seed}: {syncs} syncs");
        assert_eq!(writes, syncs, "seed {seed}: each sync takes along what one write gathered");
    }
}

/// What five produces of two records each were answered with, and how often the log was written and synced for them. A
/// request of another kind is sent right behind them, and answered behind them.
async fn send_at_once(sim: &Sim) -> (Vec<(i32, i16, i64)>, [usize; 2]) {
    let server = Server::started(sim, &[]).await;
    let rt = sim.node("client");
    let topic = create_topic(&server.client(&rt).await, "orders", 1).await;
    let place = TopicPartition::new(topic, 0);
    let record = |number: i32| (vec![b'k'], number.to_be_bytes().to_vec());
    let mut bytes = Vec::new();
    for number in 0..PRODUCES {
        bytes.extend_from_slice(&raw::produce(number, &place, &[record(number), record(number)]));
    }
    bytes.extend_from_slice(&raw::frame(PRODUCES, &ApiVersionsRequest::default(), 0));
    let mut connection = Raw::connect(&rt, server.address()).await.unwrap();
    sim.disk(NODE).set_latency(DISK_LATENCY..=DISK_LATENCY);
    let before = writes_and_syncs(sim);
    connection.send(&bytes).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..PRODUCES {
        answers.push(raw::produced(&connection.receive().await.unwrap()).unwrap());
    }
    let last = connection.receive().await.unwrap();
    let (last, _) = wire::decode_response::<ApiVersionsResponse<'_>>(&last, 0).unwrap();
    assert_eq!(last, PRODUCES, "what is no produce waits for its turn");
    let after = writes_and_syncs(sim);
    (answers, [after[0] - before[0], after[1] - before[1]])
}

/// Writes and syncs of the partition's log so far.
fn writes_and_syncs(sim: &Sim) -> [usize; 2] {
    let trace = String::from_utf8(sim.trace()).unwrap();
    let of_the_log = |line: &str| line.contains("/data/orders-0/") && line.contains(".log");
    let writes = trace.lines().filter(|line| line.contains("write") && of_the_log(line));
    let syncs = trace
        .lines()
        .filter(|line| line.contains("sync everything") || line.contains("sync") && of_the_log(line));
    [writes.count(), syncs.count()]
}
