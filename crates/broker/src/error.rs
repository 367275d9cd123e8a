//! What can go wrong with a request, and the one place where that becomes an error code.
//!
//! - E1 No match here has a `_` arm: a new variant must choose its code.
//! - E2 Every text says what was asked and what is so; clients show it to people.

use std::convert::Infallible;
use std::fmt;

use controller::ControllerError;
use log::{MarkerError, ReadError, SequenceError};
use model::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use quorum::{QuorumError, UpdateError};
use record::BatchError;
use wire::{ApiKey, DecodeError, EncodeError};

use crate::node::Node;
use crate::partition::AppendError;
use crate::transactions::VerificationError;
use crate::verification;

/// Why a partition cannot be served.
#[derive(Clone, Debug)]
pub enum PartitionError {
    /// No topic of this name.
    UnknownTopic(String),
    /// No topic of this id.
    UnknownTopicId(TopicId),
    /// The topic has no such partition, or it is not open yet.
    UnknownPartition(TopicName, PartitionIndex),
    /// Led elsewhere.
    NotLeader(TopicName, PartitionIndex),
    /// Deleted while the request was under way.
    Closed(TopicName),
    /// Its log failed or is damaged.
    Storage(String),
    /// What was asked for is damaged on the disk.
    Corrupt(String),
    /// Outside the log.
    OffsetOutOfRange {
        /// What was asked for.
        asked: Offset,
        /// Where the log starts.
        log_start: Offset,
        /// Where it ends.
        log_end: Offset,
    },
    /// The client believes in an older leader.
    FencedEpoch {
        /// What the client believes.
        asked: LeaderEpoch,
        /// What is so.
        current: LeaderEpoch,
    },
    /// The client knows of a newer leader than this broker.
    UnknownEpoch {
        /// What the client believes.
        asked: LeaderEpoch,
        /// What is so.
        current: LeaderEpoch,
    },
    /// One request names the partition twice.
    NamedTwice,
    /// What is asked is not in this version of the API.
    UnsupportedVersion,
}

impl PartitionError {
    /// The code a client gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            PartitionError::UnknownTopic(_) | PartitionError::UnknownPartition(..) => {
                ErrorCode::UnknownTopicOrPartition
            }
            PartitionError::UnknownTopicId(_) => ErrorCode::UnknownTopicId,
            PartitionError::NotLeader(..) | PartitionError::Closed(_) => ErrorCode::NotLeaderOrFollower,
            PartitionError::Storage(_) => ErrorCode::KafkaStorageError,
            // Nothing that a client tries again: whoever reads has to know.
            PartitionError::Corrupt(_) => ErrorCode::CorruptMessage,
            PartitionError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            PartitionError::FencedEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            PartitionError::UnknownEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            PartitionError::NamedTwice => ErrorCode::InvalidRequest,
            PartitionError::UnsupportedVersion => ErrorCode::UnsupportedVersion,
        }
    }

    /// Whether there is no such partition here, as far as this broker knows.
    pub fn is_about_existence(&self) -> bool {
        matches!(self.code(), ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId)
    }

    /// Whether the client should look for another leader, and is helped by a hint (KIP-951).
    pub fn is_about_leadership(&self) -> bool {
        matches!(self.code(), ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)
    }

    /// The leader to hint at, if the topic is still there.
    pub fn current_leader(&self, node: &Node) -> Option<(BrokerId, LeaderEpoch)> {
        match self {
            PartitionError::NotLeader(topic, index) => node.leader_of(topic, *index),
            PartitionError::FencedEpoch { current, .. } => Some((node.id(), *current)),
            PartitionError::UnknownTopic(_)
            | PartitionError::UnknownTopicId(_)
            | PartitionError::UnknownPartition(..)
            | PartitionError::Closed(_)
            | PartitionError::Storage(_)
            | PartitionError::Corrupt(_)
            | PartitionError::OffsetOutOfRange { .. }
            | PartitionError::UnknownEpoch { .. }
            | PartitionError::NamedTwice
            | PartitionError::UnsupportedVersion => None,
        }
    }
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionError::UnknownTopic(name) => write!(f, "there is no topic '{name}'"),
            PartitionError::UnknownTopicId(id) => write!(f, "there is no topic with id {id}"),
            PartitionError::UnknownPartition(topic, index) => {
                write!(f, "topic '{topic}' has no partition {index}")
            }
            PartitionError::NotLeader(topic, index) => {
                write!(f, "partition {index} of topic '{topic}' is not led by this broker")
            }
            PartitionError::Closed(topic) => write!(f, "topic '{topic}' was deleted meanwhile"),
            PartitionError::Storage(reason) => write!(f, "the partition's log failed: {reason}"),
            PartitionError::Corrupt(reason) => write!(f, "what was asked for is damaged: {reason}"),
            PartitionError::OffsetOutOfRange { asked, log_start, log_end } => {
                write!(f, "offset {asked} is outside the log, which holds {log_start} to {log_end}")
            }
            PartitionError::FencedEpoch { asked, current } => {
                write!(f, "leader epoch {asked} is over, the current one is {current}")
            }
            PartitionError::UnknownEpoch { asked, current } => {
                write!(f, "leader epoch {asked} is not known here yet, the current one is {current}")
            }
            PartitionError::NamedTwice => f.write_str("the request names this partition twice"),
            PartitionError::UnsupportedVersion => f.write_str("this needs a newer version of the API"),
        }
    }
}

