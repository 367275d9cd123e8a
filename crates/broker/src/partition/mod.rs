//! A partition that this broker leads: its handle for everybody, and the lane that alone writes it (D4).
//!
//! - P1 Only the lane that owns a partition touches its log's writer half and its replica state.
//! - P2 A high watermark is published, and an append answered, only by an action of `replica`.
//! - P3 Readers never wait for the lane: they read through the handle, below the high watermark.

mod grant;
mod handle;
mod inbox;
mod lane;
mod leading;
mod opener;
mod table;

pub use handle::{AppendError, AppendReply, Appended, FetchGuard, Partition};
pub use opener::{Opener, Opening, log_config};
pub use table::PartitionTable;
