//! Kafka's record numbers: zigzag, seven bits a byte, the low ones first.

use std::io::{self, Read};

/// Splits a signed 32-bit number off the front; `None` when it is cut short or too long.
pub(crate) fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    let raw = u32::try_from(take(bytes, 5)?).ok()?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Splits a signed 64-bit number off the front; `None` when it is cut short or too long.
pub(crate) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take(bytes, 10)?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

fn take(bytes: &mut &[u8], bytes_max: usize) -> Option<u64> {
    let mut value = 0u64;
    for (position, &byte) in bytes.iter().take(bytes_max).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * position;
        // The tenth byte has room for one bit.
        if shift == 63 && 1 < bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            *bytes = &bytes[position + 1..];
            return Some(value);
        }
    }
    None
}

/// Reads a signed 32-bit number from a stream; `Ok(None)` when it is too long.
pub(crate) fn read_i32(stream: &mut impl Read) -> io::Result<Option<i32>> {
    let mut raw = [0; 5];
    for length in 1..=raw.len() {
        stream.read_exact(&mut raw[length - 1..length])?;
        if raw[length - 1] < 0x80 {
            return Ok(take_i32(&mut &raw[..length]));
        }
    }
    Ok(None)
}

/// Appends a signed 32-bit number.
pub(crate) fn put_i32(out: &mut Vec<u8>, value: i32) {
    put(out, u64::from(((value << 1) ^ (value >> 31)).cast_unsigned()));
}

/// Appends a signed 64-bit number.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn put(out: &mut Vec<u8>, mut raw: u64) {
    while 0x80 <= raw {
        out.push(u8::try_from(raw & 0x7f).unwrap_or(0x7f) | 0x80);
        raw >>= 7;
    }
    out.push(u8::try_from(raw).unwrap_or(0x7f));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_bytes() {
        for (value, bytes) in [
            (0i64, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[126]),
            (-64, &[127]),
            (64, &[128, 1]),
            (i64::from(i32::MAX), &[254, 255, 255, 255, 15]),
            (i64::from(i32::MIN), &[255, 255, 255, 255, 15]),
            (i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            put_i64(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(take_i64(&mut &out[..]), Some(value));
        }
        assert_eq!(take_i32(&mut &[255, 255, 255, 255, 31][..]), None, "33 bits");
        assert_eq!(take_i64(&mut &[255; 10][..]), None);
        assert_eq!(take_i64(&mut &[128, 128][..]), None);
    }

    proptest! {
        #[test]
        fn numbers_round_trip(narrow: i32, wide: i64) {
            let mut out = Vec::new();
            put_i32(&mut out, narrow);
            put_i64(&mut out, wide);
            let mut rest = &out[..];
            prop_assert_eq!(take_i32(&mut rest), Some(narrow));
            prop_assert_eq!(take_i64(&mut rest), Some(wide));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read_i32(&mut &out[..]).expect("enough bytes"), Some(narrow));
        }
    }
}
