//! What scripts do with topics: create, write, read, look up.

use model::{ErrorCode, TimestampMs};
use record::{BatchBuilder, BatchOptions};
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use wire::fetch::{FetchPartition, FetchTopic, PartitionData};
use wire::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic};
use wire::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use wire::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use wire::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, FetchRequest,
    IncrementalAlterConfigsRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, Records,
};

use crate::connection::{Connection, error};
use crate::peer::Peer;

/// The last version that names topics in a produce, and the one in a fetch.
pub const PRODUCE: i16 = 12;
pub const FETCH: i16 = 12;
pub const LIST_OFFSETS: i16 = 11;
pub const METADATA: i16 = 12;
pub const CREATE_TOPICS: i16 = 7;

/// The resource type of topics, and an operation on a configuration key.
pub const TOPIC: i8 = 2;
pub const SET: i8 = 0;

/// When records were made unless a test says otherwise.
pub const NOON: i64 = 1_500_000_000_000;

/// A connection and a new topic with one partition.
pub async fn with_topic(peer: &Peer, configs: &[(&str, &str)]) -> (Connection, String) {
    let mut connection = peer.connect().await;
    let topic = connection.create_topic(&peer.unique("corner"), 1, configs).await;
    (connection, topic)
}

/// A connection and a new topic with several partitions.
pub async fn with_partitions(peer: &Peer, partitions: i32) -> (Connection, String) {
    let mut connection = peer.connect().await;
    let topic = connection.create_topic(&peer.unique("corner"), partitions, &[]).await;
    (connection, topic)
}

/// A request that creates a topic; its records stay although they are old.
pub fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic<'static> {
    let config = |&(name, value): &(&str, &str)| CreatableTopicConfig {
        name: name.to_owned().into(),
        value: Some(value.to_owned().into()),
    };
    let kept = (!configs.iter().any(|(name, _)| *name == "retention.ms")).then_some(("retention.ms", "-1"));
    CreatableTopic {
        name: name.to_owned().into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.iter().chain(&kept).map(config).collect(),
        ..CreatableTopic::default()
    }
}

/// One batch of records made at these times, with values `0`, `1` and so on.
pub fn batch_at(timestamps: &[i64], options: BatchOptions) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for (number, timestamp) in timestamps.iter().enumerate() {
        builder.push(Some(b"key"), Some(number.to_string().as_bytes()), &[], TimestampMs(*timestamp));
    }
    builder.build(options).unwrap().to_vec()
}

/// One batch of `count` records.
pub fn batch(count: usize) -> Vec<u8> {
    batch_at(&vec![NOON; count], BatchOptions::default())
}

/// A request for one partition's records from `offset` on, which does not wait.
pub fn fetch_request<'a>(topic: &'a str, offset: i64) -> FetchRequest<'a> {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1_000_000,
        session_epoch: -1,
        topics: vec![fetch_topic(topic, vec![fetch_partition(0, offset)])],
        ..FetchRequest::default()
    }
}

pub fn fetch_topic(topic: &str, partitions: Vec<FetchPartition>) -> FetchTopic<'_> {
    FetchTopic { topic: topic.into(), partitions, ..FetchTopic::default() }
}

pub fn fetch_partition(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1_000_000,
        ..FetchPartition::default()
    }
}

/// A request for records of several partitions, each from its beginning, in this order.
pub fn fetch_partitions<'a>(topic: &'a str, partitions: &[i32]) -> FetchRequest<'a> {
    let partitions = partitions.iter().map(|&index| fetch_partition(index, 0)).collect();
    FetchRequest { topics: vec![fetch_topic(topic, partitions)], ..fetch_request(topic, 0) }
}

/// The first and the last offset of each batch that was fetched as a whole; Kafka may cut the last one off anywhere.
pub fn batches(data: &PartitionData<'_>) -> Vec<(i64, i64)> {
    let mut rest = data.records.bytes().unwrap();
    let mut found = Vec::new();
    while let Ok(header) = record::BatchHeader::parse(rest)
        && header.size_in_bytes() <= rest.len()
    {
        record::check(rest).expect("a sound batch");
        found.push((header.base_offset.0, header.last_offset().0));
        rest = &rest[header.size_in_bytes()..];
    }
    found
}

