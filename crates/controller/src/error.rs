//! Every refusal, in the words of Apache Kafka 4.3, read off its answers to the same requests.
//!
//! No refusal took effect; all are deterministic. The error code each stands for is named at the variant; the
//! broker's one table turns them into it.

use std::fmt;

use config::ConfigError;
use model::{BrokerId, ClusterId, PartitionIndex, TopicId, TopicName, TopicNameError, limits};

use crate::features::{Feature, FeatureRefusal};

/// Why the controller refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerError {
    /// INVALID_TOPIC_EXCEPTION.
    InvalidTopicName(TopicNameError),
    /// INVALID_TOPIC_EXCEPTION: the names differ only in `.` and `_`.
    TopicNameCollides {
        /// The name asked for.
        name: TopicName,
        /// The topic that has it.
        existing: TopicName,
    },
    /// TOPIC_AUTHORIZATION_FAILED, as Kafka has it: the folder of this name holds the metadata log.
    ReservedTopicName(TopicName),
    /// TOPIC_ALREADY_EXISTS.
    TopicExists(TopicName),
    /// INVALID_REQUEST: one request names the topic twice.
    DuplicateTopicName,
    /// INVALID_REQUEST: one request names the id twice.
    DuplicateTopicId,
    /// INVALID_REQUEST: one request names the topic and its id.
    TopicNamedByIdToo,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownTopic,
    /// UNKNOWN_TOPIC_ID.
    UnknownTopicId(TopicId),
    /// UNKNOWN_TOPIC_OR_PARTITION, for configuration.
    UnknownTopicToConfigure(String),

    /// INVALID_PARTITIONS: zero or below -1.
    NonPositivePartitions,
    /// INVALID_PARTITIONS: the topic has as many.
    PartitionsUnchanged(i32),
    /// INVALID_PARTITIONS: the topic has more.
    NotAnIncrease {
        /// The topic.
        topic: TopicName,
        /// Its partitions.
        current: i32,
        /// The partitions asked for.
        asked: i32,
    },
    /// POLICY_VIOLATION.
    TooManyPartitions,

    /// INVALID_REPLICATION_FACTOR: zero or below -1.
    NonPositiveReplicationFactor,
    /// INVALID_REPLICATION_FACTOR.
    NotEnoughBrokers {
        /// Replicas asked for.
        asked: i16,
        /// Brokers there are.
        brokers: usize,
    },

    /// INVALID_REQUEST: an assignment says how many replicas, and the request does too.
    AssignmentAndReplicationFactor,
    /// INVALID_REQUEST: an assignment says how many partitions, and the request does too.
    AssignmentAndPartitions,
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignedTwice(i32),
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignmentHasGaps,
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignmentEmpty,
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignedUnknownBroker(BrokerId),
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignedBrokerTwice(BrokerId),
    /// INVALID_REPLICA_ASSIGNMENT: partitions of one topic have equally many replicas.
    AssignmentUneven {
        /// Replicas of this partition.
        got: usize,
        /// Replicas of those before.
        expected: usize,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    AssignmentCount {
        /// Partitions to add.
        added: i64,
        /// Assignments given.
        assigned: usize,
    },

    /// UNKNOWN_TOPIC_OR_PARTITION, for a reassignment.
    UnknownTopicToMove(String),
    /// UNKNOWN_TOPIC_OR_PARTITION, for a reassignment.
    UnknownPartitionToMove(TopicName, PartitionIndex),
    /// NO_REASSIGNMENT_IN_PROGRESS.
    NoReassignmentInProgress,
    /// INVALID_REPLICA_ASSIGNMENT: other brokers than the partition lies on.
    ReplicasDoNotMove,

    /// INVALID_REQUEST.
    UnknownElection(i8),
    /// UNKNOWN_TOPIC_OR_PARTITION, for an election.
    UnknownTopicToLead(String),
    /// UNKNOWN_TOPIC_OR_PARTITION, for an election.
    UnknownPartitionToLead(TopicName, PartitionIndex),
    /// ELECTION_NOT_NEEDED.
    ElectionNotNeeded,
    /// PREFERRED_LEADER_NOT_AVAILABLE.
    PreferredLeaderNotAvailable,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE.
    EligibleLeadersNotAvailable,

    /// INVALID_CONFIG.
    InvalidConfig(ConfigError),
    /// INVALID_REQUEST: Kafka's code for a broker's key.
    InvalidBrokerConfig(ConfigError),
    /// INVALID_CONFIG: a new topic's key without a value.
    NullTopicConfig(String),
    /// INVALID_REQUEST: a value to set that is null.
    NullConfig(String),
    /// INVALID_CONFIG: only lists grow and shrink.
    NotAList {
        /// `APPEND` or `SUBTRACT`.
        operation: &'static str,
        /// The key.
        key: String,
    },
    /// INVALID_REQUEST: one request alters the key twice.
    DuplicateConfigKeys,
    /// INVALID_REQUEST.
    NoDefaultTopic,
    /// INVALID_REQUEST: the key changes with a restart only.
    ReadOnlyConfig(String),
    /// INVALID_REQUEST: the key is each broker's own.
    PerBrokerConfig(String),
    /// INVALID_REQUEST: a broker resource that is no number.
    BadBrokerName(String),
    /// INVALID_REQUEST: there is nothing that all groups have.
    NoDefaultGroup,
    /// INVALID_REQUEST, where a group's is INVALID_CONFIG: a subscription has no keys in this version.
    UnknownClientMetricsConfig(String),
    /// INVALID_REQUEST.
    NamelessClientMetrics,

    /// INVALID_UPDATE_VERSION.
    InvalidFeatureLevel {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
        /// What is wrong with it.
        reason: FeatureRefusal,
    },

    /// INCONSISTENT_CLUSTER_ID.
    OtherCluster {
        /// This cluster's id.
        ours: ClusterId,
        /// The one asked for.
        asked: ClusterId,
    },
    /// BROKER_ID_NOT_REGISTERED.
    BrokerNotRegistered(BrokerId),
    /// STALE_BROKER_EPOCH.
    StaleBrokerEpoch {
        /// The broker.
        broker: BrokerId,
        /// Its epoch.
        current: i64,
        /// The one it believes in.
        asked: i64,
    },
    /// UNKNOWN_SERVER_ERROR: 2^63 producer ids are gone.
    OutOfProducerIds,
}

