//! Compaction: of each key the newest record stays, and offsets stay what they are.
//!
//! - C1 Only sealed segments below a bound that the caller gives (what is decided and old enough) are looked at.
//! - C2 A batch keeps its offsets, whichever of its records are left; the last batch of a group of segments and the last
//!   one of each producer stay even when nothing is left of them, so that no offset or sequence number is forgotten.
//! - C3 Memory: the map of keys and the buffers have a size; a log with more keys takes several passes.
//! - C4 The old segments are in force, or the new one, whenever the power goes.
//!
//! Reading order: [`dirtiness`] says whether a log is worth it, [`job`] is one pass over it in steps, [`key_map`] knows
//! the newest offset of each key, [`retention`] decides batch by batch with the help of [`transactions`], [`output`]
//! writes what is left, [`swap`] puts it in the old segments' place. Rules: Kafka's `Cleaner` and `LogCleanerManager`.

mod batch_reader;
mod dirtiness;
mod grouping;
mod job;
mod key_map;
mod output;
mod retention;
mod swap;
mod transactions;

pub use dirtiness::{Dirtiness, Lags};
pub use job::{CleanError, CleanOptions, Cleaning, LastBatch, Step};
pub use swap::Cleaned;
pub(crate) use swap::finish_swaps;

#[cfg(test)]
mod case_tests;
#[cfg(test)]
mod tests;