impl PartitionError {
    /// What a failed read at `asked` means.
    pub fn reading(asked: Offset, error: ReadError) -> PartitionError {
        match error {
            ReadError::OutOfRange { start, end } => {
                PartitionError::OffsetOutOfRange { asked, log_start: start, log_end: end }
            }
            ReadError::Corrupt(corruption) => PartitionError::Corrupt(corruption.to_string()),
            ReadError::Cold | ReadError::Io(_) | ReadError::Unreadable(_) | ReadError::Closed => {
                PartitionError::Storage(error.to_string())
            }
        }
    }
}

/// Why a batch was not appended, or is of unknown outcome.
#[derive(Clone, Debug)]
pub enum ProduceError {
    /// The partition cannot take it.
    Partition(PartitionError),
    /// The batch is malformed or against the topic's rules.
    Batch(BatchError),
    /// Acks other than 0, 1 and −1.
    BadAcks(i16),
    /// It says it belongs to a transaction, and the request names no transactional id.
    NoTransactionalId,
    /// The request has batches of transactions of several producers.
    SeveralProducers,
    /// It belongs to no transaction that is known to be ongoing.
    Unverified {
        /// Why.
        error: VerificationError,
        /// The request's version, which decides what its client makes of a code.
        version: i16,
    },
    /// Brokers keep their own state in this topic.
    InternalTopic,
    /// zstd in a version of the API that does not know it.
    ZstdTooEarly,
    /// A record's time is outside what the topic allows.
    Timestamp {
        /// Which record, from zero, where the batch can be looked into.
        index: Option<i32>,
        /// The record's.
        timestamp: i64,
        /// The oldest allowed now.
        earliest: i64,
        /// The newest allowed now.
        latest: i64,
    },
    /// The partition's writer refused it.
    Append(AppendError),
    /// Not safe within the request's time: it may or may not become so.
    TimedOut,
}

impl ProduceError {
    /// The code a client gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            ProduceError::Partition(error) => error.code(),
            ProduceError::Batch(error) => batch_code(error),
            ProduceError::BadAcks(_) => ErrorCode::InvalidRequiredAcks,
            ProduceError::NoTransactionalId => ErrorCode::TransactionalIdAuthorizationFailed,
            ProduceError::SeveralProducers => ErrorCode::InvalidProducerIdMapping,
            ProduceError::Unverified { error, version } => verification_code(error, *version),
            ProduceError::InternalTopic => ErrorCode::InvalidTopicException,
            ProduceError::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            ProduceError::Timestamp { .. } => ErrorCode::InvalidTimestamp,
            ProduceError::Append(error) => append_code(error),
            ProduceError::TimedOut => ErrorCode::RequestTimedOut,
        }
    }
}

