//! A disk that damages what it holds: readers are told, and nobody else is harmed.

use std::path::Path;

use client::TopicPartition;
use model::{ErrorCode, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use wire::{FetchRequest, FetchResponse, fetch};

use crate::support::create_topic;

const RECORDS: i64 = 20;

/// What a fetch of both partitions is answered with: codes, and whether there are records.
async fn fetch(rt: &Rt, server: &Server<'_>, topic: &TopicName, offset: i64) -> Vec<(ErrorCode, bool)> {
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
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    connection.send(&raw::frame(1, &request, 12)).await.unwrap();
    let answer = connection.receive().await.unwrap();
    let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&answer, 12).unwrap();
    let partitions = answer.responses[0].partitions.iter();
    let seen = partitions.map(|partition| {
        let has_records = partition.records.bytes().is_some_and(|bytes| !bytes.is_empty());
        (ErrorCode::from_code(partition.error_code), has_records)
    });
    seen.collect()
}

#[test]
fn what_is_damaged_or_unreadable_is_refused_and_its_neighbours_are_served() {
    let sim = Sim::new(1);
    sim.run(async {
        let server = Server::new(&sim, &[("log.index.interval.bytes", "100")]);
        server.start().await.unwrap();
        let rt = sim.node("client");
        let topic = create_topic(&server.client(&rt).await, "orders", 2).await;
        for partition in 0..2 {
            let place = TopicPartition::new(topic.clone(), partition);
            let mut connection = Raw::connect(&rt, server.address()).await.unwrap();
            for _ in 0..RECORDS {
                let record = (b"key".to_vec(), vec![7; 1_000]);
                connection.send(&raw::produce(1, &place, &[record])).await.unwrap();
                let (_, code, _) = raw::produced(&connection.receive().await.unwrap()).unwrap();
                assert_eq!(ErrorCode::from_code(code), ErrorCode::None);
            }
        }
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
