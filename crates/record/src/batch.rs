//! A batch that was checked once, so that nothing downstream checks it again.
//!
//! - B1 Exactly one batch of version 2, whose length, checksum and counts agree with its bytes.
//! - B2 What a client sent keeps its bytes; only the header changes: offset and leader epoch outside the
//!   checksum, timestamps inside it, with a new checksum.
//!
//! The header is held apart from the records, so that patching it copies 61 bytes and the records can stay
//! a slice of the request frame they came in. Checks are those of Kafka's `LogValidator` and
//! `UnifiedLog.analyzeAndValidateRecords`; bounds on timestamps are the caller's, who knows the topic.

use bytes::Bytes;
use model::{LeaderEpoch, Offset, TimestampMs};

use crate::batch_error::BatchError;
use crate::compression::Compression;
use crate::header::{
    APPEND_TIME_BIT, ATTRIBUTES_AT, BASE_OFFSET_AT, BATCH_HEADER_BYTES, BatchHeader, COMPRESSION_MASK,
    CRC_AT, LEADER_EPOCH_AT, LENGTH_AT, LENGTH_OVERHEAD_BYTES, MAX_TIMESTAMP_AT, TimestampType,
};
use crate::records::{Walked, walk};

/// How deep a produced batch is looked into (`ottla.produce.validation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Header, checksum and counts; records only where they are not compressed.
    Header,
    /// Every record, as Kafka does: compressed ones through a bounded streaming decoder.
    Records,
}

/// Whether a record may come without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// As the producer likes.
    Optional,
    /// Compacted topics: needs [`Validation::Records`] to be seen in compressed batches.
    Required,
}

/// What a topic asks of a produced batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRules {
    /// Largest batch, bytes (`max.message.bytes`).
    pub batch_bytes_max: usize,
    /// Most bytes its records may decompress to while they are checked.
    pub decompressed_bytes_max: usize,
    /// How deep to look.
    pub validation: Validation,
    /// Whether keys may be missing.
    pub keys: Keys,
}

impl Default for BatchRules {
    fn default() -> BatchRules {
        BatchRules {
            batch_bytes_max: model::limits::BATCH_BYTES_MAX,
            decompressed_bytes_max: model::limits::DECOMPRESSED_BATCH_BYTES_MAX,
            validation: Validation::Header,
            keys: Keys::Optional,
        }
    }
}

/// One whole batch whose bytes agree with each other (B1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedBatch {
    header: BatchHeader,
    head: [u8; BATCH_HEADER_BYTES],
    body: Bytes,
    min_timestamp: TimestampMs,
}

/// The checksum that batches and the files beside them carry: CRC-32C.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// Checks that `bytes` begin with one whole batch with the right checksum, and returns its header.
///
/// This is what a stored batch must pass, whoever wrote it; bytes after it are not looked at.
pub fn check(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    let size = header.size_in_bytes();
    let Some(covered) = bytes.get(ATTRIBUTES_AT..size) else {
        return Err(BatchError::Truncated { have: bytes.len(), need: size });
    };
    let computed = checksum(covered);
    if computed != header.crc {
        return Err(BatchError::BadCrc { stored: header.crc, computed });
    }
    // Compaction takes records out and keeps the offsets, so fewer records than offsets is sound here.
    let offsets = i64::from(header.last_offset_delta) + 1;
    if header.record_count < 0
        || offsets < i64::from(header.record_count)
        || header.base_offset < Offset::ZERO
    {
        return Err(count_mismatch(&header));
    }
    Ok(header)
}

impl CheckedBatch {
    /// Takes a batch from a client: exactly one, by all the rules of a produce request.
    pub fn parse(bytes: impl Into<Bytes>, rules: &BatchRules) -> Result<CheckedBatch, BatchError> {
        let bytes = bytes.into();
        let header = BatchHeader::parse(&bytes)?;
        if rules.batch_bytes_max < header.size_in_bytes() {
            return Err(BatchError::TooLarge { size: header.size_in_bytes(), max: rules.batch_bytes_max });
        }
        check_produced(&header)?;
        let header = check_one(&bytes)?;
        let looked_into =
            header.compression()? == Compression::None || rules.validation == Validation::Records;
        let walked = if looked_into {
            walk(&header, &bytes, rules.keys == Keys::Optional, rules.decompressed_bytes_max)?
        } else {
            Walked { min_timestamp: header.base_timestamp, max_timestamp: header.max_timestamp }
        };
        let mut batch = CheckedBatch::split(header, &bytes, walked.min_timestamp);
        if walked.max_timestamp != header.max_timestamp {
            // The time index would believe it; Kafka corrects it as well.
            batch.head[MAX_TIMESTAMP_AT..][..8].copy_from_slice(&walked.max_timestamp.0.to_be_bytes());
            batch.seal();
        }
        Ok(batch)
    }

