//! Records of `__consumer_offsets` as bytes, the way Kafka 4.3 writes them.
//!
//! - R1 A key opens with the record type (1 an offset, 2 a group; 0 is an offset of old), a value with its version.
//! - R2 Offsets are written in version 4, which carries the topic id; in version 1 when the client said how long to
//!   keep them, since only that version carries it. Groups are written in version 3.
//! - R3 Every version Kafka ever wrote can be read; a version from the future is read as the last one known, since
//!   later ones may only add tagged fields (KIP-915).
//!
//! Types other than these belong to the other group protocols and are passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName, Uuid};

use crate::action::GroupRecord;
use crate::id::{GroupId, InstanceId, MemberId};
use crate::stored::{CommittedOffset, Generation, StoredMember};

/// One change of persistent state; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Offset { group: GroupId, topic: TopicName, partition: PartitionIndex, value: Option<CommittedOffset> },
    Group { group: GroupId, value: Option<Generation> },
}

/// Why bytes of the log are no record. Deterministic: another try reads the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes end inside a field, or a length is impossible.
    Truncated,
    /// A text is not UTF-8.
    NotUtf8,
    /// A key without a value that may be absent, or a field that may not be null is.
    UnexpectedNull,
    /// A committed offset names no legal topic.
    BadTopicName(String),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Truncated => f.write_str("the record ends inside a field"),
            RecordError::NotUtf8 => f.write_str("a text of the record is not UTF-8"),
            RecordError::UnexpectedNull => f.write_str("a field of the record is null where it must not be"),
            RecordError::BadTopicName(name) => write!(f, "'{name}' is not a topic name"),
        }
    }
}

impl std::error::Error for RecordError {}

const LEGACY_OFFSET: i16 = 0;
const OFFSET: i16 = 1;
const GROUP: i16 = 2;

const OFFSET_VERSION_WITH_EXPIRY: i16 = 1;
const OFFSET_VERSION: i16 = 4;
const GROUP_VERSION: i16 = 3;

/// The tag of an offset's topic id.
const TOPIC_ID_TAG: u64 = 0;

impl Record {
    /// The record as it is written.
    pub fn encode(&self) -> GroupRecord {
        match self {
            Record::Offset { group, topic, partition, value } => {
                let mut key = Writer::with_i16(OFFSET);
                key.string(group.as_str());
                key.string(topic.as_str());
                key.i32(partition.0);
                GroupRecord { key: key.bytes, value: value.as_ref().map(encode_offset) }
            }
            Record::Group { group, value } => {
                let mut key = Writer::with_i16(GROUP);
                key.string(group.as_str());
                GroupRecord { key: key.bytes, value: value.as_ref().map(encode_generation) }
            }
        }
    }

    /// The record of these bytes; `None` when it is of a type that is not ours.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, RecordError> {
        let mut key = Reader { rest: key };
        match key.i16()? {
            LEGACY_OFFSET | OFFSET => {
                let group = GroupId::from(key.string()?);
                let topic = key.string()?;
                let topic =
                    TopicName::parse(topic).map_err(|_| RecordError::BadTopicName(topic.to_owned()))?;
                let partition = PartitionIndex(key.i32()?);
                let value = value.map(decode_offset).transpose()?;
                Ok(Some(Record::Offset { group, topic, partition, value }))
            }
            GROUP => {
                let group = GroupId::from(key.string()?);
                let value = value.map(decode_generation).transpose()?;
                Ok(Some(Record::Group { group, value }))
            }
            _ => Ok(None),
        }
    }
}

