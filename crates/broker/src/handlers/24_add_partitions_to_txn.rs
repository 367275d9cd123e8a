//! AddPartitionsToTxn (24), versions 0-5: what a transaction writes to.
//!
//! - Up to version 3 one transaction a request, as clients ask; from 4 on several, as brokers do, which may also only ask
//!   whether the partitions are in it.
//! - All of a transaction's partitions are added or none: where one does not exist the others are
//!   OPERATION_NOT_ATTEMPTED.
//! - Before version 2 a fenced producer hears INVALID_PRODUCER_EPOCH, before version 5 one whose partitions are not in its
//!   transaction INVALID_TXN_STATE.

use model::{ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion};
use txn::AddPartitionsRequest;
use wire::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
};
use wire::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::call::Call;
use crate::error::fenced_code;

const BATCHED_SINCE: i16 = 4;
const FENCED_SINCE: i16 = 2;
const ABORTABLE_SINCE: i16 = 5;

pub async fn handle(
    call: &Call<'_>,
    request: AddPartitionsToTxnRequest<'_>,
    version: i16,
) -> AddPartitionsToTxnResponse<'static> {
    if version < BATCHED_SINCE {
        let asked = AddPartitionsRequest {
            transactional_id: request.v3_and_below_transactional_id.as_ref().into(),
            producer_id: ProducerId(request.v3_and_below_producer_id),
            producer_epoch: ProducerEpoch(request.v3_and_below_producer_epoch),
            topics: Vec::new(),
            version: TransactionVersion::Tv1,
            verify_only: false,
        };
        let results = add(call, asked, &request.v3_and_below_topics, version).await;
        return AddPartitionsToTxnResponse { results_by_topic_v3_and_below: results, ..Default::default() };
    }
    let mut results = Vec::with_capacity(request.transactions.len());
    for transaction in &request.transactions {
        let asked = AddPartitionsRequest {
            transactional_id: transaction.transactional_id.as_ref().into(),
            producer_id: ProducerId(transaction.producer_id),
            producer_epoch: ProducerEpoch(transaction.producer_epoch),
            topics: Vec::new(),
            version: TransactionVersion::Tv2,
            verify_only: transaction.verify_only,
        };
        results.push(AddPartitionsToTxnResult {
            transactional_id: transaction.transactional_id.to_string().into(),
            topic_results: add(call, asked, &transaction.topics, version).await,
        });
    }
    AddPartitionsToTxnResponse { results_by_transaction: results, ..Default::default() }
}

async fn add(
    call: &Call<'_>,
    asked: AddPartitionsRequest,
    topics: &[AddPartitionsToTxnTopic<'_>],
    version: i16,
) -> Vec<AddPartitionsToTxnTopicResult<'static>> {
    let known = match all_known(call, topics) {
        Ok(known) => known,
        Err(results) => return results,
    };
    let errors = call.node.add_partitions(AddPartitionsRequest { topics: known, ..asked }).await;
    errors.into_iter().map(|(topic, errors)| answer(topic.as_str(), errors, version)).collect()
}

/// The partitions asked for, or the answer when one of them does not exist.
fn all_known(
    call: &Call<'_>,
    topics: &[AddPartitionsToTxnTopic<'_>],
) -> Result<Vec<(TopicName, Vec<PartitionIndex>)>, Vec<AddPartitionsToTxnTopicResult<'static>>> {
    let image = call.node.image();
    let exists = |name: &str, index: i32| {
        image.topic_named(name).is_some_and(|topic| topic.partition(PartitionIndex(index)).is_some())
    };
    let mut known = Vec::with_capacity(topics.len());
    for topic in topics {
        let Some(found) = image.topic_named(&topic.name) else { continue };
        if topic.partitions.iter().all(|&index| exists(&topic.name, index)) {
            known.push((found.name.clone(), topic.partitions.iter().copied().map(PartitionIndex).collect()));
        }
    }
    if known.len() == topics.len() {
        return Ok(known);
    }
    let one = |topic: &AddPartitionsToTxnTopic<'_>| AddPartitionsToTxnTopicResult {
        name: topic.name.to_string().into(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|&index| match exists(&topic.name, index) {
                true => result(index, ErrorCode::OperationNotAttempted),
                false => result(index, ErrorCode::UnknownTopicOrPartition),
            })
            .collect(),
    };
    Err(topics.iter().map(one).collect())
}

fn answer(topic: &str, errors: Vec<(PartitionIndex, ErrorCode)>, version: i16) -> AddPartitionsToTxnTopicResult<'static> {
    let code = |error| match fenced_code(error, FENCED_SINCE <= version) {
        ErrorCode::TransactionAbortable if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        other => other,
    };
    AddPartitionsToTxnTopicResult {
        name: topic.to_owned().into(),
        results_by_partition: errors.into_iter().map(|(index, error)| result(index.0, code(error))).collect(),
    }
}

fn result(partition_index: i32, error: ErrorCode) -> AddPartitionsToTxnPartitionResult {
    AddPartitionsToTxnPartitionResult { partition_index, partition_error_code: error.code() }
}
