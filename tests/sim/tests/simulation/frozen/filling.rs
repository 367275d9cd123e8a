//! What a folder holds when it is frozen: something of everything that is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{
    Admin, Client, Consumer, ConsumerConfig, Event, GroupConfig, NewRecord, Producer, ProducerConfig, Reset,
    TopicPartition,
};
use model::{ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicName};
use record::{BatchBuilder, BatchOptions, Compression, Header};
use rt::sim::Sim;
use sim_tests::server::Server;
use sim_tests::topics::create_topic_with;
use wire::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::describe_producers::TopicRequest;
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    DeleteRecordsRequest, DeleteRecordsResponse, DescribeProducersRequest, DescribeProducersResponse,
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, Records,
};

use crate::support::{alter_all_brokers, ask};

/// What keeps folders small.
pub const SETTINGS: [(&str, &str); 1] = [("offsets.topic.num.partitions", "2")];

/// A topic of one partition that one idempotent producer of ours wrote six records to, three a batch.
const NUMBERED: &str = "numbered";

/// The version produces are made in: the last that names topics.
const PRODUCE_VERSION: i16 = 12;

/// How long the static member may be silent: as long as any may.
const SESSION_TIMEOUT: Duration = Duration::from_secs(1_800);

/// Fills a cluster: a topic with every codec, one of several segments whose first records were deleted, one with an
/// idempotent producer's numbers, settings of a topic and of all brokers, committed offsets, a static member.
pub async fn fill(sim: &Sim, server: &Server<'_>) {
    let rt = sim.node("writer");
    let client = server.client(&rt).await;
    alter_all_brokers(&rt, server.address(), "message.max.bytes", Some("2000000")).await.unwrap();
    write_every_codec(&client).await;
    write_segments(&client).await;
    delete_records(sim, server, "segments", 10).await;
    number(sim, server, &client).await;
    let committed = [("codecs", 0, 7), ("segments", 0, 12), ("segments", 1, 1)];
    let committed = committed.map(|(topic, partition, offset)| (place(topic, partition), Offset(offset)));
    Admin::new(&client).commit("committed", &BTreeMap::from(committed)).await.unwrap();
    let member = server.client(&sim.node("member")).await;
    let mut consumer = join(&member);
    while !matches!(consumer.poll(Duration::from_secs(1)).await.unwrap(), Event::Records(_)) {}
    consumer.commit().await.unwrap();
    // Its instance stays in the group, and so does what it was given.
    sim.kill("member");
}

fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(TopicName::parse(topic).unwrap(), partition)
}

async fn write_every_codec(client: &Client) {
    let topic = create_topic_with(client, "codecs", 1, &[("retention.ms", "-1")]).await;
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for compression in codecs {
        let producer = Producer::new(client, ProducerConfig { compression, ..ProducerConfig::default() });
        let name = format!("{compression:?}");
        let long = name.repeat(100);
        let headers =
            [Header { key: b"codec", value: Some(name.as_bytes()) }, Header { key: b"nothing", value: None }];
        let of_a_batch = [
            NewRecord { key: Some(b"long"), value: Some(long.as_bytes()), ..NewRecord::default() },
            NewRecord { value: Some(name.as_bytes()), headers: &headers, ..NewRecord::default() },
            NewRecord { key: Some(b"gone"), ..NewRecord::default() },
        ];
        let mut sent = Vec::new();
        for record in of_a_batch {
            sent.push(producer.send(&topic, record).await.unwrap());
        }
        for delivery in sent {
            delivery.await.unwrap();
        }
    }
}

async fn write_segments(client: &Client) {
    let configs = [
        ("retention.ms", "-1"),
        ("internal.segment.bytes", "4096"),
        ("index.interval.bytes", "1000"),
        ("file.delete.delay.ms", "1000"),
    ];
    let topic = create_topic_with(client, "segments", 2, &configs).await;
    let producer = Producer::new(client, ProducerConfig::default());
    for number in 0..28 {
        let value = format!("{number} ").repeat(200);
        let record = NewRecord {
            partition: Some(PartitionIndex(i32::from(24 <= number))),
            value: Some(value.as_bytes()),
            ..NewRecord::default()
        };
        producer.send(&topic, record).await.unwrap().await.unwrap();
    }
}

