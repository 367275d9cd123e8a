//! The partitions led here, by topic id; what every request looks its partition up in.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use model::{PartitionIndex, TopicId, TopicPartition};
use rustc_hash::FxHashMap;

use super::handle::Partition;

/// All led partitions. Read by every request, written when one is opened or closed.
#[derive(Default)]
pub struct PartitionTable {
    partitions: RwLock<FxHashMap<TopicPartition, Arc<Partition>>>,
}

impl PartitionTable {
    /// The partition, if it is led here and open.
    pub fn find(&self, topic_id: TopicId, partition: PartitionIndex) -> Option<Arc<Partition>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        partitions.get(&TopicPartition { topic_id, partition }).cloned()
    }

    /// Publishes a partition whose lane has adopted it.
    pub fn insert(&self, partition: Arc<Partition>) {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).insert(partition.id, partition);
    }

    /// Takes a partition away from requests; those under way keep their handle.
    pub fn remove(&self, id: TopicPartition) -> Option<Arc<Partition>> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    /// Everything open, in the order of topic ids and partitions.
    pub fn all(&self) -> Vec<Arc<Partition>> {
        let partitions = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        let sorted: BTreeMap<_, _> = partitions.iter().collect();
        sorted.into_values().cloned().collect()
    }
}
