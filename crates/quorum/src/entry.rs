//! One entry of the metadata log: a record batch with one record, its offset the entry's index.
//!
//! - E1 The value is version, kind, term, leader, index, payload; the index repeats the offset, the term the batch's
//!   leader epoch, so that a batch that strayed is noticed.
//!
//! Being record batches, entries are checked by the log's recovery and shown by `ottla log dump`.

use meta::{DecodeError, Index, MetadataRecord, decode_records, encode_records};
use model::{BrokerId, LeaderEpoch, TimestampMs};
use record::{BatchBuilder, BatchError, BatchOptions, CheckedBatch};

use crate::vote::Term;

/// Bytes one entry's records may encode to: the 100,000 partitions one request may ask for, four times over.
pub(crate) const ENTRY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes the batch of an entry may have: the frames around the records take less than a page.
pub(crate) const BATCH_BYTES_MAX: usize = ENTRY_BYTES_MAX + 4096;

/// What an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A leader's first entry: with it, everything before is committed too (Raft, section 5.4.2).
    Blank,
    /// Changes of the image.
    Records(Vec<MetadataRecord>),
    /// Who votes from here on.
    Voters(Vec<BrokerId>),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The term it was written in.
    pub term: Term,
    /// Who led that term.
    pub leader: BrokerId,
    /// Its place.
    pub index: Index,
    /// What it is for.
    pub payload: Payload,
}

/// Why a batch is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// The batch or its record cannot be read.
    Batch(BatchError),
    /// Not one record with a value, or a value too short.
    Shape,
    /// A layout or kind this version does not know: a newer version wrote it.
    Unknown {
        /// The layout's version.
        version: u8,
        /// The kind of entry.
        kind: u8,
    },
    /// The entry says another index or term than its batch.
    Strayed {
        /// The index the batch's offset gives it.
        expected: Index,
        /// The index it says.
        found: Index,
    },
    /// Its records cannot be read.
    Records(DecodeError),
}

impl std::fmt::Display for EntryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EntryError::Batch(error) => error.fmt(f),
            EntryError::Shape => f.write_str("a batch holds no metadata entry"),
            EntryError::Unknown { version, kind } => write!(
                f,
                "kind {kind} of metadata entries in layout {version} is unknown: \
                 a newer version of Ottla wrote this folder"
            ),
            EntryError::Strayed { expected, found } => {
                write!(f, "metadata entry {found} lies where entry {expected} belongs")
            }
            EntryError::Records(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EntryError {}

const VERSION: u8 = 0;
const BLANK: u8 = 0;
const RECORDS: u8 = 1;
const VOTERS: u8 = 2;

/// Version, kind, term, leader, index.
const HEAD_BYTES: usize = 1 + 1 + 8 + 4 + 8;

impl Entry {
    /// The batch to append; the log gives it its offset.
    pub(crate) fn to_batch(&self, now: TimestampMs) -> Result<CheckedBatch, BatchError> {
        let mut value = vec![VERSION, self.payload.kind()];
        value.extend(self.term.0.to_be_bytes());
        value.extend(self.leader.0.to_be_bytes());
        value.extend(self.index.0.to_be_bytes());
        match &self.payload {
            Payload::Blank => {}
            Payload::Records(records) => encode_records(records, &mut value),
            Payload::Voters(voters) => voters.iter().for_each(|voter| value.extend(voter.0.to_be_bytes())),
        }
        let size = value.len();
        if HEAD_BYTES + ENTRY_BYTES_MAX < size {
            return Err(BatchError::TooLarge { size, max: ENTRY_BYTES_MAX });
        }
        let mut batch = BatchBuilder::new();
        batch.push(None, Some(&value), &[], now);
        batch.build(BatchOptions::default())
    }

    /// The entry in one batch of the log.
    ///
    /// # Errors
    /// The batch holds no entry, or one that is not its own.
    pub fn from_batch(batch: &[u8]) -> Result<Entry, EntryError> {
        let decoded = record::decode(batch, ENTRY_BYTES_MAX).map_err(EntryError::Batch)?;
        let mut records = decoded.records();
        let (Some(first), None) = (records.next(), records.next()) else { return Err(EntryError::Shape) };
        let first = first.map_err(EntryError::Batch)?;
        let (head, payload) =
            first.value.and_then(|value| value.split_first_chunk::<HEAD_BYTES>()).ok_or(EntryError::Shape)?;
        let mut head = Fields(head);
        let [version, kind] = head.take();
        let term = Term(u64::from_be_bytes(head.take()));
        let leader = BrokerId(i32::from_be_bytes(head.take()));
        let index = Index(u64::from_be_bytes(head.take()));
        let expected = Index(u64::try_from(first.offset.0).map_err(|_| EntryError::Shape)?);
        let strayed =
            index != expected || leader_epoch(term) != Some(decoded.header().partition_leader_epoch);
        if version == VERSION && strayed {
            return Err(EntryError::Strayed { expected, found: index });
        }
        let payload = match (version, kind) {
            (VERSION, BLANK) if payload.is_empty() => Payload::Blank,
            (VERSION, RECORDS) => Payload::Records(decode_records(payload).map_err(EntryError::Records)?),
            (VERSION, VOTERS) => Payload::Voters(voters(payload)?),
            (VERSION, BLANK) => return Err(EntryError::Shape),
            (version, kind) => return Err(EntryError::Unknown { version, kind }),
        };
        Ok(Entry { term, leader, index, payload })
    }

    /// What it changes in the image.
    pub(crate) fn records(&self) -> &[MetadataRecord] {
        match &self.payload {
            Payload::Records(records) => records,
            Payload::Blank | Payload::Voters(_) => &[],
        }
    }
}

impl Payload {
    fn kind(&self) -> u8 {
        match self {
            Payload::Blank => BLANK,
            Payload::Records(_) => RECORDS,
            Payload::Voters(_) => VOTERS,
        }
    }
}

/// The leader epoch that stands for a term in batch headers, as long as one can.
pub(crate) fn leader_epoch(term: Term) -> Option<LeaderEpoch> {
    i32::try_from(term.0).ok().map(LeaderEpoch)
}

fn voters(payload: &[u8]) -> Result<Vec<BrokerId>, EntryError> {
    let (ids, rest) = payload.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(EntryError::Shape);
    }
    Ok(ids.iter().map(|id| BrokerId(i32::from_be_bytes(*id))).collect())
}

