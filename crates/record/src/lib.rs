//! Kafka's record batch, version 2: checked once, patched in place, iterated without copying.
//!
//! - R1 A [`CheckedBatch`] is one whole batch whose length, checksum and counts agree with its bytes.
//! - R2 Assigning an offset and a leader epoch never touches what the checksum covers.
//! - R3 No number in a batch sizes an allocation; whatever is decompressed has a bound.
//!
//! Reading order: [`header`] is the layout, [`batch`] the gate, [`records`] what is inside,
//! [`compression`] the codecs, [`builder`] the way to write one, [`Decoded::rewrite`] to leave some of it out.
//!
//! Knows nothing of topics, files or requests. Layout: Kafka's `DefaultRecordBatch` and `DefaultRecord`.

pub mod batch;
pub mod batch_error;
pub mod builder;
pub mod compression;
mod end_transaction;
pub mod header;
mod recompress;
pub mod records;
mod rewrite;
mod varint;
mod xerial;

pub use batch::{BatchRules, CheckedBatch, Keys, Validation, check, checksum};
pub use batch_error::{BatchError, RecordFault};
pub use builder::{BatchBuilder, BatchOptions, Producer};
pub use compression::Compression;
pub use end_transaction::EndTransaction;
pub use header::{BATCH_HEADER_BYTES, BatchHeader, TimestampType};
pub use records::{Decoded, Header, Headers, RecordView, Records, decode};
pub use rewrite::emptied;

#[cfg(test)]
mod tests;
