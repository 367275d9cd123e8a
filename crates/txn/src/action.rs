//! What a coordinator wants done: records appended, requests answered, markers written.

use model::{
    Barrier, ErrorCode, PartitionIndex, ProducerEpoch, ProducerId, Ticket, TopicName, TransactionResult,
    TransactionVersion,
};

use crate::event::MarkersTicket;
use crate::stored::{Partitions, State, TransactionalId};

/// One output of [`crate::Coordinator::step`], to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Append these as one batch. If that fails, the coordinator is to be dropped and loaded anew.
    Append(Vec<TransactionRecord>),
    /// Answer a request.
    Reply {
        /// The request.
        ticket: Ticket,
        /// The answer.
        reply: Reply,
        /// When it may be sent.
        after: Barrier,
    },
    /// Once everything appended so far is below the high watermark: write these into every partition that still
    /// exists, again and again until it is done, and say so with [`crate::Event::MarkersWritten`].
    WriteMarkers(Markers),
}

/// One record of `__transaction_state`, as it is written; a tombstone has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The record's key.
    pub key: Vec<u8>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
}

/// The end of a transaction, for each of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// What [`crate::Event::MarkersWritten`] carries back.
    pub ticket: MarkersTicket,
    /// The transaction.
    pub transactional_id: TransactionalId,
    /// Its producer.
    pub producer_id: ProducerId,
    /// The epoch to write: after a bump, the new one.
    pub producer_epoch: ProducerEpoch,
    /// How it ended.
    pub result: TransactionResult,
    /// How its producer spoke of it.
    pub version: TransactionVersion,
    /// What it wrote to.
    pub partitions: Partitions,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`crate::Event::Init`].
    Init(InitReply),
    /// To [`crate::Event::AddPartitions`]: the topics and partitions of the request, in its order.
    AddPartitions(Vec<TopicErrors>),
    /// To [`crate::Event::End`].
    End(EndReply),
    /// To [`crate::Event::Init`] and [`crate::Event::End`]: nothing was done, ask again with an id never given before.
    NeedsProducerId,
    /// To [`crate::Event::Describe`], in the order of the request.
    Describe(Vec<(TransactionalId, Option<DescribedTransaction>)>),
    /// To [`crate::Event::List`].
    List(Vec<ListedTransaction>),
}

/// How it went for each partition of a topic.
pub type TopicErrors = (TopicName, Vec<(PartitionIndex, ErrorCode)>);

/// InitProducerId's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitReply {
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// The producer's id, -1 on error.
    pub producer_id: ProducerId,
    /// Its incarnation, -1 on error.
    pub producer_epoch: ProducerEpoch,
}

/// EndTxn's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndReply {
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// With what the producer goes on (v5+), -1 on error.
    pub producer_id: ProducerId,
    /// In which incarnation (v5+), -1 on error.
    pub producer_epoch: ProducerEpoch,
}

/// One transaction of DescribeTransactions' answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTransaction {
    /// Its producer.
    pub producer_id: ProducerId,
    /// In which incarnation.
    pub producer_epoch: ProducerEpoch,
    /// Where it stands.
    pub state: State,
    /// How long it may stay open.
    pub timeout_ms: i32,
    /// When it began, Unix ms.
    pub started_at_ms: Option<i64>,
    /// What it has written to.
    pub partitions: Partitions,
}

/// One transaction of ListTransactions' answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The producer's own name.
    pub transactional_id: TransactionalId,
    /// Its id.
    pub producer_id: ProducerId,
    /// Where it stands.
    pub state: State,
}
