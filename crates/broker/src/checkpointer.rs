//! Writing down how far each partition is, so that the next start has little to read after a crash.
//!
//! - K1 A recovery point is written only after everything below it was synced.
//! - K2 Nothing is written while nothing moves.
//! - K3 One write at a time, of what holds when it begins: an older state never replaces a newer one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use log::PartitionName;
use rt::Rt;
use rt::channel::Mutex;

use crate::node::Node;
use crate::partition::{Partition, PartitionTable};
use crate::storage::{Positions, Storage};

/// Kafka writes its high watermarks as often; recovery points may be older, for snapshots bound what is scanned.
const INTERVAL: Duration = Duration::from_secs(5);

/// The one way to the checkpoint files while the broker runs.
pub struct Checkpointer {
    rt: Rt,
    storage: Arc<Storage>,
    /// What was written last (K2, K3).
    written: Mutex<Positions>,
}

impl Checkpointer {
    /// Nothing is written yet.
    pub fn new(rt: &Rt, storage: Arc<Storage>) -> Checkpointer {
        Checkpointer { rt: rt.clone(), storage, written: Mutex::default() }
    }

    /// Lets nothing be written while the answer lives.
    pub async fn pause(&self) -> impl Drop + Send + '_ {
        self.written.lock().await
    }

    /// Writes everything down.
    pub async fn write(&self, partitions: &PartitionTable) -> io::Result<()> {
        let mut written = self.written.lock().await;
        let now = positions(partitions);
        if now != *written {
            let (storage, to_write) = (Arc::clone(&self.storage), now.clone());
            self.rt.blocking(move || storage.write_checkpoints(&to_write)).await?;
            *written = now;
        }
        Ok(())
    }

    /// Writes down where logs start, before somebody is told that records are gone.
    pub async fn write_log_starts(&self, partitions: &PartitionTable) -> io::Result<()> {
        let mut written = self.written.lock().await;
        let now = positions(partitions).log_starts;
        if now != written.log_starts {
            let (storage, to_write) = (Arc::clone(&self.storage), now.clone());
            self.rt.blocking(move || storage.write_log_starts(&to_write)).await?;
            written.log_starts = now;
        }
        Ok(())
    }

    /// Writes down how far logs are compacted; one that is not written is only compacted again.
    pub async fn write_cleaner_offsets(&self, partitions: &PartitionTable) -> io::Result<()> {
        let _one_at_a_time = self.written.lock().await;
        let cleaned = |partition: Arc<Partition>| Some((name_of(&partition), partition.cleaned_to()?));
        let now = partitions.all().into_iter().filter_map(cleaned).collect();
        let storage = Arc::clone(&self.storage);
        self.rt.blocking(move || storage.write_cleaner_offsets(&now)).await
    }
}

fn name_of(partition: &Partition) -> PartitionName {
    PartitionName { topic: partition.topic.clone(), partition: partition.id.partition }
}

/// How far every open partition is.
fn positions(partitions: &PartitionTable) -> Positions {
    let mut positions = Positions::default();
    for partition in partitions.all() {
        let name = name_of(&partition);
        positions.recovery_points.insert(name.clone(), partition.durable_end());
        positions.log_starts.insert(name.clone(), partition.start_to_keep());
        positions.high_watermarks.insert(name, partition.high_watermark());
    }
    positions
}

/// Writes checkpoints for as long as the broker lives.
pub async fn run(node: Arc<Node>) {
    loop {
        node.rt().sleep(INTERVAL).await;
        if let Err(error) = node.checkpointer.write(&node.partitions).await {
            tracing::warn!("the checkpoints could not be written: {error}");
        }
    }
}
