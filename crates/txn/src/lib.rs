//! The coordinator of transactions: who may produce under a transactional id, what its transaction touches and how it
//! ended, as Kafka 4.3 has it.
//!
//! A pure state machine (D7): [`Coordinator::step`] takes an event and the time and says what to append, whom to answer
//! and which markers to write; it knows no clock, lock, file, socket or version of the protocol. The log it writes is
//! `__transaction_state`, byte for byte as Kafka writes it (D6); only `apply` of a record changes what is persistent.
//!
//! In reading order: [`event`] and [`action`] are the door, [`coordinator`] finds the transaction, `init`, `partitions`,
//! `end`, `expire` and `describe` are its rules, [`stored`], [`record`] and `transaction` what they work on.

pub mod action;
pub mod config;
pub mod coordinator;
mod describe;
mod end;
pub mod event;
mod expire;
mod init;
mod partitions;
pub mod record;
pub mod stored;
#[cfg(test)]
mod tests;
mod transaction;
mod turn;

pub use action::{
    Action, DescribedTransaction, EndReply, InitReply, ListedTransaction, Markers, Reply, TopicErrors,
    TransactionRecord,
};
pub use config::{TxnConfig, VersionLevel};
pub use coordinator::Coordinator;
pub use event::{AddPartitionsRequest, EndRequest, Event, InitRequest, ListRequest, MarkersTicket};
pub use record::Record;
pub use stored::{Partitions, State, Stored, TransactionalId};
