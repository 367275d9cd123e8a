//! What can go wrong between a caller and its cluster.
//!
//! - E1 Every variant carries what was asked, of whom, and what came back; `Display` is one plain sentence.
//! - E2 `is_retriable` is true only where trying again can end differently without anybody's help.
//! - E3 `is_outcome_unknown` is true where the request may have taken effect although nobody said so.

use std::fmt;
use std::time::Duration;

use model::{BrokerId, ErrorCode, PartitionIndex, TopicName};
use wire::{ApiKey, VersionRange};

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No connection could be made; nothing was sent.
    Unreachable {
        /// `HOST:PORT` that was tried.
        address: String,
        /// The node that was advertised at this address; `None` for an address the caller gave.
        node: Option<BrokerId>,
        /// What the system said.
        cause: String,
    },
    /// The connection ended before the answer came.
    Disconnected {
        /// `HOST:PORT` of the peer.
        address: String,
        /// What was asked.
        api: ApiKey,
    },
    /// No answer in time; the connection was given up.
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// Of whom: an address or a topic.
        whom: String,
        /// How long.
        after: Duration,
    },
    /// The cluster answered with an error.
    Refused {
        /// What was asked.
        api: ApiKey,
        /// What it was about: a topic, a partition, a group.
        subject: String,
        /// The answer.
        code: ErrorCode,
        /// The broker's own words, if it had any.
        message: Option<String>,
    },
    /// The cluster knows no such topic.
    UnknownTopic {
        /// The name asked for.
        topic: TopicName,
    },
    /// The topic has no such partition.
    UnknownPartition {
        /// The topic.
        topic: TopicName,
        /// The partition asked for.
        partition: PartitionIndex,
        /// How many it has.
        count: usize,
    },
    /// The partition has no leader, or none that answers.
    NoLeader {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
    },
    /// The broker does not speak any version we need.
    Unsupported {
        /// What was to be asked.
        api: ApiKey,
        /// What we can ask.
        needed: VersionRange,
        /// What it offers; `None` when it does not know the API at all.
        offered: Option<VersionRange>,
    },
    /// The answer does not make sense.
    Malformed {
        /// What was asked.
        api: ApiKey,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A request that cannot be written down.
    Unwritable {
        /// What was to be asked.
        api: ApiKey,
        /// What is wrong with it.
        problem: String,
    },
    /// A record larger than one batch may be.
    RecordTooLarge {
        /// Bytes of its key, value and headers.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// A fetched batch that cannot be read.
    BadBatch {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// What is wrong with it.
        problem: String,
    },
    /// The next record to read is gone, and the caller asked not to jump.
    OffsetOutOfRange {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: PartitionIndex,
        /// The offset that is gone, or not there yet.
        offset: i64,
    },
    /// The producer or consumer was closed while this was under way.
    Closed,
}

impl Error {
    /// An answer's error code as a result; `NONE` is `Ok`. Codes that few know without a message get one.
    ///
    /// # Errors
    /// [`Error::Refused`] for any other code.
    pub(crate) fn check(
        api: ApiKey,
        code: i16,
        message: Option<&str>,
        subject: impl fmt::Display,
    ) -> Result<(), Error> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => {
                let message = message.filter(|text| !text.is_empty()).or(meaning(code)).map(str::to_owned);
                Err(Error::Refused { api, subject: subject.to_string(), code, message })
            }
        }
    }

    /// The code the cluster answered with, if it did answer.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } => Some(*code),
            Error::UnknownTopic { .. } | Error::UnknownPartition { .. } => {
                Some(ErrorCode::UnknownTopicOrPartition)
            }
            Error::NoLeader { .. } => Some(ErrorCode::LeaderNotAvailable),
            Error::OffsetOutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            Error::Unreachable { .. }
            | Error::Disconnected { .. }
            | Error::TimedOut { .. }
            | Error::Unsupported { .. }
            | Error::Malformed { .. }
            | Error::Unwritable { .. }
            | Error::RecordTooLarge { .. }
            | Error::BadBatch { .. }
            | Error::Closed => None,
        }
    }

    /// Whether the same call may succeed later (E2).
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::Disconnected { .. }
            | Error::TimedOut { .. }
            | Error::NoLeader { .. } => true,
            Error::Refused { code, .. } => code.is_retriable(),
            Error::UnknownTopic { .. }
            | Error::UnknownPartition { .. }
            | Error::Unsupported { .. }
            | Error::Malformed { .. }
            | Error::Unwritable { .. }
            | Error::RecordTooLarge { .. }
            | Error::BadBatch { .. }
            | Error::OffsetOutOfRange { .. }
            | Error::Closed => false,
        }
    }

    /// Whether the request may have taken effect all the same (E3).
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Error::Disconnected { .. } | Error::TimedOut { .. } | Error::Malformed { .. } | Error::Closed => {
                true
            }
            Error::Refused { code, .. } => {
                matches!(code, ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend)
            }
            Error::Unreachable { .. }
            | Error::UnknownTopic { .. }
            | Error::UnknownPartition { .. }
            | Error::NoLeader { .. }
            | Error::Unsupported { .. }
            | Error::Unwritable { .. }
            | Error::RecordTooLarge { .. }
            | Error::BadBatch { .. }
            | Error::OffsetOutOfRange { .. } => false,
        }
    }

    /// Whether the cluster could not be talked to, as opposed to saying no.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::Unreachable { .. } | Error::Disconnected { .. } | Error::TimedOut { .. })
    }
}

