//! What is inside a batch: records, their keys, values and headers, borrowed from its bytes.
//!
//! - E1 A [`RecordView`] was read to its last byte: its headers are known to be well formed.
//! - E2 Records that are not compressed are never copied; others are decompressed once, bounded.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};

use model::{Offset, TimestampMs};

use crate::batch_error::{BatchError, RecordFault};
use crate::compression::{Compression, Decoder};
use crate::header::{BATCH_HEADER_BYTES, BatchHeader, TimestampType};
use crate::varint;

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Its place in the partition.
    pub offset: Offset,
    /// When it was created, or appended if the batch says so.
    pub timestamp: TimestampMs,
    /// Its key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is null, a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    pub(crate) headers: &'a [u8],
    pub(crate) header_count: i32,
}

impl<'a> RecordView<'a> {
    /// Its headers, in order.
    pub fn headers(&self) -> Headers<'a> {
        Headers { rest: self.headers, left: self.header_count }
    }
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name: UTF-8 by convention, which nobody checks.
    pub key: &'a [u8],
    /// Its value; `None` is null.
    pub value: Option<&'a [u8]>,
}

/// The headers of one record.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: i32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        take_header(&mut self.rest)
    }
}

/// A batch whose records can be iterated: its own bytes, or what they decompressed to.
pub struct Decoded<'a> {
    header: BatchHeader,
    payload: Cow<'a, [u8]>,
}

/// Makes the records of one whole batch readable; decompresses to at most `decompressed_bytes_max`.
///
/// Checks neither the checksum nor the counts: that is [`crate::check`].
pub fn decode(batch: &[u8], decompressed_bytes_max: usize) -> Result<Decoded<'_>, BatchError> {
    let header = BatchHeader::parse(batch)?;
    let payload = payload_of(&header, batch)?;
    let payload = match header.compression()? {
        Compression::None => Cow::Borrowed(payload),
        compression @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
            let mut plain = Vec::new();
            Decoder::new(compression, payload, decompressed_bytes_max)
                .and_then(|mut decoder| decoder.read_to_end(&mut plain))
                .map_err(|error| decompression_error(&error, decompressed_bytes_max))?;
            Cow::Owned(plain)
        }
    };
    Ok(Decoded { header, payload })
}

impl Decoded<'_> {
    /// The batch's header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes of its records, decompressed.
    pub fn size_in_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Iterates its records; stops after the first that cannot be read.
    pub fn records(&self) -> Records<'_> {
        Records { header: self.header, rest: &self.payload, index: 0 }
    }
}

/// The records of a batch, in order.
pub struct Records<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    index: i32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.header.record_count <= self.index {
            return None;
        }
        let index = self.index;
        let Some(raw) = take_record(&mut self.rest) else {
            self.index = self.header.record_count;
            return Some(Err(BatchError::BadRecord { index, fault: RecordFault::Malformed }));
        };
        self.index += 1;
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => raw.timestamp(&self.header),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Some(Ok(RecordView {
            offset: self.header.base_offset.plus(i64::from(raw.offset_delta)),
            timestamp,
            key: raw.key,
            value: raw.value,
            headers: raw.headers,
            header_count: raw.header_count,
        }))
    }
}

/// What the records of a batch turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) min_timestamp: TimestampMs,
    pub(crate) max_timestamp: TimestampMs,
}

/// Reads every record of a batch as a producer must write it: consecutive offsets, nothing left over.
///
/// `null_keys` says whether a record may come without a key. Compressed records pass through a buffer of
/// one record's size and are bounded by `decompressed_bytes_max`.
pub(crate) fn walk(
    header: &BatchHeader,
    batch: &[u8],
    null_keys: bool,
    decompressed_bytes_max: usize,
) -> Result<Walked, BatchError> {
    let mut walk = Walk { header, null_keys, walked: None };
    let mut payload = payload_of(header, batch)?;
    match header.compression()? {
        Compression::None => {
            for index in 0..header.record_count {
                walk.on_record(index, take_record(&mut payload))?;
            }
            if !payload.is_empty() {
                return Err(BatchError::TrailingRecordBytes);
            }
        }
        compression @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
            let wrong = |error: io::Error| decompression_error(&error, decompressed_bytes_max);
            let decoder = Decoder::new(compression, payload, decompressed_bytes_max).map_err(wrong)?;
            let mut stream = io::BufReader::new(decoder);
            let mut record = Vec::new();
            for index in 0..header.record_count {
                let whole = match read_record(&mut stream, &mut record) {
                    // Fewer records than announced: nothing need be wrong with how they are packed.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
                    read => read.map_err(wrong)?,
                };
                walk.on_record(index, if whole { parse_record(&record) } else { None })?;
            }
            if stream.read(&mut [0]).map_err(wrong)? != 0 {
                return Err(BatchError::TrailingRecordBytes);
            }
        }
    }
    let empty = Walked { min_timestamp: header.base_timestamp, max_timestamp: header.max_timestamp };
    Ok(walk.walked.unwrap_or(empty))
}

