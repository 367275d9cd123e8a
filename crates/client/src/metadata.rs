//! What the cluster said of itself last: its nodes, and the topics somebody here asked for.
//!
//! - M1 A snapshot never changes; a refresh makes another one.
//! - M2 A topic that was asked for and is not there is absent, not empty.
//! - M3 The id that a topic had is remembered while it is absent: so a topic that comes back as another one is noticed.

use std::collections::BTreeMap;

use model::{BrokerId, ErrorCode, LeaderEpoch, PartitionIndex, TopicName, Uuid};
use wire::ApiKey;
use wire::metadata::{MetadataResponse, MetadataResponseTopic};

use crate::error::Error;

/// One state of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The cluster's id, as its brokers spell it.
    pub cluster_id: Option<String>,
    /// Who takes requests about names, as far as is known.
    pub controller: Option<BrokerId>,
    /// The nodes that are up.
    pub nodes: BTreeMap<BrokerId, Node>,
    /// The topics that were asked for and exist.
    pub topics: BTreeMap<TopicName, Topic>,
    /// The last id of each topic that ever was in `topics` (M3).
    last_ids: BTreeMap<TopicName, Uuid>,
}

/// A topic that is another one than it was, under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recreated<'a> {
    pub(crate) topic: &'a TopicName,
    pub(crate) was: Uuid,
    pub(crate) is: Uuid,
}

/// One broker and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: BrokerId,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Its rack, if it said so.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id; zero from brokers that have none.
    pub id: Uuid,
    /// Whether brokers keep their own state in it.
    pub is_internal: bool,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionIndex, Partition>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Who leads it; `None` while nobody does.
    pub leader: Option<BrokerId>,
    /// Number of that leadership.
    pub leader_epoch: LeaderEpoch,
    /// Who holds a copy.
    pub replicas: Vec<BrokerId>,
    /// Whose copy is complete.
    pub isr: Vec<BrokerId>,
    /// Who should hold a copy and is not there.
    pub offline: Vec<BrokerId>,
}

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition in it.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: TopicName, partition: i32) -> TopicPartition {
        TopicPartition { topic, partition: PartitionIndex(partition) }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl Snapshot {
    /// A partition, if the snapshot has it.
    pub fn partition(&self, place: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&place.topic)?.partitions.get(&place.partition)
    }

    /// Who leads a partition, if anybody is known to.
    pub fn leader(&self, place: &TopicPartition) -> Option<BrokerId> {
        self.partition(place)?.leader
    }

    /// A topic's id; zero where it is not known.
    pub(crate) fn topic_id(&self, topic: &TopicName) -> Uuid {
        self.topics.get(topic).map_or(Uuid::ZERO, |topic| topic.id)
    }

    /// Topics that were deleted and created again since `before`, an earlier snapshot.
    pub(crate) fn recreated_since<'a>(&'a self, before: &'a Snapshot) -> impl Iterator<Item = Recreated<'a>> {
        let both = self
            .last_ids
            .iter()
            .filter_map(|(topic, is)| Some(Recreated { topic, was: *before.last_ids.get(topic)?, is: *is }));
        both.filter(|both| both.was != both.is)
    }

    /// This snapshot with an answer on top. `all` says that the answer names every topic there is.
    pub(crate) fn with(&self, answer: &MetadataResponse<'_>, all: bool) -> Result<Snapshot, Error> {
        let mut next = Snapshot {
            cluster_id: answer.cluster_id.as_deref().map(str::to_owned),
            controller: Some(BrokerId(answer.controller_id)).filter(|id| *id != BrokerId::NONE),
            nodes: BTreeMap::new(),
            topics: if all { BTreeMap::new() } else { self.topics.clone() },
            last_ids: self.last_ids.clone(),
        };
        for broker in &answer.brokers {
            let id = BrokerId(broker.node_id);
            let port = u16::try_from(broker.port)
                .map_err(|_| nonsense(format!("node {id} has port {}", broker.port)))?;
            let rack = broker.rack.as_deref().map(str::to_owned);
            next.nodes.insert(id, Node { id, host: broker.host.clone().into_owned(), port, rack });
        }
        for topic in &answer.topics {
            next.put(topic)?;
        }
        Ok(next)
    }

    fn put(&mut self, topic: &MetadataResponseTopic<'_>) -> Result<(), Error> {
        let Some(name) = topic.name.as_deref() else { return Ok(()) };
        let name = TopicName::parse(name).map_err(|error| nonsense(error.to_string()))?;
        if ErrorCode::from_code(topic.error_code) != ErrorCode::None {
            self.topics.remove(&name);
            return Ok(());
        }
        let mut partitions = BTreeMap::new();
        for partition in &topic.partitions {
            let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
            let known = Partition {
                leader: Some(BrokerId(partition.leader_id)).filter(|id| *id != BrokerId::NONE),
                leader_epoch: LeaderEpoch(partition.leader_epoch),
                replicas: brokers(&partition.replica_nodes),
                isr: brokers(&partition.isr_nodes),
                offline: brokers(&partition.offline_replicas),
            };
            partitions.insert(PartitionIndex(partition.partition_index), known);
        }
        if topic.topic_id != Uuid::ZERO {
            self.last_ids.insert(name.clone(), topic.topic_id);
        }
        self.topics.insert(name, Topic { id: topic.topic_id, is_internal: topic.is_internal, partitions });
        Ok(())
    }
}

fn nonsense(problem: String) -> Error {
    Error::Malformed { api: ApiKey::Metadata, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot after an answer about topic `t`: its id, 0 from a broker that has none; `None` says it is not there.
    fn after(before: &Snapshot, id: Option<u8>) -> Snapshot {
        let error_code = id.map_or(ErrorCode::UnknownTopicOrPartition, |_| ErrorCode::None).code();
        let topic = MetadataResponseTopic {
            error_code,
            name: Some("t".into()),
            topic_id: Uuid([id.unwrap_or(0); 16]),
            ..MetadataResponseTopic::default()
        };
        let answer = MetadataResponse { topics: vec![topic], ..MetadataResponse::default() };
        before.with(&answer, false).unwrap()
    }

    #[test]
    fn a_topic_that_comes_back_as_another_one_is_noticed_once_also_where_it_was_gone_in_between() {
        let mut snapshot = Snapshot::default();
        let mut seen = Vec::new();
        for id in [Some(1), Some(1), Some(2), None, Some(2), None, Some(3), Some(0), Some(3)] {
            let next = after(&snapshot, id);
            seen.extend(next.recreated_since(&snapshot).map(|both| (both.was.0[0], both.is.0[0])));
            snapshot = next;
        }
        assert_eq!(seen, [(1, 2), (2, 3)]);
        assert_eq!(snapshot.topic_id(&TopicName::parse("t").unwrap()), Uuid([3; 16]));
    }
}
