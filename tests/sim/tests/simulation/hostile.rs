//! Frames that no client should send: each gets an answer or the end of its connection, and nobody else notices (D9).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rt::Rt;
use rt::sim::Sim;
use sim_tests::draw::Draw;
use sim_tests::raw::{self, Raw};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, Uuid};

use crate::samples::{VICTIM, sample};
use crate::support::{create_topic, start_neighbour};

/// How long an answer is waited for before it counts as none.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bit flips and overwritten counts for each API and version.
const SPOILED: u64 = 6;

/// A frame to send, and what must come of it.
struct Hostile {
    bytes: Vec<u8>,
    expected: Expected,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// An answer: there is nothing wrong with it.
    Answer,
    /// The end of the connection without an answer, once nothing more comes.
    End,
    /// Either.
    Any,
}

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
    let server = Server::new(sim, &[]);
    server.start().await.unwrap();
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
    for (key, first, last) in served(&rt, &server).await {
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

/// What the broker says it serves.
async fn served(rt: &Rt, server: &Server<'_>) -> Vec<(i16, i16, i16)> {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    connection.send(&raw::frame(1, &ApiVersionsRequest::default(), 0)).await.unwrap();
    let answer = connection.receive().await.unwrap();
    let (_, answer) = wire::decode_response::<ApiVersionsResponse<'_>>(&answer, 0).unwrap();
    answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect()
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn with_size(size: i32, body: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes()[..], body].concat()
}

fn frames(key: i16, version: i16, topic_id: Uuid, is_served: bool, draw: &mut Draw) -> Vec<Hostile> {
    let header = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0xff, 0xff, 0]].concat();
    let whole = sample(key, version, topic_id);
    // Produce is advertised in versions that nobody serves any more.
    let is_well_made = is_served && whole.is_some();
    let body = whole.map_or_else(|| header.clone(), |frame| frame[4..].to_vec());
    let length = i32::try_from(body.len()).unwrap();
    let below = |draw: &mut Draw, end: usize| {
        usize::try_from(draw.within(0..=u64::try_from(end).unwrap() - 1)).unwrap()
    };
    let any = |bytes: Vec<u8>| Hostile { bytes, expected: Expected::Any };
    let ends = |bytes: Vec<u8>| Hostile { bytes, expected: Expected::End };
    let as_it_is = if is_well_made { Expected::Answer } else { Expected::Any };
    let mut frames = vec![
        Hostile { bytes: framed(&body), expected: as_it_is },
        any(framed(&[&body[..], &[0; 9]].concat())),
        ends(with_size(-length, &body)),
        ends(with_size(i32::MIN, &body)),
        ends(with_size(i32::MAX, &body)),
        ends(with_size(length + 1, &body)),
        ends(framed(&[])),
    ];
    for _ in 0..3 {
        let cut = below(draw, body.len());
        frames.push(any(framed(&body[..cut])));
        frames.push(ends(framed(&body)[..4 + cut].to_vec()));
    }
    for _ in 0..SPOILED {
        let mut flipped = body.clone();
        flipped[below(draw, body.len())] ^= 1 << draw.within(0..=7);
        frames.push(any(framed(&flipped)));
        let mut counted = body.clone();
        let at = below(draw, body.len());
        let end = body.len().min(at + 4);
        counted[at..end]
            .copy_from_slice(&draw.pick(&[[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0; 4]])[..end - at]);
        frames.push(any(framed(&counted)));
        let noise: Vec<u8> = (0..draw.within(0..=60)).map(|_| draw.number().to_le_bytes()[0]).collect();
        frames.push(any(framed(&[&header[..], &noise].concat())));
        frames.push(any(framed(&noise)));
    }
    frames
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
