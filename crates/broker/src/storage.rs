//! The data folder in the broker's hands: where partitions' logs are opened, put away and accounted for.
//!
//! - S1 After a clean stop nothing is scanned; after a crash each log is recovered from its recovery point (D1).
//! - S2 A folder that the image does not know, by name and topic id, belongs to a topic that was deleted: it is
//!   moved out of the way before anything is opened.
//! - S3 The clean mark is left only when every log was closed.
//!
//! Its calls block.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{
    Checkpoint, DataDir, DataDirError, Log, LogConfig, LogError, MetaProperties, Offsets, OpenFiles,
    OpenOptions, Owner, PartitionName, Recovery,
};
use meta::Image;
use model::{BrokerId, Offset, TopicId, TopicPartition, Uuid, limits};
use rt::Fs;

/// The folder of the metadata log, which is no topic's.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// The data folder, held by this process.
pub struct Storage {
    fs: Fs,
    data: DataDir,
    files: Arc<OpenFiles>,
    /// The checkpoints as they were at the start, without the partitions deleted since: they know names only, and a
    /// new log must not be measured by the offsets of an old one of its name. Of a log that could not be opened they
    /// are all that is known, so they are written again.
    found: Mutex<Found>,
}

struct Found {
    recovery_points: Offsets,
    log_starts: Offsets,
    cleaner_offsets: Offsets,
}

/// Offsets of every open partition, for the checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// All below was synced.
    pub recovery_points: Offsets,
    /// First offsets.
    pub log_starts: Offsets,
    /// High watermarks.
    pub high_watermarks: Offsets,
}

impl Storage {
    /// Takes the folder; `draw` gives the ids a new one needs.
    pub fn open(
        fs: &Fs,
        path: &Path,
        node_id: BrokerId,
        draw: impl FnMut() -> Uuid,
    ) -> Result<Storage, DataDirError> {
        let data = DataDir::open(fs, path, Owner { node_id, cluster_id: None }, draw)?;
        Ok(Storage {
            fs: fs.clone(),
            found: Mutex::new(Found {
                recovery_points: data.read_checkpoint(Checkpoint::RecoveryPoint)?,
                log_starts: data.read_checkpoint(Checkpoint::LogStart)?,
                cleaner_offsets: data.read_checkpoint(Checkpoint::CleanerOffset)?,
            }),
            data,
            files: Arc::new(OpenFiles::new(limits::OPEN_SEGMENTS_MAX)),
        })
    }

    /// Whose folder it is.
    pub fn meta(&self) -> &MetaProperties {
        self.data.meta()
    }

    /// The folder.
    pub fn data_dir(&self) -> &DataDir {
        &self.data
    }

    /// The descriptors all logs share.
    pub fn open_files(&self) -> Arc<OpenFiles> {
        Arc::clone(&self.files)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves folders that the image does not know out of the way (S2); they are removed later.
    pub fn put_away_unknown(&self, image: &Image, mut draw: impl FnMut() -> Uuid) -> io::Result<()> {
        for folder in self.data.partitions()? {
            let known = image.topic_named(folder.name.topic.as_str());
            let belongs = known.is_some_and(|topic| {
                // A folder whose id was not written whole is this topic's, created just before a crash.
                folder.topic_id.is_none_or(|id| id == topic.id)
                    && topic.partition(folder.name.partition).is_some()
            });
            if !belongs && folder.name.topic.as_str() != METADATA_TOPIC {
                self.put_away(&folder.name, draw())?;
                tracing::warn!("{} belongs to no topic: moved out of the way", folder.path.display());
            }
        }
        Ok(())
    }

    /// Opens a partition's log, recovering it if the last process did not stop cleanly.
    pub fn open_log(
        &self,
        name: &PartitionName,
        id: TopicPartition,
        config: LogConfig,
    ) -> Result<Log, LogError> {
        let (recovery_point, log_start) = {
            let found = self.found();
            let of = |offsets: &Offsets| offsets.get(name).copied().unwrap_or(Offset::ZERO);
            (of(&found.recovery_points), of(&found.log_starts))
        };
        let recovery = if self.data.was_clean() { Recovery::Clean } else { Recovery::From(recovery_point) };
        let options = OpenOptions {
            dir: self.data.partition_path(name),
            config,
            recovery,
            start_offset: log_start,
            files: self.open_files(),
            topic_id: Some(TopicId(id.topic_id.0)),
        };
        let (log, report) = Log::open(&self.fs, options)?;
        if report.cut_bytes != 0 {
            tracing::info!(
                "{}-{}: {} bytes that were never acknowledged were torn by the last stop and cut",
                name.topic,
                name.partition,
                report.cut_bytes
            );
        }
        Ok(log)
    }

    /// Moves a deleted partition's folder out of the way of a new one of the same name.
    pub fn put_away(&self, name: &PartitionName, unique: Uuid) -> io::Result<()> {
        {
            let mut found = self.found();
            found.recovery_points.remove(name);
            found.log_starts.remove(name);
            found.cleaner_offsets.remove(name);
        }
        self.data.rename_for_deletion(name, unique).map(drop)
    }

    /// Removes what was moved out of the way.
    pub fn remove_put_away(&self) -> io::Result<usize> {
        self.data.remove_deleted()
    }

    /// Writes down how far everything is; a log that could not be opened is as far as it was.
    pub fn write_checkpoints(&self, positions: &Positions) -> io::Result<()> {
        let mut recovery_points = self.found().recovery_points.clone();
        recovery_points.extend(positions.recovery_points.clone());
        self.data.write_checkpoint(Checkpoint::RecoveryPoint, &recovery_points)?;
        self.write_log_starts(&positions.log_starts)?;
        self.data.write_checkpoint(Checkpoint::HighWatermark, &positions.high_watermarks)
    }

    /// Writes down where logs start.
    pub fn write_log_starts(&self, log_starts: &Offsets) -> io::Result<()> {
        let mut all = self.found().log_starts.clone();
        all.extend(log_starts.clone());
        self.data.write_checkpoint(Checkpoint::LogStart, &all)
    }

    /// How far a partition was compacted by earlier processes.
    pub fn cleaned_to(&self, name: &PartitionName) -> Option<Offset> {
        self.found().cleaner_offsets.get(name).copied()
    }

    /// Writes down how far logs are compacted.
    pub fn write_cleaner_offsets(&self, cleaner_offsets: &Offsets) -> io::Result<()> {
        let mut all = self.found().cleaner_offsets.clone();
        all.extend(cleaner_offsets.clone());
        self.data.write_checkpoint(Checkpoint::CleanerOffset, &all)
    }

    /// Leaves the mark that lets the next start trust every log (S3).
    pub fn close_clean(&self) -> io::Result<()> {
        self.data.close_clean()
    }
}
