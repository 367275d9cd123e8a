//! The data folder in the broker's hands: where partitions' logs are opened, put away and accounted for.
//!
//! - S1 After a clean stop nothing is scanned; after a crash each log is recovered from its recovery point (D1).
//! - S2 A folder that the image does not know, by name and topic id, is moved out of the way before anything is opened.
//!   It is removed only where the metadata log says that its topic was deleted: any other stays, under a name that
//!   says so (`-stray`, as in Kafka).
//! - S3 The clean mark is left only when every log was closed.
//!
//! Its calls block.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{
    Checkpoint, DataDir, DataDirError, Log, LogConfig, LogError, MetaProperties, Offsets, OpenFiles,
    OpenOptions, Owner, PartitionFolder, PartitionName, Recovery,
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
    /// Takes the folder; `draw` gives the ids a new one needs, and so many descriptors are left to its files.
    pub fn open(
        fs: &Fs,
        path: &Path,
        node_id: BrokerId,
        descriptors: u32,
        draw: impl FnMut() -> Uuid,
    ) -> Result<Storage, DataDirError> {
        let data = DataDir::open(fs, path, Owner { node_id, cluster_id: None }, draw)?;
        // The other half is for what is open only while it is used.
        let kept_open = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
        Ok(Storage {
            fs: fs.clone(),
            found: Mutex::new(Found {
                recovery_points: read_or_do_without(&data, Checkpoint::RecoveryPoint),
                log_starts: data.read_checkpoint(Checkpoint::LogStart)?,
                cleaner_offsets: read_or_do_without(&data, Checkpoint::CleanerOffset),
            }),
            data,
            files: Arc::new(OpenFiles::new(limits::OPEN_SEGMENTS_MAX.min(kept_open))),
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

    /// The folders of partitions that the image does not know.
    pub fn unknown_folders(&self, image: &Image) -> io::Result<Vec<PartitionFolder>> {
        let is_known = |folder: &PartitionFolder| {
            image.topic_named(folder.name.topic.as_str()).is_some_and(|topic| {
                folder.is_of(topic.id) && topic.partition(folder.name.partition).is_some()
            })
        };
        let mut folders = self.data.partitions()?;
        folders.retain(|folder| folder.name.topic.as_str() != METADATA_TOPIC && !is_known(folder));
        Ok(folders)
    }

    /// Moves such folders out of the way (S2): those of topics that were `deleted` to be removed later.
    pub fn put_away_unknown(
        &self,
        unknown: &[PartitionFolder],
        deleted: &BTreeSet<TopicId>,
        mut draw: impl FnMut() -> Uuid,
    ) -> io::Result<()> {
        for folder in unknown {
            let path = folder.path.display();
            if folder.topic_id.is_some_and(|id| deleted.contains(&id)) {
                self.put_away(&folder.name, draw())?;
                tracing::info!("{path} is of a topic that was deleted, and will be removed");
                continue;
            }
            self.forget(&folder.name);
            let moved = self.data.rename_stray(&folder.name, draw())?;
            let says = folder.topic_id.map_or_else(|| "none".to_owned(), |id| id.to_string());
            tracing::error!(
                "{path} is of no partition of this cluster (its topic id: {says}): moved to {}, where nothing touches it; \
                 `ottla log dump` shows what is in its files; remove it once nobody needs that",
                moved.display()
            );
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
        self.forget(name);
        self.data.rename_for_deletion(name, unique).map(drop)
    }

    fn forget(&self, name: &PartitionName) {
        let mut found = self.found();
        found.recovery_points.remove(name);
        found.log_starts.remove(name);
        found.cleaner_offsets.remove(name);
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

/// A checkpoint that only saves work: without it more of the logs is read, or compacted again.
fn read_or_do_without(data: &DataDir, which: Checkpoint) -> Offsets {
    data.read_checkpoint(which).unwrap_or_else(|error| {
        tracing::warn!("{error}; this start does without it, and takes longer");
        Offsets::new()
    })
}
