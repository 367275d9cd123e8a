//! Reads a frame front to back without copying it.
//!
//! - R1 No length or count is believed before it is compared with the bytes left.
//! - R2 `allocated` is at least what the arrays read so far hold, in bytes; it is what proves W1 in tests.

use model::Uuid;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::message::VersionRange;
use crate::records::{Blob, Records, Str};
use crate::writer::Form;

/// The longest string Kafka accepts, in bytes.
pub(crate) const STRING_MAX: usize = i16::MAX as usize;

/// An array gets at most this many bytes of memory before its first element has been read; then it grows as it is read.
const ARRAY_RESERVE_MAX: usize = 64 * 1024;

/// A position in a frame.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Where reading must stop: the end of the frame, or of the tagged field being read.
    end: usize,
    allocated: usize,
}

/// How many tagged fields are still to come.
pub(crate) struct Tags(u32);

/// The tagged field being read.
pub(crate) struct Tag {
    pub(crate) id: u32,
    /// The reader's end outside of it.
    outer: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, a frame without its size prefix.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0, end: bytes.len(), allocated: 0 }
    }

    /// Bytes not yet read.
    pub fn left(&self) -> usize {
        self.end - self.position
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes of memory that the arrays read so far take, strings and records not counted: those stay in the frame.
    pub fn allocated(&self) -> usize {
        self.allocated
    }

    #[cold]
    fn fail<T>(&self, field: &'static str, kind: DecodeErrorKind) -> Result<T, DecodeError> {
        Err(DecodeError { kind, field, position: self.position })
    }

    pub(crate) fn check_version(
        &self,
        known: VersionRange,
        message: &'static str,
        version: i16,
    ) -> Result<(), DecodeError> {
        if known.contains(version) {
            Ok(())
        } else {
            self.fail(message, DecodeErrorKind::Version { version, known })
        }
    }

    #[inline]
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let left = self.left();
        if length > left {
            return self.fail(field, DecodeErrorKind::Truncated { needed: length as u64, left });
        }
        let start = self.position;
        self.position += length;
        Ok(&self.bytes[start..self.position])
    }

    #[inline]
    fn take_array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let left = self.left();
        match self.bytes[self.position..self.end].first_chunk::<N>() {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => self.fail(field, DecodeErrorKind::Truncated { needed: N as u64, left }),
        }
    }
}

