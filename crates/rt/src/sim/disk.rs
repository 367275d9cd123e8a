//! One node's simulated disk: what is in the page cache, and what a power cut leaves.
//!
//! - B1 A sync makes a file's bytes and length durable, not its name; a directory's sync makes its names durable.
//! - B2 A power cut keeps, loses or tears each unsynced sector, and keeps some prefix of each directory's unsynced
//!   operations. What was synced stays as it was.
//! - B3 A failed sync cleans the cache without making anything durable, as Linux does: a later sync that succeeds
//!   says nothing about those bytes.
//!
//! Knows nothing of tasks or other nodes, and of time only what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use super::contents::Contents;
use super::random::Random;
use super::recording::{Change, Image, Recording};
use crate::{Entry, Open};

pub(super) type InodeId = u64;

pub(super) const ROOT: InodeId = 0;

/// Free space unless a test limits it, bytes.
const AMPLE: u64 = 1 << 40;

/// What the disk does wrong on purpose.
#[derive(Default)]
pub(super) struct Faults {
    /// Syncs answer at once and do nothing: a drive that lies.
    pub(super) sync_is_noop: bool,
    /// The next sync fails (B3).
    pub(super) fail_next_sync: bool,
    /// Reads of these bytes fail, whatever is written there.
    pub(super) unreadable: Vec<(InodeId, std::ops::Range<u64>)>,
    /// Directories take no new and no longer names.
    pub(super) names_are_full: bool,
}

pub(super) struct Disk {
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
    locked: BTreeSet<InodeId>,
    /// Bytes its files may have together, when a test limits them.
    capacity: Option<u64>,
    pub(super) faults: Faults,
    recording: Option<Recording>,
}

enum Inode {
    File { contents: Contents, open: u32 },
    Directory(Directory),
}