impl Connection {
    /// Creates a topic and waits until it is led.
    pub async fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
        let topics = vec![creatable(name, partitions, configs)];
        let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..CreateTopicsRequest::default() };
        let answer = self.ask(&request, CREATE_TOPICS).await;
        let message = answer.topics[0].error_message.as_deref().unwrap_or_default();
        assert_eq!(answer.topics[0].error_code, 0, "{message}");
        self.led(name).await;
        name.to_owned()
    }

    /// Waits until every partition of a topic has a leader that serves it; Kafka answers the creation before that.
    pub async fn led(&mut self, name: &str) -> MetadataResponseTopic<'static> {
        for _ in Connection::looks() {
            let topic = self.metadata(name).await;
            if topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.error_code == 0) {
                let partitions: Vec<_> = topic.partitions.iter().map(|known| known.partition_index).collect();
                let answer = self.ask(&fetch_partitions(name, &partitions), FETCH).await;
                if answer.responses[0].partitions.iter().all(|data| data.error_code == 0) {
                    return topic;
                }
            }
            self.pause().await;
        }
        panic!("topic {name} gets no leader");
    }

    /// What is known of a topic; asking does not create it.
    pub async fn metadata(&mut self, name: &str) -> MetadataResponseTopic<'static> {
        let topic =
            MetadataRequestTopic { name: Some(name.to_owned().into()), ..MetadataRequestTopic::default() };
        let request = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
        let request = MetadataRequest { allow_auto_topic_creation: false, ..request };
        self.ask(&request, METADATA).await.topics.remove(0)
    }

    /// Writes a batch to partition 0 with acks=all; what was answered.
    pub async fn produce(&mut self, topic: &str, batch: Vec<u8>) -> PartitionProduceResponse<'static> {
        self.ask(&produce_request(topic, batch, -1), PRODUCE).await.responses[0].partition_responses.remove(0)
    }

    /// Writes a batch to partition 0 that must be taken; its base offset.
    #[track_caller]
    pub fn write(&mut self, topic: &str, batch: Vec<u8>) -> impl Future<Output = i64> {
        let caller = std::panic::Location::caller();
        async move {
            let answer = self.produce(topic, batch).await;
            assert_eq!(answer.error_code, 0, "{caller}: {:?} {answer:?}", error(answer.error_code));
            answer.base_offset
        }
    }

    /// Writes a batch to any partition, which must be taken.
    pub async fn write_to(&mut self, topic: &str, partition: i32, batch: Vec<u8>) -> i64 {
        let mut request = produce_request(topic, batch, -1);
        request.topic_data[0].partition_data[0].index = partition;
        let answer = self.ask(&request, PRODUCE).await.responses[0].partition_responses.remove(0);
        assert_eq!(error(answer.error_code), ErrorCode::None);
        answer.base_offset
    }

    /// Deletes the records of partition 0 below `offset`: the error and the low watermark answered.
    pub async fn delete_records(&mut self, topic: &str, offset: i64) -> (ErrorCode, i64) {
        let partition = DeleteRecordsPartition { partition_index: 0, offset };
        let topics = vec![DeleteRecordsTopic { name: topic.to_owned().into(), partitions: vec![partition] }];
        let request = DeleteRecordsRequest { topics, timeout_ms: 30_000 };
        let answer = self.ask(&request, 2).await;
        let result = &answer.topics[0].partitions[0];
        (error(result.error_code), result.low_watermark)
    }

    /// Sets one configuration key of a topic; the error answered.
    pub async fn set(&mut self, topic: &str, name: &str, value: &str) -> ErrorCode {
        let config = AlterableConfig {
            name: name.to_owned().into(),
            config_operation: SET,
            value: Some(value.to_owned().into()),
        };
        self.alter(topic, vec![config]).await
    }

    /// Changes the configuration of a topic; the error answered.
    pub async fn alter(&mut self, topic: &str, configs: Vec<AlterableConfig<'static>>) -> ErrorCode {
        let resource_name = topic.to_owned().into();
        let resource = AlterConfigsResource { resource_type: TOPIC, resource_name, configs };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        error(self.ask(&request, 1).await.responses[0].error_code)
    }

    /// Deletes a topic, which must be there.
    pub async fn delete_topic(&mut self, topic: &str) {
        let topic_names = vec![topic.to_owned().into()];
        let request =
            DeleteTopicsRequest { topic_names, timeout_ms: 30_000, ..DeleteTopicsRequest::default() };
        let answer = self.ask(&request, 5).await;
        assert_eq!(error(answer.responses[0].error_code), ErrorCode::None);
    }

    /// Waits until the broker knows no such topic any more.
    pub async fn until_gone(&mut self, topic: &str) {
        for _ in Connection::looks() {
            if error(self.metadata(topic).await.error_code) == ErrorCode::UnknownTopicOrPartition {
                return;
            }
            self.pause().await;
        }
        panic!("topic {topic} is still there");
    }

    /// Reads partition 0 from `offset` on; what was answered.
    pub async fn fetch(&mut self, topic: &str, offset: i64) -> PartitionData<'static> {
        self.ask(&fetch_request(topic, offset), FETCH).await.responses.remove(0).partitions.remove(0)
    }

    /// Looks up an offset of partition 0.
    pub async fn list_offsets(&mut self, topic: &str, timestamp: i64) -> ListOffsetsPartitionResponse {
        self.ask(&list_offsets_request(topic, timestamp), LIST_OFFSETS).await.topics[0].partitions.remove(0)
    }
}

pub fn produce_request<'a>(topic: &'a str, batch: Vec<u8>, acks: i16) -> ProduceRequest<'a> {
    let data = PartitionProduceData { index: 0, records: Records::Bytes(batch.into()) };
    let topic =
        TopicProduceData { name: topic.into(), partition_data: vec![data], ..TopicProduceData::default() };
    ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

pub fn list_offsets_request(topic: &str, timestamp: i64) -> ListOffsetsRequest<'_> {
    let partition = ListOffsetsPartition { timestamp, ..ListOffsetsPartition::default() };
    let topic = ListOffsetsTopic { name: topic.into(), partitions: vec![partition] };
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        timeout_ms: 30_000,
        ..ListOffsetsRequest::default()
    }
}
