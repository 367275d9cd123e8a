//! The image: what a cluster knows about itself at one index of its metadata log, ready to be read.
//!
//! - A clone costs a handful of reference counts, so every reader keeps one for as long as it likes.
//! - Names that differ only in `.` and `_` exclude each other: one map finds both a topic and its namesake.
//!
//! How records change it is `apply`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::{BrokerId, ClusterId, PartitionIndex, ProducerId, TopicId, TopicName, TopicPartition};

use crate::persistent::PersistentMap;
use crate::record::{Broker, BrokerEpoch, ConfigResource, MetadataRecord, Partition, ReplicationFactor};

/// An entry's place in the metadata log, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Index(pub u64);

impl Index {
    /// The place after this one.
    pub fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A checksum over every record since the cluster was born, in order: equal images carry equal ones (I9).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RunningHash(pub u64);

impl RunningHash {
    /// The checksum after one more record.
    pub(crate) fn then(self, record: &MetadataRecord) -> RunningHash {
        let mut bytes = self.0.to_be_bytes().to_vec();
        record.encode(&mut bytes);
        RunningHash(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes))
    }
}

impl fmt::Debug for RunningHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One topic and its partitions, numbered from zero without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// How it came to its replication factor.
    pub replication_factor: ReplicationFactor,
    pub(crate) partitions: PersistentMap<PartitionIndex, Arc<Partition>>,
}

impl Topic {
    /// One partition's state.
    pub fn partition(&self, partition: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(&partition)
    }

    /// All partitions in the order of their numbers.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &Arc<Partition>)> {
        self.partitions.iter().map(|(&index, partition)| (index, partition))
    }

    /// How many partitions there are; also the number the next one gets.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).expect("partitions are numbered by an i32")
    }
}

/// A topic name ordered as metrics spell it, where `.` is written `_`.
#[derive(Debug, Clone)]
pub(crate) struct MetricName(pub(crate) TopicName);

impl MetricName {
    fn order(&self, other: &str) -> Ordering {
        let spelled = |byte: u8| if byte == b'.' { b'_' } else { byte };
        self.0.as_str().bytes().map(spelled).cmp(other.bytes().map(spelled))
    }
}

impl PartialEq for MetricName {
    fn eq(&self, other: &MetricName) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MetricName {}

impl PartialOrd for MetricName {
    fn partial_cmp(&self, other: &MetricName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MetricName {
    fn cmp(&self, other: &MetricName) -> Ordering {
        self.order(other.0.as_str())
    }
}

/// What the cluster knows about itself after the entries below [`Image::next_index`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(crate) next_index: Index,
    pub(crate) hash: RunningHash,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) brokers: PersistentMap<BrokerId, Arc<Broker>>,
    pub(crate) topics: PersistentMap<TopicId, Arc<Topic>>,
    pub(crate) topic_ids: PersistentMap<MetricName, TopicId>,
    pub(crate) configs: PersistentMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    pub(crate) next_producer_id: ProducerId,
    pub(crate) feature_levels: PersistentMap<String, i16>,
}

impl Image {
    /// Nothing: before the first entry.
    pub fn empty() -> Image {
        Image {
            next_index: Index(0),
            hash: RunningHash(0),
            cluster_id: None,
            brokers: PersistentMap::default(),
            topics: PersistentMap::default(),
            topic_ids: PersistentMap::default(),
            configs: PersistentMap::default(),
            next_producer_id: ProducerId(0),
            feature_levels: PersistentMap::default(),
        }
    }

    /// The index the next entry gets.
    pub fn next_index(&self) -> Index {
        self.next_index
    }

    /// The running hash over every record so far.
    pub fn hash(&self) -> RunningHash {
        self.hash
    }

    /// The cluster's id, once it is born.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster_id
    }

    /// One broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Arc<Broker>> {
        self.brokers.get(&id)
    }

    /// All brokers in the order of their numbers.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<Broker>> {
        self.brokers.values()
    }

    /// A topic by its identity.
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    /// A topic by its name; any text may be asked for.
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic_colliding_with(name).filter(|topic| topic.name.as_str() == name)
    }

    /// The topic whose name equals `name` when `.` is written `_`: itself, or one that forbids it.
    pub fn topic_colliding_with(&self, name: &str) -> Option<&Arc<Topic>> {
        let (_, &id) = self.topic_ids.get_by(|own| own.order(name))?;
        self.topic(id)
    }

    /// All topics in the order of their names, with `.` read as `_`.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topic_ids.values().filter_map(|&id| self.topic(id))
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// One partition's state.
    pub fn partition(&self, partition: TopicPartition) -> Option<&Arc<Partition>> {
        self.topic(partition.topic_id)?.partition(partition.partition)
    }

    /// What is set on a resource; `None` when nothing is.
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.configs.get(resource)
    }

    /// Everything that is set, resource by resource.
    pub fn configs(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<BTreeMap<String, String>>)> {
        self.configs.iter()
    }

    /// The first producer id that no broker has been given.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The level a feature was brought to; `None` while nobody has asked for one.
    pub fn feature_level(&self, feature: &str) -> Option<i16> {
        self.feature_levels.get_by(|own| own.as_str().cmp(feature)).map(|(_, &level)| level)
    }

    /// The shortest list of records that says the same (M3); [`Image::restore`] reads it.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        records.extend(self.cluster_id.map(|cluster_id| MetadataRecord::ClusterCreated { cluster_id }));
        // Before any partition, so that no registration finds something to lead anew.
        records.extend(self.brokers().map(|broker| MetadataRecord::BrokerRegistered(Broker::clone(broker))));
        for topic in self.topics() {
            records.push(MetadataRecord::TopicCreated {
                topic_id: topic.id,
                name: topic.name.clone(),
                replication_factor: topic.replication_factor,
            });
            records.extend(topic.partitions().map(|(partition, state)| MetadataRecord::PartitionCreated {
                topic_id: topic.id,
                partition,
                state: Partition::clone(state),
            }));
        }
        for (resource, set) in self.configs() {
            records.extend(set.iter().map(|(key, value)| MetadataRecord::ConfigSet {
                resource: resource.clone(),
                key: key.clone(),
                value: value.clone(),
            }));
        }
        if ProducerId(0) < self.next_producer_id() {
            records.push(MetadataRecord::ProducerIdsAllocated {
                broker_id: BrokerId::NONE,
                broker_epoch: BrokerEpoch(-1),
                next: self.next_producer_id(),
            });
        }
        records.extend(
            self.feature_levels
                .iter()
                .map(|(feature, &level)| MetadataRecord::FeatureLevelSet { feature: feature.clone(), level }),
        );
        records
    }
}
