//! Sinks as they are run: from a definition to a worker that writes into the database it names.
//!
//! - Y1 Nothing is printed here: whoever runs a sink hears its notes and decides what is said of them.
//!
//! Reading order: [`Database`] is every database there is, [`run`] a worker from its start to its end. [`Board`] is what the
//! workers of a cluster say of themselves, and [`partitions`] how far they came.

mod account;
mod board;
mod database;
mod reporter;
mod run;
mod status;
mod teller;
mod topic;

pub use board::{Board, Entry, Identity, Report, Stage, Standing, Trouble};
pub use database::{Database, open};
pub use run::{RunError, connect, retry, run, schema, stated};
pub use sink::{Retried, mend};
pub use status::{PartitionStatus, State, board, partitions, set_paused, tell_ages};
pub use teller::{Line, Teller};
