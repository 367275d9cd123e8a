//! OffsetCommit, OffsetFetch, OffsetDelete, and what happens to the offsets of a deleted topic.
//!
//! - O1 An offset is committed by a member of the current generation, or from outside while the group is empty.
//!   A transaction commits from outside at any time, unless it says for which member.
//! - O2 A partition without a committed offset is answered -1, never 0.
//! - O3 Who asks for stable offsets is told of none that a transaction could still change.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Ticket, TopicId, TopicName};

use crate::action::{CommittedTopic, DeleteOffsetsReply, FetchReply, FetchedPartition, FetchedTopic, Reply};
use crate::event::{CommitPartition, CommitRequest, CommitTopic, DeleteOffsetsRequest, FetchRequest};
use crate::group::{Group, Phase, fits};
use crate::record::Record;
use crate::stored::CommittedOffset;
use crate::subscription;
use crate::turn::Turn;

/// Longest metadata a record can carry whatever its version, bytes.
const METADATA_BYTES_MAX: usize = 32_767;

/// OffsetFetch's answer for a group that does not exist.
pub(crate) fn nothing_committed(request: FetchRequest) -> FetchReply {
    let none = |topic_id, name, partitions: Vec<PartitionIndex>| FetchedTopic {
        name,
        topic_id,
        partitions: partitions.into_iter().map(|partition| fetched(partition, None)).collect(),
    };
    let topics = request.topics.unwrap_or_default();
    let topics = topics.into_iter().map(|topic| none(topic.topic_id, topic.name, topic.partitions));
    FetchReply { group_id: request.group_id, topics: topics.collect() }
}

fn fetched(partition: PartitionIndex, committed: Option<&CommittedOffset>) -> FetchedPartition {
    match committed {
        Some(committed) => FetchedPartition {
            partition,
            offset: committed.offset,
            leader_epoch: committed.leader_epoch,
            metadata: committed.metadata.clone(),
            error: ErrorCode::None,
        },
        None => FetchedPartition {
            partition,
            offset: Offset(-1),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Arc::from(""),
            error: ErrorCode::None,
        },
    }
}

/// A partition whose offset a transaction has not decided (O3).
fn unstable(partition: PartitionIndex) -> FetchedPartition {
    FetchedPartition { error: ErrorCode::UnstableOffsetCommit, ..fetched(partition, None) }
}

