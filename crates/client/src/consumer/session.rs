//! A fetch session with one node (KIP-227): after the first request only what changed is named.
//!
//! - F1 `sent` is what the node knows of the session once the request under way is answered.
//! - F2 After any doubt a session starts over with everything in it.

use std::collections::BTreeMap;

use model::{LeaderEpoch, Offset, Uuid};
use wire::FetchRequest;
use wire::fetch::{FetchPartition, FetchTopic, ForgottenTopic};

use crate::metadata::TopicPartition;

/// Where a partition is to be read, of which topic of its name, and in which leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic_id: Uuid,
    pub(super) from: Offset,
    pub(super) leader_epoch: LeaderEpoch,
}

/// One session; the default is one that does not exist yet.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    sent: BTreeMap<TopicPartition, Wanted>,
    pub(super) in_flight: bool,
}

impl Session {
    /// Names what changed between what the node knows and `wanted`.
    pub(super) fn fill(
        &mut self,
        wanted: BTreeMap<TopicPartition, Wanted>,
        partition_bytes: i32,
        request: &mut FetchRequest<'static>,
    ) {
        request.session_id = self.id;
        request.session_epoch = self.epoch;
        for (place, want) in &wanted {
            if self.epoch != 0 && self.sent.get(place) == Some(want) {
                continue;
            }
            let partition = FetchPartition {
                partition: place.partition.0,
                current_leader_epoch: want.leader_epoch.0,
                fetch_offset: want.from.0,
                partition_max_bytes: partition_bytes,
                ..FetchPartition::default()
            };
            match request.topics.last_mut() {
                Some(topic) if topic.topic == place.topic.as_str() => topic.partitions.push(partition),
                Some(_) | None => request.topics.push(FetchTopic {
                    topic: place.topic.to_string().into(),
                    topic_id: want.topic_id,
                    partitions: vec![partition],
                }),
            }
        }
        if self.epoch != 0 {
            self.forget(&wanted, request);
        }
        self.sent = wanted;
        self.in_flight = true;
    }

    fn forget(&self, wanted: &BTreeMap<TopicPartition, Wanted>, request: &mut FetchRequest<'static>) {
        let is_wanted = |place, sent: &Wanted| {
            wanted.get(place).is_some_and(|wanted: &Wanted| wanted.topic_id == sent.topic_id)
        };
        for (place, sent) in self.sent.iter().filter(|(place, sent)| !is_wanted(*place, sent)) {
            match request.forgotten_topics_data.last_mut() {
                Some(topic) if topic.topic == place.topic.as_str() && topic.topic_id == sent.topic_id => {
                    topic.partitions.push(place.partition.0)
                }
                Some(_) | None => request.forgotten_topics_data.push(ForgottenTopic {
                    topic: place.topic.to_string().into(),
                    topic_id: sent.topic_id,
                    partitions: vec![place.partition.0],
                }),
            }
        }
    }

    /// The node answered; id 0 means that it keeps no session.
    pub(super) fn on_answer(&mut self, id: i32) {
        self.in_flight = false;
        self.id = id;
        self.epoch = match self.epoch {
            _ if id == 0 => 0,
            i32::MAX => 1,
            epoch => epoch + 1,
        };
    }

    /// Starts over (F2).
    pub(super) fn on_failure(&mut self) {
        *self = Session::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TopicName;

    /// What a request names: `a0@5` for partition 0 of topic `a` from offset 5, `-a0` for one to forget.
    fn named(session: &mut Session, wanted: &[(&str, i32, i64)]) -> String {
        named_as(session, [1; 16], wanted)
    }

    /// The same, of topics with this id.
    fn named_as(session: &mut Session, id: [u8; 16], wanted: &[(&str, i32, i64)]) -> String {
        let wanted = wanted.iter().map(|(topic, partition, from)| {
            let place = TopicPartition::new(TopicName::parse(topic).unwrap(), *partition);
            (place, Wanted { topic_id: Uuid(id), from: Offset(*from), leader_epoch: LeaderEpoch(0) })
        });
        let mut request = FetchRequest::default();
        session.fill(wanted.collect(), 1, &mut request);
        let mut parts = vec![format!("{}.{}", request.session_id, request.session_epoch)];
        for topic in &request.topics {
            let partitions = topic.partitions.iter();
            parts.extend(partitions.map(|p| format!("{}{}@{}", topic.topic, p.partition, p.fetch_offset)));
        }
        for topic in &request.forgotten_topics_data {
            parts.extend(topic.partitions.iter().map(|partition| format!("-{}{partition}", topic.topic)));
        }
        parts.join(" ")
    }

    #[test]
    fn only_changes_are_named_once_there_is_a_session() {
        let mut session = Session::default();
        assert_eq!(named(&mut session, &[("a", 0, 0), ("a", 1, 0), ("b", 0, 7)]), "0.0 a0@0 a1@0 b0@7");
        session.on_answer(9);
        assert_eq!(named(&mut session, &[("a", 0, 5), ("a", 1, 0), ("b", 0, 7)]), "9.1 a0@5");
        session.on_answer(9);
        assert_eq!(named(&mut session, &[("a", 1, 0)]), "9.2 -a0 -b0");
        session.on_answer(9);
        assert_eq!(named(&mut session, &[("a", 0, 5), ("a", 1, 0)]), "9.3 a0@5");
    }

    #[test]
    fn a_topic_that_was_created_again_is_another_one_to_a_session() {
        let mut session = Session::default();
        assert_eq!(named_as(&mut session, [1; 16], &[("a", 0, 5)]), "0.0 a0@5");
        session.on_answer(9);
        assert_eq!(named_as(&mut session, [2; 16], &[("a", 0, 5)]), "9.1 a0@5 -a0");
        session.on_answer(9);
        assert_eq!(named_as(&mut session, [2; 16], &[]), "9.2 -a0");
    }

    #[test]
    fn without_a_session_everything_is_named() {
        let mut session = Session::default();
        named(&mut session, &[("a", 0, 0)]);
        session.on_answer(0);
        assert_eq!(named(&mut session, &[("a", 0, 0)]), "0.0 a0@0", "the node keeps none");
        session.on_answer(9);
        session.on_failure();
        assert_eq!(named(&mut session, &[("a", 0, 0)]), "0.0 a0@0", "doubt starts over");
    }
}