/// The fixed fields, taken one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the fields are as long as the head");
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
mod tests {
    use model::{ClusterId, Offset, Uuid};

    use super::*;

    fn entry(payload: Payload) -> Entry {
        Entry { term: Term(3), leader: BrokerId(1), index: Index(42), payload }
    }

    fn stored(entry: &Entry, offset: i64, epoch: i32) -> Vec<u8> {
        let mut batch = entry.to_batch(TimestampMs(5)).unwrap();
        batch.set_base_offset(Offset(offset));
        batch.set_partition_leader_epoch(LeaderEpoch(epoch));
        batch.to_vec()
    }

    #[test]
    fn entries_round_trip() {
        let created = MetadataRecord::ClusterCreated { cluster_id: ClusterId(Uuid([5; 16])) };
        for payload in [
            Payload::Blank,
            Payload::Records(vec![created.clone(), created]),
            Payload::Records(vec![]),
            Payload::Voters(vec![BrokerId(1), BrokerId(7)]),
        ] {
            let entry = entry(payload);
            assert_eq!(Entry::from_batch(&stored(&entry, 42, 3)), Ok(entry));
        }
    }

    #[test]
    fn a_strayed_entry_is_noticed() {
        let entry = entry(Payload::Blank);
        let strayed = |index| Err(EntryError::Strayed { expected: Index(index), found: Index(42) });
        assert_eq!(Entry::from_batch(&stored(&entry, 41, 3)), strayed(41));
        assert_eq!(Entry::from_batch(&stored(&entry, 42, 2)), strayed(42));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        let of = |value: Option<&[u8]>, twice: bool| {
            let mut batch = BatchBuilder::new();
            for _ in 0..=usize::from(twice) {
                batch.push(None, value, &[], TimestampMs(0));
            }
            Entry::from_batch(&batch.build(BatchOptions::default()).unwrap().to_vec())
        };
        assert_eq!(of(None, false), Err(EntryError::Shape));
        assert_eq!(of(Some(&[0; HEAD_BYTES - 1]), false), Err(EntryError::Shape));
        assert_eq!(of(Some(&[0; HEAD_BYTES]), true), Err(EntryError::Shape));
        let mut newer = [0; HEAD_BYTES];
        newer[0] = 9;
        assert_eq!(of(Some(&newer), false), Err(EntryError::Unknown { version: 9, kind: 0 }));
    }
}