/// The codes Kafka's `AddPartitionsToTxnManager` and `ReplicaManager` give a failed verification. Clients of old versions
/// do not repeat a produce on a coordinator's codes: NOT_ENOUGH_REPLICAS makes them, and looks for no other leader.
fn verification_code(error: &VerificationError, version: i16) -> ErrorCode {
    match error {
        VerificationError::NotOngoing if version < ABORTABLE_SINCE => ErrorCode::InvalidTxnState,
        VerificationError::NotOngoing => ErrorCode::TransactionAbortable,
        VerificationError::Fenced => ErrorCode::InvalidProducerEpoch,
        VerificationError::OtherProducer => ErrorCode::InvalidProducerIdMapping,
        VerificationError::Concurrent if verification::ADDS_PARTITIONS_SINCE <= version => {
            ErrorCode::ConcurrentTransactions
        }
        VerificationError::Concurrent | VerificationError::Unavailable(_) => ErrorCode::NotEnoughReplicas,
    }
}

/// What a fenced producer hears: old versions of the APIs of transactions have no PRODUCER_FENCED.
pub fn fenced_code(error: ErrorCode, knows_fenced: bool) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if !knows_fenced => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}

/// First version of Produce whose clients know TRANSACTION_ABORTABLE (KIP-890).
const ABORTABLE_SINCE: i16 = 11;

/// The code of a batch or marker that was not appended.
pub fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::NotLeader => ErrorCode::NotLeaderOrFollower,
        AppendError::NotEnoughReplicas(_) => ErrorCode::NotEnoughReplicas,
        AppendError::Sequence(SequenceError::OutOfOrder { .. }) => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::Sequence(SequenceError::InvalidEpoch { .. })
        | AppendError::Marker(MarkerError::InvalidEpoch { .. }) => ErrorCode::InvalidProducerEpoch,
        AppendError::Sequence(
            SequenceError::NoTransaction { .. } | SequenceError::OutsideTransaction { .. },
        ) => ErrorCode::InvalidTxnState,
        AppendError::Marker(MarkerError::CoordinatorFenced { .. }) => ErrorCode::TransactionCoordinatorFenced,
        AppendError::LargerThanSegment => ErrorCode::RecordListTooLarge,
        AppendError::DiskFull | AppendError::Storage => ErrorCode::KafkaStorageError,
    }
}

