//! How Produce and Fetch name topics: by id from version 13 on (KIP-516), by name before.
//!
//! - T1 Requests carry both, and the version decides which is written.
//! - T2 One topic without an id, as those of brokers before Kafka 2.8, brings its whole request back to names.
//! - T3 An answer names a topic as its request did, so one with an id is never taken for another topic of that name.

use model::{TopicName, Uuid};
use wire::VersionRange;

/// The last version that has names.
const BY_NAME_LAST: i16 = 12;

/// Those of `versions` that can name topics with these ids (T2).
pub(crate) fn versions_naming(versions: VersionRange, ids: impl IntoIterator<Item = Uuid>) -> VersionRange {
    let have_ids = ids.into_iter().all(|id| id != Uuid::ZERO);
    let last = if have_ids { versions.last } else { versions.last.min(BY_NAME_LAST) };
    VersionRange { last, ..versions }
}

/// Whether the topic in an answer, of which it says either, is the one that was asked about (T3).
pub(crate) fn is_topic(said_name: &str, said_id: Uuid, topic: &TopicName, id: Uuid) -> bool {
    if said_id == Uuid::ZERO { said_name == topic.as_str() } else { said_id == id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: VersionRange = VersionRange { first: 7, last: 18 };
    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);

    #[test]
    fn one_topic_without_an_id_brings_the_request_back_to_names() {
        for (ids, last) in [(vec![], 18), (vec![A, B], 18), (vec![A, Uuid::ZERO], 12)] {
            assert_eq!(versions_naming(ALL, ids.clone()), VersionRange { last, ..ALL }, "{ids:?}");
        }
        let old = VersionRange { first: 3, last: 9 };
        assert_eq!(versions_naming(old, [Uuid::ZERO]), old);
    }

    #[test]
    fn a_topic_in_an_answer_is_known_by_what_it_was_asked_by() {
        let topic = TopicName::parse("orders").unwrap();
        for (said_name, said_id, expected) in [
            ("orders", Uuid::ZERO, true),
            ("others", Uuid::ZERO, false),
            ("", A, true),
            ("", B, false),
            ("orders", B, false),
        ] {
            assert_eq!(is_topic(said_name, said_id, &topic, A), expected, "'{said_name}' {said_id:?}");
        }
    }
}