    /// Takes a batch that a broker wrote (a leader's, to its follower; a coordinator's): any base offset,
    /// control batches too.
    pub fn parse_appended(bytes: impl Into<Bytes>) -> Result<CheckedBatch, BatchError> {
        let bytes = bytes.into();
        let header = check_one(&bytes)?;
        Ok(CheckedBatch::split(header, &bytes, header.base_timestamp))
    }

    fn split(header: BatchHeader, bytes: &Bytes, min_timestamp: TimestampMs) -> CheckedBatch {
        let mut head = [0; BATCH_HEADER_BYTES];
        head.copy_from_slice(&bytes[..BATCH_HEADER_BYTES]);
        CheckedBatch { header, head, body: bytes.slice(BATCH_HEADER_BYTES..), min_timestamp }
    }

    /// The header as it stands.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of the whole batch.
    pub fn size_in_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.body.len()
    }

    /// The smallest and largest timestamp of its records, as far as they were looked at: a compressed batch
    /// checked by its header alone answers with its base and maximum timestamp.
    pub fn timestamp_bounds(&self) -> (TimestampMs, TimestampMs) {
        (self.min_timestamp, self.header.max_timestamp)
    }

    /// Header and records, to be written one behind the other.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// The header's bytes and the records, given away.
    pub fn into_parts(self) -> ([u8; BATCH_HEADER_BYTES], Bytes) {
        (self.head, self.body)
    }

    /// One copy of the whole batch.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }

    /// Gives the first record its offset (R2).
    pub fn set_base_offset(&mut self, offset: Offset) {
        self.head[BASE_OFFSET_AT..][..8].copy_from_slice(&offset.0.to_be_bytes());
        self.header.base_offset = offset;
    }

    /// Notes which leadership appended it (R2).
    pub fn set_partition_leader_epoch(&mut self, epoch: LeaderEpoch) {
        self.head[LEADER_EPOCH_AT..][..4].copy_from_slice(&epoch.0.to_be_bytes());
        self.header.partition_leader_epoch = epoch;
    }

    /// Makes `now` the timestamp of every record (`message.timestamp.type=LogAppendTime`).
    ///
    /// The base timestamp and the deltas stay as they are, as in Kafka.
    pub fn set_log_append_time(&mut self, now: TimestampMs) {
        let attributes = self.header.attributes | APPEND_TIME_BIT;
        self.head[ATTRIBUTES_AT..][..2].copy_from_slice(&attributes.to_be_bytes());
        self.head[MAX_TIMESTAMP_AT..][..8].copy_from_slice(&now.0.to_be_bytes());
        self.min_timestamp = now;
        self.seal();
    }

    /// Puts the same records in place as another codec writes them.
    ///
    /// Fails with `TooLarge` beyond what a length can say; the batch is then as it was.
    pub(crate) fn set_body(&mut self, compression: Compression, body: Vec<u8>) -> Result<(), BatchError> {
        let size = BATCH_HEADER_BYTES + body.len();
        let Ok(length) = i32::try_from(size - LENGTH_OVERHEAD_BYTES) else {
            return Err(BatchError::TooLarge { size, max: model::limits::DECOMPRESSED_BATCH_BYTES_MAX });
        };
        let attributes = self.header.attributes & !COMPRESSION_MASK | compression.id();
        self.head[LENGTH_AT..][..4].copy_from_slice(&length.to_be_bytes());
        self.head[ATTRIBUTES_AT..][..2].copy_from_slice(&attributes.to_be_bytes());
        self.body = body.into();
        self.seal();
        Ok(())
    }

    /// Computes the checksum anew and reads the header back.
    fn seal(&mut self) {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        digest.update(&self.head[ATTRIBUTES_AT..]);
        digest.update(&self.body);
        let crc = u32::try_from(digest.finalize()).expect("a 32-bit checksum");
        self.head[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
        self.header =
            BatchHeader::parse(&self.head).expect("the length is possible and the version did not change");
    }
}

/// The rules for batches of clients that their headers alone can break.
fn check_produced(header: &BatchHeader) -> Result<(), BatchError> {
    if header.base_offset != Offset::ZERO {
        return Err(BatchError::BaseOffsetNotZero(header.base_offset.0));
    }
    if header.is_control() {
        return Err(BatchError::ControlFromClient);
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BatchError::AppendTimeFromClient);
    }
    if header.record_count <= 0 || i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        return Err(count_mismatch(header));
    }
    if header.is_idempotent() && header.base_sequence < 0 {
        return Err(BatchError::SequenceMissing {
            producer_id: header.producer_id.0,
            base_sequence: header.base_sequence,
        });
    }
    Ok(())
}

fn check_one(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = check(bytes)?;
    match bytes.len() - header.size_in_bytes() {
        0 => Ok(header),
        trailing => Err(BatchError::MoreThanOneBatch { trailing }),
    }
}

fn count_mismatch(header: &BatchHeader) -> BatchError {
    BatchError::CountMismatch {
        record_count: header.record_count,
        last_offset_delta: header.last_offset_delta,
    }
}
