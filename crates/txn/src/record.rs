//! Records of `__transaction_state` as bytes, the way Kafka 4.3 writes them.
//!
//! - R1 A key opens with the record type (0), a value with its version.
//! - R2 Values are written in version 1, which is Kafka's since transactions have a version, or in version 0 where the
//!   cluster is kept at the level before: that one says neither a producer's other ids nor how it spoke last.
//! - R3 Every version Kafka ever wrote can be read; a version from the future is read as the last one known, since
//!   later ones may only add tagged fields (KIP-915).

use model::{PartitionIndex, ProducerEpoch, ProducerId, TopicName, TransactionVersion};
use wire::transaction_log_record::PartitionsSchema;
use wire::{RecordError, RecordKey, Str, TransactionLogKey, TransactionLogValue};

use crate::action::TransactionRecord;
use crate::config::VersionLevel;
use crate::stored::{Partitions, State, Stored, TransactionalId};

/// One change of persistent state; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The producer's own name.
    pub transactional_id: TransactionalId,
    /// What is so from now on.
    pub value: Option<Stored>,
}

/// "Not there", for times.
const NO_TIME: i64 = -1;

impl Record {
    /// The record as it is written at this level.
    pub fn encode(&self, level: VersionLevel) -> TransactionRecord {
        let key = TransactionLogKey { transactional_id: Str::Borrowed(self.transactional_id.as_str()) };
        TransactionRecord {
            key: wire::encode_key(&key).expect("ids are measured before they are kept"),
            value: self.value.as_ref().map(|value| encode(value, level)),
        }
    }

    /// The record of these bytes; `None` when it is of a type that is not ours.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, RecordError> {
        if wire::record_kind(key)? != TransactionLogKey::KIND {
            return Ok(None);
        }
        let TransactionLogKey { transactional_id } = wire::decode_key(key)?;
        let value = value.map(decode).transpose()?;
        Ok(Some(Record { transactional_id: TransactionalId::from(&*transactional_id), value }))
    }
}

fn encode(stored: &Stored, level: VersionLevel) -> Vec<u8> {
    let topic =
        |(topic, partitions): (&TopicName, &std::collections::BTreeSet<PartitionIndex>)| PartitionsSchema {
            topic: topic.as_str().to_owned().into(),
            partition_ids: partitions.iter().map(|partition| partition.0).collect(),
        };
    let version = match level {
        VersionLevel::Tv0 => 0,
        VersionLevel::Tv1 | VersionLevel::Tv2 => 1,
    };
    // What version 0 has no place for stays at what is not written.
    let other_id = |id: ProducerId| if version == 0 { ProducerId::NONE.0 } else { id.0 };
    let value = TransactionLogValue {
        producer_id: stored.producer_id.0,
        previous_producer_id: other_id(stored.previous_producer_id),
        next_producer_id: other_id(stored.next_producer_id),
        producer_epoch: stored.producer_epoch.0,
        next_producer_epoch: ProducerEpoch::NONE.0,
        transaction_timeout_ms: stored.timeout_ms,
        transaction_status: number(stored.state),
        // Kafka leaves them out of this one state, instead of listing none.
        transaction_partitions: (stored.state != State::Empty)
            .then(|| stored.partitions.iter().map(topic).collect()),
        transaction_last_update_timestamp_ms: stored.updated_at_ms,
        transaction_start_timestamp_ms: stored.started_at_ms.unwrap_or(NO_TIME),
        client_transaction_version: match stored.version {
            TransactionVersion::Tv2 if version != 0 => 2,
            TransactionVersion::Tv1 | TransactionVersion::Tv2 => 0,
        },
    };
    wire::encode_versioned(&value, version).expect("names of topics are short")
}

fn number(state: State) -> i8 {
    match state {
        State::Empty => 0,
        State::Ongoing => 1,
        State::PrepareCommit => 2,
        State::PrepareAbort => 3,
        State::CompleteCommit => 4,
        State::CompleteAbort => 5,
    }
}

fn decode(bytes: &[u8]) -> Result<Stored, RecordError> {
    let value: TransactionLogValue<'_> = wire::decode_versioned(bytes)?;
    let state = State::ALL.into_iter().find(|&state| number(state) == value.transaction_status);
    let mut partitions = Partitions::new();
    for topic in value.transaction_partitions.into_iter().flatten() {
        let name =
            TopicName::parse(&topic.topic).map_err(|_| RecordError::BadTopicName(topic.topic.to_string()))?;
        partitions.entry(name).or_default().extend(topic.partition_ids.iter().copied().map(PartitionIndex));
    }
    Ok(Stored {
        producer_id: ProducerId(value.producer_id),
        previous_producer_id: ProducerId(value.previous_producer_id),
        next_producer_id: ProducerId(value.next_producer_id),
        producer_epoch: ProducerEpoch(value.producer_epoch),
        timeout_ms: value.transaction_timeout_ms,
        state: state.ok_or(RecordError::BadState(value.transaction_status))?,
        partitions,
        started_at_ms: Some(value.transaction_start_timestamp_ms).filter(|&at| at != NO_TIME),
        updated_at_ms: value.transaction_last_update_timestamp_ms,
        version: if value.client_transaction_version < 2 {
            TransactionVersion::Tv1
        } else {
            TransactionVersion::Tv2
        },
    })
}
