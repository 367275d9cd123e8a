//! Transactions: listing and describing them, seeing what is open in a partition, and ending what nobody else will.

use std::collections::{BTreeMap, BTreeSet};

use model::{BrokerId, ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicName};
use wire::describe_producers::TopicRequest;
use wire::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use wire::{
    ApiKey, DescribeProducersRequest, DescribeTransactionsRequest, InitProducerIdRequest,
    ListTransactionsRequest, WriteTxnMarkersRequest,
};

use crate::admin::{Admin, each};
use crate::client::ANY;
use crate::consumer::Coordinator;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::no_leader;
use crate::pool::Lane;

/// How long a transaction of the producer that ends another's may stay open; it opens none.
const FENCING_TIMEOUT_MS: i32 = 60_000;

/// Which transactions are listed; everything that is left out is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// In one of these states.
    pub states: Vec<String>,
    /// Of one of these producers.
    pub producers: Vec<ProducerId>,
    /// Begun longer ago than so many ms; Kafka 3.8 on.
    pub longer_than_ms: Option<i64>,
}

/// A transaction in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The producer's own name.
    pub transactional_id: String,
    /// Its id.
    pub producer: ProducerId,
    /// What it is doing.
    pub state: String,
    /// Who keeps it.
    pub coordinator: BrokerId,
}

/// A transactional id and its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    /// The producer's id.
    pub producer: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// What it is doing.
    pub state: String,
    /// How long a transaction may stay open, ms.
    pub timeout_ms: i32,
    /// When the current one began.
    pub started: Option<TimestampMs>,
    /// What it has written to.
    pub partitions: BTreeMap<String, BTreeSet<PartitionIndex>>,
}

/// What a producer did last in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// The incarnation of its coordinator, as far as the partition has heard; -1 for none.
    pub coordinator_epoch: i32,
    /// When it wrote last.
    pub last: Option<TimestampMs>,
    /// Where its open transaction begins.
    pub open_since: Option<Offset>,
}

