//! The metadata records: everything that can be said about a cluster, one sentence each, and their bytes.
//!
//! - R1 A record is its type (one byte), its version (one byte) and its fields; nothing follows them.
//! - R2 A type number, once used, keeps its meaning for ever; a changed layout is a new version.
//! - R3 What an older program cannot read it refuses by name (`UnknownRecordType`, `UnknownRecordVersion`):
//!   skipping a record would make its image differ from everybody else's (I9).

use std::fmt;

use model::{BrokerId, ClusterId, LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicName, Uuid};

use crate::codec::{DecodeError, Reader, Writer};

/// The number of a broker's registration; a request that carries a lower one comes from the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerEpoch(pub i64);

impl fmt::Display for BrokerEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a partition's state: grows with every change of leader, in-sync set or replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionEpoch(pub i32);

impl PartitionEpoch {
    /// The epoch of the next state.
    pub fn next(self) -> PartitionEpoch {
        PartitionEpoch(self.0.saturating_add(1))
    }
}

/// An address one listener of a broker can be reached at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    /// Host name or address, as clients should dial it.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A broker as it registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its number.
    pub id: BrokerId,
    /// Its registration's number.
    pub epoch: BrokerEpoch,
    /// Drawn anew at every start of the process: tells a restart from a repeated registration.
    pub incarnation: Uuid,
    /// Where clients reach it, one per listener.
    pub endpoints: Vec<Endpoint>,
    /// The ids of its data folders (KIP-858).
    pub directories: Vec<Uuid>,
    /// Where it stands (`broker.rack`).
    pub rack: Option<String>,
}

/// How a topic came to its replication factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationFactor {
    /// Somebody asked for it: it stays.
    Stated,
    /// The cluster chose it: it may grow when brokers join.
    Automatic,
}

/// One copy of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replica {
    /// The broker that has it.
    pub broker: BrokerId,
    /// The data folder it lies in; [`Uuid::ZERO`] while the broker may choose (KIP-858).
    pub directory: Uuid,
}

/// A partition's whole state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its copies, the preferred leader first.
    pub replicas: Vec<Replica>,
    /// The brokers that have everything acknowledged, in the order of `replicas`.
    pub isr: Vec<BrokerId>,
    /// Who leads it; [`BrokerId::NONE`] while nobody does.
    pub leader: BrokerId,
    /// The number of that leadership.
    pub leader_epoch: LeaderEpoch,
    /// The number of this state.
    pub partition_epoch: PartitionEpoch,
}

/// What configuration can hang on; Kafka's resource types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResourceKind {
    /// A topic, by name.
    Topic,
    /// A broker by its number; the empty name is the default of all brokers.
    Broker,
    /// A client metrics subscription, by name.
    ClientMetrics,
    /// A group, by id.
    Group,
}

impl ConfigResourceKind {
    /// The number on the wire and in records (`ConfigResource.Type`).
    pub fn number(self) -> u8 {
        match self {
            ConfigResourceKind::Topic => 2,
            ConfigResourceKind::Broker => 4,
            ConfigResourceKind::ClientMetrics => 16,
            ConfigResourceKind::Group => 32,
        }
    }

    /// The kind of a number.
    pub fn from_number(number: u8) -> Option<ConfigResourceKind> {
        match number {
            2 => Some(ConfigResourceKind::Topic),
            4 => Some(ConfigResourceKind::Broker),
            16 => Some(ConfigResourceKind::ClientMetrics),
            32 => Some(ConfigResourceKind::Group),
            _ => None,
        }
    }
}

/// One thing that has configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceKind,
    /// Which one.
    pub name: String,
}

impl ConfigResource {
    /// A topic's configuration.
    pub fn topic(name: &TopicName) -> ConfigResource {
        ConfigResource { kind: ConfigResourceKind::Topic, name: name.as_str().to_owned() }
    }

    /// One broker's configuration.
    pub fn broker(id: BrokerId) -> ConfigResource {
        ConfigResource { kind: ConfigResourceKind::Broker, name: id.to_string() }
    }

    /// The configuration all brokers share (`--entity-default`).
    pub fn all_brokers() -> ConfigResource {
        ConfigResource { kind: ConfigResourceKind::Broker, name: String::new() }
    }
}

