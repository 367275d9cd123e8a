//! The coordinator of classic consumer groups: membership, generations, committed offsets, as Kafka 4.3 has them.
//!
//! A pure state machine (D7): [`Coordinator::step`] takes an event and the time and says what to append and whom to
//! answer; it knows no clock, lock, file, socket, version of the protocol or other partition. The log it writes is
//! `__consumer_offsets`, byte for byte as Kafka writes it (D6), and all that outlives it. Only `apply` of a record
//! changes what is persistent; the rebalance in progress is volatile, as in Kafka.
//!
//! In reading order: [`event`] and [`action`] are the door, [`coordinator`] finds the group, `group` is one group,
//! `join`, `rebalance`, `sync`, `leave`, `offsets`, `expire` and `describe` are its rules, `members`, `stored`,
//! `transactions`, `record` and `timers` what they work on.

pub mod action;
pub mod config;
pub mod coordinator;
mod describe;
pub mod event;
mod expire;
mod group;
pub mod id;
mod join;
mod leave;
mod members;
mod offsets;
mod rebalance;
pub mod record;
mod stored;
mod subscription;
mod sync;
#[cfg(test)]
mod tests;
mod timers;
mod transactions;
mod turn;

pub use action::{
    Action, CommittedTopic, DeleteOffsetsReply, DescribedGroup, DescribedMember, FetchReply,
    FetchedPartition, FetchedTopic, GroupRecord, GroupState, JoinReply, JoinedMember, LeaveReply, LeftMember,
    ListedGroup, Reply, SyncReply,
};
pub use config::GroupConfig;
pub use coordinator::Coordinator;
pub use event::{
    CommitPartition, CommitRequest, CommitTopic, CommittingTransaction, DeleteOffsetsRequest,
    DescribeRequest, EndTransaction, Event, FetchRequest, FetchTopic, HeartbeatRequest, JoinRequest,
    LeaveRequest, LeavingMember, ListRequest, Protocol, SyncRequest,
};
pub use id::{GroupId, InstanceId, MemberId};
pub use record::Record;
pub use stored::{CommittedOffset, Generation, StoredMember};
