//! What a replica of one partition knows and decides: when records become visible and when producers hear.
//!
//! A pure state machine: `step(event) -> actions`, no clock, file, socket or `async`. The broker feeds it what
//! happened to the log and carries out what it says; nothing is acknowledged and no high watermark moves
//! except by its actions. One node is the case ISR = {self}.
//!
//! Knows nothing of batches, files or the wire.

mod leader;

pub use leader::{Acks, Action, Contract, Event, Leader, NotEnoughReplicas, Ticket, Waiter};

#[cfg(test)]
mod tests;
