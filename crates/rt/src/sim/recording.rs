//! What a node's disk was told, so that every state that a power cut may leave of it can be made.
//!
//! - R1 What a sync covered is there. A file's bytes and lengths since its last sync are kept up to a point, or sector for
//!   sector as they were at any time since, torn or whole. A directory keeps some beginning of the names changed since
//!   its last sync. Files and directories know nothing of each other.
//! - R2 The same choices give the same state.

use std::collections::BTreeMap;

use super::disk::{InodeId, NameChange};

/// Parts into which a torn sector falls.
const TORN_PARTS: usize = 8;

/// One change of a disk.
#[derive(Clone)]
pub(super) enum Change {
    /// A file or directory that nothing leads to yet.
    New { inode: InodeId, is_dir: bool },
    /// Bytes of a file.
    Write { file: InodeId, bytes: Vec<u8>, position: u64 },
    /// The length of a file.
    SetLen { file: InodeId, len: u64 },
    /// A name in a directory.
    Name { directory: InodeId, change: NameChange },
    /// Of a file.
    SyncFile(InodeId),
    /// Of a directory.
    SyncDir(InodeId),
    /// Of everything.
    SyncEverything,
    /// A sync that was left out.
    Nothing,
}

/// Everything that is on a disk.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Image {
    pub(super) files: BTreeMap<InodeId, Vec<u8>>,
    pub(super) directories: BTreeMap<InodeId, BTreeMap<String, InodeId>>,
}

/// What was on a disk once, and how it changed since.
#[derive(Clone)]
pub struct Recording {
    pub(super) base: Image,
    pub(super) changes: Vec<Change>,
}

impl Recording {
    /// Changes so far; the power may go before each, and after the last.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Where the syncs are among the changes, each with whether it is one of a directory.
    pub fn syncs(&self) -> Vec<(usize, bool)> {
        let sync = |(index, change): (usize, &Change)| match change {
            Change::SyncFile(_) | Change::SyncEverything => Some((index, false)),
            Change::SyncDir(_) => Some((index, true)),
            Change::New { .. }
            | Change::Write { .. }
            | Change::SetLen { .. }
            | Change::Name { .. }
            | Change::Nothing => None,
        };
        self.changes.iter().enumerate().filter_map(sync).collect()
    }

    /// The same with these syncs left out: they do nothing, and nobody notices.
    #[must_use]
    pub fn without_syncs(&self, left_out: &[usize]) -> Recording {
        let mut recording = self.clone();
        for index in left_out {
            recording.changes[*index] = Change::Nothing;
        }
        recording
    }

    /// The disk when the power goes right before change `at`.
    pub fn crash_at(&self, at: usize) -> Crash {
        let mut crash = Crash::default();
        for (id, bytes) in &self.base.files {
            crash.files.insert(*id, PendingFile { durable: bytes.clone(), changes: Vec::new() });
        }
        for (id, names) in &self.base.directories {
            crash.directories.insert(*id, PendingDirectory { durable: names.clone(), changes: Vec::new() });
        }
        self.changes[..at].iter().for_each(|change| crash.apply(change));
        crash
    }
}

#[derive(Default)]
struct PendingFile {
    durable: Vec<u8>,
    changes: Vec<FileChange>,
}

enum FileChange {
    Write { bytes: Vec<u8>, position: usize },
    SetLen(usize),
}

#[derive(Default)]
struct PendingDirectory {
    durable: BTreeMap<String, InodeId>,
    changes: Vec<NameChange>,
}

/// A disk whose power goes: what is certain to be there, and what may be.
#[derive(Default)]
pub struct Crash {
    files: BTreeMap<InodeId, PendingFile>,
    directories: BTreeMap<InodeId, PendingDirectory>,
}

impl Crash {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::New { inode, is_dir: false } => drop(self.files.entry(*inode).or_default()),
            Change::New { inode, is_dir: true } => drop(self.directories.entry(*inode).or_default()),
            Change::Write { file, bytes, position } => {
                let position = usize::try_from(*position).expect("a simulated file fits memory");
                let change = FileChange::Write { bytes: bytes.clone(), position };
                self.files.entry(*file).or_default().changes.push(change);
            }
            Change::SetLen { file, len } => {
                let len = usize::try_from(*len).expect("a simulated file fits memory");
                self.files.entry(*file).or_default().changes.push(FileChange::SetLen(len));
            }
            Change::Name { directory, change } => {
                self.directories.entry(*directory).or_default().changes.push(change.clone());
            }
            Change::SyncFile(file) => self.files.entry(*file).or_default().sync(),
            Change::SyncDir(directory) => self.directories.entry(*directory).or_default().sync(),
            Change::SyncEverything => {
                self.files.values_mut().for_each(PendingFile::sync);
                self.directories.values_mut().for_each(PendingDirectory::sync);
            }
            Change::Nothing => {}
        }
    }

    /// One state that this crash may leave, with sectors of so many bytes. `choose` is asked for numbers below a
    /// bound, and all it may answer give all states.
    pub fn state(&self, sector_bytes: usize, choose: &mut dyn FnMut(usize) -> usize) -> Image {
        let mut image = Image::default();
        for (id, directory) in &self.directories {
            let kept = choose(directory.changes.len() + 1);
            let mut names = directory.durable.clone();
            directory.changes[..kept].iter().for_each(|change| change.apply(&mut names));
            image.directories.insert(*id, names);
        }
        for (id, file) in &self.files {
            image.files.insert(*id, file.state(sector_bytes, choose));
        }
        image.drop_unreachable();
        image
    }
}