#[derive(Default)]
struct Directory {
    names: BTreeMap<String, InodeId>,
    durable: BTreeMap<String, InodeId>,
    unsynced: Vec<NameChange>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Link { name: String, inode: InodeId },
    Unlink { name: String },
    Rename { from: String, to: String, inode: InodeId },
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, InodeId>) {
        match self {
            NameChange::Link { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Unlink { name } => {
                names.remove(name);
            }
            NameChange::Rename { from, to, inode } => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl Directory {
    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        self.unsynced.clear();
        self.durable = self.names.clone();
    }

    fn power_cut(&mut self, random: &mut Random) {
        let kept = random.size_within(0..=self.unsynced.len());
        for change in self.unsynced.drain(..).take(kept) {
            change.apply(&mut self.durable);
        }
        self.names = self.durable.clone();
    }

    /// Every inode that this directory can still lead to, whatever a power cut keeps.
    fn reaches(&self) -> impl Iterator<Item = InodeId> {
        let pending = self.unsynced.iter().filter_map(|change| match change {
            NameChange::Link { inode, .. } | NameChange::Rename { inode, .. } => Some(*inode),
            NameChange::Unlink { .. } => None,
        });
        self.names.values().chain(self.durable.values()).copied().chain(pending)
    }
}

impl Disk {
    pub(super) fn new() -> Disk {
        let inodes = BTreeMap::from([(ROOT, Inode::Directory(Directory::default()))]);
        Disk {
            inodes,
            next_inode: ROOT + 1,
            locked: BTreeSet::new(),
            capacity: None,
            faults: Faults::default(),
            recording: None,
        }
    }

    pub(super) fn open(&mut self, path: &Path, how: Open) -> io::Result<InodeId> {
        let (parent, name) = self.place(path)?;
        let id = match (self.directory(parent)?.names.get(&name).copied(), how) {
            (Some(_), Open::CreateNew) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(id), Open::Read | Open::ReadWrite | Open::Create) => id,
            (None, Open::Read | Open::ReadWrite) => return Err(ErrorKind::NotFound.into()),
            (None, Open::Create | Open::CreateNew) => {
                self.link_new(parent, name, Inode::File { contents: Contents::default(), open: 0 })?
            }
        };
        match self.inode(id)? {
            Inode::File { open, .. } => *open += 1,
            Inode::Directory(_) => return Err(ErrorKind::IsADirectory.into()),
        }
        Ok(id)
    }

    pub(super) fn close(&mut self, id: InodeId) {
        if let Some(Inode::File { open, .. }) = self.inodes.get_mut(&id) {
            *open = open.saturating_sub(1);
        }
    }

    /// Locks an open file against others.
    pub(super) fn lock(&mut self, id: InodeId) -> io::Result<()> {
        if self.locked.insert(id) { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    pub(super) fn unlock(&mut self, id: InodeId) {
        self.locked.remove(&id);
    }

    pub(super) fn read(&mut self, id: InodeId, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let end = position.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        let fails = |(file, range): &(InodeId, std::ops::Range<u64>)| {
            *file == id && range.start < end && position < range.end
        };
        if self.faults.unreadable.iter().any(fails) {
            return Err(io::Error::other("simulated input/output error"));
        }
        Ok(self.contents(id)?.read(buffer, position))
    }

    /// Writes as much as the disk has room for; nothing fitting is an error.
    pub(super) fn write(
        &mut self,
        id: InodeId,
        bytes: &[u8],
        position: u64,
        now_ms: i64,
    ) -> io::Result<usize> {
        self.reuse_freed(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let free = self.free_bytes();
        let contents = self.contents(id)?;
        let room = contents.taken().saturating_sub(position).saturating_add(free);
        let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        contents.write(&bytes[..count], position);
        contents.modified_ms = now_ms;
        self.note(|| Change::Write { file: id, bytes: bytes[..count].to_vec(), position });
        Ok(count)
    }

    pub(super) fn set_len(&mut self, id: InodeId, len: u64) -> io::Result<()> {
        let grown = len.saturating_sub(self.contents(id)?.len());
        self.reuse_freed(grown);
        let free = self.free_bytes();
        let contents = self.contents(id)?;
        if free < len.saturating_sub(contents.len()) {
            return Err(ErrorKind::StorageFull.into());
        }
        contents.set_len(len);
        self.note(|| Change::SetLen { file: id, len });
        Ok(())
    }

    /// Sets space aside behind the file's end, up to `to`.
    pub(super) fn reserve(&mut self, id: InodeId, to: u64) -> io::Result<()> {
        let wanted = to.saturating_sub(self.contents(id)?.taken());
        self.reuse_freed(wanted);
        if self.free_bytes() < wanted {
            return Err(ErrorKind::StorageFull.into());
        }
        self.contents(id)?.reserve(to);
        Ok(())
    }

    pub(super) fn len(&mut self, id: InodeId) -> io::Result<u64> {
        Ok(self.contents(id)?.len())
    }

    pub(super) fn modified_ms(&mut self, id: InodeId) -> io::Result<i64> {
        Ok(self.contents(id)?.modified_ms)
    }

    pub(super) fn sync_file(&mut self, id: InodeId) -> io::Result<()> {
        let faults = std::mem::take(&mut self.faults.fail_next_sync);
        let lies = self.faults.sync_is_noop;
        let contents = self.contents(id)?;
        if faults {
            contents.forget_unsynced();
            return Err(io::Error::other("simulated input/output error"));
        }
        if !lies {
            contents.sync();
            self.note(|| Change::SyncFile(id));
        }
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?;
        let directory = self.directory(id)?;
        let had_changes = !directory.unsynced.is_empty();
        if std::mem::take(&mut self.faults.fail_next_sync) {
            return Err(io::Error::other("simulated input/output error"));
        }
        if !self.faults.sync_is_noop {
            self.directory(id)?.sync();
            self.note(|| Change::SyncDir(id));
            if had_changes {
                self.collect();
            }
        }
        Ok(())
    }

    pub(super) fn sync_everything(&mut self) -> io::Result<()> {
        let fails = std::mem::take(&mut self.faults.fail_next_sync);
        let lies = self.faults.sync_is_noop;
        for inode in self.inodes.values_mut() {
            match inode {
                Inode::File { contents, .. } if fails => contents.forget_unsynced(),
                Inode::File { contents, .. } if !lies => contents.sync(),
                Inode::Directory(directory) if !fails && !lies => directory.sync(),
                Inode::File { .. } | Inode::Directory(_) => {}
            }
        }
        if fails {
            return Err(io::Error::other("simulated input/output error"));
        }
        if !lies {
            self.note(|| Change::SyncEverything);
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_parent, from_name) = self.place(from)?;
        let (to_parent, to_name) = self.place(to)?;
        let inode = *self.directory(from_parent)?.names.get(&from_name).ok_or(ErrorKind::NotFound)?;
        let from_is_dir = matches!(self.inode(inode)?, Inode::Directory(_));
        if let Some(&target) = self.directory(to_parent)?.names.get(&to_name) {
            if target == inode {
                return Ok(());
            }
            match (self.inode(target)?, from_is_dir) {
                (Inode::File { .. }, false) => {}
                (Inode::File { .. }, true) => return Err(ErrorKind::NotADirectory.into()),
                (Inode::Directory(_), false) => return Err(ErrorKind::IsADirectory.into()),
                (Inode::Directory(directory), true) if directory.names.is_empty() => {}
                (Inode::Directory(_), true) => return Err(ErrorKind::DirectoryNotEmpty.into()),
            }
        }
        if self.faults.names_are_full && from_name.len() < to_name.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        if from_parent == to_parent {
            self.change(from_parent, NameChange::Rename { from: from_name, to: to_name, inode })
        } else {
            self.change(to_parent, NameChange::Link { name: to_name, inode })?;
            self.change(from_parent, NameChange::Unlink { name: from_name })
        }
    }

    /// Removes one name: a file's, or an empty directory's.
    pub(super) fn remove(&mut self, path: &Path, kind: Removed) -> io::Result<()> {
        let (parent, name) = self.place(path)?;
        let inode = *self.directory(parent)?.names.get(&name).ok_or(ErrorKind::NotFound)?;
        match (self.inode(inode)?, kind) {
            (Inode::File { .. }, Removed::File) => {}
            (Inode::Directory(directory), Removed::Directory) if directory.names.is_empty() => {}
            (Inode::Directory(_), Removed::Directory) => return Err(ErrorKind::DirectoryNotEmpty.into()),
            (Inode::File { .. }, Removed::Directory) => return Err(ErrorKind::NotADirectory.into()),
            (Inode::Directory(_), Removed::File) => return Err(ErrorKind::IsADirectory.into()),
        }
        self.change(parent, NameChange::Unlink { name })
    }

    /// Creates one directory, unless it is there.
    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if self.find(path).is_ok_and(|id| self.directory(id).is_ok()) {
            return Ok(());
        }
        let (parent, name) = self.place(path)?;
        if self.directory(parent)?.names.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.link_new(parent, name, Inode::Directory(Directory::default()))?;
        Ok(())
    }

    pub(super) fn read_dir(&mut self, path: &Path) -> io::Result<Vec<Entry>> {
        let id = self.find(path)?;
        let names = self.directory(id)?.names.clone();
        let entry = |(name, id)| {
            Ok(Entry { name, is_dir: matches!(self.inodes.get(&id), Some(Inode::Directory(_))) })
        };
        names.into_iter().map(entry).collect()
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<InodeId> {
        let mut found = ROOT;
        for name in components(path)? {
            found = match self.inodes.get(&found) {
                Some(Inode::Directory(directory)) => {
                    *directory.names.get(&name).ok_or(ErrorKind::NotFound)?
                }
                Some(Inode::File { .. }) => return Err(ErrorKind::NotADirectory.into()),
                None => return Err(ErrorKind::NotFound.into()),
            };
        }
        Ok(found)
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(AMPLE, |capacity| capacity.saturating_sub(self.used_bytes()))
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.capacity.unwrap_or(AMPLE)
    }

    pub(super) fn set_free_bytes(&mut self, free: u64) {
        self.capacity = Some(self.used_bytes().saturating_add(free));
    }

    pub(super) fn flip_bit(&mut self, path: &Path, position: u64, bit: u32) -> io::Result<()> {
        let id = self.find(path)?;
        self.contents(id)?.flip_bit(position, bit)
    }

    pub(super) fn make_unreadable(&mut self, path: &Path, range: std::ops::Range<u64>) -> io::Result<()> {
        let id = self.find(path)?;
        self.faults.unreadable.push((id, range));
        Ok(())
    }

    /// Power is gone: what was not synced is kept or lost as `random` says (B2).
    pub(super) fn power_cut(&mut self, random: &mut Random) {
        for inode in self.inodes.values_mut() {
            if let Inode::Directory(directory) = inode {
                directory.power_cut(random);
            }
        }
        self.process_ended();
        for inode in self.inodes.values_mut() {
            if let Inode::File { contents, .. } = inode {
                contents.power_cut(random);
            }
        }
    }

    /// The process is gone: its descriptors and locks with it.
    pub(super) fn process_ended(&mut self) {
        self.locked.clear();
        for inode in self.inodes.values_mut() {
            if let Inode::File { open, .. } = inode {
                *open = 0;
            }
        }
        self.collect();
    }

    /// Forgets what neither a name nor a descriptor leads to.
    fn collect(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut unvisited = vec![ROOT];
        while let Some(id) = unvisited.pop() {
            if let Some(Inode::Directory(directory)) = self.inodes.get(&id) {
                unvisited.extend(directory.reaches().filter(|inode| reached.insert(*inode)));
            }
        }
        self.inodes.retain(|id, inode| match inode {
            Inode::File { open, .. } => 0 < *open || reached.contains(id),
            Inode::Directory(_) => reached.contains(id),
        });
    }

    /// Bytes of all files that have a name or are open; removing the last of these frees them at once.
    fn used_bytes(&self) -> u64 {
        let names = self.inodes.values().filter_map(|inode| match inode {
            Inode::Directory(directory) => Some(directory.names.values()),
            Inode::File { .. } => None,
        });
        let named: BTreeSet<InodeId> = names.flatten().copied().collect();
        let size = |(id, inode): (&InodeId, &Inode)| match inode {
            Inode::File { contents, open } if 0 < *open || named.contains(id) => contents.taken(),
            Inode::File { .. } | Inode::Directory(_) => 0,
        };
        self.inodes.iter().map(size).sum()
    }

    /// Space of removed files is written to only once their removal is durable, as journals of file systems see to:
    /// else a power cut would bring back more than the disk holds.
    fn reuse_freed(&mut self, wanted: u64) {
        let size = |inode: &Inode| match inode {
            Inode::File { contents, .. } => contents.taken(),
            Inode::Directory(_) => 0,
        };
        let taken: u64 = self.inodes.values().map(size).sum();
        if self.capacity.is_some_and(|capacity| capacity < taken.saturating_add(wanted)) {
            for inode in self.inodes.values_mut() {
                if let Inode::Directory(directory) = inode {
                    directory.sync();
                }
            }
            self.collect();
        }
    }

    fn link_new(&mut self, parent: InodeId, name: String, inode: Inode) -> io::Result<InodeId> {
        if self.faults.names_are_full {
            return Err(ErrorKind::StorageFull.into());
        }
        let id = self.next_inode;
        self.next_inode += 1;
        let is_dir = matches!(inode, Inode::Directory(_));
        self.inodes.insert(id, inode);
        self.note(|| Change::New { inode: id, is_dir });
        self.change(parent, NameChange::Link { name, inode: id })?;
        Ok(id)
    }

    fn change(&mut self, directory: InodeId, change: NameChange) -> io::Result<()> {
        self.note(|| Change::Name { directory, change: change.clone() });
        self.directory(directory)?.change(change);
        Ok(())
    }

    fn note(&mut self, change: impl FnOnce() -> Change) {
        if let Some(recording) = &mut self.recording {
            recording.changes.push(change());
        }
    }

    /// Begins to write down every change; what is there now counts as synced.
    pub(super) fn record(&mut self) {
        let mut base = Image::default();
        for (id, inode) in &mut self.inodes {
            match inode {
                Inode::File { contents, .. } => {
                    contents.sync();
                    base.files.insert(*id, contents.bytes().to_vec());
                }
                Inode::Directory(directory) => {
                    directory.sync();
                    base.directories.insert(*id, directory.names.clone());
                }
            }
        }
        self.recording = Some(Recording { base, changes: Vec::new() });
    }

    /// What was written down since [`Disk::record`].
    pub(super) fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// Replaces everything, as if it had always been there.
    pub(super) fn install(&mut self, image: &Image) {
        let file = |bytes: &Vec<u8>| Inode::File { contents: Contents::of(bytes.clone()), open: 0 };
        let directory = |names: &BTreeMap<String, InodeId>| {
            let (names, durable) = (names.clone(), names.clone());
            Inode::Directory(Directory { names, durable, unsynced: Vec::new() })
        };
        let files = image.files.iter().map(|(id, bytes)| (*id, file(bytes)));
        let directories = image.directories.iter().map(|(id, names)| (*id, directory(names)));
        self.inodes = files.chain(directories).collect();
        self.next_inode = self.inodes.last_key_value().map_or(ROOT, |(id, _)| *id) + 1;
        self.locked.clear();
        self.recording = None;
    }

    /// The directory that holds `path`'s last name, and that name.
    fn place(&self, path: &Path) -> io::Result<(InodeId, String)> {
        let mut names = components(path)?;
        let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(&names.iter().collect::<std::path::PathBuf>())?, name))
    }

    fn inode(&mut self, id: InodeId) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn directory(&mut self, id: InodeId) -> io::Result<&mut Directory> {
        match self.inode(id)? {
            Inode::Directory(directory) => Ok(directory),
            Inode::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn contents(&mut self, id: InodeId) -> io::Result<&mut Contents> {
        match self.inode(id)? {
            Inode::File { contents, .. } => Ok(contents),
            Inode::Directory(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }
}

/// What a removal expects to remove.
#[derive(Clone, Copy)]
pub(super) enum Removed {
    File,
    Directory,
}

/// A path's names from the root; a relative path starts at the root too.
fn components(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
            Component::ParentDir => {
                names.pop();
            }
            Component::Normal(name) => {
                let name = name.to_str().ok_or(ErrorKind::InvalidInput)?;
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}
