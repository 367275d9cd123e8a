//! Kafka messages to bytes and back, and frames as segments.
//!
//! The tables in `messages/*.msg` say what each message holds in each version; `build.rs` turns them into one module a
//! table (`wire::fetch`, `wire::produce`, …) whose messages are also exported here. See `build/parse.rs` for the notation.
//!
//! - W1 Decoding allocates no more than a constant times the bytes it was given: every count is checked against them.
//! - W2 Decoding never panics and never reads past the frame; whatever is wrong is a [`DecodeError`].
//! - W3 Encoding writes exactly what the version has, or fails with an [`EncodeError`]: nothing is dropped silently
//!   unless Kafka's tables call it ignorable.
//! - W4 Messages nest as deep as their tables, never as deep as their bytes.
//!
//! Knows nothing of sockets, files or brokers: an error code is an `i16`, records are opaque bytes or a length that
//! somebody else fills in.

mod api;
mod embedded;
mod error;
mod frame;
mod header;
mod message;
mod reader;
mod records;
mod writer;

/// What the generated code needs in scope.
mod codec {
    pub(crate) use crate::error::{DecodeError, EncodeError};
    pub(crate) use crate::generated::ApiKey;
    pub(crate) use crate::message::{Message, RecordKey, Request, Response, VersionRange};
    pub(crate) use crate::reader::Reader;
    pub(crate) use crate::records::{Blob, Records, Str, static_blob, static_str, static_vec};
    pub(crate) use crate::writer::{Form, Writer};
    pub(crate) use model::Uuid;
}

mod generated {
    #![allow(
        clippy::all,
        unused_variables,
        unused_imports,
        reason = "generated line by line from tables: unneeded names cost nothing, checking for them would"
    )]
    use crate::api::Facts;
    use crate::message::VersionRange;
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

pub use embedded::{
    decode_assignment, decode_key, decode_subscription, decode_versioned, encode_key, encode_versioned,
    record_kind,
};
pub use error::{DecodeError, DecodeErrorKind, EncodeError, RecordError};
pub use frame::{Frame, Segment, decode_response, encode_request, encode_response};
pub use generated::*;
pub use header::{request_header_version, response_header_version};
pub use message::{Message, RecordKey, Request, Response, VersionRange};
pub use model::Uuid;
pub use reader::Reader;
pub use records::{Blob, Records, Str};
pub use writer::Writer;
