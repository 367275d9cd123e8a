//! Writing the markers that a coordinator of transactions has decided on, into every partition of the transaction.
//!
//! - M1 Markers are tried again until they are written, the partition is gone, or the coordinator that wants them is: its
//!   successor asks anew.
//! - M2 A marker that is refused for good ends nothing: a newer coordinator or producer has taken over.

use std::sync::Arc;
use std::time::Duration;

use log::Marker;
use model::{ErrorCode, PartitionIndex, TopicName};
use rt::channel::mpsc;
use txn::Event;

use crate::coordinator::{MarkersOf, Order, Transactions};
use crate::node::Node;

/// How long a marker rests that could not be written.
const BACKOFF: Duration = Duration::from_millis(100);

/// Has each transaction's markers written by a task of its own, so that no partition holds up another's transaction.
pub async fn run(node: Arc<Node>, mut ordered: mpsc::Receiver<Order<Transactions>>) {
    while let Some(order) = ordered.recv().await {
        node.rt().spawn("markers of a transaction", write(Arc::clone(&node), order));
    }
}

async fn write(node: Arc<Node>, order: Order<Transactions>) {
    let Order { work: MarkersOf { epoch, markers }, done } = order;
    let marker = Marker {
        producer: markers.producer_id,
        epoch: markers.producer_epoch,
        coordinator_epoch: epoch,
        result: markers.result,
        version: markers.version,
    };
    let mut left: Vec<(TopicName, PartitionIndex)> = Vec::new();
    for (topic, indexes) in &markers.partitions {
        left.extend(indexes.iter().map(|&index| (topic.clone(), index)));
    }
    loop {
        left = try_all(&node, marker, left).await;
        if left.is_empty() || done.is_closed() {
            break;
        }
        node.rt().sleep(BACKOFF).await;
        if done.is_closed() {
            break; // M1: what is written from here on could end the transaction after.
        }
    }
    if left.is_empty() {
        // A coordinator that is gone has a successor that asks anew.
        let _ = done.send(Event::MarkersWritten(markers.transactional_id, markers.ticket)).await;
    }
}

/// Yields where the marker is to be tried again.
async fn try_all(
    node: &Node,
    marker: Marker,
    partitions: Vec<(TopicName, PartitionIndex)>,
) -> Vec<(TopicName, PartitionIndex)> {
    let mut queued = Vec::with_capacity(partitions.len());
    for (topic, index) in partitions {
        let reply = node.append_marker(topic.as_str(), index, marker).await;
        queued.push((topic, index, reply));
    }
    let mut again = Vec::new();
    for (topic, index, reply) in queued {
        let code = match reply {
            Ok(reply) => reply.written().await,
            Err(error) => error.code(),
        };
        match code {
            ErrorCode::None | ErrorCode::UnknownTopicOrPartition => {}
            ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced => {
                tracing::warn!(
                    "the transaction of producer {} in {topic}-{index} could not be ended: {code}",
                    marker.producer.0
                );
            }
            _ => again.push((topic, index)),
        }
    }
    again
}
