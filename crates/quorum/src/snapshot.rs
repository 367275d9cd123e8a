//! Snapshots: the image at one index in one file, so that starting need not replay the cluster's whole life.
//!
//! - S1 A file under its final name was synced whole; damage since then is found by its checksum.
//! - S2 The name orders: a later index sorts behind an earlier one.

use std::io;
use std::path::Path;

use meta::{Image, Index, RunningHash, decode_records, encode_records};
use rt::Fs;

use crate::vote::Term;

/// How many stay (Q5).
const SNAPSHOTS_KEPT: usize = 2;

const SUFFIX: &str = ".checkpoint";

/// First bytes: what this is, and its layout.
const MAGIC: &[u8] = b"ottla metadata snapshot 0\n";

/// Next index, term, running hash.
const HEAD_BYTES: usize = 24;

/// An image and the term of its last entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The image.
    pub image: Image,
    /// The term of its last entry.
    pub term: Term,
}

impl Snapshot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.image.next_index().0.to_be_bytes());
        bytes.extend(self.term.0.to_be_bytes());
        bytes.extend(self.image.hash().0.to_be_bytes());
        encode_records(&self.image.to_records(), &mut bytes);
        bytes.extend(crc_fast::crc32_iscsi(&bytes).to_be_bytes());
        bytes
    }

    /// Whether a file of this name holds one.
    pub fn is_name(name: &str) -> bool {
        index_of(name).is_some()
    }

    /// The snapshot, or what is wrong with it.
    ///
    /// # Errors
    /// It was not written whole, was damaged since, or is of another version.
    pub fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
        if crc_fast::crc32_iscsi(content).to_be_bytes() != *crc {
            return Err("its checksum is wrong".to_owned());
        }
        let content = content.strip_prefix(MAGIC).ok_or("another version of Ottla wrote it")?;
        let (head, records) = content.split_first_chunk::<HEAD_BYTES>().ok_or("it is too short")?;
        let (fields, _) = head.as_chunks::<8>();
        let field = |place: usize| u64::from_be_bytes(fields[place]);
        let records = decode_records(records).map_err(|error| error.to_string())?;
        let image = Image::restore(Index(field(0)), RunningHash(field(2)), &records);
        Ok(Snapshot { image: image.map_err(|error| error.to_string())?, term: Term(field(1)) })
    }

    fn name(&self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.image.next_index().0, self.term.0)
    }

    /// Writes the file, synced, and removes all but the newest [`SNAPSHOTS_KEPT`]. Blocks.
    ///
    /// Says where entries are needed from, once there are as many as are kept.
    pub(crate) fn write(&self, fs: &Fs, dir: &Path) -> io::Result<Option<Index>> {
        fs.write_atomically(&dir.join(self.name()), &self.encode())?;
        let names = names(fs, dir)?;
        let (old, kept) = names.split_at(names.len().saturating_sub(SNAPSHOTS_KEPT));
        for (_, name) in old {
            fs.remove_file(&dir.join(name))?;
        }
        Ok(needed_from(kept))
    }
}

/// The snapshots in a folder, ascending: the next index each one's name says, and the name.
pub(crate) fn names(fs: &Fs, dir: &Path) -> io::Result<Vec<(Index, String)>> {
    let entries = fs.read_dir(dir)?.into_iter();
    Ok(entries.filter_map(|entry| Some((index_of(&entry.name)?, entry.name))).collect())
}

/// The oldest snapshot's index, if there are as many as are kept: entries before it are in both (Q5).
pub(crate) fn needed_from(names: &[(Index, String)]) -> Option<Index> {
    let (oldest, _) = names.first()?;
    (SNAPSHOTS_KEPT <= names.len()).then_some(*oldest)
}

fn index_of(name: &str) -> Option<Index> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(index, 20) || !digits(term, 10) {
        return None;
    }
    index.parse().ok().map(Index)
}

#[cfg(test)]
mod tests {
    use meta::MetadataRecord;
    use model::{ClusterId, Uuid};

    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let mut image = Image::empty();
        image.apply_entry(Index(0), &[]).unwrap();
        let created = MetadataRecord::ClusterCreated { cluster_id: ClusterId(Uuid([5; 16])) };
        image.apply_entry(Index(1), &[created]).unwrap();
        let snapshot = Snapshot { image, term: Term(4) };
        assert_eq!(snapshot.name(), "00000000000000000002-0000000004.checkpoint");
        assert_eq!(index_of(&snapshot.name()), Some(Index(2)));
        assert_eq!(index_of("recovery-point-offset-checkpoint"), None);
        let bytes = snapshot.encode();
        assert_eq!(Snapshot::decode(&bytes), Ok(snapshot));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Snapshot::decode(&damaged).is_err(), "byte {at} flipped");
            assert!(Snapshot::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
