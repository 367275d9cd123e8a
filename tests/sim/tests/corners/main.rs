//! Corner cases of Kafka's behaviour that brokers written from the protocol's tables alone get wrong.
//!
//! Each test is named after its case in `README.md`, `c41_…` for case 41, and asserts what Apache Kafka 4.3 answers: the same
//! scripts run against this broker, in the simulator, and against any other (`OTTLA_CORNERS_BOOTSTRAP`; `cargo xtask test
//! --reference corners` starts Apache Kafka for it). Modules called `simulated` hold what no real broker lets a test do: cut its
//! power, look into its disk, give it other settings.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod accounted;
mod committed_offsets;
mod compaction;
mod connection;
mod features;
mod metadata_and_topics;
mod peer;
mod produce;
mod topic;
mod transactional;
mod transactions;
mod wire_and_connection;

mod fetch;
mod fetch_sessions;
mod isolation;
mod member;
mod membership;
mod offsets;
mod on_disk;
