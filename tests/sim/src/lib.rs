//! The whole broker and its clients in the simulator: loads to put on them and faults to put under them.
//!
//! Reading order: [`server`] is a broker whose power may go at any time, [`load`] are its clients, which write down what
//! they do for the `history` crate to check, [`scenario`] puts them together.

pub mod copies;
pub mod draw;
pub mod found;
pub mod hostile;
pub mod load;
pub mod process;
pub mod raw;
pub mod samples;
pub mod scenario;
pub mod seeds;
pub mod server;
pub mod topics;
pub mod transactions;