/// One change to what the cluster knows about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster was born. First record of every log.
    ClusterCreated {
        /// Its id.
        cluster_id: ClusterId,
    },
    /// A broker came, or came back. A new incarnation takes up everything it leads in a new epoch (D1).
    BrokerRegistered(Broker),
    /// A topic was made; its partitions follow in the same entry.
    TopicCreated {
        /// Its identity.
        topic_id: TopicId,
        /// Its name.
        name: TopicName,
        /// How it came to its replication factor.
        replication_factor: ReplicationFactor,
    },
    /// A topic's next partition was made.
    PartitionCreated {
        /// The topic.
        topic_id: TopicId,
        /// The partition's number: always the topic's count of partitions so far.
        partition: PartitionIndex,
        /// Its first state.
        state: Partition,
    },
    /// A partition has a new leader, in-sync set or replicas.
    PartitionChanged {
        /// The topic.
        topic_id: TopicId,
        /// The partition.
        partition: PartitionIndex,
        /// Its new state, in the next partition epoch.
        state: Partition,
    },
    /// A topic was deleted, its configuration with it.
    TopicDeleted {
        /// The topic.
        topic_id: TopicId,
    },
    /// A configuration key was set.
    ConfigSet {
        /// On what.
        resource: ConfigResource,
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A configuration key went back to its default.
    ConfigRemoved {
        /// On what.
        resource: ConfigResource,
        /// The key.
        key: String,
    },
    /// A broker got the producer ids from the last `next` up to this one.
    ProducerIdsAllocated {
        /// The broker.
        broker_id: BrokerId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// The first id that is still nobody's.
        next: ProducerId,
    },
    /// A feature of the cluster was brought to a level.
    FeatureLevelSet {
        /// Kafka's name for it.
        feature: String,
        /// The level in force from now on.
        level: i16,
    },
}

mod record_type {
    pub const CLUSTER_CREATED: u8 = 1;
    pub const BROKER_REGISTERED: u8 = 2;
    pub const TOPIC_CREATED: u8 = 3;
    pub const PARTITION_CREATED: u8 = 4;
    pub const PARTITION_CHANGED: u8 = 5;
    pub const TOPIC_DELETED: u8 = 6;
    pub const CONFIG_SET: u8 = 7;
    pub const CONFIG_REMOVED: u8 = 8;
    pub const PRODUCER_IDS_ALLOCATED: u8 = 9;
    pub const FEATURE_LEVEL_SET: u8 = 10;
}

/// The version all records are at.
const VERSION: u8 = 0;

impl MetadataRecord {
    /// Appends the record's bytes.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let mut to = Writer(to);
        to.byte(self.record_type());
        to.byte(VERSION);
        match self {
            MetadataRecord::ClusterCreated { cluster_id } => to.uuid(cluster_id.0),
            MetadataRecord::BrokerRegistered(broker) => encode_broker(broker, &mut to),
            MetadataRecord::TopicCreated { topic_id, name, replication_factor } => {
                to.uuid(topic_id.0);
                to.text(name.as_str());
                to.byte(match replication_factor {
                    ReplicationFactor::Stated => 0,
                    ReplicationFactor::Automatic => 1,
                });
            }
            MetadataRecord::PartitionCreated { topic_id, partition, state }
            | MetadataRecord::PartitionChanged { topic_id, partition, state } => {
                to.uuid(topic_id.0);
                to.signed(i64::from(partition.0));
                encode_partition(state, &mut to);
            }
            MetadataRecord::TopicDeleted { topic_id } => to.uuid(topic_id.0),
            MetadataRecord::ConfigSet { resource, key, value } => {
                encode_resource(resource, &mut to);
                to.text(key);
                to.text(value);
            }
            MetadataRecord::ConfigRemoved { resource, key } => {
                encode_resource(resource, &mut to);
                to.text(key);
            }
            MetadataRecord::ProducerIdsAllocated { broker_id, broker_epoch, next } => {
                to.signed(i64::from(broker_id.0));
                to.signed(broker_epoch.0);
                to.signed(next.0);
            }
            MetadataRecord::FeatureLevelSet { feature, level } => {
                to.text(feature);
                to.signed(i64::from(*level));
            }
        }
    }

    /// Reads exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<MetadataRecord, DecodeError> {
        let mut from = Reader::new(bytes);
        let record_type = from.byte("record type")?;
        let version = from.byte("record version")?;
        if !(record_type::CLUSTER_CREATED..=record_type::FEATURE_LEVEL_SET).contains(&record_type) {
            return Err(DecodeError::UnknownRecordType(record_type));
        }
        if version != VERSION {
            return Err(DecodeError::UnknownRecordVersion { record_type, version });
        }
        let record = decode_fields(record_type, &mut from)?;
        from.finish()?;
        Ok(record)
    }

    fn record_type(&self) -> u8 {
        match self {
            MetadataRecord::ClusterCreated { .. } => record_type::CLUSTER_CREATED,
            MetadataRecord::BrokerRegistered(_) => record_type::BROKER_REGISTERED,
            MetadataRecord::TopicCreated { .. } => record_type::TOPIC_CREATED,
            MetadataRecord::PartitionCreated { .. } => record_type::PARTITION_CREATED,
            MetadataRecord::PartitionChanged { .. } => record_type::PARTITION_CHANGED,
            MetadataRecord::TopicDeleted { .. } => record_type::TOPIC_DELETED,
            MetadataRecord::ConfigSet { .. } => record_type::CONFIG_SET,
            MetadataRecord::ConfigRemoved { .. } => record_type::CONFIG_REMOVED,
            MetadataRecord::ProducerIdsAllocated { .. } => record_type::PRODUCER_IDS_ALLOCATED,
            MetadataRecord::FeatureLevelSet { .. } => record_type::FEATURE_LEVEL_SET,
        }
    }
}