impl fmt::Display for FeatureRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeatureRefusal::UnknownChange => {
                f.write_str("The controller does not support the given upgrade type.")
            }
            FeatureRefusal::Negative => f.write_str("A feature version cannot be less than 0."),
            FeatureRefusal::UnknownFeature => f.write_str("This controller does not support this feature."),
            FeatureRefusal::OutOfRange(Feature { lowest, highest, .. }) => {
                write!(f, "This controller only supports versions {lowest}-{highest}")
            }
            FeatureRefusal::WouldLower => f.write_str(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            ),
            FeatureRefusal::WouldRaise => f.write_str("Can't downgrade to a newer version."),
        }
    }
}

impl From<TopicNameError> for ControllerError {
    fn from(error: TopicNameError) -> ControllerError {
        ControllerError::InvalidTopicName(error)
    }
}

impl fmt::Display for ControllerError {
    #[allow(clippy::too_many_lines, reason = "a table of sentences reads best in one piece")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ControllerError::*;
        match self {
            InvalidTopicName(error) => write!(f, "Topic name is invalid: {error}"),
            TopicNameCollides { name, existing } => {
                write!(f, "Topic '{name}' collides with existing topic: {existing}")
            }
            ReservedTopicName(name) => write!(f, "Topic '{name}' holds the cluster's own metadata."),
            TopicExists(name) => write!(f, "Topic '{name}' already exists."),
            DuplicateTopicName => f.write_str("Duplicate topic name."),
            DuplicateTopicId => f.write_str("Duplicate topic id."),
            TopicNamedByIdToo => {
                f.write_str("The provided topic name maps to an ID that was already supplied.")
            }
            UnknownTopic => f.write_str("This server does not host this topic-partition."),
            UnknownTopicId(_) => f.write_str("This server does not host this topic ID."),
            UnknownTopicToConfigure(name) => write!(f, "The topic '{name}' does not exist."),
            NonPositivePartitions => {
                f.write_str("Number of partitions was set to an invalid non-positive value.")
            }
            PartitionsUnchanged(count) => write!(f, "Topic already has {count} partition(s)."),
            NotAnIncrease { topic, current, asked } => write!(
                f,
                "The topic {topic} currently has {current} partition(s); {asked} would not be an increase."
            ),
            TooManyPartitions => write!(
                f,
                "Excessively large number of partitions per request: at most {} are made at once.",
                limits::TOPIC_PARTITIONS_MAX
            ),
            NonPositiveReplicationFactor => {
                f.write_str("Replication factor must be larger than 0, or -1 to use the default value.")
            }
            NotEnoughBrokers { asked, brokers } => write!(
                f,
                "Unable to replicate the partition {asked} time(s): The target replication factor of {asked} \
                 cannot be reached because only {brokers} broker(s) are registered."
            ),
            AssignmentAndReplicationFactor => f.write_str(
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            ),
            AssignmentAndPartitions => f.write_str(
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            ),
            AssignedTwice(partition) => {
                write!(f, "Found multiple manual partition assignments for partition {partition}")
            }
            AssignmentHasGaps => f.write_str("partitions should be a consecutive 0-based integer sequence"),
            AssignmentEmpty => f.write_str("The manual partition assignment includes an empty replica list."),
            AssignedUnknownBroker(broker) => write!(
                f,
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ),
            AssignedBrokerTwice(broker) => {
                write!(f, "The manual partition assignment includes the broker {broker} more than once.")
            }
            AssignmentUneven { got, expected } => write!(
                f,
                "The manual partition assignment includes a partition with {got} replica(s), but this is not \
                 consistent with previous partitions, which have {expected} replica(s)."
            ),
            AssignmentCount { added, assigned } => write!(
                f,
                "Attempted to add {added} additional partition(s), but only {assigned} assignment(s) were specified."
            ),
            UnknownTopicToMove(topic) => write!(f, "Unable to find a topic named {topic}."),
            UnknownPartitionToMove(topic, index) => write!(f, "Unable to find partition {topic}:{index}."),
            NoReassignmentInProgress => f.write_str("No partition reassignment is in progress."),
            ReplicasDoNotMove => f.write_str("Replicas do not move between brokers yet."),
            UnknownElection(number) => write!(f, "Unknown election type {number}"),
            UnknownTopicToLead(topic) => write!(f, "No such topic as {topic}"),
            UnknownPartitionToLead(topic, index) => write!(f, "No such partition as {topic}-{index}"),
            ElectionNotNeeded => f.write_str("Leader election not needed for topic partition."),
            PreferredLeaderNotAvailable => f.write_str("The preferred leader was not available."),
            EligibleLeadersNotAvailable => f.write_str("Eligible topic partition leaders are not available."),
            InvalidConfig(error) | InvalidBrokerConfig(error) => error.fmt(f),
            NullTopicConfig(key) => write!(f, "Null value not supported for topic configs: {key}"),
            NullConfig(key) => write!(f, "Null value not supported for : {key}"),
            NotAList { operation, key } => {
                write!(f, "Can't {operation} to key {key} because its type is not LIST.")
            }
            DuplicateConfigKeys => f.write_str("Error due to duplicate config keys"),
            NoDefaultTopic => f.write_str("Default topic resources are not allowed."),
            ReadOnlyConfig(key) => write!(f, "Cannot update these configs dynamically: [{key}]"),
            PerBrokerConfig(key) => write!(
                f,
                "Cannot update these configs at default cluster level, broker id must be specified: [{key}]"
            ),
            BadBrokerName(name) => write!(f, "Node id must be an integer, but it is: {name}"),
            NoDefaultGroup => f.write_str("Default group resources are not allowed."),
            UnknownClientMetricsConfig(key) => write!(f, "Unknown client metrics configuration: {key}"),
            NamelessClientMetrics => f.write_str("Subscription name can't be empty"),
            InvalidFeatureLevel { feature, level, reason } => {
                write!(
                    f,
                    "The update failed for all features since the following feature had an error: Invalid update \
                     version {level} for feature {feature}. "
                )?;
                match reason {
                    // Level 0 takes a feature away, which has to be there; Kafka looks for that first.
                    FeatureRefusal::UnknownFeature if *level == 0 => {
                        write!(f, "Feature {feature} not found.")
                    }
                    reason => reason.fmt(f),
                }
            }
            OtherCluster { ours, asked } => {
                write!(f, "This is cluster {ours}; the broker belongs to cluster {asked}.")
            }
            BrokerNotRegistered(broker) => write!(f, "Broker {broker} is not registered."),
            StaleBrokerEpoch { broker, current, asked } => {
                write!(f, "Broker {broker} is registered with epoch {current}; epoch {asked} is over.")
            }
            OutOfProducerIds => f.write_str("All producer ids are given out."),
        }
    }
}

impl std::error::Error for ControllerError {}
