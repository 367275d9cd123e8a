//! The variable parts of messages: strings, bytes and record batches.
//!
//! Decoded ones point into the frame; built ones own their bytes or point to where the caller has them. Records may also
//! stay where they are: [`Records::External`] only says how long they will be.

use std::borrow::Cow;
use std::fmt;

/// A string in a message.
pub type Str<'a> = Cow<'a, str>;

/// Opaque bytes in a message.
pub type Blob<'a> = Cow<'a, [u8]>;

/// Record batches in a message; what they hold is no concern of this crate.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Records<'a> {
    /// Null on the wire.
    #[default]
    Null,
    /// The batches themselves. Encoding copies them into the frame.
    Bytes(Blob<'a>),
    /// Batches that whoever sends the frame puts in, from a file for instance. Never decoded.
    External {
        /// Which of the sender's pieces; comes back in [`Segment::External`](crate::Segment::External).
        index: u32,
        /// Its length in bytes.
        len: u32,
    },
}

impl Records<'_> {
    /// Whether these are null, which is not the same as empty.
    pub fn is_null(&self) -> bool {
        matches!(self, Records::Null)
    }

    /// The batches, if they are here; null counts as none.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Records::Null => Some(&[]),
            Records::Bytes(bytes) => Some(bytes),
            Records::External { .. } => None,
        }
    }

    /// The same records without a reference into the frame.
    pub fn to_static(self) -> Records<'static> {
        match self {
            Records::Null => Records::Null,
            Records::Bytes(bytes) => Records::Bytes(static_blob(bytes)),
            Records::External { index, len } => Records::External { index, len },
        }
    }
}

/// Lengths only: batches are too long to print.
impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Records::Null => f.write_str("Null"),
            Records::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Records::External { index, len } => write!(f, "External({index}, {len} bytes)"),
        }
    }
}

pub(crate) fn static_str(text: Str<'_>) -> Str<'static> {
    Str::Owned(text.into_owned())
}

pub(crate) fn static_blob(bytes: Blob<'_>) -> Blob<'static> {
    Blob::Owned(bytes.into_owned())
}

pub(crate) fn static_vec<T, U>(items: Vec<T>, to_static: impl FnMut(T) -> U) -> Vec<U> {
    items.into_iter().map(to_static).collect()
}