impl Group {
    /// OffsetCommit to a group that exists, or to one made for it (O1).
    pub fn on_commit(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: CommitRequest) {
        if let Err(error) = self.check_commit(&request) {
            turn.reply(ticket, Reply::CommitOffsets(CommittedTopic::refused(&request.topics, error)));
            return;
        }
        let is_alive = request.transaction.is_none();
        if is_alive && matches!(self.phase, Phase::Stable { .. } | Phase::Joining { .. }) {
            self.keep_alive(turn, &request.member_id);
        }
        let expires_at_ms = request.retention_time_ms.map(|keep| turn.now.wall.saturating_add(keep));
        let mut records = Vec::new();
        let mut reply = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let too_large = is_metadata_too_large(turn, partition);
                let error = if too_large { ErrorCode::OffsetMetadataTooLarge } else { ErrorCode::None };
                partitions.push((partition.partition, error));
                if !too_large {
                    records.push(self.commit_record(turn, topic, partition, expires_at_ms));
                }
            }
            reply.push(CommittedTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions });
        }
        match request.transaction {
            // A commit is one batch or nothing.
            _ if !fits(turn, &records) => {
                reply = CommittedTopic::refused(&request.topics, ErrorCode::InvalidCommitOffsetSize);
            }
            Some(transaction) => self.append_transactional(turn, transaction, records),
            None => self.append(turn, records),
        }
        turn.reply_durable(ticket, Reply::CommitOffsets(reply));
    }

    fn check_commit(&self, request: &CommitRequest) -> Result<(), ErrorCode> {
        let from_outside = request.generation < 0;
        let names_itself = !request.member_id.is_empty() || request.group_instance_id.is_some();
        if from_outside && matches!(self.phase, Phase::Empty) {
            return Ok(());
        }
        let is_transactional = request.transaction.is_some();
        if from_outside && !names_itself {
            return if is_transactional { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        }
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match self.phase {
            // Its partitions may already be another member's: it has to sync first.
            Phase::Syncing { .. } if !is_transactional => Err(ErrorCode::RebalanceInProgress),
            Phase::Empty | Phase::Joining { .. } | Phase::Syncing { .. } | Phase::Stable { .. } => Ok(()),
        }
    }

    fn commit_record(
        &self,
        turn: &Turn<'_>,
        topic: &CommitTopic,
        partition: &CommitPartition,
        expires_at_ms: Option<i64>,
    ) -> Record {
        let value = CommittedOffset {
            offset: partition.offset,
            leader_epoch: partition.leader_epoch,
            metadata: partition.metadata.clone().unwrap_or_else(|| Arc::from("")),
            committed_at_ms: turn.now.wall,
            expires_at_ms,
            topic_id: topic.topic_id.filter(|id| !id.0.is_zero()),
        };
        Record::Offset {
            group: self.id.clone(),
            topic: topic.name.clone(),
            partition: partition.partition,
            value: Some(value),
        }
    }

    /// OffsetFetch from a group that exists (O2).
    pub fn on_fetch(&self, request: FetchRequest) -> FetchReply {
        let is_unstable =
            |topic: &TopicName, partition| request.require_stable && self.undecided.has(topic, partition);
        let Some(topics) = request.topics else { return self.fetch_all(request.group_id, is_unstable) };
        let mut reply = Vec::with_capacity(topics.len());
        for topic in topics {
            let of_this_topic = |offset: &&CommittedOffset| is_same_topic(offset.topic_id, topic.topic_id);
            let one = |&partition: &PartitionIndex| {
                if is_unstable(&topic.name, partition) {
                    return unstable(partition);
                }
                fetched(partition, self.offsets().get(&topic.name, partition).filter(of_this_topic))
            };
            let partitions = topic.partitions.iter().map(one).collect();
            reply.push(FetchedTopic { name: topic.name, topic_id: topic.topic_id, partitions });
        }
        FetchReply { group_id: request.group_id, topics: reply }
    }

    fn fetch_all(
        &self,
        group_id: crate::GroupId,
        is_unstable: impl Fn(&TopicName, PartitionIndex) -> bool,
    ) -> FetchReply {
        let topics = self.offsets().topics().map(|(name, partitions)| FetchedTopic {
            name: name.clone(),
            topic_id: partitions.values().find_map(|offset| offset.topic_id),
            partitions: partitions
                .iter()
                .map(|(&partition, offset)| match is_unstable(name, partition) {
                    true => unstable(partition),
                    false => fetched(partition, Some(offset)),
                })
                .collect(),
        });
        FetchReply { group_id, topics: topics.collect() }
    }

    /// OffsetDelete from a group that exists.
    pub fn on_delete_offsets(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: DeleteOffsetsRequest) {
        let is_consumer = self.protocol_type.as_deref() == Some(subscription::CONSUMER);
        if !matches!(self.phase, Phase::Empty) && !is_consumer {
            let reply = DeleteOffsetsReply { error: ErrorCode::NonEmptyGroup, topics: Vec::new() };
            turn.reply(ticket, Reply::DeleteOffsets(reply));
            return;
        }
        let mut records = BTreeSet::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for (name, partitions) in request.topics {
            let subscribed = self.is_subscribed_to(&name);
            let error = if subscribed { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            for &partition in &partitions {
                if !subscribed && self.offsets().get(&name, partition).is_some() {
                    records.insert((name.clone(), partition));
                }
            }
            topics.push((name, partitions.into_iter().map(|partition| (partition, error)).collect()));
        }
        self.drop_offsets(turn, records);
        turn.reply_durable(
            ticket,
            Reply::DeleteOffsets(DeleteOffsetsReply { error: ErrorCode::None, topics }),
        );
    }

    /// Drops what was committed for a deleted topic, but nothing of a newer one of the same name.
    pub fn on_topic_deleted(&mut self, turn: &mut Turn<'_>, name: &TopicName, topic_id: TopicId) {
        let gone =
            self.offsets().topic(name).filter(|(_, offset)| is_same_topic(offset.topic_id, Some(topic_id)));
        let gone: BTreeSet<_> = gone.map(|(partition, _)| (name.clone(), partition)).collect();
        self.drop_offsets(turn, gone);
    }

    /// Writes tombstones for these offsets.
    pub fn drop_offsets(&mut self, turn: &mut Turn<'_>, offsets: BTreeSet<(TopicName, PartitionIndex)>) {
        let tombstone =
            |(topic, partition)| Record::Offset { group: self.id.clone(), topic, partition, value: None };
        let records = offsets.into_iter().map(tombstone).collect();
        self.append(turn, records);
    }

    /// Whether members want this topic; when that cannot be known, a consumer group is taken to.
    pub fn is_subscribed_to(&self, topic: &TopicName) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic.as_str()),
            None => self.protocol_type.as_deref() == Some(subscription::CONSUMER),
        }
    }
}

fn is_metadata_too_large(turn: &Turn<'_>, partition: &CommitPartition) -> bool {
    let metadata = partition.metadata.as_deref().unwrap_or("");
    METADATA_BYTES_MAX < metadata.len() || turn.config.offset_metadata_max < metadata.encode_utf16().count()
}

/// An id that is not known is taken to be the one in question: old records and requests carry none.
fn is_same_topic(stored: Option<TopicId>, other: Option<TopicId>) -> bool {
    stored.zip(other).is_none_or(|(stored, other)| stored == other)
}
