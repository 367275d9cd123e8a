//! A spike: openraft behind this door, on the same log, vote and entries, before the cluster needs it.
//!
//! - P1 A folder written by the quorum of one is a Raft log: the storage reads and writes `vote` and `entry` as they
//!   are.
//! - P2 Everything openraft does goes through `rt`: three nodes run in the simulator from a seed.
//!
//! In tests only. What it taught stands in ARCHITECTURE.md; what graduates moves out of here.

mod machine;
mod message;
mod network;
mod node;
mod one_node;
mod runtime;
mod storage;
mod three_nodes;

use std::fmt;

use meta::{Index, MetadataRecord};
use openraft::impls::{EmptyNode, leader_id_adv};

use runtime::RtRuntime;

/// What is proposed: the records of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Records(Vec<MetadataRecord>);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.0.len())
    }
}

/// What applying an entry says: the index after it, or why the image refused it.
type Applied = Result<Index, String>;

openraft::declare_raft_types!(
    TypeConfig:
        D = Records,
        R = Applied,
        NodeId = u64,
        Node = EmptyNode,
        Term = u64,
        LeaderId = leader_id_adv::LeaderId<u64, u64>,
        AsyncRuntime = RtRuntime,
);

type LogId = openraft::alias::LogIdOf<TypeConfig>;
type RaftVote = openraft::alias::VoteOf<TypeConfig>;
type RaftEntry = openraft::alias::EntryOf<TypeConfig>;
type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, Vec<u8>>;
