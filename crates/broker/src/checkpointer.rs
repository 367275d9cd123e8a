//! Writing down how far each partition is, so that the next start has little to read after a crash.
//!
//! - K1 A recovery point is written only after everything below it was synced.
//! - K2 Nothing is written while nothing moves.

use std::sync::Arc;
use std::time::Duration;

use log::PartitionName;
use rt::Rt;

use crate::node::Node;
use crate::storage::{Positions, Storage};

/// Kafka writes its high watermarks as often; recovery points may be older, for snapshots bound what is scanned.
const INTERVAL: Duration = Duration::from_secs(5);

/// How far every open partition is.
pub fn positions(node: &Node) -> Positions {
    let mut positions = Positions::default();
    for partition in node.partitions.all() {
        let name = PartitionName { topic: partition.topic.clone(), partition: partition.id.partition };
        positions.recovery_points.insert(name.clone(), partition.durable_end());
        positions.log_starts.insert(name.clone(), partition.reader.log_start());
        positions.high_watermarks.insert(name, partition.high_watermark());
    }
    positions
}

/// Writes checkpoints for as long as the broker lives.
pub async fn run(rt: Rt, node: Arc<Node>, storage: Arc<Storage>) {
    let mut written = Positions::default();
    loop {
        rt.sleep(INTERVAL).await;
        let now = positions(&node);
        if now == written {
            continue;
        }
        let (storage, to_write) = (Arc::clone(&storage), now.clone());
        match rt.blocking(move || storage.write_checkpoints(&to_write)).await {
            Ok(()) => written = now,
            Err(error) => tracing::warn!("the checkpoints could not be written: {error}"),
        }
    }
}
