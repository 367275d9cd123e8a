//! `ottla.disk.full.policy=delete-oldest`: the oldest records of all partitions go when the disk gets short.
//!
//! - O1 Only segments that are not written any more, below the high watermark, of topics whose `cleanup.policy` has
//!   `delete`; never of internal topics.
//! - O2 Over all partitions the segment whose newest record is oldest goes first; a partition loses its first one first.
//! - O3 The new starts are in the checkpoint before anything is removed, as with retention (`crate::retention`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use log::Sealed;
use model::Offset;

use crate::node::Node;
use crate::partition::Partition;

/// One partition and what it can do without.
struct Candidate {
    partition: Arc<Partition>,
    sealed: VecDeque<Sealed>,
}

/// Frees about `wanted` bytes, if there are so many to be freed; says how many.
pub async fn delete_oldest(node: &Node, wanted: u64) -> u64 {
    let mut promised = Vec::new();
    for (partition, to, bytes) in choose(candidates(node).await, wanted) {
        match partition.promise_start(to).await {
            Ok(()) => promised.push((partition, to, bytes)),
            // Deleted meanwhile, or its log failed, which was said when it did.
            Err(error) => tracing::debug!("{}-{}: {error}", partition.topic, partition.id.partition),
        }
    }
    if promised.is_empty() {
        return 0;
    }
    if let Err(error) = node.write_log_starts().await {
        tracing::warn!("nothing was deleted for room, for the log starts could not be written down: {error}");
        return 0;
    }
    let mut freed = 0;
    for (partition, to, bytes) in promised {
        let (topic, index) = (&partition.topic, partition.id.partition);
        let removed = match partition.put_away_before(to).await {
            Ok(put_away) => node.rt().blocking(move || put_away.remove()).await,
            Err(error) => {
                tracing::debug!("{topic}-{index}: {error}");
                continue;
            }
        };
        match removed {
            Ok(_) => {
                freed += bytes;
                tracing::warn!(
                    "{topic}-{index}: records below {to} were deleted for room (ottla.disk.full.policy)"
                );
            }
            Err(error) => {
                tracing::warn!(
                    "{topic}-{index}: deleted segments stay on the disk until the next start: {error}"
                );
            }
        }
    }
    freed
}

async fn candidates(node: &Node) -> Vec<Candidate> {
    let partitions = node.partitions.all();
    let find = move || {
        let may_lose = |partition: &Arc<Partition>| {
            partition.config().cleanup_policy.delete && !partition.topic.is_internal()
        };
        let candidate = |partition: Arc<Partition>| Candidate {
            sealed: partition.reader.sealed_below(partition.high_watermark()).into(),
            partition,
        };
        partitions.into_iter().filter(may_lose).map(candidate).collect()
    };
    node.rt().blocking(find).await
}

/// Where partitions are to start so that `wanted` bytes are free, and how many of them each gives (O2).
fn choose(mut candidates: Vec<Candidate>, wanted: u64) -> Vec<(Arc<Partition>, Offset, u64)> {
    let age = |candidates: &[Candidate], place: usize| {
        candidates[place].sealed.front().map(|sealed| Reverse((sealed.newest, place)))
    };
    let mut oldest: BinaryHeap<_> =
        (0..candidates.len()).filter_map(|place| age(&candidates, place)).collect();
    let mut chosen: BTreeMap<usize, (Offset, u64)> = BTreeMap::new();
    let mut freed = 0;
    while freed < wanted
        && let Some(Reverse((_, place))) = oldest.pop()
        && let Some(sealed) = candidates[place].sealed.pop_front()
    {
        freed += sealed.bytes;
        let one = chosen.entry(place).or_insert((sealed.end, 0));
        *one = (sealed.end, one.1 + sealed.bytes);
        oldest.extend(age(&candidates, place));
    }
    let chosen = chosen.into_iter();
    chosen.map(|(place, (to, bytes))| (Arc::clone(&candidates[place].partition), to, bytes)).collect()
}