impl PendingDirectory {
    fn sync(&mut self) {
        self.changes.drain(..).for_each(|change| change.apply(&mut self.durable));
    }
}

impl FileChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            FileChange::Write { bytes: written, position } => {
                let end = position + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*position..end].copy_from_slice(written);
            }
            FileChange::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl PendingFile {
    fn sync(&mut self) {
        self.changes.drain(..).for_each(|change| change.apply(&mut self.durable));
    }

    /// The file after each of its unsynced changes, before the first one too.
    fn versions(&self) -> Vec<Vec<u8>> {
        let mut versions = vec![self.durable.clone()];
        for change in &self.changes {
            let mut next = versions[versions.len() - 1].clone();
            change.apply(&mut next);
            versions.push(next);
        }
        versions
    }

    fn state(&self, sector_bytes: usize, choose: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        if self.changes.is_empty() {
            return self.durable.clone();
        }
        let mut versions = self.versions();
        let last = versions.len() - 1;
        match choose(3) {
            // Written back whole, as it was at some time.
            0 => versions.swap_remove(choose(versions.len())),
            // In order, and torn where the power went.
            1 => {
                let at = choose(last);
                let (before, after) = (&versions[at], &versions[at + 1]);
                let torn = (choose(sectors(before, after, sector_bytes)), 1 + choose(TORN_PARTS - 1));
                torn_at(before, after, sector_bytes, torn)
            }
            // Each sector, and the length, as it was at some time.
            _ => {
                let len = versions[choose(versions.len())].len();
                let mut mixed = vec![0; len];
                for start in (0..len).step_by(sector_bytes) {
                    let end = (start + sector_bytes).min(len);
                    fill(&mut mixed[start..end], start, &versions, choose);
                }
                mixed
            }
        }
    }
}

fn sectors(one: &[u8], other: &[u8], sector_bytes: usize) -> usize {
    one.len().max(other.len()).div_ceil(sector_bytes).max(1)
}

/// `after` up to a part of a sector, `before` from there on; what was cut off or not reached yet has no length.
fn torn_at(before: &[u8], after: &[u8], sector_bytes: usize, (sector, part): (usize, usize)) -> Vec<u8> {
    let cut = sector * sector_bytes + part * sector_bytes / TORN_PARTS;
    if after.len() < cut {
        return after.to_vec();
    }
    let mut torn = after[..cut].to_vec();
    torn.extend_from_slice(before.get(cut..).unwrap_or_default());
    torn
}

/// Fills one sector with what it was at some time, or with the beginning of one time and the end of another.
fn fill(sector: &mut [u8], start: usize, versions: &[Vec<u8>], choose: &mut dyn FnMut(usize) -> usize) {
    let mut kinds: Vec<Vec<u8>> = Vec::new();
    for version in versions {
        let mut bytes = vec![0; sector.len()];
        if let Some(there) = version.get(start..(start + sector.len()).min(version.len())) {
            bytes[..there.len()].copy_from_slice(there);
        }
        if !kinds.contains(&bytes) {
            kinds.push(bytes);
        }
    }
    if kinds.len() == 1 {
        sector.copy_from_slice(&kinds[0]);
        return;
    }
    let whole = choose(kinds.len() + 1);
    let (first, second, cut) = if whole < kinds.len() {
        (whole, whole, sector.len())
    } else {
        (choose(kinds.len()), choose(kinds.len()), (1 + choose(TORN_PARTS - 1)) * sector.len() / TORN_PARTS)
    };
    sector[..cut].copy_from_slice(&kinds[first][..cut]);
    sector[cut..].copy_from_slice(&kinds[second][cut..]);
}

impl Image {
    /// Forgets what no name leads to, so that images that look the same are the same.
    fn drop_unreachable(&mut self) {
        let mut reached = std::collections::BTreeSet::from([super::disk::ROOT]);
        let mut unvisited = vec![super::disk::ROOT];
        while let Some(id) = unvisited.pop() {
            let names = self.directories.get(&id).into_iter().flat_map(BTreeMap::values);
            unvisited.extend(names.copied().filter(|inode| reached.insert(*inode)));
        }
        self.files.retain(|id, _| reached.contains(id));
        self.directories.retain(|id, _| reached.contains(id));
    }
}