async fn delete_records(sim: &Sim, server: &Server<'_>, topic: &str, offset: i64) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 30_000 };
    let answer = ask(&sim.node("writer"), server.address(), &request, 2).await;
    let (_, answer) = wire::decode_response::<DeleteRecordsResponse<'_>>(&answer, 2).unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

async fn number(sim: &Sim, server: &Server<'_>, client: &Client) {
    create_topic_with(client, NUMBERED, 1, &[("retention.ms", "-1")]).await;
    let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let answer = ask(&sim.node("writer"), server.address(), &request, 4).await;
    let (_, given) = wire::decode_response::<InitProducerIdResponse>(&answer, 4).unwrap();
    let id = ProducerId(given.producer_id);
    for base_sequence in [0, 3] {
        let written = produce(sim, server, batch(id, base_sequence)).await;
        assert_eq!(written, (ErrorCode::None, i64::from(base_sequence)));
    }
}

/// Three records of a producer, numbered from here on.
fn batch(id: ProducerId, base_sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in base_sequence..base_sequence + 3 {
        let value = format!("number {number}");
        builder.push(None, Some(value.as_bytes()), &[], TimestampMs(1_700_000_000_000));
    }
    let producer = record::Producer { id, epoch: ProducerEpoch(0), base_sequence };
    let options = BatchOptions { producer: Some(producer), ..BatchOptions::default() };
    builder.build(options).unwrap().to_vec()
}

/// The same of the producer that the topic knows.
pub async fn batch_of(sim: &Sim, server: &Server<'_>, base_sequence: i32) -> Vec<u8> {
    let topic = TopicRequest { name: NUMBERED.into(), partition_indexes: vec![0] };
    let request = DescribeProducersRequest { topics: vec![topic] };
    let answer = ask(&sim.node("writer"), server.address(), &request, 0).await;
    let (_, answer) = wire::decode_response::<DescribeProducersResponse<'_>>(&answer, 0).unwrap();
    batch(ProducerId(answer.topics[0].partitions[0].active_producers[0].producer_id), base_sequence)
}

/// Writes a batch to the topic of the numbers; the error, and its first offset.
pub async fn produce(sim: &Sim, server: &Server<'_>, batch: Vec<u8>) -> (ErrorCode, i64) {
    let data = PartitionProduceData { index: 0, records: Records::Bytes(batch.into()) };
    let topic =
        TopicProduceData { name: NUMBERED.into(), partition_data: vec![data], ..TopicProduceData::default() };
    let request =
        ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() };
    let answer = ask(&sim.node("writer"), server.address(), &request, PRODUCE_VERSION).await;
    let (_, answer) = wire::decode_response::<ProduceResponse<'_>>(&answer, PRODUCE_VERSION).unwrap();
    let partition = &answer.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code), partition.base_offset)
}

fn join(client: &Client) -> Consumer {
    let config = ConsumerConfig { reset: Reset::Earliest, ..ConsumerConfig::default() };
    let group = GroupConfig {
        instance_id: Some("one".to_owned()),
        session_timeout: SESSION_TIMEOUT,
        auto_commit: None,
        ..GroupConfig::new("static")
    };
    Consumer::in_group(client, config, group, vec![TopicName::parse("segments").unwrap()])
}

/// How many partitions the static member is given when it comes back.
pub async fn rejoined(sim: &Sim, server: &Server<'_>) -> usize {
    let client = server.client(&sim.node("member")).await;
    let mut consumer = join(&client);
    loop {
        if let Event::Assigned(places) = consumer.poll(Duration::from_secs(1)).await.unwrap() {
            return places.len();
        }
    }
}
