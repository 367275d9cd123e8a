//! The 61 bytes in front of every batch, and what its attribute bits mean.
//!
//! The checksum covers everything from the attributes on: the fields before it (base offset, length,
//! leader epoch, magic, the checksum itself) may change without a new one.

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::batch_error::BatchError;
use crate::compression::Compression;

/// Bytes of a batch before its records.
pub const BATCH_HEADER_BYTES: usize = 61;

/// Bytes of base offset and length, which the length does not count.
pub const LENGTH_OVERHEAD_BYTES: usize = 12;

pub(crate) const BASE_OFFSET_AT: usize = 0;
pub(crate) const LENGTH_AT: usize = 8;
pub(crate) const LEADER_EPOCH_AT: usize = 12;
pub(crate) const MAGIC_AT: usize = 16;
pub(crate) const CRC_AT: usize = 17;
/// Where the checksum's cover begins.
pub(crate) const ATTRIBUTES_AT: usize = 21;
pub(crate) const LAST_OFFSET_DELTA_AT: usize = 23;
pub(crate) const BASE_TIMESTAMP_AT: usize = 27;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;
pub(crate) const PRODUCER_ID_AT: usize = 43;
pub(crate) const PRODUCER_EPOCH_AT: usize = 51;
pub(crate) const BASE_SEQUENCE_AT: usize = 53;
pub(crate) const RECORD_COUNT_AT: usize = 57;

pub(crate) const COMPRESSION_MASK: i16 = 0x07;
pub(crate) const APPEND_TIME_BIT: i16 = 0x08;
pub(crate) const TRANSACTIONAL_BIT: i16 = 0x10;
pub(crate) const CONTROL_BIT: i16 = 0x20;
pub(crate) const DELETE_HORIZON_BIT: i16 = 0x40;

/// The only batch version a current broker takes or stores.
pub const MAGIC: i8 = 2;

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker: every record carries the batch's maximum timestamp.
    LogAppendTime,
}

/// The fields of a batch header as they lie in its bytes; nothing is promised about them but their layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record as it was produced; compaction may have removed that record since.
    pub base_offset: Offset,
    /// Bytes after this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// Layout version; always [`MAGIC`] in a checked batch.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type, transactional and control bits.
    pub attributes: i16,
    /// Last offset of the batch minus its base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from.
    pub base_timestamp: TimestampMs,
    /// The largest timestamp of its records, or the append time.
    pub max_timestamp: TimestampMs,
    /// Who produced it, when idempotent.
    pub producer_id: ProducerId,
    /// Which incarnation produced it.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record; -1 when there is none.
    pub base_sequence: i32,
    /// Records inside.
    pub record_count: i32,
}

