//! Where the replicas of a partition go: round robin over the brokers, or as somebody assigned them.
//!
//! - P1 The replicas of a partition lie on distinct, registered brokers.
//! - P2 Consecutive partitions have consecutive leaders, so a topic's load spreads evenly.

use std::sync::Arc;

use meta::{Broker, Image, Partition, PartitionEpoch, Replica};
use model::{BrokerId, LeaderEpoch, TopicId, Uuid};

use crate::error::ControllerError;

/// Most copies a topic gets that does not say how many it wants.
const AUTOMATIC_REPLICATION_FACTOR_MAX: usize = 3;

/// The brokers replicas can go to.
pub(crate) struct Brokers(Vec<Arc<Broker>>);

impl Brokers {
    pub(crate) fn of(image: &Image) -> Brokers {
        Brokers(image.brokers().cloned().collect())
    }

    /// As many copies as there are brokers, up to three.
    pub(crate) fn automatic_replication_factor(&self) -> i16 {
        let copies = self.0.len().clamp(1, AUTOMATIC_REPLICATION_FACTOR_MAX);
        i16::try_from(copies).expect("three at the most")
    }

    /// A new partition with this many copies; `turn` moves the leader on.
    pub(crate) fn place(&self, copies: i16, turn: usize) -> Result<Partition, ControllerError> {
        let not_enough = ControllerError::NotEnoughBrokers { asked: copies, brokers: self.0.len() };
        let copies = usize::try_from(copies).map_err(|_| ControllerError::NonPositiveReplicationFactor)?;
        if self.0.len() < copies || copies == 0 {
            return Err(not_enough);
        }
        let chosen = (0..copies).map(|copy| &self.0[turn.wrapping_add(copy) % self.0.len()]);
        Ok(new_partition(chosen.map(|broker| replica(broker, turn)).collect()))
    }

    /// A new partition on the brokers somebody chose.
    pub(crate) fn assign(&self, brokers: &[BrokerId], turn: usize) -> Result<Partition, ControllerError> {
        if brokers.is_empty() {
            return Err(ControllerError::AssignmentEmpty);
        }
        let mut replicas: Vec<Replica> = Vec::new();
        for &id in brokers {
            if replicas.iter().any(|replica| replica.broker == id) {
                return Err(ControllerError::AssignedBrokerTwice(id));
            }
            let broker = self.0.iter().find(|broker| broker.id == id);
            let broker = broker.ok_or(ControllerError::AssignedUnknownBroker(id))?;
            replicas.push(replica(broker, turn));
        }
        Ok(new_partition(replicas))
    }
}

/// Where a topic's first partition starts its round: spread by the id, which is random.
pub(crate) fn first_turn(topic: TopicId) -> usize {
    let Uuid(bytes) = topic.0;
    let [.., high, low] = bytes;
    usize::from(u16::from_be_bytes([high, low]))
}

/// A copy on one of the broker's folders, in turn.
fn replica(broker: &Broker, turn: usize) -> Replica {
    let folders = broker.directories.len().max(1);
    let directory = broker.directories.get(turn % folders).copied().unwrap_or(Uuid::ZERO);
    Replica { broker: broker.id, directory }
}

fn new_partition(replicas: Vec<Replica>) -> Partition {
    let isr: Vec<BrokerId> = replicas.iter().map(|replica| replica.broker).collect();
    let leader = isr.first().copied().unwrap_or(BrokerId::NONE);
    Partition { replicas, isr, leader, leader_epoch: LeaderEpoch(0), partition_epoch: PartitionEpoch(0) }
}
