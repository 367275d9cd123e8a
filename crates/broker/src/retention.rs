//! Letting go of records past their topic's retention (`retention.ms`, `retention.bytes`).
//!
//! - R1 Only topics whose `cleanup.policy` has `delete` lose records this way; whole segments go, and nothing above
//!   the high watermark.
//! - R2 The new starts are in the checkpoint, one write for a whole pass, before anything is removed: a crash never
//!   brings back what was said to be gone.
//! - R3 Age is counted from a segment's newest record, so a topic without a limit, or with a record in the future,
//!   keeps what it has.

use std::sync::Arc;
use std::time::Duration;

use log::Retention;
use model::Offset;
use rt::Rt;

use crate::error::PartitionError;
use crate::node::Node;
use crate::partition::Partition;

/// Looks at every partition each `log.retention.check.interval.ms`, for as long as the broker lives.
pub async fn run(rt: Rt, node: Arc<Node>) {
    let interval = Duration::from_millis(node.config().log_retention_check_interval_ms);
    loop {
        rt.sleep(interval).await;
        pass(&node).await;
    }
}

async fn pass(node: &Node) {
    let mut promised = Vec::new();
    for partition in node.partitions.all() {
        match promise(&partition).await {
            Ok(None) => {}
            Ok(Some(to)) => promised.push((partition, to)),
            // Deleted meanwhile, or its log failed, which was said when it did.
            Err(error) => tracing::debug!("{}-{}: {error}", partition.topic, partition.id.partition),
        }
    }
    if promised.is_empty() {
        return;
    }
    if let Err(error) = node.write_log_starts().await {
        tracing::warn!("nothing expired, for the log starts could not be written down: {error}");
        return;
    }
    for (partition, to) in promised {
        match partition.advance_start(to).await {
            Ok(start) => {
                tracing::info!(
                    "{}-{}: records below {start} expired",
                    partition.topic,
                    partition.id.partition
                );
            }
            Err(error) => tracing::debug!("{}-{}: {error}", partition.topic, partition.id.partition),
        }
    }
}

/// Where a partition will start without what has expired, once it has promised to.
async fn promise(partition: &Partition) -> Result<Option<Offset>, PartitionError> {
    let config = partition.config();
    let retention = Retention {
        age_ms: config.retention_ms.map(|age| i64::try_from(age).unwrap_or(i64::MAX)),
        bytes: config.retention_bytes,
    };
    let is_limited = retention.age_ms.is_some() || retention.bytes.is_some();
    if !config.cleanup_policy.delete || !is_limited {
        return Ok(None);
    }
    let Some(to) = partition.expired_to(retention).await? else { return Ok(None) };
    partition.promise_start(to).await?;
    Ok(Some(to))
}