/// The notation's types.
#[allow(dead_code, reason = "which of the notation's types are in use is up to the tables")]
impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.i8(field)? != 0)
    }

    #[inline]
    pub(crate) fn i8(&mut self, field: &'static str) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn i16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn f64(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.take_array(field)?))
    }

    #[inline]
    pub(crate) fn uuid(&mut self, field: &'static str) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.take_array(field)?))
    }

    /// Seven bits a byte, lowest first, at most 32 bits.
    #[inline]
    fn unsigned_varint(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take_array(field)?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.fail(field, DecodeErrorKind::Varint)
    }

    /// A length or count of up to 32 bits; `None` is null.
    #[inline]
    fn long_length(&mut self, form: Form, field: &'static str) -> Result<Option<u32>, DecodeError> {
        match form {
            Form::Compact => Ok(self.unsigned_varint(field)?.checked_sub(1)),
            // Kafka takes any negative length for null.
            Form::Plain => Ok(u32::try_from(self.i32(field)?).ok()),
        }
    }

    /// The length of a string.
    #[inline]
    fn short_length(&mut self, form: Form, field: &'static str) -> Result<Option<u32>, DecodeError> {
        match form {
            Form::Compact => self.long_length(form, field),
            Form::Plain => Ok(u32::try_from(self.i16(field)?).ok()),
        }
    }

    fn required<T>(&self, value: Option<T>, field: &'static str) -> Result<T, DecodeError> {
        match value {
            Some(value) => Ok(value),
            None => self.fail(field, DecodeErrorKind::Null),
        }
    }

    /// Refuses a null that was read, unless `allowed`.
    pub(crate) fn allow_null(&self, allowed: bool, field: &'static str) -> Result<(), DecodeError> {
        if allowed { Ok(()) } else { self.fail(field, DecodeErrorKind::Null) }
    }

    #[inline]
    pub(crate) fn nullable_string(
        &mut self,
        form: Form,
        field: &'static str,
    ) -> Result<Option<Str<'a>>, DecodeError> {
        let Some(length) = self.short_length(form, field)? else { return Ok(None) };
        let length = length as usize;
        if length > STRING_MAX {
            return self.fail(field, DecodeErrorKind::StringTooLong { announced: length as u64 });
        }
        match std::str::from_utf8(self.take(length, field)?) {
            Ok(text) => Ok(Some(Str::Borrowed(text))),
            Err(_) => self.fail(field, DecodeErrorKind::NotUtf8),
        }
    }

    #[inline]
    pub(crate) fn string(&mut self, form: Form, field: &'static str) -> Result<Str<'a>, DecodeError> {
        let text = self.nullable_string(form, field)?;
        self.required(text, field)
    }

    #[inline]
    pub(crate) fn nullable_bytes(
        &mut self,
        form: Form,
        field: &'static str,
    ) -> Result<Option<Blob<'a>>, DecodeError> {
        let Some(length) = self.long_length(form, field)? else { return Ok(None) };
        Ok(Some(Blob::Borrowed(self.take(length as usize, field)?)))
    }

    #[inline]
    pub(crate) fn bytes(&mut self, form: Form, field: &'static str) -> Result<Blob<'a>, DecodeError> {
        let bytes = self.nullable_bytes(form, field)?;
        self.required(bytes, field)
    }

    #[inline]
    pub(crate) fn nullable_records(
        &mut self,
        form: Form,
        field: &'static str,
    ) -> Result<Records<'a>, DecodeError> {
        Ok(self.nullable_bytes(form, field)?.map_or(Records::Null, Records::Bytes))
    }

    pub(crate) fn records(&mut self, form: Form, field: &'static str) -> Result<Records<'a>, DecodeError> {
        Ok(Records::Bytes(self.bytes(form, field)?))
    }

    /// The marker in front of a struct that may be null.
    pub(crate) fn present(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.i8(field)? >= 0)
    }

    /// The same for a tagged field, where Kafka has a variable-length number instead of a signed byte.
    pub(crate) fn tagged_present(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.unsigned_varint(field)? != 0)
    }

    /// An array whose elements take at least `least` bytes each.
    #[inline]
    pub(crate) fn nullable_array<T>(
        &mut self,
        form: Form,
        least: usize,
        field: &'static str,
        mut element: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.long_length(form, field)? else { return Ok(None) };
        let (announced, left) = (u64::from(count), self.left());
        let count = count as usize;
        if count > left / least {
            return self.fail(field, DecodeErrorKind::Count { announced, left });
        }
        let size = size_of::<T>().max(1);
        self.allocated += count * size;
        let mut elements = Vec::with_capacity(count.min(ARRAY_RESERVE_MAX / size + 1));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    #[inline]
    pub(crate) fn array<T>(
        &mut self,
        form: Form,
        least: usize,
        field: &'static str,
        element: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let elements = self.nullable_array(form, least, field, element)?;
        self.required(elements, field)
    }

    /// Starts the tagged fields of a struct.
    #[inline]
    pub(crate) fn tags(&mut self) -> Result<Tags, DecodeError> {
        Ok(Tags(self.unsigned_varint("tagged fields")?))
    }

    /// The next tagged field; until `end_tag` the reader ends where the field does.
    pub(crate) fn next_tag(&mut self, tags: &mut Tags) -> Result<Option<Tag>, DecodeError> {
        let Some(rest) = tags.0.checked_sub(1) else { return Ok(None) };
        tags.0 = rest;
        let id = self.unsigned_varint("tag")?;
        let size = self.unsigned_varint("size of a tagged field")?;
        let left = self.left();
        if size as usize > left {
            let needed = u64::from(size);
            return self.fail("size of a tagged field", DecodeErrorKind::Truncated { needed, left });
        }
        let outer = self.end;
        self.end = self.position + size as usize;
        Ok(Some(Tag { id, outer }))
    }

    /// Skips what is left of the tagged field.
    pub(crate) fn end_tag(&mut self, tag: Tag) {
        self.position = self.end;
        self.end = tag.outer;
    }

    /// Skips the tagged fields of a struct that knows none.
    #[inline]
    pub(crate) fn skip_tags(&mut self) -> Result<(), DecodeError> {
        let mut tags = self.tags()?;
        while let Some(tag) = self.next_tag(&mut tags)? {
            self.end_tag(tag);
        }
        Ok(())
    }
}