struct Walk<'a> {
    header: &'a BatchHeader,
    null_keys: bool,
    walked: Option<Walked>,
}

impl Walk<'_> {
    fn on_record(&mut self, index: i32, record: Option<RawRecord<'_>>) -> Result<(), BatchError> {
        let bad = |fault| BatchError::BadRecord { index, fault };
        let record = record.ok_or(bad(RecordFault::Malformed))?;
        if record.offset_delta != index {
            return Err(bad(RecordFault::OffsetDelta { delta: record.offset_delta }));
        }
        if record.key.is_none() && !self.null_keys {
            return Err(bad(RecordFault::NullKey));
        }
        let timestamp = record.timestamp(self.header);
        let before = self.walked.unwrap_or(Walked { min_timestamp: timestamp, max_timestamp: timestamp });
        self.walked = Some(Walked {
            min_timestamp: before.min_timestamp.min(timestamp),
            max_timestamp: before.max_timestamp.max(timestamp),
        });
        Ok(())
    }
}

/// Reads one record's bytes, length excluded, into `record`; `false` when its length is no length.
///
/// The buffer grows with the bytes that arrive, not with what the length announces (R3).
fn read_record(stream: &mut impl Read, record: &mut Vec<u8>) -> io::Result<bool> {
    let Some(length) = varint::read_i32(stream)? else { return Ok(false) };
    let Ok(length) = u64::try_from(length) else { return Ok(false) };
    record.clear();
    let read = stream.take(length).read_to_end(record)?;
    Ok(u64::try_from(read) == Ok(length))
}

fn payload_of<'a>(header: &BatchHeader, batch: &'a [u8]) -> Result<&'a [u8], BatchError> {
    let size = header.size_in_bytes();
    batch.get(BATCH_HEADER_BYTES..size).ok_or(BatchError::Truncated { have: batch.len(), need: size })
}

fn decompression_error(error: &io::Error, max: usize) -> BatchError {
    if error.kind() == ErrorKind::FileTooLarge {
        BatchError::DecompressedTooLarge { max }
    } else {
        BatchError::Decompression
    }
}

struct RawRecord<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: i32,
}

impl RawRecord<'_> {
    fn timestamp(&self, header: &BatchHeader) -> TimestampMs {
        // Wraps as Java does: a client's nonsense stays that client's nonsense.
        TimestampMs(header.base_timestamp.0.wrapping_add(self.timestamp_delta))
    }
}

fn take_record<'a>(rest: &mut &'a [u8]) -> Option<RawRecord<'a>> {
    let length = usize::try_from(varint::take_i32(rest)?).ok()?;
    let (record, after) = rest.split_at_checked(length)?;
    *rest = after;
    parse_record(record)
}

fn parse_record(mut rest: &[u8]) -> Option<RawRecord<'_>> {
    let (_attributes, after) = rest.split_first()?; // No attribute of a record means anything yet.
    rest = after;
    let timestamp_delta = varint::take_i64(&mut rest)?;
    let offset_delta = varint::take_i32(&mut rest)?;
    let key = take_nullable(&mut rest)?;
    let value = take_nullable(&mut rest)?;
    let header_count = varint::take_i32(&mut rest)?;
    let headers = rest;
    if header_count < 0 {
        return None;
    }
    for _ in 0..header_count {
        take_header(&mut rest)?;
    }
    rest.is_empty().then_some(RawRecord { timestamp_delta, offset_delta, key, value, headers, header_count })
}

fn take_header<'a>(rest: &mut &'a [u8]) -> Option<Header<'a>> {
    let key = take_nullable(rest)??;
    let value = take_nullable(rest)?;
    Some(Header { key, value })
}

/// A length, -1 for null, and as many bytes; the outer `None` is a malformed one.
#[expect(clippy::option_option, reason = "malformed and null are two things")]
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::take_i32(rest)?;
    if length == -1 {
        return Some(None);
    }
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(bytes))
}
