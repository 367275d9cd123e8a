//! What the log says of a group: its last stored generation and its committed offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};

use crate::id::{InstanceId, MemberId};

/// A generation whose assignment the leader has sent, or that ended empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: i32,
    /// Empty while no member has ever joined.
    pub protocol_type: Arc<str>,
    /// What its members agreed on: the assignor of consumers.
    pub protocol: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Option<MemberId>,
    /// Unix ms since when the group is in the state it was stored in; old records do not say.
    pub state_since_ms: Option<i64>,
    /// Who is in it.
    pub members: BTreeMap<MemberId, StoredMember>,
}

/// A member of a stored generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMember {
    /// Its own name, if it is static.
    pub instance_id: Option<InstanceId>,
    /// What its client calls itself.
    pub client_id: Arc<str>,
    /// Where it came from.
    pub client_host: Arc<str>,
    /// How long a rebalance waits for it.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata under the generation's protocol.
    pub subscription: Arc<[u8]>,
    /// What it was given.
    pub assignment: Arc<[u8]>,
}

/// An offset as committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Where the group goes on.
    pub offset: Offset,
    /// Epoch of the leader it was read from, as far as the client said.
    pub leader_epoch: LeaderEpoch,
    /// Whatever the client wrote beside it.
    pub metadata: Arc<str>,
    /// When, Unix ms.
    pub committed_at_ms: i64,
    /// When the client said it should go (OffsetCommit v2-v4).
    pub expires_at_ms: Option<i64>,
    /// The topic's identity, where the broker knew it.
    pub topic_id: Option<TopicId>,
}

/// A group's committed offsets; a topic without any is not in the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets(BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>);

impl Offsets {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, topic: &TopicName, partition: PartitionIndex) -> Option<&CommittedOffset> {
        self.0.get(topic)?.get(&partition)
    }

    pub fn topic(&self, topic: &TopicName) -> impl Iterator<Item = (PartitionIndex, &CommittedOffset)> {
        self.0.get(topic).into_iter().flatten().map(|(&partition, offset)| (partition, offset))
    }

    pub fn topics(&self) -> impl Iterator<Item = (&TopicName, &BTreeMap<PartitionIndex, CommittedOffset>)> {
        self.0.iter()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, &CommittedOffset)> {
        self.0.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(&partition, offset)| (topic, partition, offset))
        })
    }

    pub fn set(&mut self, topic: TopicName, partition: PartitionIndex, value: Option<CommittedOffset>) {
        match value {
            Some(offset) => {
                self.0.entry(topic).or_default().insert(partition, offset);
            }
            None => {
                if let Some(partitions) = self.0.get_mut(&topic) {
                    partitions.remove(&partition);
                    if partitions.is_empty() {
                        self.0.remove(&topic);
                    }
                }
            }
        }
    }
}
