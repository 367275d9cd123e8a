//! The data folder: whose it is, how it was left, what is in it.
//!
//! - F1 One process at a time holds the folder, by a lock on `.lock`.
//! - F2 The clean mark is gone, durably, before any log is opened, and written, durably, when all logs are closed.
//! - F3 Checkpoints are replaced whole: after a crash the old one is there or the new one.
//!
//! Files and texts are Kafka's. Its calls block.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use model::{BrokerId, ClusterId, Offset, Uuid};
use rt::{File, FileLock, Fs, Open};

use crate::checkpoint;
use crate::meta_properties::MetaProperties;
use crate::partition_folder::{PartitionFolder, PartitionName, read_topic_id};

pub(crate) const LOCK: &str = ".lock";
pub(crate) const META_PROPERTIES: &str = "meta.properties";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const DELETED_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";

/// An offset of each partition, kept beside the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// All below was synced.
    RecoveryPoint,
    /// The first offset, where records were deleted before it.
    LogStart,
    /// The high watermark.
    HighWatermark,
    /// All below was compacted once.
    CleanerOffset,
}

impl Checkpoint {
    pub(crate) const ALL: [Checkpoint; 4] = [
        Checkpoint::RecoveryPoint,
        Checkpoint::LogStart,
        Checkpoint::HighWatermark,
        Checkpoint::CleanerOffset,
    ];

    /// The one in a file of this name.
    pub(crate) fn of_name(name: &str) -> Option<Checkpoint> {
        Checkpoint::ALL.into_iter().find(|checkpoint| checkpoint.file_name() == name)
    }

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Checkpoint::RecoveryPoint => "recovery-point-offset-checkpoint",
            Checkpoint::LogStart => "log-start-offset-checkpoint",
            Checkpoint::HighWatermark => "replication-offset-checkpoint",
            Checkpoint::CleanerOffset => "cleaner-offset-checkpoint",
        }
    }
}

/// An offset of each partition.
pub type Offsets = BTreeMap<PartitionName, Offset>;

/// A file that is the folder's own, and no log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnFile {
    /// Whose the folder is.
    MetaProperties,
    /// Offsets of its partitions.
    Checkpoint(Checkpoint),
}

impl OwnFile {
    /// What its owner can do where it is damaged and a start cannot do without it.
    fn remedy(self) -> &'static str {
        match self {
            OwnFile::MetaProperties => "; put a copy in its place",
            OwnFile::Checkpoint(Checkpoint::LogStart) => {
                "; put a copy in its place (without one, records that were deleted from the front of a log may come \
                 back)"
            }
            OwnFile::Checkpoint(
                Checkpoint::RecoveryPoint | Checkpoint::HighWatermark | Checkpoint::CleanerOffset,
            ) => "",
        }
    }
}

/// Why a data folder cannot be used.
#[derive(Debug)]
pub enum DataDirError {
    /// Another process holds it.
    InUse(PathBuf),
    /// It belongs to another node or another cluster.
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: MetaProperties,
    },
    /// One of its own files is not what was written there.
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What was to be in it.
        what: OwnFile,
    },
    /// The file system refused.
    Io(io::Error),
}

impl fmt::Display for DataDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataDirError::InUse(path) => {
                write!(
                    f,
                    "the data folder {} is in use by another process; stop that one, or name another folder with \
                     --data-dir",
                    path.display()
                )
            }
            DataDirError::Foreign { path, found } => write!(
                f,
                "the data folder {} belongs to node {} of cluster {}, and this node is another; start it with \
                 --set node.id={}, or name another folder with --data-dir",
                path.display(),
                found.node_id,
                found.cluster_id,
                found.node_id
            ),
            DataDirError::Damaged { path, what } => {
                write!(f, "{} cannot be read: its text is damaged", path.display())?;
                f.write_str(what.remedy())
            }
            DataDirError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for DataDirError {}

impl From<io::Error> for DataDirError {
    fn from(error: io::Error) -> DataDirError {
        DataDirError::Io(error)
    }
}

/// Whose folder it has to be.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The node.
    pub node_id: BrokerId,
    /// Its cluster, when that is known already.
    pub cluster_id: Option<ClusterId>,
}

/// A data folder, held by this process.
pub struct DataDir {
    fs: Fs,
    path: PathBuf,
    meta: MetaProperties,
    was_clean: bool,
    lock_file: File,
    _lock: FileLock,
}

