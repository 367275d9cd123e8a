//! What Produce asks about batches of transactions before it queues them (KIP-890).
//!
//! - V1 A batch whose transaction is open in its partition asks nothing: the lane sees that it is.
//! - V2 All others of a request are asked about at once: it is one producer's, and so one coordinator's.
//! - V3 What `transaction.partition.verification.enable` switches off is the question of clients that add partitions themselves
//!   (TV1): for all others it is the addition.
//! - V4 The high watermark is noted before the coordinator is asked: a marker behind it makes the answer void.

use std::sync::Arc;
use std::time::Duration;

use log::Verified;
use model::{Offset, ProducerEpoch, ProducerId, TransactionVersion};

use crate::error::ProduceError;
use crate::node::Node;
use crate::partition::Partition;
use crate::registry::produce::TakenIn;
use crate::transactions::{Verification, VerificationError};

/// First version of Produce that adds its partitions to the transaction.
pub const ADDS_PARTITIONS_SINCE: i16 = 12;

type Batches = [Result<TakenIn, ProduceError>];

/// Finds out which batches may begin a transaction in their partitions, and refuses those that may not.
pub async fn verify(node: &Node, transactional_id: Option<&str>, batches: &mut Batches, version: i16) {
    let mut producers = batches.iter().flatten().filter_map(transaction_of);
    let Some((producer, epoch)) = producers.next() else { return };
    if producers.any(|other| other != (producer, epoch)) {
        return refuse_all(batches, &ProduceError::SeveralProducers);
    }
    let Some(transactional_id) = transactional_id else {
        return refuse_all(batches, &ProduceError::NoTransactionalId);
    };
    let asked = Verification {
        transactional_id: transactional_id.to_owned(),
        producer,
        epoch,
        version: if version < ADDS_PARTITIONS_SINCE {
            TransactionVersion::Tv1
        } else {
            TransactionVersion::Tv2
        },
        partitions: Vec::new(),
    };
    // A coordinator may still be ending the transaction before: it is asked again for a while.
    let backoff = Duration::from_millis(node.config().add_partitions_backoff_ms);
    let deadline = node.rt().now() + Duration::from_millis(node.config().add_partitions_patience_ms);
    let mut unasked: Vec<usize> = (0..batches.len()).filter(|&index| is_unknown(&batches[index])).collect();
    if !unasked.is_empty() && !node.verifies(asked.version) {
        batches.iter_mut().flatten().for_each(|taken| taken.verified = Verified::Unneeded);
        return;
    }
    while !unasked.is_empty() {
        let may_repeat = asked.version == TransactionVersion::Tv2 && node.rt().now() < deadline;
        unasked = ask(node, &asked, batches, &unasked, version, may_repeat).await;
        if !unasked.is_empty() {
            node.rt().sleep(backoff).await;
        }
    }
}

/// Asks about the batches at `unasked`; yields those that are to be asked about again.
async fn ask(
    node: &Node,
    asked: &Verification,
    batches: &mut Batches,
    unasked: &[usize],
    version: i16,
    may_repeat: bool,
) -> Vec<usize> {
    let partitions =
        unasked.iter().filter_map(|&index| batches[index].as_ref().ok()).map(|taken| &taken.partition);
    let partitions: Vec<Arc<Partition>> = partitions.map(Arc::clone).collect();
    let since: Vec<Offset> = partitions.iter().map(|partition| partition.high_watermark()).collect();
    let named =
        partitions.iter().map(|partition| (partition.topic.clone(), partition.id.partition)).collect();
    let answers = node.verify(Verification { partitions: named, ..asked.clone() }).await;
    let mut again = Vec::new();
    for ((&index, since), answer) in unasked.iter().zip(since).zip(answers) {
        match answer {
            Ok(()) => {
                if let Ok(taken) = &mut batches[index] {
                    taken.verified = match asked.version {
                        TransactionVersion::Tv1 => Verified::Since(since),
                        TransactionVersion::Tv2 => Verified::ForEpoch,
                    };
                }
            }
            Err(VerificationError::Concurrent) if may_repeat => again.push(index),
            Err(error) => batches[index] = Err(ProduceError::Unverified { error, version }),
        }
    }
    again
}

/// Whose transaction a batch says it belongs to.
fn transaction_of(taken: &TakenIn) -> Option<(ProducerId, ProducerEpoch)> {
    let header = taken.batch.header();
    let belongs = header.is_transactional() && header.is_idempotent();
    belongs.then_some((header.producer_id, header.producer_epoch))
}

/// Whether the coordinator is to be asked about a batch (V1).
fn is_unknown(batch: &Result<TakenIn, ProduceError>) -> bool {
    let Ok(taken) = batch else { return false };
    transaction_of(taken)
        .is_some_and(|(producer, epoch)| !taken.partition.has_open_transaction(producer, epoch))
}

fn refuse_all(batches: &mut Batches, error: &ProduceError) {
    batches.iter_mut().for_each(|batch| *batch = Err(error.clone()));
}
