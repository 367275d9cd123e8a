//! The disk below the data folder: how full it is, and what the broker does about it.
//!
//! - D1 Producers are refused before the disk is full: what is left (`ottla.disk.reserve.bytes`) is for commits, changes
//!   of the metadata and whatever frees space.
//! - D2 A disk that others filled to the last byte can still be freed through the broker: a file holds some space back,
//!   and gives it to changes that find none.
//! - D3 Records go for room only where `ottla.disk.full.policy` says so.
//!
//! Knows nothing of requests.

mod held;
mod oldest;
mod room;
mod space;

pub use room::DiskRoom;
#[cfg(test)]
pub use room::Measured;
pub use space::{DiskSpace, run};
