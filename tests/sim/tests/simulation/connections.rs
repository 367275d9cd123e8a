//! Connections that come in crowds, stay, or go without a word: each costs a little, and nobody else notices (D8).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::Admin;
use model::Uuid;
use rt::Rt;
use rt::sim::Sim;
use sim_tests::draw::Draw;
use sim_tests::raw::{self, Raw};
use sim_tests::samples::{VICTIM, sample};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;
use wire::{
    ApiKey, ApiVersionsRequest, FetchRequest, IncrementalAlterConfigsRequest, fetch,
    incremental_alter_configs,
};

use crate::support::start_neighbour;

/// Far less than a long poll or a rebalance takes.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Whether the broker serves a new connection.
async fn is_served(rt: &Rt, server: &Server<'_>) -> bool {
    let Ok(mut connection) = Raw::connect(rt, server.address()).await else { return false };
    let sent = connection.send(&raw::frame(1, &ApiVersionsRequest::default(), 0)).await;
    sent.is_ok() && matches!(rt.timeout(AT_ONCE, connection.receive()).await, Ok(Some(_)))
}

#[test]
fn a_peer_that_goes_while_it_waits_is_noticed_at_once() {
    for (key, version) in [(ApiKey::Fetch, 12), (ApiKey::JoinGroup, 3)] {
        let sim = Sim::new(1);
        sim.run(async {
            // Another connection from the same address shows whether the first one is still there.
            let server = Server::started(
                &sim,
                &[("max.connections.per.ip", "1"), ("group.initial.rebalance.delay.ms", "60000")],
            )
            .await;
            let admin = sim.node("admin");
            let client = server.client(&admin).await;
            create_topic(&client, VICTIM, 1).await;
            // The first question for a coordinator creates it.
            Admin::new(&client).committed(VICTIM).await.unwrap();
            let rt = sim.node("peer");
            let mut peer = Raw::connect(&rt, server.address()).await.unwrap();
            let request = match key {
                ApiKey::Fetch => long_poll(),
                _ => sample(key.as_i16(), version, Uuid::default()).unwrap(),
            };
            peer.send(&request).await.unwrap();
            assert!(rt.timeout(Duration::from_secs(10), peer.receive()).await.is_err(), "{key:?} waits");
            assert!(!is_served(&rt, &server).await, "the first connection counts while it waits");
            drop(peer);
            rt.sleep(AT_ONCE).await;
            assert!(is_served(&rt, &server).await, "{key:?}: the peer went");
        });
    }
}

#[test]
fn limits_of_connections_change_while_the_broker_runs() {
    let sim = Sim::new(1);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let admin_rt = sim.node("admin");
        let rt = sim.node("peer");
        let first = Raw::connect(&rt, server.address()).await.unwrap();
        assert!(is_served(&rt, &server).await);
        allow_one_per_address(&admin_rt, &server).await;
        assert!(!is_served(&rt, &server).await, "one more than allowed");
        sim.power_cut(NODE);
        server.start().await.unwrap();
        let second = Raw::connect(&rt, server.address()).await.unwrap();
        rt.sleep(AT_ONCE).await;
        assert!(!is_served(&rt, &server).await, "a start finds the limit as it was");
        drop((first, second));
    });
}

/// A fetch that waits a minute for a record that nobody writes.
fn long_poll() -> bytes::Bytes {
    let partition = fetch::FetchPartition { partition_max_bytes: 1_000, ..Default::default() };
    let topic = fetch::FetchTopic { topic: VICTIM.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 60_000,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    raw::frame(1, &request, 12)
}

async fn allow_one_per_address(rt: &Rt, server: &Server<'_>) {
    const BROKER: i8 = 4;
    let limit = incremental_alter_configs::AlterableConfig {
        name: "max.connections.per.ip".into(),
        config_operation: 0,
        value: Some("1".into()),
    };
    let of_all = incremental_alter_configs::AlterConfigsResource {
        resource_type: BROKER,
        resource_name: "".into(),
        configs: vec![limit],
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![of_all],
        ..IncrementalAlterConfigsRequest::default()
    };
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    connection.send(&raw::frame(1, &request, 1)).await.unwrap();
    connection.receive().await.unwrap();
}

#[test]
fn a_storm_of_connections_disturbs_nobody() {
    for seed in seeds(1) {
        let sim = Sim::new(seed);
        let mut draw = Draw::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &[("max.connections", "200")]).await;
            let orders = create_topic(&server.client(&sim.node("admin")).await, "orders", 1).await;
            let acknowledged = Arc::new(Mutex::new(Vec::new()));
            let neighbour = start_neighbour(&sim, &server, orders, &acknowledged).await;
            let rt = sim.node("crowd");
            let mut kept = VecDeque::new();
            for number in 0..3_000 {
                let Ok(peer) = Raw::connect(&rt, server.address()).await else { continue };
                // It may be closed already.
                let greeting: &[u8] = draw.pick::<&[u8]>(&GREETINGS);
                let _ = peer.send(greeting).await;
                match draw.within(0..=3) {
                    0 => kept.push_back(peer),
                    1 => peer.shutdown(),
                    _ => drop(peer),
                }
                if 100 < kept.len() {
                    kept.pop_front();
                }
                if number % 20 == 0 {
                    rt.sleep(Duration::from_millis(draw.within(0..=30))).await;
                }
            }
            assert!(is_served(&sim.node("late"), &server).await, "the listener survived");
            assert!(!neighbour.is_finished(), "the neighbour gave up");
            assert!(20 < acknowledged.lock().unwrap().len());
        });
    }
}

/// What comes to an open port: nothing, TLS, HTTP, half a request, a size alone.
const GREETINGS: [&[u8]; 6] = [
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    b"\x00\x00\x00\x20\x00\x12",
    b"\x06\x40\x00\x00",
    b"\x00",
];
