//! How a record changes the image, and what the broker has to do about it.
//!
//! - A1 An entry applies whole or not at all; a refusal leaves the image as it was (M1).
//! - A2 A partition's numbers are dense, its epochs only grow, its leader is in its in-sync set.
//! - A3 A new incarnation of a broker leads what it leads in a new epoch: it never appends in an old one (D1).
//!
//! A record that does not fit is a bug of its proposer or damage on disk; whoever proposes applies to a clone
//! first, so that such a record never reaches the log.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::{BrokerId, ClusterId, PartitionIndex, ProducerId, TopicId, TopicName, TopicPartition};

use crate::image::{Image, Index, MetricName, RunningHash, Topic};
use crate::persistent::PersistentMap;
use crate::record::{
    Broker, BrokerEpoch, ConfigResource, ConfigResourceKind, MetadataRecord, Partition, PartitionEpoch,
    ReplicationFactor,
};

/// What an applied record changed, in terms of what a broker starts, stops or reads anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The cluster was born.
    ClusterCreated(ClusterId),
    /// A broker came or came back; what it leads anew follows as [`Change::PartitionChanged`].
    BrokerRegistered(BrokerId),
    /// A topic was made.
    TopicCreated(TopicId),
    /// A partition was made.
    PartitionCreated(TopicPartition),
    /// A partition has a new state.
    PartitionChanged(TopicPartition),
    /// A topic is gone; this is what it was.
    TopicDeleted(Arc<Topic>),
    /// Something was set or removed on this resource.
    ConfigChanged(ConfigResource),
    /// Producer ids from `first` up to the image's next one went to a broker.
    ProducerIdsAllocated {
        /// The broker.
        broker_id: BrokerId,
        /// The first of the block.
        first: ProducerId,
    },
    /// A feature has a new level.
    FeatureLevelSet(String),
}

/// Why an entry does not fit the image. Deterministic; nothing took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyError {
    /// The entry's index is not the next one.
    WrongIndex {
        /// The index that was due.
        expected: Index,
        /// The entry's.
        got: Index,
    },
    /// The cluster has an id already.
    ClusterExists(ClusterId),
    /// The broker registered with this epoch or a later one before.
    StaleBrokerEpoch {
        /// The broker.
        broker: BrokerId,
        /// Its epoch so far.
        current: BrokerEpoch,
    },
    /// The id is taken.
    TopicIdExists(TopicId),
    /// The name, or one that differs only in `.` and `_`, is taken by this topic.
    TopicNameTaken(TopicName),
    /// There is no such topic.
    UnknownTopic(TopicId),
    /// There is no topic of this name to configure.
    UnknownTopicName(String),
    /// There is no such partition.
    UnknownPartition(TopicPartition),
    /// The partition's number is not the topic's next one.
    PartitionNotNext {
        /// The partition.
        partition: TopicPartition,
        /// The number that was due.
        expected: i32,
    },
    /// No replicas, a replica twice, or an in-sync set or leader from outside.
    InconsistentReplicas(TopicPartition),
    /// The partition epoch is not the next one, or the leader epoch goes back.
    StalePartitionEpoch {
        /// The partition.
        partition: TopicPartition,
        /// Its epoch so far.
        current: PartitionEpoch,
    },
    /// The block ends at or before one given out earlier.
    ProducerIdsGoBack {
        /// The first id that is still nobody's.
        current: ProducerId,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApplyError::WrongIndex { expected, got } => {
                write!(f, "metadata entry {got} comes where entry {expected} is due")
            }
            ApplyError::ClusterExists(id) => write!(f, "the cluster has the id {id} already"),
            ApplyError::StaleBrokerEpoch { broker, current } => {
                write!(f, "broker {broker} is registered with epoch {current} already")
            }
            ApplyError::TopicIdExists(id) => write!(f, "topic id {id} exists already"),
            ApplyError::TopicNameTaken(name) => write!(f, "the topic name {name} is taken"),
            ApplyError::UnknownTopic(id) => write!(f, "there is no topic with id {id}"),
            ApplyError::UnknownTopicName(name) => write!(f, "there is no topic {name} to configure"),
            ApplyError::UnknownPartition(TopicPartition { topic_id, partition }) => {
                write!(f, "topic {topic_id} has no partition {partition}")
            }
            ApplyError::PartitionNotNext { partition: TopicPartition { topic_id, partition }, expected } => {
                write!(f, "partition {partition} of topic {topic_id} comes where {expected} is due")
            }
            ApplyError::InconsistentReplicas(TopicPartition { topic_id, partition }) => {
                write!(f, "partition {partition} of topic {topic_id} contradicts itself about its replicas")
            }
            ApplyError::StalePartitionEpoch {
                partition: TopicPartition { topic_id, partition },
                current,
            } => {
                write!(f, "partition {partition} of topic {topic_id} is at epoch {} already", current.0)
            }
            ApplyError::ProducerIdsGoBack { current } => {
                write!(f, "producer ids below {} are given out already", current.0)
            }
        }
    }
}

