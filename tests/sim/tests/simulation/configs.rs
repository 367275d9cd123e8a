//! Keys that are changed while the broker runs do what they say from then on, and no more once they are put back.

use std::path::Path;
use std::time::Duration;

use client::{Admin, Client, NewRecord, Producer, ProducerConfig, TopicPartition};
use model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic_with;
use wire::describe_configs::DescribeConfigsResource;
use wire::describe_producers::TopicRequest;
use wire::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use wire::{
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeProducersRequest, DescribeProducersResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use crate::support::{alter, alter_all_brokers, ask};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;

/// A broker, a topic of one partition that sets nothing, and who changes and writes.
struct World<'a> {
    sim: &'a Sim,
    server: Server<'a>,
    rt: Rt,
    client: Client,
    topic: TopicName,
}

fn world(test: impl AsyncFn(World<'_>)) {
    let sim = Sim::new(11);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let topic = create_topic_with(&client, "plain", 1, &[]).await;
        test(World { sim: &sim, server, rt, client, topic }).await;
    });
}

impl World<'_> {
    /// Changes a key of all brokers.
    async fn set(&self, key: &str, value: &str) {
        alter_all_brokers(&self.rt, self.server.address(), key, Some(value)).await.unwrap();
    }

    /// Puts a key of all brokers back.
    async fn unset(&self, key: &str) {
        alter_all_brokers(&self.rt, self.server.address(), key, None).await.unwrap();
    }

    /// Writes a record with a key; the code it was refused with.
    async fn write(&self, bytes: usize) -> Result<(), Option<ErrorCode>> {
        let value = vec![b'x'; bytes];
        self.send(NewRecord { key: Some(b"key"), value: Some(&value), ..NewRecord::default() }).await
    }

    /// Writes a record created so long from now.
    async fn write_at(&self, from_now_ms: i64) -> Result<(), Option<ErrorCode>> {
        let timestamp = Some(TimestampMs(self.rt.wall_clock_ms() + from_now_ms));
        self.send(NewRecord { key: Some(b"key"), value: Some(b"value"), timestamp, ..NewRecord::default() })
            .await
    }

    async fn send(&self, record: NewRecord<'_>) -> Result<(), Option<ErrorCode>> {
        let config =
            ProducerConfig { delivery_timeout: Duration::from_secs(10), ..ProducerConfig::default() };
        let producer = Producer::new(&self.client, config);
        let delivery = producer.send(&self.topic, record).await.map_err(|error| error.code())?;
        delivery.await.map(drop).map_err(|error| error.code())
    }

    /// The contents of the partition's files that end like this, oldest first.
    fn files(&self, ending: &str) -> Vec<Vec<u8>> {
        let (fs, folder) = (self.sim.node(NODE).fs().clone(), format!("/data/{}-0", self.topic));
        let entries = fs.read_dir(Path::new(&folder)).unwrap();
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names.retain(|name| name.ends_with(ending));
        names.sort();
        names.into_iter().map(|name| fs.read(&Path::new(&folder).join(name)).unwrap()).collect()
    }

    /// The attributes of the newest batch, as Kafka numbers them.
    fn attributes(&self) -> u8 {
        const LENGTH: usize = 8;
        const AFTER_LENGTH: usize = 12;
        const ATTRIBUTES: usize = 22;
        let log = self.files(".log").pop().unwrap();
        let (mut rest, mut attributes) = (log.as_slice(), None);
        while let Some(length) = rest.get(LENGTH..AFTER_LENGTH) {
            attributes = rest.get(ATTRIBUTES).copied();
            let length = u32::from_be_bytes(length.try_into().unwrap());
            rest = &rest[AFTER_LENGTH + usize::try_from(length).unwrap()..];
        }
        attributes.unwrap()
    }

    /// How many producers the partition remembers.
    async fn producers(&self) -> usize {
        let topic = TopicRequest { name: self.topic.as_str().into(), partition_indexes: vec![0] };
        let request = DescribeProducersRequest { topics: vec![topic] };
        let answer = ask(&self.rt, self.server.address(), &request, 0).await;
        let (_, answer) = wire::decode_response::<DescribeProducersResponse<'_>>(&answer, 0).unwrap();
        answer.topics[0].partitions[0].active_producers.len()
    }

    /// Commits an offset as [`raw::late_produce`] writes a record: in a transaction of which its coordinator knows nothing.
    async fn late_commit(&self, producer: i64) -> ErrorCode {
        const GROUP: &str = "late";
        const VERSION: i16 = 3;
        // The first to ask for the coordinator has it made.
        Admin::new(&self.client).committed(GROUP).await.unwrap();
        let partitions = vec![TxnOffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: 1,
            ..TxnOffsetCommitRequestPartition::default()
        }];
        let request = TxnOffsetCommitRequest {
            transactional_id: GROUP.into(),
            group_id: GROUP.into(),
            producer_id: producer,
            topics: vec![TxnOffsetCommitRequestTopic { name: self.topic.as_str().into(), partitions }],
            ..TxnOffsetCommitRequest::default()
        };
        let answer = ask(&self.rt, self.server.address(), &request, VERSION).await;
        let (_, answer) = wire::decode_response::<TxnOffsetCommitResponse<'_>>(&answer, VERSION).unwrap();
        ErrorCode::from_code(answer.topics[0].partitions[0].error_code)
    }
}

