//! What the cluster knows about itself: metadata records, and the image that applying them in order builds.
//!
//! - M1 The image changes only by `apply_entry`; an entry that does not fit leaves it as it was.
//! - M2 The same entries in the same order give the same image and the same running hash (I9).
//! - M3 `Image::to_records` replays to an equal image.
//! - M4 Decoding arbitrary bytes allocates no more than those bytes justify, and never panics.
//!
//! Knows nothing of how records get committed, nor of clocks, files, sockets or `async`.

mod apply;
mod codec;
mod image;
mod persistent;
mod record;

pub use apply::{ApplyError, Change};
pub use codec::DecodeError;
pub use image::{Image, Index, RunningHash, Topic};
pub use persistent::PersistentMap;
pub use record::{
    Broker, BrokerEpoch, ConfigResource, ConfigResourceKind, Endpoint, MetadataRecord, Partition,
    PartitionEpoch, Replica, ReplicationFactor, decode_records, encode_records,
};

#[cfg(test)]
mod tests;
