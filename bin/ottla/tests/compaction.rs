//! A compacted topic on a broker's process that is killed again and again while it compacts.
//!
//! `OTTLA_COMPACTED_RECORDS` records are written, one key to a hundred of them, 60,000 unless it says otherwise.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::process::Command;
use std::time::Duration;

use client::{Client, FetchBounds, TopicPartition};
use model::Offset;
use rt::Rt;
use sim_tests::draw::Draw;
use sim_tests::process::{Folder, Process};
use sim_tests::raw::{self, Raw};
use sim_tests::topics::create_topic_with;

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Bytes of a value; the number of its record is in front.
const VALUE_BYTES: usize = 200;

/// The least that `segment.bytes` may be.
const SEGMENT_BYTES: usize = 1 << 20;

/// Memory for keys that the broker is given: less than the keys of the long run need, so that a pass is not all.
const KEY_MAP_BYTES: usize = 1 << 20;

/// What the process may hold in all: what a broker holds anyway, and the memory for keys and buffers.
const RESIDENT_BYTES_MAX: u64 = 192 << 20;

const RECORDS_PER_BATCH: usize = 200;
const BATCHES_UNDER_WAY: usize = 4;
const KILLS: usize = 5;

fn start(folder: &Folder) -> Process {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path());
    for setting in [
        "log.cleaner.backoff.ms=20".to_owned(),
        format!("log.cleaner.dedupe.buffer.size={KEY_MAP_BYTES}"),
        "log.segment.delete.delay.ms=0".to_owned(),
    ] {
        serve.args(["--set", &setting]);
    }
    Process::start(&mut serve)
}

fn assert_memory_is_bounded(broker: &Process) {
    let most = broker.memory_bytes("VmHWM");
    assert!(most < RESIDENT_BYTES_MAX, "{most} bytes");
}

/// The numbers written of each key: the newest that was acknowledged, and the newest that was sent.
struct Written {
    acknowledged: Vec<u64>,
    sent: Vec<u64>,
}

/// Writes records `numbers`, several batches under way at a time, until all are acknowledged.
async fn write(
    rt: &Rt,
    broker: &Process,
    place: &TopicPartition,
    numbers: std::ops::Range<u64>,
    written: &mut Written,
) {
    let mut connection = Raw::connect(rt, broker.address()).await.unwrap();
    let keys = u64::try_from(written.sent.len()).unwrap();
    // Neighbours in a batch are of keys far from each other, and no key is written in step with another.
    let key_of = |number: u64| usize::try_from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys).unwrap();
    let mut under_way = std::collections::VecDeque::new();
    let mut rest = numbers.collect::<Vec<u64>>().into_iter().peekable();
    while rest.peek().is_some() || !under_way.is_empty() {
        while under_way.len() < BATCHES_UNDER_WAY && rest.peek().is_some() {
            let batch: Vec<u64> = rest.by_ref().take(RECORDS_PER_BATCH).collect();
            let record = |&number: &u64| {
                let mut value = number.to_string().into_bytes();
                value.resize(VALUE_BYTES, b' ');
                (format!("key {}", key_of(number)).into_bytes(), value)
            };
            let records: Vec<_> = batch.iter().map(record).collect();
            connection.send(&raw::produce(1, place, &records)).await.unwrap();
            batch.iter().for_each(|&number| written.sent[key_of(number)] = number);
            under_way.push_back(batch);
        }
        let answer = connection.receive().await.expect("the broker lives");
        let (_, code, _) = raw::produced(&answer).unwrap();
        assert_eq!(code, 0);
        for number in under_way.pop_front().unwrap() {
            written.acknowledged[key_of(number)] = number;
        }
    }
}

/// Every record, as a reader from the beginning gets them: how many they are, and the newest number of each key.
async fn read(client: &Client, place: &TopicPartition, keys: usize) -> (usize, Vec<Option<u64>>) {
    let snapshot = client.refresh(Some(std::slice::from_ref(&place.topic))).await.unwrap();
    let direct = client.direct(snapshot.leader(place).unwrap()).await.unwrap();
    let bounds = FetchBounds { fetch_bytes: 8 << 20, partition_bytes: 8 << 20, wait: Duration::ZERO };
    let (mut next, mut count, mut newest) = (Offset::ZERO, 0, vec![None; keys]);
    loop {
        let fetched = direct.fetch(&place.topic, &[(place.partition, next)], &bounds).await.unwrap();
        let mut rest = &fetched[0].records[..];
        if rest.is_empty() {
            return (count, newest);
        }
        while let Ok(header) = record::check(rest) {
            let (batch, after) = rest.split_at(header.size_in_bytes());
            for record in record::decode(batch, 1 << 26).unwrap().records() {
                let record = record.unwrap();
                assert!(next <= record.offset, "offsets grow");
                let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
                let key: usize = text(record.key).trim_start_matches("key ").parse().unwrap();
                let number: u64 = text(record.value).trim().parse().unwrap();
                assert!(newest[key] < Some(number), "a key's values come in their order");
                newest[key] = Some(number);
                count += 1;
            }
            (rest, next) = (after, header.next_offset());
        }
    }
}

#[test]
fn the_newest_value_of_each_key_survives_kills_during_compaction() {
    rt::os::run(|rt| async move {
        let records = std::env::var("OTTLA_COMPACTED_RECORDS").ok().and_then(|count| count.parse().ok());
        let records: u64 = records.unwrap_or(60_000);
        let keys = usize::try_from(records / 100).unwrap();
        let folder = Folder::new(env!("CARGO_TARGET_TMPDIR"), "compaction");
        let mut broker = start(&folder);
        let place = create_topic(&broker.client(&rt).await).await;
        let mut written = Written { acknowledged: vec![0; keys], sent: vec![0; keys] };
        let (mut draw, mut from) = (Draw::new(records), 1);
        for kill in 1..=KILLS {
            let to = 1 + records * u64::try_from(kill).unwrap() / u64::try_from(KILLS).unwrap();
            write(&rt, &broker, &place, from..to, &mut written).await;
            from = to;
            // The cleaner never rests long: most moments are in the middle of a pass.
            rt.sleep(Duration::from_millis(draw.within(0..=100))).await;
            assert_memory_is_bounded(&broker);
            drop(broker);
            broker = start(&folder);
        }
        let client = broker.client(&rt).await;
        let unsealed_max = 2 * SEGMENT_BYTES / VALUE_BYTES;
        let deadline = rt.now() + PATIENCE;
        loop {
            let (count, newest) = read(&client, &place, keys).await;
            for (key, newest) in newest.iter().enumerate() {
                let (acknowledged, sent) = (written.acknowledged[key], written.sent[key]);
                let is_right =
                    newest.map_or(acknowledged == 0, |newest| (acknowledged..=sent).contains(&newest));
                assert!(is_right, "key {key} has {newest:?}; {acknowledged} was acknowledged, {sent} sent");
            }
            if count < keys + unsealed_max {
                break;
            }
            assert!(rt.now() < deadline, "{count} records are left of {keys} keys");
            rt.sleep(Duration::from_millis(100)).await;
        }
        assert_memory_is_bounded(&broker);
    })
    .unwrap();
}

async fn create_topic(client: &Client) -> TopicPartition {
    let segment_bytes = SEGMENT_BYTES.to_string();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", segment_bytes.as_str()),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    TopicPartition::new(create_topic_with(client, "state", 1, &configs).await, 0)
}