fn array<const N: usize>(bytes: &[u8; BATCH_HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

impl BatchHeader {
    /// Reads the header that `bytes` begin with; refuses other versions and lengths no batch can have.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(bytes) = bytes.first_chunk::<BATCH_HEADER_BYTES>() else {
            return Err(truncated_or_old(bytes));
        };
        let header = BatchHeader {
            base_offset: Offset(i64::from_be_bytes(array(bytes, BASE_OFFSET_AT))),
            batch_length: i32::from_be_bytes(array(bytes, LENGTH_AT)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(array(bytes, LEADER_EPOCH_AT))),
            magic: i8::from_be_bytes(array(bytes, MAGIC_AT)),
            crc: u32::from_be_bytes(array(bytes, CRC_AT)),
            attributes: i16::from_be_bytes(array(bytes, ATTRIBUTES_AT)),
            last_offset_delta: i32::from_be_bytes(array(bytes, LAST_OFFSET_DELTA_AT)),
            base_timestamp: TimestampMs(i64::from_be_bytes(array(bytes, BASE_TIMESTAMP_AT))),
            max_timestamp: TimestampMs(i64::from_be_bytes(array(bytes, MAX_TIMESTAMP_AT))),
            producer_id: ProducerId(i64::from_be_bytes(array(bytes, PRODUCER_ID_AT))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(array(bytes, PRODUCER_EPOCH_AT))),
            base_sequence: i32::from_be_bytes(array(bytes, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(array(bytes, RECORD_COUNT_AT)),
        };
        if header.magic != MAGIC {
            return Err(BatchError::UnsupportedMagic(header.magic));
        }
        if header.batch_length < MIN_LENGTH {
            return Err(BatchError::ImpossibleLength(header.batch_length));
        }
        Ok(header)
    }

    /// The bytes it was read from.
    pub(crate) fn to_bytes(self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(BASE_OFFSET_AT, &self.base_offset.0.to_be_bytes());
        put(LENGTH_AT, &self.batch_length.to_be_bytes());
        put(LEADER_EPOCH_AT, &self.partition_leader_epoch.0.to_be_bytes());
        put(MAGIC_AT, &self.magic.to_be_bytes());
        put(CRC_AT, &self.crc.to_be_bytes());
        put(ATTRIBUTES_AT, &self.attributes.to_be_bytes());
        put(LAST_OFFSET_DELTA_AT, &self.last_offset_delta.to_be_bytes());
        put(BASE_TIMESTAMP_AT, &self.base_timestamp.0.to_be_bytes());
        put(MAX_TIMESTAMP_AT, &self.max_timestamp.0.to_be_bytes());
        put(PRODUCER_ID_AT, &self.producer_id.0.to_be_bytes());
        put(PRODUCER_EPOCH_AT, &self.producer_epoch.0.to_be_bytes());
        put(BASE_SEQUENCE_AT, &self.base_sequence.to_be_bytes());
        put(RECORD_COUNT_AT, &self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch, header included.
    pub fn size_in_bytes(&self) -> usize {
        // `parse` refused lengths below MIN_LENGTH, and header fields are only written through it.
        LENGTH_OVERHEAD_BYTES + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after this batch; never count-based, since compaction leaves gaps.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The codec of the records.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::from_id(self.attributes & COMPRESSION_MASK)
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the records are markers for the broker, never shown to applications.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// From when on compaction may drop the tombstones or the marker inside; `None` until it first kept them.
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Whether the producer numbers its batches.
    pub fn is_idempotent(&self) -> bool {
        self.producer_id != ProducerId::NONE
    }

    /// Sequence number of the last record; wraps to zero after `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        let wrapped = last & i64::from(i32::MAX);
        i32::try_from(wrapped).unwrap_or(i32::MAX)
    }
}

/// The shortest length field: a header without records.
const MIN_LENGTH: i32 = 49;
const _: () = assert!(MIN_LENGTH as usize == BATCH_HEADER_BYTES - LENGTH_OVERHEAD_BYTES);

/// Messages of versions 0 and 1 may be shorter than a header of version 2, but say their version in the same place.
fn truncated_or_old(bytes: &[u8]) -> BatchError {
    match bytes.get(MAGIC_AT) {
        Some(&magic) if magic != MAGIC.cast_unsigned() => BatchError::UnsupportedMagic(magic.cast_signed()),
        Some(_) | None => BatchError::Truncated { have: bytes.len(), need: BATCH_HEADER_BYTES },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&49i32.to_be_bytes());
        bytes[MAGIC_AT] = 2;
        let mut header = BatchHeader::parse(&bytes).expect("a header");
        for (base, delta, last) in
            [(0, 0, 0), (i32::MAX, 0, i32::MAX), (i32::MAX, 1, 0), (i32::MAX - 1, 4, 2), (-1, 4, -1)]
        {
            header.base_sequence = base;
            header.last_offset_delta = delta;
            assert_eq!(header.last_sequence(), last, "{base}+{delta}");
        }
    }

    #[test]
    fn old_messages_are_told_from_short_ones() {
        let mut bytes = [0; 40];
        for (magic, expected) in [
            (0, BatchError::UnsupportedMagic(0)),
            (1, BatchError::UnsupportedMagic(1)),
            (2, BatchError::Truncated { have: 40, need: BATCH_HEADER_BYTES }),
        ] {
            bytes[MAGIC_AT] = magic;
            assert_eq!(BatchHeader::parse(&bytes), Err(expected));
        }
    }
}
