//! Syncs that topics ask for by time (`flush.ms`) although they promise no disk (`ottla.durability=memory`).
//!
//! - F1 What was written is on the disk at the latest [`LOOK`] after the topic's `flush.ms`, counted from when it was
//!   first seen here.
//! - F2 Topics that promise the disk need none of this: what they acknowledge was synced.

use std::sync::Arc;
use std::time::Duration;

use config::Durability;
use model::{Offset, TopicPartition};
use rt::Instant;
use rustc_hash::FxHashMap;

use crate::node::Node;
use crate::partition::Partition;

/// How often partitions are looked at while there are any that ask for it.
const LOOK: Duration = Duration::from_secs(1);

/// Looks for as long as the broker lives.
pub async fn run(node: Arc<Node>) {
    // Where each log ended when it was first seen to have something unsynced, and when that was.
    let mut unsynced: FxHashMap<TopicPartition, (Offset, Instant)> = FxHashMap::default();
    let mut applied = node.applied.clone();
    loop {
        applied.borrow_and_update();
        let asking: Vec<Arc<Partition>> =
            node.partitions.all().into_iter().filter(|one| flush_after(one).is_some()).collect();
        if asking.is_empty() {
            // Nothing asks before the metadata changes, which ends only with the broker.
            match applied.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        }
        node.rt().sleep(LOOK).await;
        let now = node.rt().now();
        unsynced.retain(|id, _| asking.iter().any(|one| one.id == *id));
        for partition in asking {
            let (durable_end, log_end) = (partition.durable_end(), partition.reader.log_end());
            let known = unsynced.get(&partition.id).filter(|(end, _)| durable_end < *end).copied();
            let (end, since) = known.unwrap_or((log_end, now));
            if log_end <= durable_end {
                unsynced.remove(&partition.id);
                continue;
            }
            unsynced.insert(partition.id, (end, since));
            if flush_after(&partition).is_some_and(|after| after <= now.saturating_since(since)) {
                // A log that failed, or whose partition goes, has said so.
                drop(partition.sync_to(log_end).await);
            }
        }
    }
}

/// How long a partition lets what it wrote wait; `None` where it does not say.
fn flush_after(partition: &Partition) -> Option<Duration> {
    let config = partition.config();
    let is_asked = config.durability == Durability::Memory && config.flush_ms < i64::MAX.unsigned_abs();
    is_asked.then(|| Duration::from_millis(config.flush_ms))
}
