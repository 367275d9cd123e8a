//! What one log asks of the disk, and what it hears back.
//!
//! - Y1 A job holds every file and name that must be durable before its offset counts as durable.
//! - Y2 A descriptor with unsynced bytes is held by the log, then by its job: it is never closed in between.
//! - Y3 A log has one job under way at a time; a failed one fences the log and is never run again (D1).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::Offset;
use rt::{File, Fs};

/// Files and names to make durable.
#[derive(Debug)]
pub struct SyncJob {
    /// Files whose bytes and lengths are to be durable.
    pub files: Vec<File>,
    /// Directories whose names are to be durable.
    pub dirs: Vec<PathBuf>,
    /// What to hand back to the log.
    pub ticket: SyncTicket,
}

/// Names the job under way to its log.
#[derive(Debug)]
pub struct SyncTicket {
    pub(crate) durable_to: Offset,
}

impl SyncTicket {
    /// The offset below which all is durable once the job is done.
    pub fn durable_to(&self) -> Offset {
        self.durable_to
    }
}

/// How a job ended; for [`crate::Log::synced`].
#[derive(Debug)]
pub struct Synced {
    /// The job.
    pub ticket: SyncTicket,
    /// Whether everything in it is durable; nothing can be said when not.
    pub result: Result<(), Arc<io::Error>>,
}

impl SyncJob {
    /// Does the job here and now, file by file. Blocks.
    pub fn run(self, fs: &Fs) -> Synced {
        let files = || self.files.iter().try_for_each(File::sync_data);
        let dirs = || self.dirs.iter().try_for_each(|dir| fs.sync_dir(dir));
        let result = files().and_then(|()| dirs());
        Synced { ticket: self.ticket, result: result.map_err(Arc::new) }
    }
}

/// What a log has changed and not yet given to a job.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// The newest segment's batches.
    pub(crate) log: Option<File>,
    /// Closed segments, indexes, snapshots, epochs.
    pub(crate) others: Vec<File>,
    /// Whether names in the folder changed.
    pub(crate) names: bool,
    /// Whether the folder itself is new.
    pub(crate) folder_name: bool,
    /// Bytes of batches.
    pub(crate) bytes: u64,
}

impl Dirty {
    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_none() && self.others.is_empty() && !self.names && !self.folder_name
    }
}
