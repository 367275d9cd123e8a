//! Why bytes are no batch this broker takes.
//!
//! All are faults of the bytes: trying again changes nothing, and nothing was written.

use std::fmt;

/// What is wrong with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// Fewer bytes than the batch says, or than a header takes.
    Truncated {
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// A length field no batch can have.
    ImpossibleLength(i32),
    /// A message format other than 2.
    UnsupportedMagic(i8),
    /// Bytes after the batch: one partition takes one batch a request.
    MoreThanOneBatch {
        /// Bytes too many.
        trailing: usize,
    },
    /// Larger than the topic allows.
    TooLarge {
        /// Bytes of the batch.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The checksum does not fit the bytes.
    BadCrc {
        /// What the batch says.
        stored: u32,
        /// What its bytes say.
        computed: u32,
    },
    /// A client named an offset.
    BaseOffsetNotZero(i64),
    /// No records, or not as many as the offsets say.
    CountMismatch {
        /// Records said to be inside.
        record_count: i32,
        /// Last offset minus base offset.
        last_offset_delta: i32,
    },
    /// A client sent a control batch.
    ControlFromClient,
    /// A client said that the broker had set the timestamps.
    AppendTimeFromClient,
    /// A producer id without a sequence number.
    SequenceMissing {
        /// The producer.
        producer_id: i64,
        /// Its first sequence number.
        base_sequence: i32,
    },
    /// A codec nobody knows.
    UnknownCompression(i16),
    /// A record that cannot be read, or that the topic refuses.
    BadRecord {
        /// Which one, from zero.
        index: i32,
        /// What is wrong with it.
        fault: RecordFault,
    },
    /// Bytes after the last record.
    TrailingRecordBytes,
    /// The records do not decompress.
    Decompression,
    /// The records decompress to more than we are ready to look at.
    DecompressedTooLarge {
        /// Bytes allowed.
        max: usize,
    },
}

/// What is wrong with one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// A length or count that leaves the record, or a number that never ends.
    Malformed,
    /// Its offset is not the next one.
    OffsetDelta {
        /// What it says.
        delta: i32,
    },
    /// A compacted topic takes no record without a key.
    NullKey,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BatchError::Truncated { have, need } => write!(f, "batch cut short: {have} bytes of {need}"),
            BatchError::ImpossibleLength(length) => write!(f, "no batch has the length {length}"),
            BatchError::UnsupportedMagic(magic) => {
                write!(f, "record batches must have magic version 2, not {magic}")
            }
            BatchError::MoreThanOneBatch { trailing } => {
                write!(f, "exactly one record batch per partition expected, {trailing} bytes follow it")
            }
            BatchError::TooLarge { size, max } => {
                write!(f, "the record batch size is {size} bytes, which exceeds the maximum of {max}")
            }
            BatchError::BadCrc { stored, computed } => {
                write!(f, "record batch is corrupt: stored crc = {stored}, computed crc = {computed}")
            }
            BatchError::BaseOffsetNotZero(offset) => {
                write!(f, "the base offset of a produced record batch should be 0, but it is {offset}")
            }
            BatchError::CountMismatch { record_count, last_offset_delta } => write!(
                f,
                "record batch with {record_count} records does not fit its last offset delta {last_offset_delta}"
            ),
            BatchError::ControlFromClient => f.write_str("clients are not allowed to write control records"),
            BatchError::AppendTimeFromClient => {
                f.write_str("producers should not set the timestamp type to LogAppendTime")
            }
            BatchError::SequenceMissing { producer_id, base_sequence } => {
                write!(f, "invalid sequence number {base_sequence} in record batch of producer {producer_id}")
            }
            BatchError::UnknownCompression(id) => write!(f, "unknown compression type {id}"),
            BatchError::BadRecord { index, fault } => write!(f, "record {index}: {fault}"),
            BatchError::TrailingRecordBytes => f.write_str("bytes follow the last record of the batch"),
            BatchError::Decompression => f.write_str("the records do not decompress"),
            BatchError::DecompressedTooLarge { max } => {
                write!(f, "the records decompress to more than {max} bytes")
            }
        }
    }
}

impl std::error::Error for BatchError {}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordFault::Malformed => f.write_str("malformed"),
            RecordFault::OffsetDelta { delta } => write!(f, "unexpected offset delta {delta}"),
            RecordFault::NullKey => f.write_str("compacted topics cannot accept a record without a key"),
        }
    }
}
