//! The only door to clock, randomness, files, sockets, tasks, timers, channels and blocking work.
//!
//! - T1 Code that takes everything from an [`Rt`] runs unchanged on the operating system and in the simulator.
//! - T2 Under the simulator nothing here reads the machine's clock or randomness: one seed, one run.
//! - T3 Handles are cheap to clone and hold no buffers: an idle connection costs its task and its descriptor.
//!
//! Knows nothing of Kafka.

pub mod channel;
mod file;
mod fs;
mod instant;
pub mod os;
mod runtime;
pub mod sim;
mod socket;
mod task;

pub use file::{File, FileSlice, SliceOwner};
pub use fs::{Entry, FileLock, Fs, Open};
pub use instant::Instant;
pub use runtime::{Elapsed, Rt};
pub use socket::{Listener, Stream, Transport};
pub use task::Task;

/// What [`select!`] expands to; not for direct use.
#[doc(hidden)]
pub use tokio::select as __select_in_given_order;

/// Waits for the first of several futures, looking at them in the order they are written.
///
/// Always biased: an unbiased choice draws from randomness that the simulator does not own (T2).
#[macro_export]
macro_rules! select {
    ($($branches:tt)*) => {
        $crate::__select_in_given_order! { biased; $($branches)* }
    };
}