fn encode_offset(offset: &CommittedOffset) -> Vec<u8> {
    let version = if offset.expires_at_ms.is_some() { OFFSET_VERSION_WITH_EXPIRY } else { OFFSET_VERSION };
    let mut value = Writer::with_i16(version);
    value.i64(offset.offset.0);
    match offset.expires_at_ms {
        Some(expires_at_ms) => {
            value.string(&offset.metadata);
            value.i64(offset.committed_at_ms);
            value.i64(expires_at_ms);
        }
        None => {
            value.i32(offset.leader_epoch.0);
            value.compact_string(&offset.metadata);
            value.i64(offset.committed_at_ms);
            match offset.topic_id {
                Some(TopicId(id)) => {
                    value.varint(1);
                    value.varint(TOPIC_ID_TAG);
                    value.varint(16);
                    value.bytes.extend_from_slice(&id.0);
                }
                None => value.varint(0),
            }
        }
    }
    value.bytes
}

fn decode_offset(bytes: &[u8]) -> Result<CommittedOffset, RecordError> {
    let mut value = Reader { rest: bytes };
    let version = value.i16()?;
    let offset = Offset(value.i64()?);
    let leader_epoch = LeaderEpoch(if 3 <= version { value.i32()? } else { LeaderEpoch::NONE.0 });
    let metadata = Arc::from(if 4 <= version { value.compact_string()? } else { value.string()? });
    let committed_at_ms = value.i64()?;
    let expires_at_ms = if version == 1 { Some(value.i64()?).filter(|&at| at != -1) } else { None };
    let topic_id = if 4 <= version { decode_topic_id(&mut value)? } else { None };
    Ok(CommittedOffset { offset, leader_epoch, metadata, committed_at_ms, expires_at_ms, topic_id })
}

fn decode_topic_id(value: &mut Reader<'_>) -> Result<Option<TopicId>, RecordError> {
    let mut topic_id = None;
    for _ in 0..value.varint()? {
        let tag = value.varint()?;
        let size = usize::try_from(value.varint()?).map_err(|_| RecordError::Truncated)?;
        let field = value.take(size)?;
        if tag == TOPIC_ID_TAG {
            let id = Uuid(field.try_into().map_err(|_| RecordError::Truncated)?);
            topic_id = Some(TopicId(id)).filter(|_| !id.is_zero());
        }
    }
    Ok(topic_id)
}

fn encode_generation(generation: &Generation) -> Vec<u8> {
    let mut value = Writer::with_i16(GROUP_VERSION);
    value.string(&generation.protocol_type);
    value.i32(generation.number);
    value.nullable_string(generation.protocol.as_deref());
    value.nullable_string(generation.leader.as_ref().map(MemberId::as_str));
    value.i64(generation.state_since_ms.unwrap_or(-1));
    value
        .i32(i32::try_from(generation.members.len()).expect("a group's members are counted against a limit"));
    for (id, member) in &generation.members {
        value.string(id.as_str());
        value.nullable_string(member.instance_id.as_ref().map(InstanceId::as_str));
        value.string(&member.client_id);
        value.string(&member.client_host);
        value.i32(member.rebalance_timeout_ms);
        value.i32(member.session_timeout_ms);
        value.blob(&member.subscription);
        value.blob(&member.assignment);
    }
    value.bytes
}

fn decode_generation(bytes: &[u8]) -> Result<Generation, RecordError> {
    let mut value = Reader { rest: bytes };
    let version = value.i16()?;
    let compact = 4 <= version;
    let protocol_type = Arc::from(value.text(compact)?.ok_or(RecordError::UnexpectedNull)?);
    let number = value.i32()?;
    let protocol = value.text(compact)?.map(Arc::from);
    let leader = value.text(compact)?.map(MemberId::from);
    let state_since_ms = if 2 <= version { Some(value.i64()?).filter(|&since| since != -1) } else { None };
    let count = if compact { value.compact_length()? } else { u32::try_from(value.i32()?).ok() };
    let mut members = BTreeMap::new();
    for _ in 0..count.ok_or(RecordError::UnexpectedNull)? {
        let (id, member) = decode_member(&mut value, version)?;
        members.insert(id, member);
    }
    Ok(Generation { number, protocol_type, protocol, leader, state_since_ms, members })
}

