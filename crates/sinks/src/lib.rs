//! Sinks as they are run: from a definition to a worker that writes into the database it names.
//!
//! - Y1 Nothing is printed or logged here: whoever runs a sink hears its notes and decides.
//!
//! Reading order: [`Database`] is every database there is, [`run`] a worker from its start to its end.

mod database;
mod run;

pub use database::{Database, open};
pub use run::{RunError, connect, run, schema, stated};
