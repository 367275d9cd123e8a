//! Records of `__consumer_offsets` as bytes, the way Kafka 4.3 writes them.
//!
//! - R1 A key opens with the record type (1 an offset, 2 a group; 0 is an offset of old), a value with its version.
//! - R2 Offsets are written in version 4, which carries the topic id; in version 1 when the client said how long to
//!   keep them, since only that version carries it. Groups are written in version 3.
//! - R3 Every version Kafka ever wrote can be read; a version from the future is read as the last one known, since
//!   later ones may only add tagged fields (KIP-915).
//!
//! Types other than these belong to the other group protocols and are passed over.

use std::sync::Arc;

use model::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use wire::group_metadata_record::MemberMetadata;
use wire::{
    Blob, GroupMetadataKey, GroupMetadataValue, LegacyOffsetCommitKey, Message, OffsetCommitKey,
    OffsetCommitValue, RecordError, RecordKey, Str,
};

use crate::action::GroupRecord;
use crate::id::{GroupId, InstanceId, MemberId};
use crate::stored::{CommittedOffset, Generation, StoredMember};

/// One change of persistent state; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A group has committed an offset, or it is forgotten.
    Offset {
        /// The group.
        group: GroupId,
        /// The topic.
        topic: TopicName,
        /// Its partition.
        partition: PartitionIndex,
        /// The offset and what was said with it.
        value: Option<CommittedOffset>,
    },
    /// A group has entered a generation, or it is forgotten.
    Group {
        /// The group.
        group: GroupId,
        /// The generation.
        value: Option<Generation>,
    },
}

const OFFSET_VERSION_WITH_EXPIRY: i16 = 1;
const OFFSET_VERSION: i16 = 4;
const GROUP_VERSION: i16 = 3;

/// "Not there", for times that older versions did not have.
const NO_TIME: i64 = -1;

impl Record {
    /// The group the record is of.
    pub fn group(&self) -> &GroupId {
        match self {
            Record::Offset { group, .. } | Record::Group { group, .. } => group,
        }
    }

    /// The record as it is written.
    pub fn encode(&self) -> GroupRecord {
        match self {
            Record::Offset { group, topic, partition, value } => {
                let group = Str::Borrowed(group.as_str());
                let topic = Str::Borrowed(topic.as_str());
                let key = OffsetCommitKey { group, topic, partition: partition.0 };
                GroupRecord { key: encode_key(&key), value: value.as_ref().map(encode_offset) }
            }
            Record::Group { group, value } => {
                let key = GroupMetadataKey { group: Str::Borrowed(group.as_str()) };
                GroupRecord { key: encode_key(&key), value: value.as_ref().map(encode_generation) }
            }
        }
    }

    /// The record of these bytes; `None` when it is of a type that is not ours.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Option<Record>, RecordError> {
        match wire::record_kind(key)? {
            LegacyOffsetCommitKey::KIND | OffsetCommitKey::KIND => {
                // The two kinds differ in number only, and so do the versions of their values.
                let OffsetCommitKey { group, topic, partition } = wire::decode_key(key)?;
                let topic =
                    TopicName::parse(&topic).map_err(|_| RecordError::BadTopicName(topic.into_owned()))?;
                let value = value.map(decode_offset).transpose()?;
                let partition = PartitionIndex(partition);
                Ok(Some(Record::Offset { group: GroupId::from(&*group), topic, partition, value }))
            }
            GroupMetadataKey::KIND => {
                let GroupMetadataKey { group } = wire::decode_key(key)?;
                let value = value.map(decode_generation).transpose()?;
                Ok(Some(Record::Group { group: GroupId::from(&*group), value }))
            }
            _ => Ok(None),
        }
    }
}

fn encode_key<'a, K: RecordKey<'a>>(key: &K) -> Vec<u8> {
    wire::encode_key(key).expect("names are measured before they are kept")
}

fn encode_value<'a, M: Message<'a>>(value: &M, version: i16) -> Vec<u8> {
    wire::encode_versioned(value, version).expect("texts are measured before they are kept")
}

fn encode_offset(offset: &CommittedOffset) -> Vec<u8> {
    let version = if offset.expires_at_ms.is_some() { OFFSET_VERSION_WITH_EXPIRY } else { OFFSET_VERSION };
    let value = OffsetCommitValue {
        offset: offset.offset.0,
        leader_epoch: offset.leader_epoch.0,
        metadata: Str::Borrowed(&offset.metadata),
        commit_timestamp: offset.committed_at_ms,
        expire_timestamp: offset.expires_at_ms.unwrap_or(NO_TIME),
        topic_id: offset.topic_id.map_or(wire::Uuid::ZERO, |id| id.0),
    };
    encode_value(&value, version)
}

fn decode_offset(bytes: &[u8]) -> Result<CommittedOffset, RecordError> {
    let value: OffsetCommitValue<'_> = wire::decode_versioned(bytes)?;
    Ok(CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: Arc::from(value.metadata),
        committed_at_ms: value.commit_timestamp,
        expires_at_ms: Some(value.expire_timestamp).filter(|&at| at != NO_TIME),
        topic_id: Some(TopicId(value.topic_id)).filter(|id| !id.0.is_zero()),
    })
}

fn encode_generation(generation: &Generation) -> Vec<u8> {
    let value = GroupMetadataValue {
        protocol_type: Str::Borrowed(&generation.protocol_type),
        generation: generation.number,
        protocol: generation.protocol.as_deref().map(Str::Borrowed),
        leader: generation.leader.as_ref().map(|leader| Str::Borrowed(leader.as_str())),
        current_state_timestamp: generation.state_since_ms.unwrap_or(NO_TIME),
        members: generation.members.iter().map(encode_member).collect(),
    };
    encode_value(&value, GROUP_VERSION)
}

fn encode_member<'a>((id, member): (&'a MemberId, &'a StoredMember)) -> MemberMetadata<'a> {
    MemberMetadata {
        member_id: Str::Borrowed(id.as_str()),
        group_instance_id: member.instance_id.as_ref().map(|id| Str::Borrowed(id.as_str())),
        client_id: Str::Borrowed(&member.client_id),
        client_host: Str::Borrowed(&member.client_host),
        rebalance_timeout: member.rebalance_timeout_ms,
        session_timeout: member.session_timeout_ms,
        subscription: Blob::Borrowed(&member.subscription),
        assignment: Blob::Borrowed(&member.assignment),
    }
}

fn decode_generation(bytes: &[u8]) -> Result<Generation, RecordError> {
    let value: GroupMetadataValue<'_> = wire::decode_versioned(bytes)?;
    let member = |member: MemberMetadata<'_>| {
        let session_timeout_ms = member.session_timeout;
        let rebalance_timeout_ms = Some(member.rebalance_timeout).filter(|&timeout| timeout != -1);
        let stored = StoredMember {
            instance_id: member.group_instance_id.as_deref().map(InstanceId::from),
            client_id: Arc::from(member.client_id),
            client_host: Arc::from(member.client_host),
            // Version 0 had one timeout for both.
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            subscription: Arc::from(&*member.subscription),
            assignment: Arc::from(&*member.assignment),
        };
        (MemberId::from(&*member.member_id), stored)
    };
    Ok(Generation {
        number: value.generation,
        protocol_type: Arc::from(value.protocol_type),
        protocol: value.protocol.map(Arc::from),
        leader: value.leader.as_deref().map(MemberId::from),
        state_since_ms: Some(value.current_state_timestamp).filter(|&since| since != NO_TIME),
        members: value.members.into_iter().map(member).collect(),
    })
}
