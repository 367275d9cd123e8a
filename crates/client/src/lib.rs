//! A small asynchronous Kafka client: for the command line, for sinks, and for tests of every kind.
//!
//! - Everything comes from an [`rt::Rt`], so a client runs unchanged in the simulator.
//! - Every queue has a limit; whoever is too fast waits.
//!
//! Reading order: [`Client`] finds the cluster, `connection` and `pool` talk to it, [`producer`], [`consumer`] and
//! [`Admin`] are what it is for. Knows the protocol only, never a broker's insides.

mod admin;
mod backoff;
mod client;
mod connection;
pub mod consumer;
mod direct;
mod error;
mod metadata;
mod offsets;
pub mod partitioner;
mod pool;
pub mod producer;
mod question;
mod topic_names;

pub use admin::{
    ActiveProducer, Admin, Config, ConfigSource, DescribedCluster, DescribedGroup, DescribedTransaction,
    Feature, GroupMember, ListedGroup, ListedTransaction, LogDir, NewTopic, Offered, TransactionFilter,
};
pub use backoff::delay as retry_delay;
pub use client::{Client, ClientConfig, parse_address};
pub use consumer::{Consumer, ConsumerConfig, Event, GroupConfig, Isolation, Positions, Record, Reset};
pub use direct::{Direct, FetchBounds, Fetched, Prepared, Produced};
pub use error::Error;
pub use metadata::{Node, Partition, Snapshot, Topic, TopicPartition};
pub use offsets::{OffsetQuery, Offsets, Start};
pub use producer::{Acks, Delivery, NewRecord, Producer, ProducerConfig, Written};