#[test]
fn message_max_bytes() {
    world(async |world| {
        world.write(2000).await.unwrap();
        world.set("message.max.bytes", "1000").await;
        assert_eq!(world.write(2000).await, Err(Some(ErrorCode::MessageTooLarge)));
        alter(&world.client, &world.topic, "max.message.bytes", Some("3000")).await;
        world.write(2000).await.unwrap();
        alter(&world.client, &world.topic, "max.message.bytes", None).await;
        assert_eq!(world.write(2000).await, Err(Some(ErrorCode::MessageTooLarge)));
        world.unset("message.max.bytes").await;
        world.write(2000).await.unwrap();
    });
}

#[test]
fn message_timestamp_type() {
    const LOG_APPEND_TIME: u8 = 8;
    world(async |world| {
        for (value, attribute) in [("CreateTime", 0), ("LogAppendTime", LOG_APPEND_TIME), ("CreateTime", 0)] {
            world.set("log.message.timestamp.type", value).await;
            world.write(1).await.unwrap();
            assert_eq!(world.attributes() & LOG_APPEND_TIME, attribute, "{value}");
        }
    });
}

#[test]
fn message_timestamp_bounds() {
    world(async |world| {
        let refused = Err(Some(ErrorCode::InvalidTimestamp));
        assert_eq!(
            (world.write_at(-2 * HOUR_MS).await, world.write_at(2 * HOUR_MS).await),
            (Ok(()), refused)
        );
        world.set("log.message.timestamp.before.max.ms", "3600000").await;
        world.set("log.message.timestamp.after.max.ms", "36000000").await;
        assert_eq!(
            (world.write_at(-2 * HOUR_MS).await, world.write_at(2 * HOUR_MS).await),
            (refused, Ok(()))
        );
        world.unset("log.message.timestamp.before.max.ms").await;
        world.unset("log.message.timestamp.after.max.ms").await;
        assert_eq!(
            (world.write_at(-2 * HOUR_MS).await, world.write_at(2 * HOUR_MS).await),
            (Ok(()), refused)
        );
    });
}

#[test]
fn compression_type() {
    const CODEC: u8 = 7;
    world(async |world| {
        for (value, codec) in
            [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4), ("uncompressed", 0), ("producer", 0)]
        {
            world.set("compression.type", value).await;
            world.write(1000).await.unwrap();
            assert_eq!(world.attributes() & CODEC, codec, "{value}");
        }
    });
}

#[test]
fn segments_and_their_indexes() {
    world(async |world| {
        let write_ten = async || {
            for _ in 0..10 {
                world.write(1000).await.unwrap();
            }
            world.rt.sleep(2 * MINUTE).await;
        };
        write_ten().await;
        write_ten().await;
        assert_eq!(world.files(".log").len(), 1);
        world.set("log.roll.ms", "60000").await;
        world.set("log.index.interval.bytes", "0").await;
        write_ten().await;
        assert_eq!(world.files(".log").len(), 2, "the next record finds the segment too old");
        alter(&world.client, &world.topic, "internal.segment.bytes", Some("3000")).await;
        world.unset("log.roll.ms").await;
        write_ten().await;
        let indexes: Vec<usize> = world.files(".index").iter().map(Vec::len).collect();
        assert_eq!(indexes.len(), 7, "two records of a kilobyte fit into three");
        assert!(indexes[0] < indexes[1], "twenty records, and ten of which each has an entry: {indexes:?}");
    });
}

#[test]
fn cleanup_policy() {
    world(async |world| {
        let without_key = NewRecord { value: Some(b"value"), ..NewRecord::default() };
        world.send(without_key).await.unwrap();
        world.set("log.cleanup.policy", "compact,delete").await;
        assert_eq!(world.send(without_key).await, Err(Some(ErrorCode::InvalidRecord)));
        world.unset("log.cleanup.policy").await;
        world.send(without_key).await.unwrap();
    });
}