/// Appends a count and the records, each with its length.
pub fn encode_records(records: &[MetadataRecord], to: &mut Vec<u8>) {
    Writer(to).count(records.len());
    let mut one = Vec::new();
    for record in records {
        one.clear();
        record.encode(&mut one);
        Writer(to).bytes(&one);
    }
}

/// Reads what [`encode_records`] wrote, and nothing more.
pub fn decode_records(bytes: &[u8]) -> Result<Vec<MetadataRecord>, DecodeError> {
    let mut from = Reader::new(bytes);
    // A length, a type and a version: three bytes are the least a record takes. Memory grows with the
    // records that are really there, since a decoded record is larger than its bytes.
    let count = from.count("records", 3)?;
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(MetadataRecord::decode(from.bytes("record")?)?);
    }
    from.finish()?;
    Ok(records)
}

fn decode_fields(record_type: u8, from: &mut Reader<'_>) -> Result<MetadataRecord, DecodeError> {
    Ok(match record_type {
        record_type::CLUSTER_CREATED => {
            MetadataRecord::ClusterCreated { cluster_id: ClusterId(from.uuid("cluster id")?) }
        }
        record_type::BROKER_REGISTERED => MetadataRecord::BrokerRegistered(decode_broker(from)?),
        record_type::TOPIC_CREATED => MetadataRecord::TopicCreated {
            topic_id: TopicId(from.uuid("topic id")?),
            name: TopicName::parse(from.text("topic name")?).map_err(DecodeError::BadTopicName)?,
            replication_factor: match from.byte("replication factor")? {
                0 => ReplicationFactor::Stated,
                1 => ReplicationFactor::Automatic,
                value => return Err(DecodeError::UnknownValue { field: "replication factor", value }),
            },
        },
        record_type::PARTITION_CREATED => MetadataRecord::PartitionCreated {
            topic_id: TopicId(from.uuid("topic id")?),
            partition: PartitionIndex(from.signed_32("partition")?),
            state: decode_partition(from)?,
        },
        record_type::PARTITION_CHANGED => MetadataRecord::PartitionChanged {
            topic_id: TopicId(from.uuid("topic id")?),
            partition: PartitionIndex(from.signed_32("partition")?),
            state: decode_partition(from)?,
        },
        record_type::TOPIC_DELETED => {
            MetadataRecord::TopicDeleted { topic_id: TopicId(from.uuid("topic id")?) }
        }
        record_type::CONFIG_SET => MetadataRecord::ConfigSet {
            resource: decode_resource(from)?,
            key: from.text("configuration key")?.to_owned(),
            value: from.text("configuration value")?.to_owned(),
        },
        record_type::CONFIG_REMOVED => MetadataRecord::ConfigRemoved {
            resource: decode_resource(from)?,
            key: from.text("configuration key")?.to_owned(),
        },
        record_type::PRODUCER_IDS_ALLOCATED => MetadataRecord::ProducerIdsAllocated {
            broker_id: BrokerId(from.signed_32("broker id")?),
            broker_epoch: BrokerEpoch(from.signed("broker epoch")?),
            next: ProducerId(from.signed("next producer id")?),
        },
        record_type::FEATURE_LEVEL_SET => MetadataRecord::FeatureLevelSet {
            feature: from.text("feature")?.to_owned(),
            level: i16::try_from(from.signed("feature level")?)
                .map_err(|_| DecodeError::BadNumber("feature level"))?,
        },
        unknown => return Err(DecodeError::UnknownRecordType(unknown)),
    })
}

