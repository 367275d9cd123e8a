//! What all messages have in common, so that handlers and clients are generic over them.

use std::fmt;

use crate::error::{DecodeError, EncodeError};
use crate::generated::ApiKey;
use crate::reader::Reader;
use crate::writer::Writer;

/// Versions `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The lowest.
    pub first: i16,
    /// The highest.
    pub last: i16,
}

impl VersionRange {
    /// Whether `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// The versions both know; `None` if there are none.
    pub fn intersect(self, other: VersionRange) -> Option<VersionRange> {
        let both = VersionRange { first: self.first.max(other.first), last: self.last.min(other.last) };
        (both.first <= both.last).then_some(both)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A value with one encoding a version. `'a` is the frame that its strings and bytes may point into.
pub trait Message<'a>: Sized + Clone + fmt::Debug + Default + PartialEq {
    /// Its name in Kafka, such as `FetchRequest`.
    const NAME: &'static str;
    /// The versions known.
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: Option<i16>;
    /// The same message without a reference into a frame.
    type Owned: Message<'static> + 'static;

    /// Reads the message and leaves `reader` behind it. Bytes after it are the caller's concern; Kafka ignores them.
    ///
    /// # Errors
    /// The version is unknown, or the bytes are not a message of that version.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message.
    ///
    /// # Errors
    /// The version is unknown, or cannot carry this value.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Copies what points into the frame.
    fn into_owned(self) -> Self::Owned;
}

/// A request, and what answers it in the same version.
pub trait Request<'a>: Message<'a> {
    /// Its API.
    const KEY: ApiKey;
    /// The answer. That its owned form is itself lets a client return it from a frame it does not keep.
    type Response<'r>: Response<'r, Owned = Self::Response<'static>>;
}

/// The answer to a [`Request`].
pub trait Response<'a>: Message<'a> {
    /// Its API.
    const KEY: ApiKey;
}

/// The key of a record in a coordinator's topic.
pub trait RecordKey<'a>: Message<'a> {
    /// The number in front of the key, which says what kind of record it is.
    const KIND: i16;
}
