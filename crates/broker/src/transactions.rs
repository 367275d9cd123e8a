//! Where partitions and the coordinator of transactions meet.
//!
//! - D1 A coordinator ends a transaction in a partition through [`Node::append_marker`], and in no other way: so does
//!   whoever asks for it with WriteTxnMarkers.
//! - D2 A producer's first record of a transaction in a partition is written only after its coordinator said that the
//!   partition is part of it ([`Node::verify`], KIP-890): a late one would leave a transaction open that nobody ends.

use std::fmt;

use group::EndTransaction;
use log::Marker;
use model::{
    ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, Ticket, TimestampMs, TopicName, TransactionVersion,
};
use rt::channel::oneshot;
use txn::{AddPartitionsRequest, Event, Reply, TopicErrors};

use crate::coordinator::CoordinatorError;
use crate::error::{PartitionError, append_code};
use crate::node::Node;
use crate::partition::AppendReply;

/// A question to the coordinator: are these partitions part of this producer's ongoing transaction?
#[derive(Clone, Debug)]
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
        }
    }
}

impl VerificationError {
    fn from_code(code: ErrorCode) -> Result<(), VerificationError> {
        match code {
            ErrorCode::None => Ok(()),
            ErrorCode::TransactionAbortable => Err(VerificationError::NotOngoing),
            ErrorCode::ProducerFenced => Err(VerificationError::Fenced),
            ErrorCode::InvalidProducerIdMapping => Err(VerificationError::OtherProducer),
            ErrorCode::ConcurrentTransactions => Err(VerificationError::Concurrent),
            other => Err(VerificationError::Unavailable(other)),
        }
    }
}

impl Node {
    /// Whether partitions ask before a transaction of this kind begins in them.
    pub fn verifies(&self, version: TransactionVersion) -> bool {
        version == TransactionVersion::Tv2 || self.current_config().transaction_verification
    }

    /// Asks the coordinator; one answer for each partition, in their order. What is answered with `Ok` is durable.
    pub async fn verify(&self, asked: Verification) -> Vec<Result<(), VerificationError>> {
        let topics: Vec<_> =
            asked.partitions.into_iter().map(|(topic, index)| (topic, vec![index])).collect();
        let request = AddPartitionsRequest {
            transactional_id: asked.transactional_id.as_str().into(),
            producer_id: asked.producer,
            producer_epoch: asked.epoch,
            version: asked.version,
            verify_only: asked.version == TransactionVersion::Tv1,
            topics,
        };
        let answers = self.add_partitions(request).await;
        answers
            .into_iter()
            .flat_map(|(_, errors)| errors)
            .map(|(_, code)| VerificationError::from_code(code))
            .collect()
    }

    /// Puts an AddPartitionsToTxn to its coordinator; the topics and partitions of the request, in its order.
    pub async fn add_partitions(&self, request: AddPartitionsRequest) -> Vec<TopicErrors> {
        let id = request.transactional_id.clone();
        let topics = request.topics.clone();
        match self.ask_transaction(id.as_str(), |ticket| Event::AddPartitions(ticket, request)).await {
            Ok(Reply::AddPartitions(errors)) => errors,
            Ok(other) => unreachable!("an addition of partitions was answered with {other:?}"),
            Err(error) => {
                let all =
                    |indexes: Vec<PartitionIndex>| indexes.into_iter().map(|index| (index, error)).collect();
                topics.into_iter().map(|(topic, indexes)| (topic, all(indexes))).collect()
            }
        }
    }

    /// Puts a request to the coordinator of a transactional id.
    pub async fn ask_transaction(
        &self,
        transactional_id: &str,
        event: impl FnOnce(Ticket) -> Event + Send + 'static,
    ) -> Result<Reply, ErrorCode> {
        let partition = self.transaction_partition(transactional_id).ok_or(ErrorCode::NotCoordinator)?;
        self.transactions.ask(partition, event).await.map_err(CoordinatorError::code)
    }

    /// The same for a request that may need a producer id; `event` is given one when it does.
    pub async fn ask_transaction_with_id(
        &self,
        transactional_id: &str,
        event: impl Fn(Ticket, Option<ProducerId>) -> Event + Clone + Send + 'static,
    ) -> Result<Reply, ErrorCode> {
        let first = event.clone();
        let reply = self.ask_transaction(transactional_id, move |ticket| first(ticket, None)).await?;
        if reply != Reply::NeedsProducerId {
            return Ok(reply);
        }
        let fresh = self.next_producer_id().await.map_err(|error| {
            tracing::warn!("no producer id could be given: {error}");
            ErrorCode::CoordinatorNotAvailable
        })?;
        self.ask_transaction(transactional_id, move |ticket| event(ticket, Some(fresh))).await
    }

    /// Ends a producer's transaction in a partition; see [`crate::partition::Partition::append_marker`]. In a partition of
    /// committed offsets the group coordinator does, which learns by it what is committed.
    pub async fn append_marker(
        &self,
        topic: &str,
        index: PartitionIndex,
        marker: Marker,
    ) -> Result<MarkerReply, PartitionError> {
        let partition = self.partition_by_name(topic, index)?;
        if partition.topic != TopicName::consumer_offsets() {
            let appended = partition.append_marker(marker, TimestampMs(self.rt.wall_clock_ms())).await;
            return Ok(MarkerReply::Partition(appended));
        }
        let end = EndTransaction {
            producer: marker.producer,
            epoch: marker.epoch,
            coordinator_epoch: marker.coordinator_epoch,
            result: marker.result,
            version: marker.version,
        };
        let ended =
            self.coordinators.queue(index, move |ticket| group::Event::EndTransaction(ticket, end)).await;
        Ok(MarkerReply::Group(ended))
    }
}

/// Where a marker that is queued will be answered.
pub enum MarkerReply {
    /// By the partition.
    Partition(oneshot::Receiver<AppendReply>),
    /// By the group coordinator.
    Group(Result<oneshot::Receiver<group::Reply>, CoordinatorError>),
}

impl MarkerReply {
    /// Waits until the marker is below the high watermark.
    pub async fn written(self) -> ErrorCode {
        match self {
            MarkerReply::Partition(appended) => match appended.await {
                Ok(Ok(_)) => ErrorCode::None,
                Ok(Err(error)) => append_code(&error),
                // The lane is gone with the partition: its next leader is to be asked.
                Err(_) => ErrorCode::NotLeaderOrFollower,
            },
            MarkerReply::Group(Ok(ended)) => match ended.await {
                Ok(_) => ErrorCode::None,
                Err(_) => ErrorCode::CoordinatorNotAvailable,
            },
            MarkerReply::Group(Err(error)) => error.code(),
        }
    }
}
