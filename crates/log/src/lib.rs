//! One partition's log on disk, byte for byte as Kafka lays it out, and what makes many of them durable together.
//!
//! Reading order: [`log`] writes and says what to sync, [`group_commit`] syncs for all partitions of a folder,
//! [`reader`] reads at the same time, [`recovery`] and [`replay`] open what a crash left, [`segment`] is one file of batches
//! with its indexes, [`producers`] and [`leader_epochs`] are what follows from the batches, [`data_dir`] is the
//! folder of folders, [`cleaner`] compacts. [`inspect`] is beside all that: it shows files to people.
//!
//! Knows nothing of leaders, topics' settings beyond [`LogConfig`], or the wire.

mod aborted_index;
mod aborted_recovery;
mod batch_scan;
pub mod check;
mod checked_ranges;
mod checkpoint;
mod cleaner;
mod closing;
mod config;
mod data_dir;
mod durability;
mod folder;
mod gather;
mod group_commit;
mod index_file;
mod index_recovery;
pub mod inspect;
mod leader_epochs;
mod locks;
mod log;
mod log_error;
mod meta_properties;
mod names;
mod offset_index;
mod open_files;
mod partition_folder;
mod producer_snapshot;
mod producers;
mod reader;
mod recovery;
mod replay;
mod retention;
mod roll;
mod scrub;
mod sealed;
mod segment;
mod space_ahead;
mod sync;
mod sync_method;
mod time_index;
mod transactions;
mod truncation;
mod verify;

pub use cleaner::{CleanError, CleanOptions, Cleaned, Cleaning, Dirtiness, Lags, LastBatch, Step};
pub use closing::close_all;
pub use config::LogConfig;
pub use data_dir::{Checkpoint, DataDir, DataDirError, Offsets, OwnFile, Owner};
pub use group_commit::GroupCommit;
pub use leader_epochs::LeaderEpochs;
pub use log::{Appended, Log, OpenOptions};
pub use log_error::{Corruption, Damage, LogError, ReadError, Unreadable};
pub use meta_properties::MetaProperties;
pub use open_files::OpenFiles;
pub use partition_folder::{PartitionFolder, PartitionName};
pub use producers::{ActiveProducer, Marker, MarkerError, Producers, Sequence, SequenceError, Verified};
pub use reader::{Cold, FirstBatch, LogReader, Read, ReadLimits};
pub use recovery::{Recovery, RecoveryReport};
pub use retention::{PutAway, Retention};
pub use scrub::{ScrubPlace, Scrubbed};
pub use sealed::Sealed;
pub use sync::{SyncJob, SyncTicket, Synced};
pub use transactions::AbortedTransaction;
pub use truncation::RecoveryPointLowered;

#[cfg(test)]
mod bit_flip_tests;
#[cfg(test)]
mod concurrency_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod full_disk_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