/// The codes Kafka's `LogValidator` and `UnifiedLog` give these faults.
fn batch_code(error: &BatchError) -> ErrorCode {
    match error {
        // Kafka unpacks whatever comes; to a producer this says that smaller batches help.
        BatchError::TooLarge { .. } | BatchError::DecompressedTooLarge { .. } => ErrorCode::MessageTooLarge,
        // Kafka has had the formats 0 and 1 as well; other numbers are noise.
        BatchError::UnsupportedMagic(0 | 1) => ErrorCode::InvalidRecord,
        BatchError::UnsupportedMagic(_)
        | BatchError::BadCrc { .. }
        | BatchError::ImpossibleLength(_)
        | BatchError::Decompression => ErrorCode::CorruptMessage,
        // Bytes that end before their batch does are no batch at all, and exactly one is expected.
        BatchError::Truncated { .. }
        | BatchError::MoreThanOneBatch { .. }
        | BatchError::BaseOffsetNotZero(_)
        | BatchError::CountMismatch { .. }
        | BatchError::ControlFromClient
        | BatchError::AppendTimeFromClient
        | BatchError::SequenceMissing { .. }
        | BatchError::BadRecord { .. }
        | BatchError::TrailingRecordBytes => ErrorCode::InvalidRecord,
        BatchError::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProduceError::Partition(error) => error.fmt(f),
            ProduceError::Batch(error) => error.fmt(f),
            ProduceError::BadAcks(acks) => write!(f, "acks={acks} was asked for; 0, 1 and -1 (all) exist"),
            ProduceError::NoTransactionalId => {
                f.write_str("the batch belongs to a transaction, and the request has no transactional id")
            }
            ProduceError::SeveralProducers => {
                f.write_str("the request has batches of transactions of several producers")
            }
            ProduceError::Unverified { error, .. } => error.fmt(f),
            ProduceError::InternalTopic => f.write_str("brokers keep their own state in this topic"),
            ProduceError::ZstdTooEarly => f.write_str("zstd needs version 7 of Produce or newer"),
            ProduceError::Timestamp { timestamp, earliest, latest, .. } => write!(
                f,
                "a record's timestamp is {timestamp} ms; the topic takes {earliest} to {latest} now \
                 (message.timestamp.before.max.ms, message.timestamp.after.max.ms)"
            ),
            ProduceError::Append(AppendError::NotLeader) => {
                f.write_str("the partition is not led by this broker any more")
            }
            ProduceError::Append(AppendError::NotEnoughReplicas(few)) => write!(
                f,
                "{} replicas are in sync, min.insync.replicas asks for {}",
                few.in_sync, few.required
            ),
            ProduceError::Append(AppendError::Sequence(error)) => error.fmt(f),
            ProduceError::Append(AppendError::Marker(error)) => error.fmt(f),
            ProduceError::Append(AppendError::LargerThanSegment) => {
                f.write_str("the batch is larger than a segment of this topic may be (segment.bytes)")
            }
            ProduceError::Append(AppendError::DiskFull) => f.write_str(
                "the broker's disk has no room above what is kept free (ottla.disk.reserve.bytes); try again when \
                 something was deleted",
            ),
            ProduceError::Append(AppendError::Storage) => {
                f.write_str("the partition's log failed; the broker's log says why")
            }
            ProduceError::TimedOut => {
                f.write_str("the batch was not safe within the request's time; it may still become so")
            }
        }
    }
}

impl From<PartitionError> for ProduceError {
    fn from(error: PartitionError) -> ProduceError {
        ProduceError::Partition(error)
    }
}

impl From<BatchError> for ProduceError {
    fn from(error: BatchError) -> ProduceError {
        ProduceError::Batch(error)
    }
}

impl From<AppendError> for ProduceError {
    fn from(error: AppendError) -> ProduceError {
        ProduceError::Append(error)
    }
}

/// Why a frame gets no answer and its connection ends.
#[derive(Debug)]
pub enum Refused {
    /// An API or version this broker does not serve.
    NotServed {
        /// The API's number.
        key: i16,
        /// The version.
        version: i16,
    },
    /// Not a message of that API and version.
    Malformed(DecodeError),
    /// The answer does not fit the version: a bug here.
    Unanswerable(EncodeError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotServed { key, version } => match ApiKey::from_i16(*key) {
                Some(api) => write!(f, "it sent {api} version {version}, which is not served"),
                None => write!(f, "it sent a request of API {key} version {version}, which is not served"),
            },
            Refused::Malformed(error) => write!(f, "it sent a malformed request: {error}"),
            Refused::Unanswerable(error) => write!(f, "its request could not be answered: {error}"),
        }
    }
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Refused {
        Refused::Malformed(error)
    }
}

impl From<EncodeError> for Refused {
    fn from(error: EncodeError) -> Refused {
        Refused::Unanswerable(error)
    }
}

/// The code of a metadata log that failed: the change may or may not be there after the next start.
pub fn quorum_code(error: &QuorumError) -> ErrorCode {
    match error {
        QuorumError::Refused(_) => ErrorCode::UnknownServerError,
        QuorumError::TooLarge { .. } => ErrorCode::PolicyViolation,
        QuorumError::NotWritten(_) | QuorumError::Fenced(_) => ErrorCode::KafkaStorageError,
        QuorumError::Closed => ErrorCode::BrokerNotAvailable,
    }
}

