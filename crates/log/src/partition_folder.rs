//! The name of a partition's folder, and the topic id inside it.

use std::io;
use std::path::{Path, PathBuf};

use model::{PartitionIndex, TopicId, TopicName, Uuid};
use rt::Fs;

use crate::names::PARTITION_METADATA;

/// Longest name the file systems take.
const FOLDER_NAME_BYTES_MAX: usize = 255;

/// A partition by the names its folder and the checkpoints use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionName {
    /// The topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
}

/// A partition's folder as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionFolder {
    /// What its name says.
    pub name: PartitionName,
    /// Which topic of that name it says it belongs to; `None` when that was never made durable, or cannot be read.
    pub topic_id: Option<TopicId>,
    /// Where it is.
    pub path: PathBuf,
}

impl PartitionFolder {
    /// Whether it is a folder of that topic: it says so, cannot say it any more, or says it with a few bits wrong.
    pub fn is_of(&self, topic_id: TopicId) -> bool {
        self.topic_id.is_none_or(|found| is_damaged_copy(found, topic_id))
    }
}

/// Topic ids are drawn at random: two that differ in no more bits than these are one id and a damaged copy of it.
const DAMAGED_BITS_MAX: u32 = 16;

/// Whether `found` is what damage may have made of `written`; nothing is a kind of damage too.
pub(crate) fn is_damaged_copy(found: TopicId, written: TopicId) -> bool {
    let number = |id: TopicId| u128::from_be_bytes(id.0.0);
    (number(found) ^ number(written)).count_ones() <= DAMAGED_BITS_MAX
}

impl PartitionName {
    pub(crate) fn parse(topic: &str, partition: &str) -> Option<PartitionName> {
        let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
        let index = partition.parse().ok().filter(|_| digits)?;
        Some(PartitionName { topic: TopicName::parse(topic).ok()?, partition: PartitionIndex(index) })
    }

    /// `topic-0`.
    pub fn to_folder(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }

    /// Reads a folder's name; `None` for those renamed for deletion and all that are no partition's.
    pub fn from_folder(name: &str) -> Option<PartitionName> {
        let (topic, partition) = name.rsplit_once('-')?;
        PartitionName::parse(topic, partition)
    }

    /// `topic-0.4f…-delete`: the topic's name is cut where the whole would be too long, as Kafka cuts it.
    pub(crate) fn to_moved_folder(&self, unique: Uuid, suffix: &str) -> String {
        let unique = u128::from_be_bytes(unique.0);
        let suffix = format!("-{}.{unique:032x}{suffix}", self.partition);
        let topic = self.topic.as_str();
        let kept = topic.len().min(FOLDER_NAME_BYTES_MAX - suffix.len());
        format!("{}{suffix}", &topic[..kept])
    }
}

/// The text of `partition.metadata`.
pub(crate) fn topic_id_text(topic_id: TopicId) -> String {
    // Kafka ends it without a line end; its reader takes either.
    format!("version: 0\ntopic_id: {topic_id}")
}

/// Reads `partition.metadata` in a partition's folder; `None` when it is missing or was not written whole.
pub(crate) fn read_topic_id(fs: &Fs, folder: &Path) -> io::Result<Option<TopicId>> {
    let bytes = match fs.read(&folder.join(PARTITION_METADATA)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(parse_topic_id(&bytes))
}

pub(crate) fn parse_topic_id(bytes: &[u8]) -> Option<TopicId> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    let version = lines.next()?.strip_prefix("version:")?.trim();
    let topic_id = lines.next()?.strip_prefix("topic_id:")?.trim();
    let topic_id: Uuid = topic_id.parse().ok()?;
    (version == "0" && !topic_id.is_zero()).then_some(TopicId(topic_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_round_trip() {
        for (name, expected) in [
            ("t-0", Some(("t", 0))),
            ("a-b-12", Some(("a-b", 12))),
            ("t", None),
            ("t-", None),
            ("-1", None),
            ("t-+1", None),
            ("t--1", Some(("t-", 1))),
            ("t-0.00000000000000000000000000000001-delete", None),
        ] {
            let parsed = PartitionName::from_folder(name);
            let seen = parsed.as_ref().map(|parsed| (parsed.topic.as_str(), parsed.partition.0));
            assert_eq!(seen, expected, "{name}");
            assert!(parsed.is_none_or(|parsed| parsed.to_folder() == name));
        }
    }

    #[test]
    fn the_longest_name_can_be_deleted() {
        let topic = TopicName::parse(&"x".repeat(TopicName::LENGTH_MAX)).expect("legal");
        let name = PartitionName { topic, partition: PartitionIndex(99_999) };
        let deleted = name.to_moved_folder(Uuid(1u128.to_be_bytes()), "-delete");
        assert_eq!(deleted.len(), FOLDER_NAME_BYTES_MAX);
        assert!(deleted.ends_with("-99999.00000000000000000000000000000001-delete"), "{deleted}");
        assert_eq!(PartitionName::from_folder(&deleted), None);
    }

    #[test]
    fn no_flipped_bit_makes_a_folder_another_topics() {
        let of = |text: &[u8]| PartitionFolder {
            name: PartitionName::from_folder("t-0").expect("a partition's"),
            topic_id: parse_topic_id(text),
            path: PathBuf::from("t-0"),
        };
        let written: TopicId = TopicId("XxXhq95CQ86hBYttrojljg".parse().expect("an id"));
        let other: TopicId = TopicId("yQmeY0macrW3N2SHhF0-hw".parse().expect("an id"));
        let text = topic_id_text(written);
        for bit in 0..text.len() * 8 {
            let mut damaged = text.clone().into_bytes();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(of(&damaged).is_of(written), "bit {bit}");
        }
        for byte in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[byte..].iter_mut().take(3).for_each(|byte| *byte = 0);
            assert!(of(&damaged).is_of(written), "zeros at {byte}");
        }
        assert!(!of(text.as_bytes()).is_of(other));
    }

    #[test]
    fn kafkas_topic_id_is_read() {
        let text = "version: 0\ntopic_id: XxXhq95CQ86hBYttrojljg";
        let topic_id = parse_topic_id(text.as_bytes()).expect("Kafka's own file");
        assert_eq!(topic_id_text(topic_id), text);
        for damaged in
            ["", "version: 0\n", "version: 1\ntopic_id: XxXhq95CQ86hBYttrojljg", "version: 0\ntopic_id: XxX"]
        {
            assert_eq!(parse_topic_id(damaged.as_bytes()), None, "{damaged:?}");
        }
    }
}
