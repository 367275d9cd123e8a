//! What can be wrong with bytes, with a record of a coordinator, and with a value for a version.
//!
//! All kinds are deterministic: the same bytes or value fail the same way again.

use std::fmt;

use crate::message::VersionRange;

/// Why bytes are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What was wrong.
    pub kind: DecodeErrorKind,
    /// The field that was being read, in the words of the message tables.
    pub field: &'static str,
    /// Bytes read before it.
    pub position: usize,
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// A value or an announced length reaches past the end.
    Truncated {
        /// Bytes the value takes.
        needed: u64,
        /// Bytes that are there.
        left: usize,
    },
    /// More elements are announced than the bytes left can hold.
    Count {
        /// Elements announced.
        announced: u64,
        /// Bytes that are there.
        left: usize,
    },
    /// Null, where this version has none.
    Null,
    /// A string longer than the 32,767 bytes Kafka allows.
    StringTooLong {
        /// Its announced length in bytes.
        announced: u64,
    },
    /// A string that is not UTF-8.
    NotUtf8,
    /// A variable-length number that does not fit 32 bits.
    Varint,
    /// The message is not known in this version.
    Version {
        /// The version asked for.
        version: i16,
        /// The versions known.
        known: VersionRange,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeError { kind, field, position } = self;
        write!(f, "{field} at byte {position}: ")?;
        match kind {
            DecodeErrorKind::Truncated { needed, left } => write!(f, "needs {needed} bytes, {left} are left"),
            DecodeErrorKind::Count { announced, left } => {
                write!(f, "announces {announced} elements, {left} bytes are left")
            }
            DecodeErrorKind::Null => f.write_str("is null, which this version does not allow"),
            DecodeErrorKind::StringTooLong { announced } => {
                write!(f, "announces a string of {announced} bytes")
            }
            DecodeErrorKind::NotUtf8 => f.write_str("is not UTF-8"),
            DecodeErrorKind::Varint => f.write_str("is a number of more than 32 bits"),
            DecodeErrorKind::Version { version, known } => write!(f, "version {version} is not in {known}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why bytes in a coordinator's log are no record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The key or the value is not what its kind or version says.
    Malformed(DecodeError),
    /// A partition of something that is no topic name.
    BadTopicName(String),
    /// A state of a transaction that Kafka does not write.
    BadState(i8),
}

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> RecordError {
        RecordError::Malformed(error)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Malformed(error) => error.fmt(f),
            RecordError::BadTopicName(name) => write!(f, "'{name}' is not a topic name"),
            RecordError::BadState(state) => write!(f, "{state} is not a state of a transaction"),
        }
    }
}

impl std::error::Error for RecordError {}

/// Why a value cannot be written in a version: always a mistake of the writer, never of its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A field is set that the version does not have, and that must not be dropped.
    NotInVersion {
        /// The field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null, where this version has none.
    Null {
        /// The field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string, array, or bytes too long for its length prefix.
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes or elements.
        length: usize,
    },
    /// The frame is longer than its 32-bit size prefix can say.
    FrameTooLong {
        /// Its length in bytes, without the prefix.
        length: u64,
    },
    /// The message is not known in this version.
    Version {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
        /// The versions known.
        known: VersionRange,
    },
    /// Records kept elsewhere, where only bytes can go (a record's value, a request of a client).
    External,
}

impl EncodeError {
    #[cold]
    pub(crate) fn not_in_version(field: &'static str, version: i16) -> EncodeError {
        EncodeError::NotInVersion { field, version }
    }

    #[cold]
    pub(crate) fn null(field: &'static str, version: i16) -> EncodeError {
        EncodeError::Null { field, version }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::NotInVersion { field, version } => {
                write!(f, "{field} is set but not in version {version}")
            }
            EncodeError::Null { field, version } => {
                write!(f, "{field} is null, which version {version} does not allow")
            }
            EncodeError::TooLong { field, length } => write!(f, "{field} is too long: {length}"),
            EncodeError::FrameTooLong { length } => write!(f, "a frame of {length} bytes is too long"),
            EncodeError::Version { message, version, known } => {
                write!(f, "{message} has no version {version}, only {known}")
            }
            EncodeError::External => f.write_str("records kept elsewhere cannot be written as bytes"),
        }
    }
}

impl std::error::Error for EncodeError {}
