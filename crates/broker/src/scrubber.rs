//! Reading all sealed segments again and again at a bounded rate (`ottla.scrub.bytes.per.second`), so that damage is
//! found while there may still be a copy elsewhere.
//!
//! - S1 One piece at a time, off the lanes and the workers; between two pieces it rests as long as the rate asks.
//! - S2 What is found bad is said, unless it was, and refused to whoever reads it from then on.
//!
//! What the page cache holds is read from there: the disk below is seen only once the cache has let go.

use std::sync::Arc;
use std::time::Duration;

use log::ScrubPlace;
use model::limits::SCRUB_PIECE_BYTES;
use rt::Rt;

use crate::node::Node;
use crate::partition::Partition;

/// Between two passes, and before the first, when a start has other things to read.
const REST: Duration = Duration::from_secs(3600);

/// How often a rate that is none is looked at again.
const LOOK: Duration = Duration::from_secs(60);

/// Passes over everything for as long as the broker lives.
pub async fn run(rt: Rt, node: Arc<Node>) {
    loop {
        rt.sleep(REST).await;
        for partition in node.partitions.all() {
            scrub(&rt, &node, &partition).await;
        }
    }
}

async fn scrub(rt: &Rt, node: &Node, partition: &Partition) {
    let mut place = ScrubPlace::START;
    loop {
        let rate = node.current_config().scrub_bytes_per_second;
        if rate == 0 {
            rt.sleep(LOOK).await;
            continue;
        }
        let reader = partition.reader.clone();
        let scrubbed = rt.blocking(move || reader.scrub(place, SCRUB_PIECE_BYTES)).await;
        if let Some(error) = scrubbed.found {
            node.damage.tell(partition, &error);
        }
        let Some(next) = scrubbed.next else { return };
        place = next;
        rt.sleep(Duration::from_secs(1).mul_f64(as_float(scrubbed.bytes) / as_float(rate))).await;
    }
}

fn as_float(bytes: u64) -> f64 {
    // Below 2^32: a piece, and a rate that is capped.
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}
