//! What a coordinator is told: requests with the broker's ticket, deleted topics, time.
//!
//! Differences between protocol versions are fields here, so the coordinator knows no version numbers.

use std::sync::Arc;

use model::{
    CoordinatorEpoch, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Ticket, TopicId,
    TopicName, TransactionResult, TransactionVersion,
};

use crate::id::{GroupId, InstanceId, MemberId};

/// One input of [`crate::Coordinator::step`].
#[derive(Clone, Debug)]
pub enum Event {
    /// Everything in the log has been replayed; sessions begin. The first event of every coordinator.
    Loaded,
    /// JoinGroup.
    Join(Ticket, JoinRequest),
    /// SyncGroup.
    Sync(Ticket, SyncRequest),
    /// Heartbeat.
    Heartbeat(Ticket, HeartbeatRequest),
    /// LeaveGroup.
    Leave(Ticket, LeaveRequest),
    /// OffsetCommit and TxnOffsetCommit.
    CommitOffsets(Ticket, CommitRequest),
    /// A producer's transaction ends in this partition.
    EndTransaction(Ticket, EndTransaction),
    /// OffsetFetch, one group of it.
    FetchOffsets(Ticket, FetchRequest),
    /// OffsetDelete.
    DeleteOffsets(Ticket, DeleteOffsetsRequest),
    /// DescribeGroups, those of its groups this coordinator owns.
    Describe(Ticket, DescribeRequest),
    /// ListGroups.
    List(Ticket, ListRequest),
    /// DeleteGroups, those of its groups this coordinator owns.
    Delete(Ticket, Vec<GroupId>),
    /// A topic is gone from the metadata; what was committed for it goes too.
    TopicDeleted(TopicName, TopicId),
    /// A deadline has passed ([`crate::Coordinator::next_deadline`]).
    Tick,
}

/// One way a member can share out partitions, with what it wants, opaque to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name.
    pub name: Arc<str>,
    /// The member's subscription, kept byte for byte.
    pub metadata: Arc<[u8]>,
}

/// JoinGroup v0-v9.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The group to join.
    pub group_id: GroupId,
    /// The member's name, empty when it has none yet.
    pub member_id: MemberId,
    /// The static member's name, v5+.
    pub group_instance_id: Option<InstanceId>,
    /// The client id of the request's header; empty when it had none.
    pub client_id: Arc<str>,
    /// The client's address as Kafka writes it down: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long the member may be silent, ms.
    pub session_timeout_ms: i32,
    /// How long the member may take to rejoin, ms; v0 has only the session timeout, which is then used for both.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: Arc<str>,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// v4+: a member without a name is given one first and comes back with it.
    pub requires_known_member_id: bool,
    /// v9+: a static leader that comes back can be told not to assign again.
    pub supports_skip_assignment: bool,
    /// For the name of a new member.
    pub random: [u8; 16],
}

/// SyncGroup v0-v5.
#[derive(Clone, Debug)]
pub struct SyncRequest {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member joined.
    pub generation: i32,
    /// The member.
    pub member_id: MemberId,
    /// The static member's name, v3+.
    pub group_instance_id: Option<InstanceId>,
    /// Must agree with the group's when given, v5+.
    pub protocol_type: Option<Arc<str>>,
    /// Must agree with the group's when given, v5+.
    pub protocol_name: Option<Arc<str>>,
    /// v5+: both of the above have to be given.
    pub requires_protocol: bool,
    /// From the leader: what each member gets.
    pub assignments: Vec<(MemberId, Arc<[u8]>)>,
}

/// Heartbeat v0-v4.
#[derive(Clone, Debug)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: GroupId,
    /// The generation the member is in.
    pub generation: i32,
    /// The member.
    pub member_id: MemberId,
    /// The static member's name, v3+.
    pub group_instance_id: Option<InstanceId>,
}

/// LeaveGroup v0-v5; below v3 the list has the one member.
#[derive(Clone, Debug)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: GroupId,
    /// Who leaves.
    pub members: Vec<LeavingMember>,
}

/// One member of a LeaveGroup request.
#[derive(Clone, Debug)]
pub struct LeavingMember {
    /// The member, empty when an administrator removes a static one by its instance.
    pub member_id: MemberId,
    /// The static member's name.
    pub group_instance_id: Option<InstanceId>,
}

/// OffsetCommit v2-v10, TxnOffsetCommit v0-v5; topics that do not exist have been answered by the broker already.
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The group; may be empty.
    pub group_id: GroupId,
    /// The member's generation, -1 from outside the group.
    pub generation: i32,
    /// The member, empty from outside the group.
    pub member_id: MemberId,
    /// The static member's name, v7+.
    pub group_instance_id: Option<InstanceId>,
    /// How long to keep the offsets, ms, v2-v4; `None` for the broker's own time.
    pub retention_time_ms: Option<i64>,
    /// v9+: an unknown group is GROUP_ID_NOT_FOUND instead of ILLEGAL_GENERATION.
    pub knows_group_id_not_found: bool,
    /// The transaction that commits them; its coordinator has said that this partition is part of it.
    pub transaction: Option<CommittingTransaction>,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// The transaction of a TxnOffsetCommit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittingTransaction {
    /// The producer.
    pub producer: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// Of a producer that keeps its epoch: where the partition ended when its coordinator was asked, if it was. A marker
    /// behind it may have ended just this transaction, and the append is refused.
    pub asked_at: Option<Offset>,
}

/// How a transaction ended, as its coordinator has it written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// The producer.
    pub producer: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// Which incarnation of the transaction's coordinator says so.
    pub coordinator_epoch: CoordinatorEpoch,
    /// How it ended.
    pub result: TransactionResult,
    /// How its producer spoke of it.
    pub version: TransactionVersion,
}

/// One topic of an OffsetCommit request.
#[derive(Clone, Debug)]
pub struct CommitTopic {
    /// The topic's name.
    pub name: TopicName,
    /// Its id, from the request (v10+) or the broker's metadata; written down with the offset.
    pub topic_id: Option<TopicId>,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// One partition of an OffsetCommit request.
#[derive(Clone, Debug)]
pub struct CommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read, [`LeaderEpoch::NONE`] when not known.
    pub leader_epoch: LeaderEpoch,
    /// The client's own note.
    pub metadata: Option<Arc<str>>,
}

/// One group of an OffsetFetch request, v1-v10.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The group; may be empty.
    pub group_id: GroupId,
    /// The partitions asked for; `None` for all that are committed.
    pub topics: Option<Vec<FetchTopic>>,
    /// v7+: an offset that a transaction has not decided is an error.
    pub require_stable: bool,
}

/// One topic of an OffsetFetch request.
#[derive(Clone, Debug)]
pub struct FetchTopic {
    /// The topic's name.
    pub name: TopicName,
    /// Its id when the client gave one (v10+): an offset committed for another topic of that name is not shown.
    pub topic_id: Option<TopicId>,
    /// Its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetDelete v0.
#[derive(Clone, Debug)]
pub struct DeleteOffsetsRequest {
    /// The group.
    pub group_id: GroupId,
    /// What to forget.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// DescribeGroups v0-v6.
#[derive(Clone, Debug)]
pub struct DescribeRequest {
    /// The groups asked for.
    pub group_ids: Vec<GroupId>,
    /// v6+: an unknown group is GROUP_ID_NOT_FOUND instead of state `Dead` without error.
    pub knows_group_id_not_found: bool,
}

/// ListGroups v0-v5.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// Only groups in these states, v4+, in any case; all when empty.
    pub states: Vec<String>,
    /// Only groups of these types, v5+, in any case; all when empty.
    pub types: Vec<String>,
}
