//! The broker: requests in, responses out; it owns partitions, coordinators and long polls.
//!
//! - B1 Errors become error codes here and nowhere else (`error`).
//! - B2 What is advertised is what is registered (`registry`).
//!
//! In reading order: `broker` starts and stops everything, `service` takes in frames, `registry` routes them to
//! `handlers/`, which look at the `node`; `partition` writes and reads logs, `coordinator` runs groups and transactions;
//! in `transactions` partitions and the coordinator of transactions meet, and `markers` says to partitions how they ended.
//!
//! Knows nothing of command lines and configuration files.

mod admin;
mod alterations;
mod broker;
mod call;
mod checkpointer;
mod cleaner;
#[cfg(test)]
mod compat;
mod coordinator;
mod damage;
mod disk;
mod endpoint;
mod error;
mod fetch_sessions;
mod flusher;
mod host_limits;
mod listeners;
mod markers;
mod node;
mod operations;
mod partition;
mod producer_ids;
mod recompress;
mod reconciler;
mod registry;
mod retention;
mod scrubber;
mod service;
mod storage;
mod topic_state;
mod transactions;
mod verification;

pub use broker::{Broker, Options, StartError};
