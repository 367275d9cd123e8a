//! The topics a `consumer` member wants, read from its otherwise opaque metadata.
//!
//! Only the prefix all versions of Kafka's consumer protocol share is read: version, topics. It decides nothing but
//! which offsets a live group still needs.

use std::collections::BTreeSet;

/// The protocol type whose metadata can be read.
pub(crate) const CONSUMER: &str = "consumer";

/// Adds the topics of one member's metadata; `None` when the bytes are no subscription.
pub(crate) fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (version, rest) = metadata.split_first_chunk::<2>()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    for _ in 0..u32::try_from(i32::from_be_bytes(*count)).ok()? {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        rest = after;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_subscriptions_are_read() {
        let metadata = b"\x00\x03\x00\x00\x00\x02\x00\x01a\x00\x02bcrest";
        let mut topics = BTreeSet::new();
        assert_eq!(add_topics(metadata, &mut topics), Some(()));
        assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["a", "bc"]);
        for cut in 0..13 {
            assert_eq!(add_topics(&metadata[..cut], &mut BTreeSet::new()), None, "{cut} bytes");
        }
    }
}
