//! Why a key or a value is refused, in Kafka's words where Kafka has some, and what to write instead.

use std::fmt;

use crate::key::{Key, Kind};
use crate::listener::ListenerError;

/// Why a value does not suit its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// Not a number of the type.
    NotANumber(Kind),
    /// Neither `true` nor `false`.
    NotABoolean,
    /// Below the least.
    TooSmall(i64),
    /// Above the most.
    TooLarge(i64),
    /// Neither -1 nor between the two.
    NotMinusOneNorBetween(i64, i64),
    /// None of these texts.
    NotOneOf(&'static [&'static str]),
    /// No folder, or several.
    NotOneFolder,
    /// Neither `*` nor pairs of partition and broker.
    NotThrottledReplicas,
    /// Not hosts and counts.
    NotHostCounts,
    /// Neither a place in a partition nor a time ago.
    NotAnOffsetReset {
        /// The key, which Kafka names twice.
        key: &'static str,
        /// And the value.
        value: String,
    },
    /// A listener's text.
    Listener(ListenerError),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::NotANumber(kind) => write!(f, "Not a number of type {}", kind.name()),
            Invalid::NotABoolean => f.write_str("Expected value to be either true or false"),
            Invalid::TooSmall(min) => write!(f, "Value must be at least {min}"),
            Invalid::TooLarge(max) => write!(f, "Value must be no more than {max}"),
            Invalid::NotMinusOneNorBetween(min, max) => {
                write!(f, "Value must be between {min} and {max} or equal to -1")
            }
            Invalid::NotOneOf(allowed) => write!(f, "String must be one of: {}", allowed.join(", ")),
            Invalid::NotOneFolder => {
                f.write_str("this version keeps its data in one folder, so exactly one must be named")
            }
            Invalid::NotThrottledReplicas => f.write_str(
                "Value must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
            Invalid::NotHostCounts => f.write_str(
                "HOST:COUNT entries with commas between expected, for example 10.0.0.1:100,localhost:10",
            ),
            Invalid::NotAnOffsetReset { key, value } => write!(
                f,
                "Invalid value `{value}` for configuration {key}. The value must be either 'earliest', 'latest' or of \
                 the format 'by_duration:<PnDTnHnMn.nS>'."
            ),
            Invalid::Listener(error) => error.fmt(f),
        }
    }
}

/// Why a setting is refused. Deterministic; nothing took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// No topic key has this name.
    UnknownTopicKey {
        /// The name.
        key: String,
        /// The most similar one there is.
        nearest: Option<&'static str>,
    },
    /// No broker key has this name.
    UnknownBrokerKey {
        /// The name.
        key: String,
        /// The most similar one there is.
        nearest: Option<&'static str>,
    },
    /// No group key has this name.
    UnknownGroupKey(String),
    /// A group's value below the least that the broker allows.
    GroupValueTooSmall {
        /// The group's key.
        key: &'static str,
        /// The broker's.
        bound: &'static str,
    },
    /// A group's value above the most that the broker allows.
    GroupValueTooLarge {
        /// The group's key.
        key: &'static str,
        /// The broker's.
        bound: &'static str,
    },
    /// A group's value has to be above another one.
    GroupValueNotAbove {
        /// The larger.
        key: String,
        /// The smaller.
        other: String,
    },
    /// A topic's key where a broker's is due.
    IsATopicKey {
        /// The key.
        key: &'static str,
        /// The broker key that is its default for all topics, where there is one.
        for_all_topics: Option<&'static str>,
    },
    /// The value does not suit the key.
    InvalidValue {
        /// The key.
        key: String,
        /// The value; hidden by its writer when sensitive.
        value: String,
        /// What is wrong with it.
        why: Invalid,
    },
    /// The key asks for protection this version cannot give: starting without would be worse than not.
    ProtectionMissing {
        /// The key.
        key: String,
    },
    /// `min.compaction.lag.ms` above `max.compaction.lag.ms`.
    CompactionLagsCross {
        /// The minimum.
        min: i64,
        /// The maximum.
        max: i64,
    },
    /// A topic asks for tiered storage where the brokers have none.
    TieredStorageDisabled,
    /// The listeners contradict each other.
    Listeners(ListenerError),
    /// A text given as `KEY=VALUE` has no `=`.
    NotAnAssignment(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did_you_mean = |f: &mut fmt::Formatter<'_>, nearest: &Option<&str>| match nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        };
        match self {
            ConfigError::UnknownTopicKey { key, nearest } => {
                write!(f, "Unknown topic config name: {key}")?;
                did_you_mean(f, nearest)
            }
            ConfigError::UnknownBrokerKey { key, nearest } => {
                write!(f, "Unknown broker config name: {key}")?;
                did_you_mean(f, nearest)
            }
            ConfigError::UnknownGroupKey(key) => write!(f, "Unknown group config name: {key}"),
            ConfigError::GroupValueTooSmall { key, bound } => {
                write!(f, "{key} must be greater than or equal to {bound}")
            }
            ConfigError::GroupValueTooLarge { key, bound } => {
                write!(f, "{key} must be less than or equal to {bound}")
            }
            ConfigError::GroupValueNotAbove { key, other } => {
                write!(f, "{key} must be greater than {other}")
            }
            ConfigError::IsATopicKey { key, for_all_topics } => {
                write!(f, "{key} is set topic by topic")?;
                match for_all_topics {
                    Some(broker_key) => write!(f, "; its default for all topics is {broker_key}"),
                    None => f.write_str(", it has no default for all topics"),
                }
            }
            ConfigError::InvalidValue { key, value, why } => {
                write!(f, "Invalid value {value} for configuration {key}: {why}")
            }
            ConfigError::ProtectionMissing { key } => write!(
                f,
                "{key} asks for protection that this version of Ottla does not have; \
                 remove the key to run without it"
            ),
            ConfigError::CompactionLagsCross { min, max } => write!(
                f,
                "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
            ),
            ConfigError::TieredStorageDisabled => f.write_str(
                "Tiered Storage functionality is disabled in the broker. \
                 Topic cannot be configured with remote log storage.",
            ),
            ConfigError::Listeners(error) => error.fmt(f),
            ConfigError::NotAnAssignment(text) => {
                write!(f, "'{text}' is no setting: KEY=VALUE expected, for example num.partitions=3")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// The key whose name is most like `name`, unless none is.
pub(crate) fn nearest(name: &str, keys: &[Key]) -> Option<&'static str> {
    // Longer than any key: not a slip of the finger, and not worth the product of the lengths.
    if 100 < name.len() {
        return None;
    }
    let allowed = (name.len() / 3).max(2);
    let distances = keys.iter().map(|key| (edit_distance(name, key.name), key.name));
    distances.filter(|(distance, _)| *distance <= allowed).min().map(|(_, nearest)| nearest)
}

/// How many characters to insert, delete or replace to turn one text into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, from_byte) in from.bytes().enumerate() {
        let mut left = row + 1;
        let mut diagonal = above[0];
        above[0] = left;
        for (column, to_byte) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(from_byte != to_byte);
            diagonal = above[column + 1];
            left = replaced.min(left + 1).min(diagonal + 1);
            above[column + 1] = left;
        }
    }
    above[to.len()]
}
