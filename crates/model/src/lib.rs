//! The words every other crate speaks: ids, offsets, epochs, error codes and limits, and
//! times as people write them.
//!
//! Knows nothing of bytes, files, sockets or clocks; depends on nothing.

pub mod coordinator;
pub mod error_code;
pub mod id;
pub mod limits;
pub mod offset;
pub mod time;
pub mod topic;
pub mod transaction;
pub mod uuid;

pub use coordinator::{Barrier, NowMs, Ticket, coordinator_partition};
pub use error_code::ErrorCode;
pub use id::{BrokerId, ClusterId, ProducerEpoch, ProducerId};
pub use offset::{LeaderEpoch, Offset, TimestampMs};
pub use topic::{PartitionIndex, TopicId, TopicName, TopicNameError, TopicPartition};
pub use transaction::{CoordinatorEpoch, TransactionResult, TransactionVersion};
pub use uuid::Uuid;
