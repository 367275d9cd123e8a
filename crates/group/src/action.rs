//! What a coordinator wants done: records appended, requests answered.

use std::sync::Arc;

use model::{Barrier, ErrorCode, LeaderEpoch, Offset, PartitionIndex, Ticket, TopicId, TopicName};

use crate::event::{CommitTopic, CommittingTransaction, EndTransaction};
use crate::id::{GroupId, InstanceId, MemberId};

/// One output of [`crate::Coordinator::step`], to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Append these as one batch. If that fails, the coordinator is to be dropped and loaded anew.
    Append(Vec<GroupRecord>),
    /// Append these as one batch of this producer's transaction. If that fails, the same.
    AppendTransactional(CommittingTransaction, Vec<GroupRecord>),
    /// Append the marker of a transaction. If that fails, the same.
    AppendMarker(EndTransaction),
    /// Answer a request.
    Reply {
        /// The request.
        ticket: Ticket,
        /// The answer.
        reply: Reply,
        /// When it may be sent.
        after: Barrier,
    },
}

/// One record of `__consumer_offsets`, as it is written; a tombstone has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// The record's key.
    pub key: Vec<u8>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`crate::Event::Join`].
    Join(JoinReply),
    /// To [`crate::Event::Sync`].
    Sync(SyncReply),
    /// To [`crate::Event::Heartbeat`].
    Heartbeat(ErrorCode),
    /// To [`crate::Event::Leave`].
    Leave(LeaveReply),
    /// To [`crate::Event::CommitOffsets`]: the topics and partitions of the request, in its order.
    CommitOffsets(Vec<CommittedTopic>),
    /// To [`crate::Event::EndTransaction`].
    EndTransaction,
    /// To [`crate::Event::FetchOffsets`].
    FetchOffsets(FetchReply),
    /// To [`crate::Event::DeleteOffsets`].
    DeleteOffsets(DeleteOffsetsReply),
    /// To [`crate::Event::Describe`], in the order of the request.
    Describe(Vec<DescribedGroup>),
    /// To [`crate::Event::List`].
    List(Vec<ListedGroup>),
    /// To [`crate::Event::Delete`], in the order of the request.
    Delete(Vec<(GroupId, ErrorCode)>),
}

/// JoinGroup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReply {
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// The generation joined, -1 on error.
    pub generation: i32,
    /// The group's protocol type, v7+.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol chosen; versions below 7 write the empty text for `None`.
    pub protocol_name: Option<Arc<str>>,
    /// The member that assigns; empty on error.
    pub leader: MemberId,
    /// v9+: the leader need not assign again.
    pub skip_assignment: bool,
    /// The member's own name.
    pub member_id: MemberId,
    /// All members, to the leader only.
    pub members: Vec<JoinedMember>,
}

/// One member, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member_id: MemberId,
    /// The static member's name, v5+.
    pub group_instance_id: Option<InstanceId>,
    /// What it wants under the protocol chosen.
    pub metadata: Arc<[u8]>,
}

/// SyncGroup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReply {
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// The group's protocol type, v5+.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol of the generation, v5+.
    pub protocol_name: Option<Arc<str>>,
    /// What the leader gave this member.
    pub assignment: Arc<[u8]>,
}

/// LeaveGroup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveReply {
    /// An error of the whole request; below v3 the one member's error is reported here by the broker.
    pub error: ErrorCode,
    /// How it went for each member, as named in the request.
    pub members: Vec<LeftMember>,
}

/// One member of LeaveGroup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: MemberId,
    /// As in the request.
    pub group_instance_id: Option<InstanceId>,
    /// What went wrong, if anything.
    pub error: ErrorCode,
}

/// One topic of OffsetCommit's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    /// As in the request.
    pub name: TopicName,
    /// As in the request.
    pub topic_id: Option<TopicId>,
    /// How it went for each partition.
    pub partitions: Vec<(PartitionIndex, ErrorCode)>,
}

impl CommittedTopic {
    /// Every partition of a request, with one error.
    pub fn refused(topics: &[CommitTopic], error: ErrorCode) -> Vec<CommittedTopic> {
        let one = |topic: &CommitTopic| CommittedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|partition| (partition.partition, error)).collect(),
        };
        topics.iter().map(one).collect()
    }
}

/// OffsetFetch's answer for one group; it never fails as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReply {
    /// As in the request.
    pub group_id: GroupId,
    /// The topics asked for, or all with offsets.
    pub topics: Vec<FetchedTopic>,
}

/// One topic of OffsetFetch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic's name.
    pub name: TopicName,
    /// As in the request; when all topics were asked for, as committed.
    pub topic_id: Option<TopicId>,
    /// Its partitions.
    pub partitions: Vec<FetchedPartition>,
}

/// One partition of OffsetFetch's answer: an offset not committed is -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read, -1 when none is committed.
    pub offset: Offset,
    /// The leader epoch committed with it.
    pub leader_epoch: LeaderEpoch,
    /// The note committed with it; empty when there is none.
    pub metadata: Arc<str>,
    /// What went wrong, if anything.
    pub error: ErrorCode,
}

/// OffsetDelete's answer: an error of the whole request, or each partition's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOffsetsReply {
    /// An error of the whole request.
    pub error: ErrorCode,
    /// How it went for each partition; empty when the request failed.
    pub topics: Vec<(TopicName, Vec<(PartitionIndex, ErrorCode)>)>,
}

/// What a group is doing, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No such group.
    Dead,
    /// No members; there may be offsets.
    Empty,
    /// Waiting for members to join the next generation.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
}

impl GroupState {
    /// The state's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            GroupState::Dead => "Dead",
            GroupState::Empty => "Empty",
            GroupState::PreparingRebalance => "PreparingRebalance",
            GroupState::CompletingRebalance => "CompletingRebalance",
            GroupState::Stable => "Stable",
        }
    }
}

/// One group of DescribeGroups' answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// As in the request.
    pub group_id: GroupId,
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// Why, v6+.
    pub error_message: Option<String>,
    /// What the group is doing.
    pub state: GroupState,
    /// The group's protocol type, or empty.
    pub protocol_type: Arc<str>,
    /// The protocol of a stable group, or empty.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// One member of DescribeGroups' answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: MemberId,
    /// The static member's name, v4+.
    pub group_instance_id: Option<InstanceId>,
    /// The client id it joined with.
    pub client_id: Arc<str>,
    /// The address it joined from.
    pub client_host: Arc<str>,
    /// What it wants under the protocol chosen, while the group is stable.
    pub metadata: Arc<[u8]>,
    /// What a leader gave it last.
    pub assignment: Arc<[u8]>,
}

/// One group of ListGroups' answer; its type is always `classic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: GroupId,
    /// Its protocol type, or empty.
    pub protocol_type: Arc<str>,
    /// What it is doing, v4+.
    pub state: GroupState,
}
