//! The primitive pieces of our own encoding: LEB128 numbers, counted bytes, ids.
//!
//! - C1 A count is checked against the bytes left before anything is allocated for it.
//! - C2 Every value has one encoding: a number padded with zero groups is refused.
//!
//! Knows nothing of records.

use std::fmt;

use model::{TopicNameError, Uuid};

/// Why bytes are no metadata record. Deterministic: the same bytes fail the same way everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside the named field.
    Truncated(&'static str),
    /// The named field announces more than the bytes left can hold.
    CountTooLarge {
        /// The field.
        field: &'static str,
        /// What it announces.
        count: u64,
        /// The bytes left.
        left: usize,
    },
    /// The named number does not fit its type, or is not written in its shortest form.
    BadNumber(&'static str),
    /// The named text is not UTF-8.
    BadText(&'static str),
    /// The named field holds a number that stands for nothing.
    UnknownValue {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: u8,
    },
    /// A topic name against Kafka's rules.
    BadTopicName(TopicNameError),
    /// A record type this version of Ottla does not know: a newer version wrote it.
    UnknownRecordType(u8),
    /// A record version this version of Ottla does not know: a newer version wrote it.
    UnknownRecordVersion {
        /// The record type.
        record_type: u8,
        /// Its version.
        version: u8,
    },
    /// Bytes after the last field.
    TrailingBytes(usize),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated(field) => write!(f, "metadata ends inside {field}"),
            DecodeError::CountTooLarge { field, count, left } => {
                write!(f, "metadata announces {count} for {field} with {left} bytes left")
            }
            DecodeError::BadNumber(field) => write!(f, "metadata holds no valid number for {field}"),
            DecodeError::BadText(field) => write!(f, "metadata holds no UTF-8 for {field}"),
            DecodeError::UnknownValue { field, value } => {
                write!(f, "metadata holds {value} for {field}, which stands for nothing")
            }
            DecodeError::BadTopicName(error) => write!(f, "metadata holds a bad topic name: {error}"),
            DecodeError::UnknownRecordType(record_type) => write!(
                f,
                "metadata record type {record_type} is unknown: a newer version of Ottla wrote this folder"
            ),
            DecodeError::UnknownRecordVersion { record_type, version } => write!(
                f,
                "version {version} of metadata record type {record_type} is unknown: \
                 a newer version of Ottla wrote this folder"
            ),
            DecodeError::TrailingBytes(count) => {
                write!(f, "{count} bytes follow the end of a metadata record")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Appends fields to a byte vector.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn unsigned(&mut self, mut value: u64) {
        while 0x80 <= value {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Zigzag, so that -1 is as short as 1.
    pub(crate) fn signed(&mut self, value: i64) {
        self.unsigned((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.unsigned(u64::try_from(count).expect("a usize fits 64 bits"));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn uuid(&mut self, id: Uuid) {
        self.0.extend_from_slice(&id.0);
    }
}

/// Takes fields off the front of a byte slice.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (&first, rest) = self.0.split_first().ok_or(DecodeError::Truncated(field))?;
        self.0 = rest;
        Ok(first)
    }

    pub(crate) fn unsigned(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(field)?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && 1 < group {
                return Err(DecodeError::BadNumber(field));
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && 0 < shift;
                return if padded { Err(DecodeError::BadNumber(field)) } else { Ok(value) };
            }
        }
        Err(DecodeError::BadNumber(field))
    }

    pub(crate) fn signed(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        let zigzag = self.unsigned(field)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    pub(crate) fn signed_32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        i32::try_from(self.signed(field)?).map_err(|_| DecodeError::BadNumber(field))
    }

    /// How many items follow, each of at least `item_bytes_min` bytes (C1).
    pub(crate) fn count(&mut self, field: &'static str, item_bytes_min: usize) -> Result<usize, DecodeError> {
        let count = self.unsigned(field)?;
        let left = self.0.len();
        match usize::try_from(count)
            .ok()
            .and_then(|items| items.checked_mul(item_bytes_min).map(|b| (items, b)))
        {
            Some((items, bytes)) if bytes <= left => Ok(items),
            Some(_) | None => Err(DecodeError::CountTooLarge { field, count, left }),
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(field, 1)?;
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| DecodeError::BadText(field))
    }

    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        let (&id, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated(field))?;
        self.0 = rest;
        Ok(Uuid(id))
    }

    /// Every byte must have been a field's.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.0.len())) }
    }
}
