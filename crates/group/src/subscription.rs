//! The topics a `consumer` member wants, read from its otherwise opaque metadata.
//!
//! Only the prefix all versions of Kafka's consumer protocol share is read: version, topics, user data. It decides nothing but
//! which offsets a live group still needs.

use std::collections::BTreeSet;

use wire::{ConsumerProtocolSubscription, Message, Reader};

/// The protocol type whose metadata can be read.
pub(crate) const CONSUMER: &str = "consumer";

/// Adds the topics of one member's metadata; `None` when the bytes are no subscription.
pub(crate) fn add_topics(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let (version, rest) = metadata.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    // What version 0 has is in front of what any other adds.
    let subscription = ConsumerProtocolSubscription::decode(&mut Reader::new(rest), 0).ok()?;
    topics.extend(subscription.topics.into_iter().map(String::from));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_subscriptions_are_read() {
        let metadata = b"\x00\x09\x00\x00\x00\x02\x00\x01a\x00\x02bc\xff\xff\xff\xffrest";
        let mut topics = BTreeSet::new();
        assert_eq!(add_topics(metadata, &mut topics), Some(()));
        assert_eq!(topics.into_iter().collect::<Vec<_>>(), ["a", "bc"]);
        for cut in 0..17 {
            assert_eq!(add_topics(&metadata[..cut], &mut BTreeSet::new()), None, "{cut} bytes");
        }
    }
}
