//! A disk that damages what it holds: readers are told, and nobody else is harmed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Admin, TopicPartition};
use model::{ErrorCode, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use sim_tests::topics::{create_topic, create_topic_with};
use wire::{FetchRequest, FetchResponse, fetch};

use crate::support::write_batches;

const RECORDS: i64 = 20;

/// Of each record.
const VALUE_BYTES: usize = 1_000;

/// A fetch of both partitions from an offset on, as bytes.
fn fetch_frame(topic: &TopicName, offset: i64) -> bytes::Bytes {
    let partition = |index| fetch::FetchPartition {
        partition: index,
        fetch_offset: offset,
        partition_max_bytes: 100,
        ..fetch::FetchPartition::default()
    };
    let topic = fetch::FetchTopic {
        topic: topic.as_str().into(),
        partitions: vec![partition(0), partition(1)],
        ..fetch::FetchTopic::default()
    };
    let request = FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1_000_000,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    raw::frame(1, &request, 12)
}

/// What it is answered with: codes, and whether there are records.
async fn fetch(rt: &Rt, server: &Server<'_>, topic: &TopicName, offset: i64) -> Vec<(ErrorCode, bool)> {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    connection.send(&fetch_frame(topic, offset)).await.unwrap();
    let answer = connection.receive().await.unwrap();
    let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&answer, 12).unwrap();
    let partitions = answer.responses[0].partitions.iter();
    let seen = partitions.map(|partition| {
        let has_records = partition.records.bytes().is_some_and(|bytes| !bytes.is_empty());
        (ErrorCode::from_code(partition.error_code), has_records)
    });
    seen.collect()
}

/// A broker with a topic of two partitions, the first of which may have records.
struct World<'a> {
    sim: &'a Sim,
    server: Server<'a>,
    rt: Rt,
    topic: TopicName,
}

/// Runs `test` on such a world: the broker's settings, the topic's, and how many records.
fn world(
    seed: u64,
    settings: &[(&str, &str)],
    configs: &[(&str, &str)],
    records: i64,
    test: impl AsyncFn(World<'_>),
) {
    let sim = Sim::new(seed);
    sim.run(async {
        let server = Server::started(&sim, settings).await;
        let rt = sim.node("client");
        let topic = create_topic_with(&server.client(&rt).await, "orders", 2, configs).await;
        write_batches(&rt, &server, &TopicPartition::new(topic.clone(), 0), records, VALUE_BYTES).await;
        test(World { sim: &sim, server, rt, topic }).await;
    });
}

/// The folders in the data folder whose names begin so.
fn folders(sim: &Sim, begin: &str) -> Vec<PathBuf> {
    let found = sim.node(NODE).fs().read_dir(Path::new("/data")).unwrap().into_iter();
    found
        .filter(|entry| entry.name.starts_with(begin))
        .map(|entry| Path::new("/data").join(entry.name))
        .collect()
}

/// Longer than what was deleted before a start stays.
const LONG_AFTER: Duration = Duration::from_secs(120);

#[test]
fn no_flipped_bit_in_a_topic_id_costs_a_record() {
    world(2, &[], &[], 1, async |World { sim, server, rt, topic }| {
        server.stop().await;
        let path = Path::new("/data/orders-0/partition.metadata");
        let written = sim.node(NODE).fs().read(path).unwrap();
        // Two of each byte; `partition_folder` looks at all.
        for bit in (0..u32::try_from(written.len()).unwrap() * 8).filter(|bit| (bit + bit / 8) % 4 == 0) {
            sim.disk(NODE).flip_bit(path, u64::from(bit / 8), bit % 8).unwrap();
            server.start().await.unwrap();
            rt.sleep(LONG_AFTER).await;
            assert_eq!(fetch(&rt, &server, &topic, 0).await[0], (ErrorCode::None, true), "bit {bit}");
            server.stop().await;
            assert_eq!(sim.node(NODE).fs().read(path).unwrap(), written, "bit {bit}: it is written again");
        }
        assert_eq!(folders(sim, "orders").len(), 2);
    });
}

#[test]
fn whose_folder_it_is_is_on_the_disk_soon_and_no_descriptor_waits_for_a_record() {
    world(8, &[], &[], 0, async |World { sim, rt, .. }| {
        rt.sleep(Duration::from_secs(2)).await;
        sim.power_cut(NODE);
        for folder in folders(sim, "orders") {
            let written = sim.node(NODE).fs().read(&folder.join("partition.metadata")).unwrap();
            assert!(written.starts_with(b"version: 0\ntopic_id: "), "{folder:?}: {written:?}");
        }
        assert_eq!(folders(sim, "orders").len(), 2);
    });
}

#[test]
fn a_damaged_checkpoint_that_only_saves_work_is_done_without() {
    world(5, &[], &[], 3, async |World { sim, server, rt, topic }| {
        server.stop().await;
        for name in ["data/recovery-point-offset-checkpoint", "data/orders-0/leader-epoch-checkpoint"] {
            let path = Path::new("/").join(name);
            for unreadable in [false, true] {
                sim.disk(NODE).flip_bit(&path, 5, 2).unwrap();
                if unreadable {
                    sim.disk(NODE).make_unreadable(&path, 0..1).unwrap();
                }
                server.start().await.unwrap();
                assert_eq!(fetch(&rt, &server, &topic, 2).await[0], (ErrorCode::None, true), "{name}");
                // Checkpoints are written anew within seconds.
                rt.sleep(Duration::from_secs(10)).await;
                sim.power_cut(NODE);
            }
        }
    });
}

#[test]
fn a_folder_that_no_topic_has_is_kept_aside() {
    world(3, &[], &[], 3, async |World { sim, server, rt, topic }| {
        server.stop().await;
        let fs = || sim.node(NODE).fs().clone();
        let batches = fs().read(Path::new("/data/orders-0/00000000000000000000.log")).unwrap();
        let foreign = b"version: 0\ntopic_id: XxXhq95CQ86hBYttrojljg";
        fs().write_atomically(Path::new("/data/orders-0/partition.metadata"), foreign).unwrap();
        for _ in 0..2 {
            server.start().await.unwrap();
            rt.sleep(LONG_AFTER).await;
            let seen = fetch(&rt, &server, &topic, 0).await;
            assert_eq!(seen[0], (ErrorCode::None, false), "a log of the topic's own has its place");
            server.stop().await;
            let stray = folders(sim, "orders-0.");
            assert!(stray.len() == 1 && stray[0].to_str().unwrap().ends_with("-stray"), "{stray:?}");
            assert_eq!(fs().read(&stray[0].join("00000000000000000000.log")).unwrap(), batches);
        }
    });
}

#[test]
fn the_folder_of_a_deleted_topic_goes_even_where_a_crash_brings_its_name_back() {
    let sim = Sim::new(4);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let topic = create_topic(&client, "orders", 1).await;
        Admin::new(&client).delete_topic(&topic).await.unwrap();
        server.stop().await;
        let deleted = folders(&sim, "orders-0.");
        assert!(deleted.len() == 1 && deleted[0].to_str().unwrap().ends_with("-delete"), "{deleted:?}");
        sim.node(NODE).fs().rename(&deleted[0], Path::new("/data/orders-0")).unwrap();
        server.start().await.unwrap();
        rt.sleep(LONG_AFTER).await;
        assert_eq!(folders(&sim, "orders"), [] as [PathBuf; 0]);
    });
}

