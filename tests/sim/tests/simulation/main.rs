//! What the whole broker must do whatever happens to it, in the simulator.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod compaction;
mod configs;
mod connections;
mod damage;
mod flush;
mod frozen;
mod full_disk;
mod generated_load;
mod groups;
mod hostile;
mod listeners;
mod paused_readers;
mod pipelining;
mod power_cuts;
mod reading_ahead;
mod retention;
mod support;
mod topic_ids;
mod traces;
mod transactions;
mod validation;