impl Admin {
    /// All transactions of the cluster that the filter lets through, by name.
    ///
    /// # Errors
    /// A broker does not answer: a list without its transactions would look complete.
    pub async fn transactions(&self, filter: &TransactionFilter) -> Result<Vec<ListedTransaction>, Error> {
        let snapshot = self.client.refresh(Some(&[])).await?;
        let mut transactions = Vec::new();
        for &node in snapshot.nodes.keys() {
            let mut backoff = self.client.backoff();
            loop {
                match self.transactions_of(node, filter).await {
                    Ok(listed) => break transactions.extend(listed),
                    Err(error) if error.is_retriable() => backoff.wait(self.client.rt(), error).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        transactions.sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        Ok(transactions)
    }

    async fn transactions_of(
        &self,
        node: BrokerId,
        filter: &TransactionFilter,
    ) -> Result<Vec<ListedTransaction>, Error> {
        let connection = self.client.node(node, Lane::SHARED).await?;
        let request = ListTransactionsRequest {
            state_filters: filter.states.iter().map(|state| state.clone().into()).collect(),
            producer_id_filters: filter.producers.iter().map(|producer| producer.0).collect(),
            duration_filter: filter.longer_than_ms.unwrap_or(-1),
            ..ListTransactionsRequest::default()
        };
        let answer = self.client.ask_on(&connection, &request, ANY).await?;
        let subject = format_args!("the transactions of node {node}");
        Error::check(ApiKey::ListTransactions, answer.error_code, None, subject)?;
        let listed = answer.transaction_states.into_iter().map(|state| ListedTransaction {
            transactional_id: state.transactional_id.into_owned(),
            producer: ProducerId(state.producer_id),
            state: state.transaction_state.into_owned(),
            coordinator: node,
        });
        Ok(listed.collect())
    }

    /// A transactional id and its transaction; `None` when nobody has used it lately.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn describe_transaction(&self, id: &str) -> Result<Option<DescribedTransaction>, Error> {
        let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned().into()] };
        let check = |answer: &wire::DescribeTransactionsResponse<'static>| {
            each(ApiKey::DescribeTransactions, &answer.transaction_states, |described| {
                let not_found = ErrorCode::TransactionalIdNotFound.code();
                let error = if described.error_code == not_found { 0 } else { described.error_code };
                (error, None, format!("transactional id '{id}'"))
            })
        };
        let answer = Coordinator::of_transaction(&self.client, id).ask_until(&request, ANY, check).await?;
        let found = answer.transaction_states.into_iter().find(|described| described.error_code == 0);
        Ok(found.map(|described| DescribedTransaction {
            producer: ProducerId(described.producer_id),
            epoch: ProducerEpoch(described.producer_epoch),
            state: described.transaction_state.into_owned(),
            timeout_ms: described.transaction_timeout_ms,
            started: Some(TimestampMs(described.transaction_start_time_ms)).filter(|started| 0 <= started.0),
            partitions: described
                .topics
                .into_iter()
                .map(|topic| {
                    let indexes = topic.partitions.iter().copied().map(PartitionIndex).collect();
                    (topic.topic.into_owned(), indexes)
                })
                .collect(),
        }))
    }

    /// Aborts the transaction that is open under an id, if one is, and fences its producer.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn fence_producer(&self, id: &str) -> Result<(), Error> {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned().into()),
            transaction_timeout_ms: FENCING_TIMEOUT_MS,
            ..InitProducerIdRequest::default()
        };
        let check = |answer: &wire::InitProducerIdResponse| {
            let subject = format_args!("transactional id '{id}'");
            Error::check(ApiKey::InitProducerId, answer.error_code, None, subject)
        };
        Coordinator::of_transaction(&self.client, id).ask_until(&request, ANY, check).await.map(drop)
    }

    /// What the producers of a partition did last.
    ///
    /// # Errors
    /// The partition is not there, or its leader refuses.
    pub async fn producers(&self, place: &TopicPartition) -> Result<Vec<ActiveProducer>, Error> {
        let leader = self.client.partition(place).await?.leader.ok_or_else(|| no_leader(place))?;
        let connection = self.client.node(leader, Lane::SHARED).await?;
        let topic =
            TopicRequest { name: place.topic.to_string().into(), partition_indexes: vec![place.partition.0] };
        let request = DescribeProducersRequest { topics: vec![topic] };
        let answer = self.client.ask_on(&connection, &request, ANY).await?;
        let mut producers = Vec::new();
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            let message = partition.error_message.as_deref();
            Error::check(ApiKey::DescribeProducers, partition.error_code, message, place)?;
            producers.extend(partition.active_producers.iter().map(|state| ActiveProducer {
                producer: ProducerId(state.producer_id),
                epoch: ProducerEpoch(i16::try_from(state.producer_epoch).unwrap_or(i16::MAX)),
                coordinator_epoch: state.coordinator_epoch,
                last: Some(TimestampMs(state.last_timestamp)).filter(|last| 0 <= last.0),
                open_since: Some(Offset(state.current_txn_start_offset)).filter(|offset| 0 <= offset.0),
            }));
        }
        Ok(producers)
    }

    /// Writes the marker of an abort into one partition, behind the back of the transaction's coordinator.
    ///
    /// # Errors
    /// The partition's leader refuses.
    pub async fn abort_in_partition(&self, place: &TopicPartition, of: &ActiveProducer) -> Result<(), Error> {
        let leader = self.client.partition(place).await?.leader.ok_or_else(|| no_leader(place))?;
        let connection = self.client.node(leader, Lane::SHARED).await?;
        let topic = WritableTxnMarkerTopic {
            name: TopicName::to_string(&place.topic).into(),
            partition_indexes: vec![place.partition.0],
        };
        let marker = WritableTxnMarker {
            producer_id: of.producer.0,
            producer_epoch: of.epoch.0,
            transaction_result: false,
            topics: vec![topic],
            coordinator_epoch: of.coordinator_epoch.max(0),
            ..WritableTxnMarker::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker] };
        let answer = self.client.ask_on(&connection, &request, ANY).await?;
        let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
        for partition in topics.flat_map(|topic| &topic.partitions) {
            Error::check(ApiKey::WriteTxnMarkers, partition.error_code, None, place)?;
        }
        Ok(())
    }
}
