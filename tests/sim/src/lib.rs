//! The whole broker and its clients in the simulator: loads to put on them, faults to put under them, and a checker
//! that says what must never have happened.
//!
//! Reading order: [`history`] is what clients did and heard, [`checker`] holds it to what is there at the end,
//! [`server`] is a broker whose power may go at any time, [`load`] are its clients, [`scenario`] puts them together.

pub mod checker;
pub mod draw;
pub mod history;
pub mod hostile;
pub mod load;
pub mod raw;
pub mod samples;
pub mod scenario;
pub mod seeds;
pub mod server;