/// The code of a decision that refuses nothing as a whole, and so can only fail with its metadata log.
pub fn update_code(error: &UpdateError<Infallible>) -> ErrorCode {
    match error {
        UpdateError::Decision(never) => match *never {},
        UpdateError::Quorum(error) => quorum_code(error),
    }
}

/// The codes Kafka 4.3 gives the controller's refusals.
pub fn controller_code(error: &ControllerError) -> ErrorCode {
    match error {
        ControllerError::InvalidTopicName(_) | ControllerError::TopicNameCollides { .. } => {
            ErrorCode::InvalidTopicException
        }
        ControllerError::ReservedTopicName(_) => ErrorCode::TopicAuthorizationFailed,
        ControllerError::TopicExists(_) => ErrorCode::TopicAlreadyExists,
        ControllerError::UnknownTopic
        | ControllerError::UnknownTopicToConfigure(_)
        | ControllerError::UnknownTopicToMove(_)
        | ControllerError::UnknownPartitionToMove(..)
        | ControllerError::UnknownTopicToLead(_)
        | ControllerError::UnknownPartitionToLead(..) => ErrorCode::UnknownTopicOrPartition,
        ControllerError::UnknownTopicId(_) => ErrorCode::UnknownTopicId,
        ControllerError::NonPositivePartitions
        | ControllerError::PartitionsUnchanged(_)
        | ControllerError::NotAnIncrease { .. } => ErrorCode::InvalidPartitions,
        ControllerError::TooManyPartitions => ErrorCode::PolicyViolation,
        ControllerError::NonPositiveReplicationFactor | ControllerError::NotEnoughBrokers { .. } => {
            ErrorCode::InvalidReplicationFactor
        }
        ControllerError::AssignedTwice(_)
        | ControllerError::AssignmentHasGaps
        | ControllerError::AssignmentEmpty
        | ControllerError::AssignedUnknownBroker(_)
        | ControllerError::AssignedBrokerTwice(_)
        | ControllerError::AssignmentUneven { .. }
        | ControllerError::AssignmentCount { .. }
        | ControllerError::ReplicasDoNotMove => ErrorCode::InvalidReplicaAssignment,
        ControllerError::NoReassignmentInProgress => ErrorCode::NoReassignmentInProgress,
        ControllerError::ElectionNotNeeded => ErrorCode::ElectionNotNeeded,
        ControllerError::PreferredLeaderNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
        ControllerError::EligibleLeadersNotAvailable => ErrorCode::EligibleLeadersNotAvailable,
        ControllerError::InvalidConfig(_)
        | ControllerError::NullTopicConfig(_)
        | ControllerError::NotAList { .. } => ErrorCode::InvalidConfig,
        ControllerError::DuplicateTopicName
        | ControllerError::DuplicateTopicId
        | ControllerError::TopicNamedByIdToo
        | ControllerError::AssignmentAndReplicationFactor
        | ControllerError::AssignmentAndPartitions
        | ControllerError::InvalidBrokerConfig(_)
        | ControllerError::NullConfig(_)
        | ControllerError::DuplicateConfigKeys
        | ControllerError::NoDefaultTopic
        | ControllerError::NoDefaultGroup
        | ControllerError::ReadOnlyConfig(_)
        | ControllerError::PerBrokerConfig(_)
        | ControllerError::BadBrokerName(_)
        | ControllerError::UnknownElection(_)
        | ControllerError::UnknownClientMetricsConfig(_)
        | ControllerError::NamelessClientMetrics => ErrorCode::InvalidRequest,
        ControllerError::InvalidFeatureLevel { .. } => ErrorCode::InvalidUpdateVersion,
        ControllerError::OtherCluster { .. } => ErrorCode::InconsistentClusterId,
        ControllerError::BrokerNotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
        ControllerError::StaleBrokerEpoch { .. } => ErrorCode::StaleBrokerEpoch,
        ControllerError::OutOfProducerIds => ErrorCode::UnknownServerError,
    }
}
