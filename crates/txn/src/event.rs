//! What a coordinator is told: requests with the broker's ticket, markers written, time.
//!
//! Differences between protocol versions are fields here, so the coordinator knows no version numbers.

use model::{
    PartitionIndex, ProducerEpoch, ProducerId, Ticket, TopicName, TransactionResult, TransactionVersion,
};

use crate::stored::TransactionalId;

/// One input of [`crate::Coordinator::step`].
#[derive(Clone, Debug)]
pub enum Event {
    /// Everything in the log has been replayed. The first event of every coordinator.
    Loaded,
    /// InitProducerId with a transactional id.
    Init(Ticket, InitRequest),
    /// AddPartitionsToTxn, one transaction of it; AddOffsetsToTxn; and what producing adds by itself.
    AddPartitions(Ticket, AddPartitionsRequest),
    /// EndTxn.
    End(Ticket, EndRequest),
    /// Every partition has the markers of [`crate::Action::WriteMarkers`], on its disk.
    MarkersWritten(TransactionalId, MarkersTicket),
    /// DescribeTransactions, those of its ids this coordinator owns.
    Describe(Ticket, Vec<TransactionalId>),
    /// ListTransactions.
    List(Ticket, ListRequest),
    /// A deadline has passed ([`crate::Coordinator::next_deadline`]).
    Tick,
}

/// The coordinator's mark on markers that are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkersTicket(pub u64);

/// InitProducerId v0-v5.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// The producer's own name.
    pub transactional_id: TransactionalId,
    /// How long its transactions may stay open.
    pub timeout_ms: i32,
    /// What the producer has, when it wants to go on after an error (v3+).
    pub expected: Option<(ProducerId, ProducerEpoch)>,
    /// An id never given before, for when one is needed; see [`crate::Reply::NeedsProducerId`].
    pub fresh: Option<ProducerId>,
}

/// AddPartitionsToTxn v0-v5.
#[derive(Clone, Debug)]
pub struct AddPartitionsRequest {
    /// The producer's own name.
    pub transactional_id: TransactionalId,
    /// Its id.
    pub producer_id: ProducerId,
    /// Its incarnation.
    pub producer_epoch: ProducerEpoch,
    /// What it writes to; all of it exists.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
    /// How the producer speaks of its transactions.
    pub version: TransactionVersion,
    /// Only say whether they are in the transaction.
    pub verify_only: bool,
}

/// EndTxn v0-v5.
#[derive(Clone, Debug)]
pub struct EndRequest {
    /// The producer's own name.
    pub transactional_id: TransactionalId,
    /// Its id.
    pub producer_id: ProducerId,
    /// Its incarnation.
    pub producer_epoch: ProducerEpoch,
    /// How the transaction is to end.
    pub result: TransactionResult,
    /// How the producer speaks of its transactions: v5+ bumps the epoch.
    pub version: TransactionVersion,
    /// An id never given before, for when one is needed; see [`crate::Reply::NeedsProducerId`].
    pub fresh: Option<ProducerId>,
}

/// ListTransactions v0-v2; what the pattern of v2 leaves out, the broker leaves out.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// Only transactions in these states; all when empty.
    pub states: Vec<String>,
    /// Only those of these producers; all when empty.
    pub producer_ids: Vec<ProducerId>,
    /// Only those that began longer than so many ms ago (v1+).
    pub longer_than_ms: Option<i64>,
}
