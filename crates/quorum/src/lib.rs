//! One door to the metadata log: propose, watch, and start again from what is on disk.
//!
//! ```text
//!  __cluster_metadata-0/
//!    quorum-vote                                       the newest term and who leads it (`vote`)
//!    00000000000000000000.log, .index, .timeindex      entries, one record batch each (`entry`)
//!    00000000000000012000-0000000003.checkpoint        an image: next index, term (`snapshot`)
//! ```
//!
//! - Q1 An entry is answered, published and applied to the readers' image only once it is synced.
//! - Q2 Entries are decided one after the other, each on the image that all before it leave, synced or not; they
//!   are synced in rounds, so that what arrives during one sync shares the next.
//! - Q3 A leader's first act is a synced vote for a term it never led, its second an entry of that term.
//! - Q4 After a failed write or sync nothing is answered with success any more, and the process is told.
//! - Q5 The two newest snapshots stay, and every entry since the older one: one damaged snapshot costs time only.
//!
//! Today the quorum is this node. Terms, votes, kinds of entries and snapshots are those of Raft, so that a group of
//! several can stand behind the same door and start from the same folder.

mod entry;
mod error;
mod leader;
mod open;
mod quorum;
mod round;
mod snapshot;
mod vote;

pub use entry::{Entry, EntryError, Payload};
pub use error::{OpenError, QuorumError, UpdateError};
pub use open::QuorumOptions;
pub use quorum::{Committed, Opened, Quorum, Updated};
pub use snapshot::Snapshot;
pub use vote::{Term, VOTE_FILE, Vote};

/// The folder of the metadata log inside the data folder, named as Kafka names it.
pub const METADATA_DIR: &str = "__cluster_metadata-0";

#[cfg(test)]
mod raft_spike;
#[cfg(test)]
mod tests;
