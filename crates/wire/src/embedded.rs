//! Messages inside other messages and inside logs: a number, then the message.
//!
//! The number is the version of a value (a coordinator's record, what consumers tell each other when a group rebalances)
//! or the kind of a record's key.

use crate::error::{DecodeError, EncodeError};
use crate::generated::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::message::{Message, RecordKey};
use crate::reader::Reader;
use crate::writer::Writer;

/// `message` behind its version.
///
/// # Errors
/// `version` is unknown, or cannot carry this message.
pub fn encode_versioned<'a, M: Message<'a>>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    numbered(version, message, version)
}

/// The message behind its version. One from the future is read as the last one known: those may only add fields at the end
/// (KIP-915).
///
/// # Errors
/// The version is unknown, or the bytes are not a message of that version.
pub fn decode_versioned<'a, M: Message<'a>>(bytes: &'a [u8]) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16("version")?;
    M::decode(&mut reader, version.min(M::VERSIONS.last))
}

/// `key` behind its kind.
///
/// # Errors
/// A string in it is too long.
pub fn encode_key<'a, K: RecordKey<'a>>(key: &K) -> Result<Vec<u8>, EncodeError> {
    numbered(K::KIND, key, K::VERSIONS.last)
}

/// The kind of a record, which its key starts with.
///
/// # Errors
/// The key is too short to have one.
pub fn record_kind(key: &[u8]) -> Result<i16, DecodeError> {
    Reader::new(key).i16("kind")
}

/// The key behind its kind; the caller has looked at [`record_kind`].
///
/// # Errors
/// The bytes are not a key of this kind.
pub fn decode_key<'a, K: RecordKey<'a>>(bytes: &'a [u8]) -> Result<K, DecodeError> {
    let mut reader = Reader::new(bytes);
    reader.i16("kind")?;
    K::decode(&mut reader, K::VERSIONS.last)
}

/// What a consumer wants: the metadata of its protocols in JoinGroup.
///
/// # Errors
/// The bytes are not a subscription.
pub fn decode_subscription(bytes: &[u8]) -> Result<ConsumerProtocolSubscription<'_>, DecodeError> {
    decode_versioned(bytes)
}

/// What a consumer gets: its assignment in SyncGroup. No bytes at all are an assignment of nothing.
///
/// # Errors
/// The bytes are not an assignment.
pub fn decode_assignment(bytes: &[u8]) -> Result<ConsumerProtocolAssignment<'_>, DecodeError> {
    if bytes.is_empty() { Ok(ConsumerProtocolAssignment::default()) } else { decode_versioned(bytes) }
}

fn numbered<'a, M: Message<'a>>(number: i16, message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(number);
    message.encode(&mut writer, version)?;
    writer.into_bytes()
}