impl DataDir {
    /// Takes the folder, creating it when there is none; `draw` gives the ids a new one needs.
    pub fn open(
        fs: &Fs,
        path: &Path,
        owner: Owner,
        mut draw: impl FnMut() -> Uuid,
    ) -> Result<DataDir, DataDirError> {
        if !fs.exists(path)? {
            fs.create_dir_all(path)?;
            fs.sync_dir(
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            )?;
        }
        let lock = fs.lock_exclusive(&path.join(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => DataDirError::InUse(path.to_path_buf()),
            _ => DataDirError::Io(error),
        })?;
        let lock_file = fs.open(&path.join(LOCK), Open::Read)?;
        let meta = read_or_create_meta(fs, path, owner, &mut draw)?;
        let mark = path.join(CLEAN_SHUTDOWN);
        let was_clean = fs.exists(&mark)?;
        if was_clean {
            fs.remove_file(&mark)?;
            fs.sync_dir(path)?;
        }
        Ok(DataDir { fs: fs.clone(), path: path.to_path_buf(), meta, was_clean, lock_file, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is.
    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// Whether the last process closed all logs: they may be opened with [`crate::Recovery::Clean`].
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// A file of the folder that stays open, for syncs of the whole file system.
    pub fn anchor(&self) -> &File {
        &self.lock_file
    }

    /// States, durably, that all logs were closed: the last thing that is done to the folder.
    pub fn close_clean(&self) -> io::Result<()> {
        // The text Kafka writes there; the broker epoch is not known.
        self.fs.write_atomically(&self.path.join(CLEAN_SHUTDOWN), br#"{"version":0,"brokerEpoch":-1}"#)
    }

    /// The offsets of a checkpoint; none when there is no file yet.
    pub fn read_checkpoint(&self, which: Checkpoint) -> Result<Offsets, DataDirError> {
        let path = self.path.join(which.file_name());
        let bytes = match self.fs.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::new()),
            Err(error) => return Err(error.into()),
        };
        // Kafka leaves empty files behind before its first checkpoint.
        if bytes.is_empty() {
            return Ok(Offsets::new());
        }
        let offsets = checkpoint::parse_checked(&bytes)
            .and_then(|lines| lines.into_iter().map(parse_offset).collect::<Option<Offsets>>());
        offsets.ok_or(DataDirError::Damaged { path, what: OwnFile::Checkpoint(which) })
    }

    /// Replaces a checkpoint by these offsets of all partitions (F3).
    pub fn write_checkpoint(&self, which: Checkpoint, offsets: &Offsets) -> io::Result<()> {
        let line = |(name, offset): (&PartitionName, &Offset)| {
            format!("{} {} {}", name.topic, name.partition, offset.0)
        };
        let text = checkpoint::format_checked(offsets.iter().map(line));
        self.fs.write_atomically(&self.path.join(which.file_name()), text.as_bytes())
    }

    /// The folders of partitions, by name.
    pub fn partitions(&self) -> io::Result<Vec<PartitionFolder>> {
        let mut found = Vec::new();
        for entry in self.fs.read_dir(&self.path)? {
            let name = PartitionName::from_folder(&entry.name).filter(|_| entry.is_dir);
            let Some(name) = name else { continue };
            let path = self.path.join(&entry.name);
            let topic_id = read_topic_id(&self.fs, &path)?;
            found.push(PartitionFolder { name, topic_id, path });
        }
        Ok(found)
    }

    /// Where a partition's log is.
    pub fn partition_path(&self, name: &PartitionName) -> PathBuf {
        self.path.join(name.to_folder())
    }

    /// Takes a deleted partition's folder out of the way of a new one of the same name; says where it is now.
    ///
    /// The rename itself is not synced: a folder that is there again is renamed again at the next start.
    pub fn rename_for_deletion(&self, name: &PartitionName, unique: Uuid) -> io::Result<PathBuf> {
        self.move_away(name, &name.to_moved_folder(unique, DELETED_SUFFIX))
    }

    /// Takes the folder of a partition that nobody knows out of the way, for good: nothing here ever removes it.
    pub fn rename_stray(&self, name: &PartitionName, unique: Uuid) -> io::Result<PathBuf> {
        self.move_away(name, &name.to_moved_folder(unique, STRAY_SUFFIX))
    }

    /// Its lines leave the checkpoints first, durably: they know partitions by name only, and a new log of the name
    /// must not be measured by the old one's offsets.
    fn move_away(&self, name: &PartitionName, target: &str) -> io::Result<PathBuf> {
        for which in Checkpoint::ALL {
            // A damaged one is found at the next start, as ever; here it only must not name this partition.
            let mut offsets = self.read_checkpoint(which).unwrap_or_default();
            if offsets.remove(name).is_some() {
                self.write_checkpoint(which, &offsets)?;
            }
        }
        let target = self.path.join(target);
        self.fs.rename(&self.partition_path(name), &target)?;
        Ok(target)
    }

    /// Removes the folders that were renamed for deletion, now or before a crash; says how many.
    pub fn remove_deleted(&self) -> io::Result<usize> {
        let mut removed = 0;
        for entry in self.fs.read_dir(&self.path)? {
            if entry.is_dir && entry.name.ends_with(DELETED_SUFFIX) {
                self.fs.remove_dir_all(&self.path.join(&entry.name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn read_or_create_meta(
    fs: &Fs,
    path: &Path,
    owner: Owner,
    draw: &mut impl FnMut() -> Uuid,
) -> Result<MetaProperties, DataDirError> {
    let file = path.join(META_PROPERTIES);
    if fs.exists(&file)? {
        let found = MetaProperties::from_text(&fs.read(&file)?)
            .ok_or(DataDirError::Damaged { path: file, what: OwnFile::MetaProperties })?;
        let foreign =
            found.node_id != owner.node_id || owner.cluster_id.is_some_and(|id| id != found.cluster_id);
        return if foreign {
            Err(DataDirError::Foreign { path: path.to_path_buf(), found })
        } else {
            Ok(found)
        };
    }
    let meta = MetaProperties {
        cluster_id: owner.cluster_id.unwrap_or_else(|| ClusterId(draw())),
        node_id: owner.node_id,
        directory_id: draw(),
    };
    fs.write_atomically(&file, meta.to_text().as_bytes())?;
    Ok(meta)
}

pub(crate) fn parse_offset(line: &str) -> Option<(PartitionName, Offset)> {
    let mut words = line.split(' ');
    let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
    let name = PartitionName::parse(topic, partition)?;
    let offset = Offset(offset.parse().ok()?);
    words.next().is_none().then_some((name, offset))
}