impl std::error::Error for ApplyError {}

impl Image {
    /// Applies one entry of the metadata log; an entry may hold no records (A1).
    pub fn apply_entry(
        &mut self,
        index: Index,
        records: &[MetadataRecord],
    ) -> Result<Vec<Change>, ApplyError> {
        if index != self.next_index {
            return Err(ApplyError::WrongIndex { expected: self.next_index, got: index });
        }
        let mut next = self.clone();
        let mut changes = Vec::new();
        for record in records {
            next.apply_record(record, &mut changes)?;
        }
        next.next_index = index.next();
        *self = next;
        Ok(changes)
    }

    /// The image that [`Image::to_records`] was taken of, at that image's index and hash.
    pub fn restore(
        next_index: Index,
        hash: RunningHash,
        records: &[MetadataRecord],
    ) -> Result<Image, ApplyError> {
        let mut image = Image::empty();
        for record in records {
            image.apply_record(record, &mut Vec::new())?;
        }
        image.next_index = next_index;
        image.hash = hash;
        Ok(image)
    }

    fn apply_record(&mut self, record: &MetadataRecord, changes: &mut Vec<Change>) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::ClusterCreated { cluster_id } => {
                if let Some(existing) = self.cluster_id {
                    return Err(ApplyError::ClusterExists(existing));
                }
                self.cluster_id = Some(*cluster_id);
                changes.push(Change::ClusterCreated(*cluster_id));
            }
            MetadataRecord::BrokerRegistered(broker) => self.register_broker(broker, changes)?,
            MetadataRecord::TopicCreated { topic_id, name, replication_factor } => {
                self.create_topic(*topic_id, name, *replication_factor)?;
                changes.push(Change::TopicCreated(*topic_id));
            }
            MetadataRecord::PartitionCreated { topic_id, partition, state } => {
                let partition = TopicPartition { topic_id: *topic_id, partition: *partition };
                self.create_partition(partition, state)?;
                changes.push(Change::PartitionCreated(partition));
            }
            MetadataRecord::PartitionChanged { topic_id, partition, state } => {
                let partition = TopicPartition { topic_id: *topic_id, partition: *partition };
                self.change_partition(partition, state)?;
                changes.push(Change::PartitionChanged(partition));
            }
            MetadataRecord::TopicDeleted { topic_id } => {
                let topic = self.delete_topic(*topic_id)?;
                changes.push(Change::TopicDeleted(topic));
            }
            MetadataRecord::ConfigSet { resource, key, value } => {
                self.set_config(resource, key, value)?;
                changes.push(Change::ConfigChanged(resource.clone()));
            }
            MetadataRecord::ConfigRemoved { resource, key } => {
                self.remove_config(resource, key);
                changes.push(Change::ConfigChanged(resource.clone()));
            }
            MetadataRecord::ProducerIdsAllocated { broker_id, broker_epoch: _, next } => {
                let first = self.next_producer_id;
                if *next <= first {
                    return Err(ApplyError::ProducerIdsGoBack { current: first });
                }
                self.next_producer_id = *next;
                changes.push(Change::ProducerIdsAllocated { broker_id: *broker_id, first });
            }
            MetadataRecord::FeatureLevelSet { feature, level } => {
                self.feature_levels.insert(feature.clone(), *level);
                changes.push(Change::FeatureLevelSet(feature.clone()));
            }
        }
        self.hash = self.hash.then(record);
        Ok(())
    }

    fn register_broker(&mut self, broker: &Broker, changes: &mut Vec<Change>) -> Result<(), ApplyError> {
        let known = self.brokers.insert(broker.id, Arc::new(broker.clone()));
        let new_incarnation = known.as_ref().is_none_or(|known| known.incarnation != broker.incarnation);
        if let Some(known) = known.filter(|known| broker.epoch <= known.epoch) {
            return Err(ApplyError::StaleBrokerEpoch { broker: broker.id, current: known.epoch });
        }
        changes.push(Change::BrokerRegistered(broker.id));
        if new_incarnation {
            self.lead_anew(broker.id, changes);
        }
        Ok(())
    }

    /// Puts everything `leader` leads into the next leader epoch (A3).
    fn lead_anew(&mut self, leader: BrokerId, changes: &mut Vec<Change>) {
        let leads = |topic: &Topic| topic.partitions().any(|(_, state)| state.leader == leader);
        let topics: Vec<TopicId> = self.topics().filter(|topic| leads(topic)).map(|topic| topic.id).collect();
        for topic_id in topics {
            let Some(topic) = self.topics.get_mut(&topic_id) else { continue };
            let topic = Arc::make_mut(topic);
            for index in 0..topic.partition_count() {
                let partition = PartitionIndex(index);
                let Some(state) = topic.partition(partition).filter(|state| state.leader == leader) else {
                    continue;
                };
                let state = Partition {
                    leader_epoch: state.leader_epoch.next(),
                    partition_epoch: state.partition_epoch.next(),
                    ..Partition::clone(state)
                };
                topic.partitions.insert(partition, Arc::new(state));
                changes.push(Change::PartitionChanged(TopicPartition { topic_id, partition }));
            }
        }
    }

    fn create_topic(
        &mut self,
        id: TopicId,
        name: &TopicName,
        replication_factor: ReplicationFactor,
    ) -> Result<(), ApplyError> {
        if let Some(existing) = self.topic_colliding_with(name.as_str()) {
            return Err(ApplyError::TopicNameTaken(existing.name.clone()));
        }
        let partitions = PersistentMap::default();
        let topic = Topic { id, name: name.clone(), replication_factor, partitions };
        if self.topics.insert(id, Arc::new(topic)).is_some() {
            return Err(ApplyError::TopicIdExists(id));
        }
        self.topic_ids.insert(MetricName(name.clone()), id);
        Ok(())
    }

    fn create_partition(&mut self, partition: TopicPartition, state: &Partition) -> Result<(), ApplyError> {
        check_replicas(partition, state)?;
        self.change_topic(partition.topic_id, |topic| {
            let expected = topic.partition_count();
            if partition.partition != PartitionIndex(expected) {
                return Err(ApplyError::PartitionNotNext { partition, expected });
            }
            topic.partitions.insert(partition.partition, Arc::new(state.clone()));
            Ok(())
        })
    }

    fn change_partition(&mut self, partition: TopicPartition, state: &Partition) -> Result<(), ApplyError> {
        check_replicas(partition, state)?;
        self.change_topic(partition.topic_id, |topic| {
            let current =
                topic.partitions.get(&partition.partition).ok_or(ApplyError::UnknownPartition(partition))?;
            let is_next = state.partition_epoch == current.partition_epoch.next();
            if !is_next || state.leader_epoch < current.leader_epoch {
                return Err(ApplyError::StalePartitionEpoch { partition, current: current.partition_epoch });
            }
            topic.partitions.insert(partition.partition, Arc::new(state.clone()));
            Ok(())
        })
    }

    fn change_topic(
        &mut self,
        id: TopicId,
        change: impl FnOnce(&mut Topic) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let topic = self.topics.get_mut(&id).ok_or(ApplyError::UnknownTopic(id))?;
        change(Arc::make_mut(topic))
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<Arc<Topic>, ApplyError> {
        let topic = self.topics.remove(&id).ok_or(ApplyError::UnknownTopic(id))?;
        self.topic_ids.remove(&MetricName(topic.name.clone()));
        self.configs.remove(&ConfigResource::topic(&topic.name));
        Ok(topic)
    }

    fn set_config(&mut self, resource: &ConfigResource, key: &str, value: &str) -> Result<(), ApplyError> {
        let is_topic = resource.kind == ConfigResourceKind::Topic;
        if is_topic && self.topic_named(&resource.name).is_none() {
            return Err(ApplyError::UnknownTopicName(resource.name.clone()));
        }
        match self.configs.get_mut(resource) {
            Some(set) => {
                Arc::make_mut(set).insert(key.to_owned(), value.to_owned());
            }
            None => {
                let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
                self.configs.insert(resource.clone(), Arc::new(set));
            }
        }
        Ok(())
    }

    /// Removing what is not set changes nothing: the proposer need not look.
    fn remove_config(&mut self, resource: &ConfigResource, key: &str) {
        let Some(set) = self.configs.get_mut(resource) else { return };
        let set = Arc::make_mut(set);
        set.remove(key);
        if set.is_empty() {
            self.configs.remove(resource);
        }
    }
}

fn check_replicas(partition: TopicPartition, state: &Partition) -> Result<(), ApplyError> {
    let mut brokers: Vec<BrokerId> = state.replicas.iter().map(|replica| replica.broker).collect();
    let in_sync_are_replicas = state.isr.iter().all(|broker| brokers.contains(broker));
    let leader_is_in_sync = state.leader == BrokerId::NONE || state.isr.contains(&state.leader);
    brokers.sort_unstable();
    let distinct = brokers.windows(2).all(|pair| pair[0] < pair[1]);
    if brokers.is_empty() || !distinct || !in_sync_are_replicas || !leader_is_in_sync {
        return Err(ApplyError::InconsistentReplicas(partition));
    }
    Ok(())
}
