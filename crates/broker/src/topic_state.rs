//! What Metadata and DescribeTopicPartitions both say of topics: in their own messages, but of the same facts.

use meta::{Image, Partition};
use model::{BrokerId, ErrorCode, TopicName};

/// One partition, in the numbers of the wire.
pub struct PartitionState {
    /// LEADER_NOT_AVAILABLE while nobody leads it.
    pub error: ErrorCode,
    /// Who leads it, or -1.
    pub leader_id: i32,
    /// The number of that leadership.
    pub leader_epoch: i32,
    /// The brokers that have a copy, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that have everything acknowledged.
    pub isr: Vec<i32>,
    /// Those of them that are not there.
    pub offline: Vec<i32>,
}

impl PartitionState {
    /// The state of a partition as it is in this image.
    pub fn of(image: &Image, partition: &Partition) -> PartitionState {
        let has_leader = partition.leader != BrokerId::NONE;
        let replicas = || partition.replicas.iter().map(|replica| replica.broker);
        PartitionState {
            error: if has_leader { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
            leader_id: partition.leader.0,
            leader_epoch: partition.leader_epoch.0,
            replicas: replicas().map(|broker| broker.0).collect(),
            isr: partition.isr.iter().map(|broker| broker.0).collect(),
            offline: replicas().filter(|&id| image.broker(id).is_none()).map(|broker| broker.0).collect(),
        }
    }
}

/// The error of a name that no topic has.
pub fn unknown_name(name: &str) -> ErrorCode {
    match TopicName::parse(name) {
        Ok(_) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}
