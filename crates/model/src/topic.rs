//! What: topics and their partitions.

use std::fmt;
use std::sync::Arc;

use crate::uuid::Uuid;

/// A topic's identity: a topic deleted and made again under the same name is another topic (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's number in its topic, from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionIndex(pub i32);

impl fmt::Display for PartitionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A legal topic name: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`; cheap to clone.
///
/// `parse` is the only way in, so a name can be a folder's name without another look.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a text is no topic name; worded as Kafka words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicNameError {
    /// The empty text.
    Empty,
    /// `.` or `..`.
    Dots,
    /// More than [`TopicName::LENGTH_MAX`] characters; carries the length.
    TooLong(usize),
    /// A character outside `[a-zA-Z0-9._-]`; carries the text.
    BadCharacter(String),
}

impl fmt::Display for TopicNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicNameError::Empty => f.write_str("the empty string is not allowed"),
            TopicNameError::Dots => f.write_str("'.' or '..' is not allowed"),
            TopicNameError::TooLong(length) => write!(
                f,
                "the length of the name is {length}, longer than the max allowed length {}",
                TopicName::LENGTH_MAX
            ),
            TopicNameError::BadCharacter(name) => write!(
                f,
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            ),
        }
    }
}

impl std::error::Error for TopicNameError {}

impl TopicName {
    /// Longest name, so that `name-partition.deleted-suffix` fits a 255-byte file name.
    pub const LENGTH_MAX: usize = 249;

    /// Checks the text by Kafka's rules (`Topic.validate`).
    pub fn parse(text: &str) -> Result<TopicName, TopicNameError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() {
            Err(TopicNameError::Empty)
        } else if text == "." || text == ".." {
            Err(TopicNameError::Dots)
        } else if TopicName::LENGTH_MAX < text.len() {
            Err(TopicNameError::TooLong(text.len()))
        } else if !text.bytes().all(legal) {
            Err(TopicNameError::BadCharacter(text.to_owned()))
        } else {
            Ok(TopicName(Arc::from(text)))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the topic that holds committed offsets and group generations.
    pub fn consumer_offsets() -> TopicName {
        TopicName(Arc::from("__consumer_offsets"))
    }

    /// The topic that holds what is known of transactions.
    pub fn transaction_state() -> TopicName {
        TopicName(Arc::from("__transaction_state"))
    }

    /// Whether this is one of the topics the brokers keep their own state in.
    pub fn is_internal(&self) -> bool {
        matches!(self.as_str(), "__consumer_offsets" | "__transaction_state" | "__share_group_state")
    }

    /// Whether the two names would share a metric's name, where `.` is written `_`.
    pub fn collides_with(&self, other: &TopicName) -> bool {
        let same = |(a, b): (u8, u8)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_'));
        self.0.len() == other.0.len() && self.0.bytes().zip(other.0.bytes()).all(same)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One partition of one topic, by identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition in it.
    pub partition: PartitionIndex,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        let long = "x".repeat(250);
        for (text, legal) in [
            ("rider-updates", true),
            ("a.b_c-D9", true),
            ("", false),
            (".", false),
            ("..", false),
            ("...", true),
            ("a/b", false),
            ("a b", false),
            ("é", false),
            (&long, false),
            (&long[1..], true),
        ] {
            assert_eq!(TopicName::parse(text).is_ok(), legal, "{text}");
        }
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_collide() {
        let name = |text| TopicName::parse(text).expect("legal");
        assert!(name("a.b").collides_with(&name("a_b")));
        assert!(!name("a.b").collides_with(&name("a-b")));
        assert!(!name("a.b").collides_with(&name("a.bc")));
    }
}