fn decode_member(value: &mut Reader<'_>, version: i16) -> Result<(MemberId, StoredMember), RecordError> {
    let compact = 4 <= version;
    let id = MemberId::from(value.text(compact)?.ok_or(RecordError::UnexpectedNull)?);
    let instance_id = if 3 <= version { value.text(compact)?.map(InstanceId::from) } else { None };
    let client_id = Arc::from(value.text(compact)?.ok_or(RecordError::UnexpectedNull)?);
    let client_host = Arc::from(value.text(compact)?.ok_or(RecordError::UnexpectedNull)?);
    let rebalance_timeout_ms = if 1 <= version { value.i32()? } else { -1 };
    let session_timeout_ms = value.i32()?;
    let subscription = Arc::from(value.blob(compact)?);
    let assignment = Arc::from(value.blob(compact)?);
    if compact {
        value.skip_tags()?;
    }
    let rebalance_timeout_ms =
        if rebalance_timeout_ms == -1 { session_timeout_ms } else { rebalance_timeout_ms };
    let member = StoredMember {
        instance_id,
        client_id,
        client_host,
        rebalance_timeout_ms,
        session_timeout_ms,
        subscription,
        assignment,
    };
    Ok((id, member))
}

/// The protocol's primitive types, written.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn with_i16(first: i16) -> Writer {
        Writer { bytes: first.to_be_bytes().to_vec() }
    }

    fn i32(&mut self, number: i32) {
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    fn i64(&mut self, number: i64) {
        self.bytes.extend_from_slice(&number.to_be_bytes());
    }

    fn string(&mut self, text: &str) {
        let length = i16::try_from(text.len()).expect("every text is measured before it is kept");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.bytes.extend_from_slice(&(-1i16).to_be_bytes()),
        }
    }

    fn blob(&mut self, blob: &[u8]) {
        self.i32(i32::try_from(blob.len()).expect("a request's bytes are fewer than an i32 counts"));
        self.bytes.extend_from_slice(blob);
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let low = u8::try_from(number & 0x7f).expect("seven bits");
            number >>= 7;
            if number == 0 {
                self.bytes.push(low);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    fn compact_string(&mut self, text: &str) {
        self.varint(u64::try_from(text.len()).expect("a usize has 64 bits at the most") + 1);
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// The protocol's primitive types, read; every length is checked against the bytes left (D8).
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn i16(&mut self) -> Result<i16, RecordError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, RecordError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<u64, RecordError> {
        let mut number = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(RecordError::Truncated)
    }

    /// A compact length, which is one more than it says; `None` is null.
    fn compact_length(&mut self) -> Result<Option<u32>, RecordError> {
        match self.varint()?.checked_sub(1) {
            Some(length) => Ok(Some(u32::try_from(length).map_err(|_| RecordError::Truncated)?)),
            None => Ok(None),
        }
    }

    fn sized(&mut self, length: Option<u32>) -> Result<Option<&'a [u8]>, RecordError> {
        let Some(length) = length else { return Ok(None) };
        self.take(usize::try_from(length).map_err(|_| RecordError::Truncated)?).map(Some)
    }

    fn text(&mut self, compact: bool) -> Result<Option<&'a str>, RecordError> {
        let length = if compact { self.compact_length()? } else { u32::try_from(self.i16()?).ok() };
        let text = self.sized(length)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| RecordError::NotUtf8)
    }

    fn string(&mut self) -> Result<&'a str, RecordError> {
        self.text(false)?.ok_or(RecordError::UnexpectedNull)
    }

    fn compact_string(&mut self) -> Result<&'a str, RecordError> {
        self.text(true)?.ok_or(RecordError::UnexpectedNull)
    }

    fn blob(&mut self, compact: bool) -> Result<&'a [u8], RecordError> {
        let length = if compact { self.compact_length()? } else { u32::try_from(self.i32()?).ok() };
        self.sized(length)?.ok_or(RecordError::UnexpectedNull)
    }

    fn skip_tags(&mut self) -> Result<(), RecordError> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = usize::try_from(self.varint()?).map_err(|_| RecordError::Truncated)?;
            self.take(size)?;
        }
        Ok(())
    }
}
