//! Where partitions and the coordinator of transactions meet.
//!
//! - D1 A coordinator ends a transaction in a partition through [`Node::append_marker`], and in no other way: so does
//!   whoever asks for it with WriteTxnMarkers.
//! - D2 A producer's first record of a transaction in a partition is written only after its coordinator said that the
//!   partition is part of it ([`Node::verify`], KIP-890): a late one would leave a transaction open that nobody ends.

use std::fmt;

use log::Marker;
use model::{
    ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicName, TransactionVersion,
};
use rt::channel::oneshot;

use crate::error::PartitionError;
use crate::node::Node;
use crate::partition::AppendReply;

/// A question to the coordinator: are these partitions part of this producer's ongoing transaction?
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "nobody coordinates transactions yet")]
pub struct Verification {
    /// Whose coordinator is asked.
    pub transactional_id: String,
    /// The producer, as its batches name it.
    pub producer: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// With [`TransactionVersion::Tv2`] partitions that are not yet part of it become so, in a transaction begun for
    /// them if need be.
    pub version: TransactionVersion,
    /// The partitions.
    pub partitions: Vec<(TopicName, PartitionIndex)>,
}

/// Why a partition is not known to be part of an ongoing transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "nobody coordinates transactions yet")]
pub enum VerificationError {
    /// It is not: there is no such transaction, or the partition was not added to it.
    NotOngoing,
    /// A newer incarnation of the producer has taken over.
    Fenced,
    /// The coordinator knows the id with another producer.
    OtherProducer,
    /// The transaction before is still being ended: to be asked again in a moment.
    Concurrent,
    /// There is no coordinator to ask now: to be asked again.
    Unavailable(ErrorCode),
    /// Transactions are not served yet.
    NotServed,
}

impl fmt::Display for VerificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerificationError::NotOngoing => {
                f.write_str("the partition is not part of an ongoing transaction of this producer")
            }
            VerificationError::Fenced => f.write_str("a newer producer has the transactional id"),
            VerificationError::OtherProducer => f.write_str("the transactional id has another producer id"),
            VerificationError::Concurrent => {
                f.write_str("the transaction before this one is still being ended")
            }
            VerificationError::Unavailable(code) => {
                write!(f, "the transaction's coordinator cannot be asked now: {code}")
            }
            VerificationError::NotServed => f.write_str("this broker does not serve transactions yet"),
        }
    }
}

impl Node {
    /// Asks the coordinator; one answer for each partition, in their order. What is answered with `Ok` is durable.
    pub async fn verify(&self, asked: Verification) -> Vec<Result<(), VerificationError>> {
        asked.partitions.iter().map(|_| Err(VerificationError::NotServed)).collect()
    }

    /// Ends a producer's transaction in a partition; see [`crate::partition::Partition::append_marker`].
    pub async fn append_marker(
        &self,
        topic: &str,
        index: PartitionIndex,
        marker: Marker,
    ) -> Result<oneshot::Receiver<AppendReply>, PartitionError> {
        let partition = self.partition_by_name(topic, index)?;
        Ok(partition.append_marker(marker, TimestampMs(self.rt.wall_clock_ms())).await)
    }
}
