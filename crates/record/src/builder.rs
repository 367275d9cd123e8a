//! Writing a batch: what clients and coordinators send.

use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::batch::{CheckedBatch, checksum};
use crate::batch_error::BatchError;
use crate::compression::Compression;
use crate::header::{
    ATTRIBUTES_AT, BATCH_HEADER_BYTES, CONTROL_BIT, CRC_AT, LENGTH_OVERHEAD_BYTES, MAGIC, TRANSACTIONAL_BIT,
};
use crate::records::Header;
use crate::varint;

/// Gathers records; the first one's timestamp is what the others' count from.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    records: Vec<u8>,
    record: Vec<u8>,
    count: i32,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
}

/// The identity of an idempotent producer and the sequence number of a batch's first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// Sequence number of the first record.
    pub base_sequence: i32,
}

/// What a batch says about itself beyond its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The codec.
    pub compression: Compression,
    /// Who produces it, when idempotent.
    pub producer: Option<Producer>,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// Whether its records are markers for the broker.
    pub control: bool,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions { compression: Compression::None, producer: None, transactional: false, control: false }
    }
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> BatchBuilder {
        BatchBuilder::default()
    }

    /// Adds a record behind the others; `None` is null.
    ///
    /// # Panics
    /// When a key, value or header is longer than `i32::MAX` bytes: callers bound a record long before.
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        timestamp: TimestampMs,
    ) {
        let base = *self.base_timestamp.get_or_insert(timestamp.0);
        self.max_timestamp = if self.count == 0 { timestamp.0 } else { self.max_timestamp.max(timestamp.0) };
        let record = &mut self.record;
        record.clear();
        record.push(0);
        varint::put_i64(record, timestamp.0.wrapping_sub(base));
        varint::put_i32(record, self.count);
        put_nullable(record, key);
        put_nullable(record, value);
        varint::put_i32(record, length_of(headers.len()));
        for header in headers {
            put_nullable(record, Some(header.key));
            put_nullable(record, header.value);
        }
        varint::put_i32(&mut self.records, length_of(record.len()));
        self.records.extend_from_slice(record);
        self.count += 1;
    }

    /// Records so far.
    pub fn record_count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch if it were built now without compression.
    pub fn uncompressed_bytes(&self) -> usize {
        BATCH_HEADER_BYTES + self.records.len()
    }

    /// Compresses and checksums; the base offset is 0 and the leader epoch unknown until the log assigns them.
    ///
    /// Fails with `CountMismatch` when there are no records, `TooLarge` beyond what a length can say.
    pub fn build(self, options: BatchOptions) -> Result<CheckedBatch, BatchError> {
        if self.is_empty() {
            return Err(BatchError::CountMismatch { record_count: 0, last_offset_delta: -1 });
        }
        let mut attributes = options.compression.id();
        attributes |= if options.transactional { TRANSACTIONAL_BIT } else { 0 };
        attributes |= if options.control { CONTROL_BIT } else { 0 };
        let count = self.count;
        let (base_timestamp, max_timestamp) = (self.base_timestamp.unwrap_or(-1), self.max_timestamp);
        let body = options.compression.compress(self.records, None).map_err(|_| BatchError::Decompression)?;
        let size = BATCH_HEADER_BYTES + body.len();
        let Ok(length) = i32::try_from(size - LENGTH_OVERHEAD_BYTES) else {
            return Err(BatchError::TooLarge {
                size,
                max: i32::MAX.cast_unsigned().try_into().unwrap_or(usize::MAX),
            });
        };
        let producer = options.producer.unwrap_or(Producer {
            id: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            base_sequence: -1,
        });
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&Offset::ZERO.0.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&LeaderEpoch::NONE.0.to_be_bytes());
        bytes.extend_from_slice(&MAGIC.to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&attributes.to_be_bytes());
        bytes.extend_from_slice(&(count - 1).to_be_bytes());
        bytes.extend_from_slice(&base_timestamp.to_be_bytes());
        bytes.extend_from_slice(&max_timestamp.to_be_bytes());
        bytes.extend_from_slice(&producer.id.0.to_be_bytes());
        bytes.extend_from_slice(&producer.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&producer.base_sequence.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&body);
        let crc = checksum(&bytes[ATTRIBUTES_AT..]);
        bytes[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
        CheckedBatch::parse_appended(bytes)
    }
}

pub(crate) fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put_i32(out, -1),
        Some(bytes) => {
            varint::put_i32(out, length_of(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}

fn length_of(length: usize) -> i32 {
    i32::try_from(length).expect("callers bound a record far below i32::MAX bytes")
}