#[test]
fn producer_id_expiration_ms() {
    world(async |world| {
        world.write(1).await.unwrap();
        world.rt.sleep(30 * MINUTE).await;
        assert_eq!(world.producers().await, 1, "a day is not over");
        world.set("producer.id.expiration.ms", "60000").await;
        world.rt.sleep(11 * MINUTE).await;
        assert_eq!(world.producers().await, 0);
    });
}

#[test]
fn transaction_partition_verification_enable() {
    const KEY: &str = "transaction.partition.verification.enable";
    world(async |world| {
        let place = TopicPartition::new(world.topic.clone(), 0);
        let mut connection = Raw::connect(&world.rt, world.server.address()).await.unwrap();
        // The first to ask for the coordinator has it made.
        Admin::new(&world.client).fence_producer("late").await.unwrap();
        let mut late = async |id| {
            let producer = record::Producer { id: ProducerId(id), epoch: ProducerEpoch(0), base_sequence: 0 };
            connection.send(&raw::late_produce(0, &place, producer)).await.unwrap();
            let (_, code, _) = raw::produced(&connection.receive().await.unwrap()).unwrap();
            (ErrorCode::from_code(code), world.late_commit(id).await)
        };
        let refused = (ErrorCode::InvalidProducerIdMapping, ErrorCode::InvalidProducerIdMapping);
        assert_eq!(late(1).await, refused);
        world.set(KEY, "false").await;
        assert_eq!(late(2).await, (ErrorCode::None, ErrorCode::None));
        world.unset(KEY).await;
        assert_eq!(late(3).await, refused);
        assert_eq!(world.producers().await, 1);
    });
}

#[test]
fn transaction_state_log_min_isr() {
    let sim = Sim::new(12);
    sim.run(async {
        let server = Server::started(&sim, &[("transaction.state.log.min.isr", "3")]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        // With one copy, one in sync is enough.
        Admin::new(&client).fence_producer("copier").await.unwrap();
        let described = Admin::new(&client).topic_configs(&TopicName::transaction_state()).await.unwrap();
        let described = described.into_iter().find(|config| config.name == "min.insync.replicas").unwrap();
        assert_eq!(described.value.as_deref(), Some("3"));
    });
}

#[test]
fn a_described_key_tells_where_its_value_comes_from_and_what_it_is_for() {
    const BROKER: i8 = 4;
    const VERSION: i16 = 4;
    world(async |world| {
        world.set("log.retention.ms", "5000").await;
        let names = ["log.retention.ms", "num.partitions", "num.io.threads", "ottla.durability"];
        let resource = DescribeConfigsResource {
            resource_type: BROKER,
            resource_name: "1".into(),
            configuration_keys: Some(names.map(Into::into).to_vec()),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            include_documentation: true,
        };
        let answer = ask(&world.rt, world.server.address(), &request, VERSION).await;
        let (_, answer) = wire::decode_response::<DescribeConfigsResponse<'_>>(&answer, VERSION).unwrap();
        let described = answer.results[0].configs.iter().map(|config| {
            let synonyms = config.synonyms.iter();
            let synonyms = synonyms.map(|word| format!("{}@{}", word.value.as_deref().unwrap(), word.source));
            let row = config::broker_key(&config.name).unwrap();
            assert_eq!(config.documentation.as_deref(), Some(row.documentation));
            assert_eq!(config.config_type, row.kind.number());
            let (value, fixed) = (config.value.as_deref().unwrap(), config.read_only);
            format!("{}={value} fixed={fixed} {}", config.name, synonyms.collect::<Vec<_>>().join(" "))
        });
        let expected = [
            "log.retention.ms=5000 fixed=false 5000@3",
            "num.io.threads=8 fixed=false 8@5",
            "num.partitions=1 fixed=true 1@5",
            "ottla.durability=disk fixed=false disk@5",
        ];
        assert_eq!(described.collect::<Vec<_>>(), expected);
    });
}

#[test]
fn keys_of_the_start_are_refused() {
    world(async |world| {
        let refused = alter_all_brokers(&world.rt, world.server.address(), "node.id", Some("2")).await;
        assert_eq!(refused.unwrap_err(), "Cannot update these configs dynamically: [node.id]");
        // Known, and without effect: taken all the same, as Kafka takes it.
        world.set("num.io.threads", "4").await;
        let refused =
            alter_all_brokers(&world.rt, world.server.address(), "num.io.threads", Some("many")).await;
        assert_eq!(
            refused.unwrap_err(),
            "Invalid value many for configuration num.io.threads: Not a number of type INT"
        );
    });
}
