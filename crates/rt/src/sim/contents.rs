//! One simulated file's bytes: as the process sees them, and as a power cut leaves them.
//!
//! - E1 Outside the unsynced sectors and beyond the synced length, both are the same, unless a sync failed.

use std::collections::BTreeSet;
use std::io;

use super::random::Random;

/// What a disk writes whole or tears, bytes.
const SECTOR: usize = 512;

#[derive(Default)]
pub(super) struct Contents {
    /// As read and written.
    current: Vec<u8>,
    /// As of the last sync.
    durable: Vec<u8>,
    /// Sectors written or cut since the last sync.
    unsynced: BTreeSet<usize>,
    /// Where the space ends that was set aside for it; cutting it gives back what lies behind its length.
    reserved_to: u64,
    /// When it was last written, milliseconds since the Unix epoch; a power cut keeps it.
    pub(super) modified_ms: i64,
}

/// How a power cut treats the unsynced sectors of one file. Extremes are as likely as mixtures: a file that was
/// written back whole, or not at all, is what a recovery sees most.
enum Fate {
    Lost,
    Kept,
    /// Written back in order, up to a torn sector.
    Prefix,
    /// Each sector for itself.
    Mixed,
}

impl Contents {
    /// A file that has these bytes, synced.
    pub(super) fn of(bytes: Vec<u8>) -> Contents {
        Contents { durable: bytes.clone(), current: bytes, ..Contents::default() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.current.len()).expect("a length fits 64 bits")
    }

    /// Bytes of the disk that are its own.
    pub(super) fn taken(&self) -> u64 {
        self.len().max(self.reserved_to)
    }

    pub(super) fn reserve(&mut self, to: u64) {
        self.reserved_to = self.reserved_to.max(to);
    }

    pub(super) fn read(&self, buffer: &mut [u8], position: u64) -> usize {
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(self.current.len());
        let count = buffer.len().min(self.current.len() - start);
        buffer[..count].copy_from_slice(&self.current[start..start + count]);
        count
    }

    pub(super) fn write(&mut self, bytes: &[u8], position: u64) {
        let start = usize::try_from(position).expect("a simulated file fits memory");
        let end = start + bytes.len();
        self.touch(start.min(self.current.len()), end);
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[start..end].copy_from_slice(bytes);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let len = usize::try_from(len).expect("a simulated file fits memory");
        self.touch(len, self.current.len());
        self.current.resize(len, 0);
        self.reserved_to = 0;
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.unsynced) {
            overlay(&mut self.durable, &self.current, sector, 0..SECTOR);
        }
        self.durable.truncate(self.current.len());
    }

    /// A failed sync: the cache counts as clean, the disk does not have it.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn flip_bit(&mut self, position: u64, bit: u32) -> io::Result<()> {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let mask = 1_u8 << (bit % 8);
        *self.current.get_mut(position).ok_or(io::ErrorKind::UnexpectedEof)? ^= mask;
        if let Some(byte) = self.durable.get_mut(position) {
            *byte ^= mask;
        }
        Ok(())
    }

    pub(super) fn power_cut(&mut self, random: &mut Random) {
        if !self.unsynced.is_empty() || self.durable.len() != self.current.len() {
            let fate = match random.within(0..=3) {
                0 => Fate::Lost,
                1 => Fate::Kept,
                2 => Fate::Prefix,
                _ => Fate::Mixed,
            };
            self.leave(fate, random);
        }
        self.unsynced.clear();
        self.current = self.durable.clone();
    }

    fn leave(&mut self, fate: Fate, random: &mut Random) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let (old_len, new_len) = (self.durable.len(), self.current.len());
        let any_len = random.size_within(old_len.min(new_len)..=old_len.max(new_len));
        match fate {
            Fate::Lost => {}
            Fate::Kept => {
                unsynced
                    .iter()
                    .for_each(|&sector| overlay(&mut self.durable, &self.current, sector, 0..SECTOR));
                self.durable.resize(new_len, 0);
            }
            Fate::Prefix => {
                let count = random.size_within(0..=unsynced.len());
                let torn_at = random.size_within(0..=SECTOR);
                let mut end = old_len.min(new_len);
                for (index, &sector) in unsynced.iter().enumerate().take(count) {
                    let part = if index + 1 == count { 0..torn_at } else { 0..SECTOR };
                    end = end.max((sector * SECTOR + part.end).min(new_len));
                    overlay(&mut self.durable, &self.current, sector, part);
                }
                self.durable.resize(if old_len <= new_len { end.max(old_len) } else { any_len }, 0);
            }
            Fate::Mixed => {
                for &sector in &unsynced {
                    let cut = random.size_within(0..=SECTOR);
                    match random.within(0..=9) {
                        0..=3 => {}
                        4..=7 => overlay(&mut self.durable, &self.current, sector, 0..SECTOR),
                        8 => overlay(&mut self.durable, &self.current, sector, 0..cut),
                        _ => overlay(&mut self.durable, &self.current, sector, cut..SECTOR),
                    }
                }
                self.durable.resize(any_len, 0);
            }
        }
    }

    fn touch(&mut self, start: usize, end: usize) {
        if start < end {
            self.unsynced.extend(start / SECTOR..end.div_ceil(SECTOR));
        }
    }
}

/// Copies a part of a sector from `new` over `old`, as far as `new` reaches; `old` grows with zeros where it must.
fn overlay(old: &mut Vec<u8>, new: &[u8], sector: usize, part: std::ops::Range<usize>) {
    let start = (sector * SECTOR + part.start).min(new.len());
    let end = (sector * SECTOR + part.end).min(new.len());
    if start < end {
        if old.len() < end {
            old.resize(end, 0);
        }
        old[start..end].copy_from_slice(&new[start..end]);
    }
}
