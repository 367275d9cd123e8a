//! Writes a frame in one pass: bytes, with gaps where records come from elsewhere.
//!
//! - E1 A gap lies at a position of the bytes and gaps ascend; tagged fields hold none, so what moves never has one.

use model::Uuid;

use crate::error::EncodeError;
use crate::message::VersionRange;
use crate::reader::STRING_MAX;
use crate::records::Records;

/// How lengths are written: the difference between old and flexible versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Fixed-size lengths, -1 for null, no tagged fields.
    Plain,
    /// Lengths plus one as a variable-length number, 0 for null.
    Compact,
}

impl Form {
    #[inline]
    pub(crate) fn of(flexible: bool) -> Form {
        if flexible { Form::Compact } else { Form::Plain }
    }
}

/// Where records from elsewhere go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    /// Bytes in front of it.
    pub(crate) position: usize,
    pub(crate) index: u32,
    pub(crate) len: u32,
}

/// A frame in the making.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
}

impl Writer {
    /// An empty one.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty one that holds `capacity` bytes before it grows.
    pub fn with_capacity(capacity: usize) -> Writer {
        Writer { bytes: Vec::with_capacity(capacity), gaps: Vec::new() }
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<Gap>) {
        (self.bytes, self.gaps)
    }

    /// The bytes written.
    ///
    /// # Errors
    /// Records from elsewhere are among them.
    pub fn into_bytes(self) -> Result<Vec<u8>, EncodeError> {
        if self.gaps.is_empty() { Ok(self.bytes) } else { Err(EncodeError::External) }
    }

    pub(crate) fn check_version(
        &self,
        known: VersionRange,
        message: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        if known.contains(version) { Ok(()) } else { Err(EncodeError::Version { message, version, known }) }
    }
}

/// The notation's types.
#[allow(dead_code, reason = "which of the notation's types are in use is up to the tables")]
impl Writer {
    #[inline]
    pub(crate) fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    #[inline]
    pub(crate) fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn f64(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    pub(crate) fn uuid(&mut self, value: Uuid) {
        self.bytes.extend_from_slice(&value.0);
    }

    #[inline]
    pub(crate) fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Null instead of an array or bytes.
    pub(crate) fn null_long(&mut self, form: Form) {
        match form {
            Form::Plain => self.i32(-1),
            Form::Compact => self.unsigned_varint(0),
        }
    }

    /// Null instead of a string.
    pub(crate) fn null_string(&mut self, form: Form) {
        match form {
            Form::Plain => self.i16(-1),
            Form::Compact => self.unsigned_varint(0),
        }
    }

    /// The length of bytes or the count of an array.
    #[inline]
    pub(crate) fn array_len(
        &mut self,
        form: Form,
        length: usize,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        let Ok(value) = i32::try_from(length) else { return Err(EncodeError::TooLong { field, length }) };
        match form {
            Form::Plain => self.i32(value),
            Form::Compact => self.unsigned_varint(value.unsigned_abs() + 1),
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn string(&mut self, form: Form, text: &str, field: &'static str) -> Result<(), EncodeError> {
        let length = text.len();
        match i16::try_from(length) {
            Ok(value) => match form {
                Form::Plain => self.i16(value),
                Form::Compact => self.unsigned_varint(u32::from(value.unsigned_abs()) + 1),
            },
            Err(_) => return Err(EncodeError::TooLong { field, length }),
        }
        self.bytes.extend_from_slice(text.as_bytes());
        debug_assert!(length <= STRING_MAX, "what is written can be read");
        Ok(())
    }

    #[inline]
    pub(crate) fn bytes(&mut self, form: Form, bytes: &[u8], field: &'static str) -> Result<(), EncodeError> {
        self.array_len(form, bytes.len(), field)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn records(
        &mut self,
        form: Form,
        records: &Records<'_>,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match records {
            Records::Null => self.null_long(form),
            Records::Bytes(bytes) => self.bytes(form, bytes, field)?,
            &Records::External { index, len } => {
                self.array_len(form, len as usize, field)?;
                self.gaps.push(Gap { position: self.bytes.len(), index, len });
            }
        }
        Ok(())
    }

    /// Starts a tagged field; what is written until `end_tag` is its value.
    pub(crate) fn begin_tag(&mut self, tag: u32) -> usize {
        self.unsigned_varint(tag);
        self.bytes.len()
    }

    /// Puts the size in front of the value that began at `start`. Moving the value is cheaper than measuring every
    /// struct before it is written: tagged fields are rare and short.
    pub(crate) fn end_tag(&mut self, start: usize) {
        let end = self.bytes.len();
        // Saturated sizes never leave: a frame that long is refused as a whole.
        self.unsigned_varint(u32::try_from(end - start).unwrap_or(u32::MAX));
        let prefix = self.bytes.len() - end;
        self.bytes[start..].rotate_right(prefix);
    }
}