fn meaning(code: ErrorCode) -> Option<&'static str> {
    let is_about_id = matches!(code, ErrorCode::UnknownTopicId | ErrorCode::InconsistentTopicId);
    is_about_id.then_some(
        "the topic with the id that was asked for was deleted; one of its name, if there is one, is another",
    )
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreachable { address, node: None, cause } => write!(f, "cannot reach {address}: {cause}"),
            Error::Unreachable { address, node: Some(node), cause } => {
                write!(f, "cannot reach node {node} at {address}, where the cluster says it is: {cause}")
            }
            Error::Disconnected { address, api } => {
                write!(f, "{address} closed the connection before it answered {api}")
            }
            Error::TimedOut { what, whom, after } => {
                write!(f, "no {what} from {whom} within {} ms", after.as_millis())
            }
            Error::Refused { api, subject, code, message: None } => {
                write!(f, "{api} of {subject} was answered with {code}")
            }
            Error::Refused { api, subject, code, message: Some(message) } => {
                write!(f, "{api} of {subject} was answered with {code}: {message}")
            }
            Error::UnknownTopic { topic } => write!(f, "the cluster has no topic '{topic}'"),
            Error::UnknownPartition { topic, partition, count } => {
                write!(f, "topic '{topic}' has no partition {partition}: it has {count}, counted from 0")
            }
            Error::NoLeader { topic, partition } => {
                write!(f, "partition {partition} of topic '{topic}' has no leader now")
            }
            Error::Unsupported { api, needed, offered: None } => {
                write!(f, "the broker does not offer {api}, which is needed in one of the versions {needed}")
            }
            Error::Unsupported { api, needed, offered: Some(offered) } => {
                write!(f, "the broker offers {api} in the versions {offered}, one of {needed} is needed")
            }
            Error::Malformed { api, problem } => write!(f, "the answer to {api} makes no sense: {problem}"),
            Error::Unwritable { api, problem } => write!(f, "{api} cannot be asked like this: {problem}"),
            Error::RecordTooLarge { bytes, bytes_max } => {
                write!(f, "a record of {bytes} bytes is larger than the {bytes_max} a batch may have")
            }
            Error::BadBatch { topic, partition, problem } => {
                write!(f, "a batch of partition {partition} of topic '{topic}' cannot be read: {problem}")
            }
            Error::OffsetOutOfRange { topic, partition, offset } => {
                write!(f, "partition {partition} of topic '{topic}' has no offset {offset} now")
            }
            Error::Closed => f.write_str("closed before it was done"),
        }
    }
}

impl std::error::Error for Error {}