#[test]
fn what_is_damaged_or_unreadable_is_refused_and_its_neighbours_are_served() {
    let settings = [("log.index.interval.bytes", "100")];
    world(1, &settings, &[], RECORDS, async |World { sim, server, rt, topic }| {
        write_batches(&rt, &server, &TopicPartition::new(topic.clone(), 1), RECORDS, VALUE_BYTES).await;
        server.stop().await;
        let log = Path::new("/data/orders-0/00000000000000000000.log");
        // In the middle of the value of record 5; each batch takes some 1,080 bytes.
        sim.disk(NODE).flip_bit(log, 5 * 1_080 + 500, 3).unwrap();
        sim.disk(NODE).make_unreadable(log, 10 * 1_080 + 400..10 * 1_080 + 600).unwrap();
        server.start().await.unwrap();
        for offset in 0..RECORDS {
            let seen = fetch(&rt, &server, &topic, offset).await;
            let expected = match offset {
                5 => ErrorCode::CorruptMessage,
                10 => ErrorCode::KafkaStorageError,
                _ => ErrorCode::None,
            };
            assert_eq!(seen[0], (expected, expected == ErrorCode::None), "{offset}");
            assert!(expected != ErrorCode::None || seen[0].1, "{offset}");
            assert_eq!(seen[1].0, ErrorCode::None, "{offset}: its neighbour");
        }
    });
}

#[test]
fn what_cannot_be_read_while_it_is_sent_is_refused_from_then_on() {
    world(6, &[], &[], RECORDS, async |World { sim, server, rt, topic }| {
        let log = Path::new("/data/orders-0/00000000000000000000.log");
        sim.disk(NODE).make_unreadable(log, 10 * 1_080 + 400..10 * 1_080 + 600).unwrap();
        let mut connection = Raw::connect(&rt, server.address()).await.unwrap();
        connection.send(&fetch_frame(&topic, 10)).await.unwrap();
        assert!(connection.receive().await.is_none(), "the answer was under way when the disk failed");
        for offset in 0..RECORDS {
            let expected = if offset == 10 { ErrorCode::KafkaStorageError } else { ErrorCode::None };
            let seen = fetch(&rt, &server, &topic, offset).await;
            assert_eq!(seen[0], (expected, offset != 10), "{offset}");
        }
    });
}

#[test]
fn the_scrubber_finds_damage_before_anybody_reads_it() {
    let settings = [("ottla.scrub.bytes.per.second", "1000000"), ("log.index.interval.bytes", "100")];
    let configs = [("internal.segment.bytes", "4000")];
    world(7, &settings, &configs, RECORDS, async |World { sim, server, rt, topic }| {
        let log = Path::new("/data/orders-0/00000000000000000000.log");
        sim.disk(NODE).flip_bit(log, 1_080 + 500, 3).unwrap();
        assert_eq!(
            fetch(&rt, &server, &topic, 1).await[0],
            (ErrorCode::None, true),
            "it was checked when written"
        );
        rt.sleep(Duration::from_secs(2 * 3600)).await;
        for offset in 0..RECORDS {
            let expected = if offset == 1 { ErrorCode::CorruptMessage } else { ErrorCode::None };
            assert_eq!(fetch(&rt, &server, &topic, offset).await[0], (expected, offset != 1), "{offset}");
        }
    });
}
