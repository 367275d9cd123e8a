//! Frames that no client should send: each gets an answer or the end of its connection, and nobody else notices (D9).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt::Rt;
use rt::sim::Sim;
use sim_tests::draw::Draw;
use sim_tests::hostile::{Expected, Hostile, frames, served};
use sim_tests::raw::Raw;
use sim_tests::samples::{VICTIM, sample};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;
use wire::ApiKey;

use crate::support::start_neighbour;

/// How long an answer is waited for before it counts as none.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn hostile_frames_disturb_nobody() {
    let mut totals = Totals::default();
    for seed in seeds(1) {
        let sim = Sim::new(seed);
        sim.run(attack(&sim, &mut Draw::new(seed), &mut totals));
    }
    println!("{totals:?}");
    assert!(0 < totals.answered && 0 < totals.closed, "{totals:?}");
}

#[derive(Debug, Default)]
struct Totals {
    answered: u64,
    closed: u64,
    /// Neither in time: what waits by its nature, or was not to be answered.
    silent: u64,
    acknowledged_to_the_neighbour: usize,
}

async fn attack(sim: &Sim, draw: &mut Draw, totals: &mut Totals) {
    // A group waits as long for a member that a spoiled frame left in it as that frame said.
    let server = Server::started(sim, &[("group.max.session.timeout.ms", "8000")]).await;
    let rt = sim.node("attacker");
    let client = server.client(&rt).await;
    let orders = create_topic(&client, "orders", 1).await;
    let victim = create_topic(&client, VICTIM, 1).await;
    let snapshot = client.refresh(Some(std::slice::from_ref(&victim))).await.unwrap();
    let topic_id = snapshot.topics[&victim].id;
    // Every leader epoch is one further: what samples ask for is over.
    sim.kill(NODE);
    server.start().await.unwrap();
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let neighbour = start_neighbour(sim, &server, orders, &acknowledged).await;
    for (key, first, last) in served(&rt, server.address()).await {
        assert!(sample(key, last, topic_id).is_some(), "API {key} is served and has no sample to spoil");
        // One past each end too: versions that are not served.
        for version in first - 1..=last + 1 {
            let is_served = (first..=last).contains(&version);
            for hostile in frames(key, version, topic_id, is_served, draw) {
                send(&rt, &server, key, version, hostile, totals).await;
            }
        }
    }
    assert!(!neighbour.is_finished(), "the neighbour gave up");
    neighbour.abort();
    let acknowledged = acknowledged.lock().unwrap();
    totals.acknowledged_to_the_neighbour += acknowledged.len();
    assert!((0..).zip(acknowledged.iter()).all(|(expected, offset)| *offset == expected), "{acknowledged:?}");
}

async fn send(rt: &Rt, server: &Server<'_>, key: i16, version: i16, hostile: Hostile, totals: &mut Totals) {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    // The broker may close before it has everything.
    let _ = connection.send(&hostile.bytes).await;
    if hostile.expected == Expected::End {
        connection.shutdown();
    }
    let bytes = hostile.bytes;
    match (rt.timeout(PATIENCE, connection.receive()).await, hostile.expected) {
        (Ok(Some(answer)), Expected::End) => {
            panic!("{key} {version}: {bytes:02x?} was answered: {answer:02x?}")
        }
        (Ok(None), Expected::Answer) => panic!("{key} {version}: {bytes:02x?} was not answered"),
        (Err(_), Expected::Answer | Expected::End) => panic!("{key} {version}: {bytes:02x?} hangs"),
        (Ok(Some(_)), Expected::Answer | Expected::Any) => totals.answered += 1,
        (Ok(None), Expected::End | Expected::Any) => totals.closed += 1,
        (Err(_), Expected::Any) => {
            let asked = bytes.get(4..6).map_or(-1, |key| i16::from_be_bytes([key[0], key[1]]));
            let waits = [ApiKey::Produce, ApiKey::Fetch, ApiKey::JoinGroup, ApiKey::SyncGroup];
            assert!(waits.map(ApiKey::as_i16).contains(&asked), "{asked}: {bytes:02x?} hangs");
            totals.silent += 1;
        }
    }
}
