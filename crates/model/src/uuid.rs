//! A 128-bit identifier, written as Kafka writes it: 22 characters of unpadded base64url.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Sixteen bytes, big end first as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// "No id": what a message carries where a name is used instead.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// A version 4 id from sixteen random bytes (RFC 9562 section 5.4).
    ///
    /// Ids whose text starts with `-` are a nuisance on command lines, so the caller draws again when
    /// this is `None`; so does Kafka's own `Uuid.randomUuid`.
    pub fn from_random(mut bytes: [u8; 16]) -> Option<Uuid> {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let first_character_is_dash = bytes[0] >> 2 == 62;
        (!first_character_is_dash).then_some(Uuid(bytes))
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 22 characters hold 132 bits; the last one carries two bits and four zeros.
        for character in 0..22 {
            let shift = 122 - 6 * character;
            let six = if shift >= 0 { bits >> shift } else { bits << -shift } & 0x3f;
            let index = usize::try_from(six).expect("six bits fit a usize");
            f.write_str(char::from(ALPHABET[index]).encode_utf8(&mut [0; 4]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 22 characters of base64url.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UuidParseError(pub String);

impl fmt::Display for UuidParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not an id: 22 letters, digits, '-' or '_' expected", self.0)
    }
}

impl std::error::Error for UuidParseError {}

impl FromStr for Uuid {
    type Err = UuidParseError;

    fn from_str(text: &str) -> Result<Uuid, UuidParseError> {
        let error = || UuidParseError(text.to_owned());
        if text.len() != 22 {
            return Err(error());
        }
        let mut bits: u128 = 0;
        for (position, byte) in text.bytes().enumerate() {
            let six = ALPHABET.iter().position(|&letter| letter == byte).ok_or_else(error)?;
            let six = u128::try_from(six).map_err(|_| error())?;
            bits = if position < 21 {
                (bits << 6) | six
            } else if six & 0x0f == 0 {
                (bits << 2) | (six >> 4)
            } else {
                return Err(error());
            };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_kafka_prints() {
        // Kafka's METADATA_TOPIC_ID (0, 1) prints as AAAAAAAAAAAAAAAAAAAAAQ.
        let one = Uuid(1u128.to_be_bytes());
        assert_eq!(one.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse(), Ok(one));
    }

    #[test]
    fn text_round_trips_and_bad_text_is_refused() {
        let id = Uuid(*b"\xff\x00\x10abcdefghijkl\x7f");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "short", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAB"] {
            assert_eq!(bad.parse::<Uuid>(), Err(UuidParseError(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn random_ids_never_start_with_a_dash() {
        assert_eq!(Uuid::from_random([0xf8; 16]), None);
        let id = Uuid::from_random([7; 16]).expect("seven does not draw a dash");
        assert_eq!((id.0[6] >> 4, id.0[8] >> 6), (4, 2));
    }
}