fn encode_broker(broker: &Broker, to: &mut Writer<'_>) {
    to.signed(i64::from(broker.id.0));
    to.signed(broker.epoch.0);
    to.uuid(broker.incarnation);
    to.count(broker.endpoints.len());
    for endpoint in &broker.endpoints {
        to.text(&endpoint.listener);
        to.text(&endpoint.host);
        to.unsigned(u64::from(endpoint.port));
    }
    to.count(broker.directories.len());
    for &directory in &broker.directories {
        to.uuid(directory);
    }
    to.byte(u8::from(broker.rack.is_some()));
    if let Some(rack) = &broker.rack {
        to.text(rack);
    }
}

fn decode_broker(from: &mut Reader<'_>) -> Result<Broker, DecodeError> {
    let id = BrokerId(from.signed_32("broker id")?);
    let epoch = BrokerEpoch(from.signed("broker epoch")?);
    let incarnation = from.uuid("incarnation id")?;
    let mut endpoints = Vec::new();
    for _ in 0..from.count("endpoints", 3)? {
        endpoints.push(Endpoint {
            listener: from.text("listener name")?.to_owned(),
            host: from.text("host")?.to_owned(),
            port: u16::try_from(from.unsigned("port")?).map_err(|_| DecodeError::BadNumber("port"))?,
        });
    }
    let mut directories = Vec::new();
    for _ in 0..from.count("directories", 16)? {
        directories.push(from.uuid("directory id")?);
    }
    let rack = match from.byte("rack")? {
        0 => None,
        1 => Some(from.text("rack")?.to_owned()),
        value => return Err(DecodeError::UnknownValue { field: "rack", value }),
    };
    Ok(Broker { id, epoch, incarnation, endpoints, directories, rack })
}

fn encode_partition(partition: &Partition, to: &mut Writer<'_>) {
    to.count(partition.replicas.len());
    for replica in &partition.replicas {
        to.signed(i64::from(replica.broker.0));
        to.uuid(replica.directory);
    }
    to.count(partition.isr.len());
    for broker in &partition.isr {
        to.signed(i64::from(broker.0));
    }
    to.signed(i64::from(partition.leader.0));
    to.signed(i64::from(partition.leader_epoch.0));
    to.signed(i64::from(partition.partition_epoch.0));
}

fn decode_partition(from: &mut Reader<'_>) -> Result<Partition, DecodeError> {
    let mut replicas = Vec::new();
    for _ in 0..from.count("replicas", 17)? {
        let broker = BrokerId(from.signed_32("replica")?);
        replicas.push(Replica { broker, directory: from.uuid("directory id")? });
    }
    let mut isr = Vec::new();
    for _ in 0..from.count("in-sync replicas", 1)? {
        isr.push(BrokerId(from.signed_32("in-sync replica")?));
    }
    Ok(Partition {
        replicas,
        isr,
        leader: BrokerId(from.signed_32("leader")?),
        leader_epoch: LeaderEpoch(from.signed_32("leader epoch")?),
        partition_epoch: PartitionEpoch(from.signed_32("partition epoch")?),
    })
}

fn encode_resource(resource: &ConfigResource, to: &mut Writer<'_>) {
    to.byte(resource.kind.number());
    to.text(&resource.name);
}

fn decode_resource(from: &mut Reader<'_>) -> Result<ConfigResource, DecodeError> {
    let value = from.byte("resource type")?;
    let kind = ConfigResourceKind::from_number(value)
        .ok_or(DecodeError::UnknownValue { field: "resource type", value })?;
    Ok(ConfigResource { kind, name: from.text("resource name")?.to_owned() })
}
