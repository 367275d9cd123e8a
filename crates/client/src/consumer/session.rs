//! A fetch session with one node (KIP-227): after the first request only what changed is named.
//!
//! - F1 `sent` is what the node knows of the session once the request under way is answered.
//! - F2 After any doubt a session starts over with everything in it.

use std::collections::BTreeMap;

use model::{LeaderEpoch, Offset};
use wire::FetchRequest;
use wire::fetch::{FetchPartition, FetchTopic, ForgottenTopic};

use crate::metadata::TopicPartition;

/// Where a partition is to be read, and in which leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
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
                    partitions: vec![partition],
                    ..FetchTopic::default()
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
        for place in self.sent.keys().filter(|place| !wanted.contains_key(*place)) {
            match request.forgotten_topics_data.last_mut() {
                Some(topic) if topic.topic == place.topic.as_str() => {
                    topic.partitions.push(place.partition.0)
                }
                Some(_) | None => request.forgotten_topics_data.push(ForgottenTopic {
                    topic: place.topic.to_string().into(),
                    partitions: vec![place.partition.0],
                    ..ForgottenTopic::default()
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
