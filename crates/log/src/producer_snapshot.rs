//! The producers of a partition at one offset, in a file (`.snapshot`).
//!
//! Version 1 of Kafka's format: version (i16), CRC-32C of the rest (u32), a count (i32), and per entry producer
//! id, epoch, last sequence, last offset, offset delta, timestamp, coordinator epoch, first offset of its open
//! transaction. Kafka writes one entry a producer, its last batch. We write one for each batch remembered, oldest
//! first: Kafka's readers keep the last of them, ours all, so that a restart forgets no duplicate (P1).

use model::{CoordinatorEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use crate::batch_scan;
use crate::inspect::Flaw;
use crate::producers::{Batch, Entry, Producers};

const VERSION: i16 = 1;
const HEADER_BYTES: usize = 10;
const CRC_COVERS_FROM: usize = 6;
const ENTRY_BYTES: usize = 46;

/// No transaction is open.
const NO_TRANSACTION: Offset = Offset(-1);

/// The bytes of a snapshot.
pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count = 0i32;
    for (id, entry) in producers.sorted() {
        let producer = without_batch(id, entry);
        // A producer known by a marker only has no batch; its epochs must survive all the same.
        let none = entry.batches.is_empty().then_some(producer);
        for entry in entry.batches.iter().map(|batch| with_batch(producer, batch)).chain(none) {
            put_entry(&mut entries, &entry);
            count += 1;
        }
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + entries.len());
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.append(&mut entries);
    let crc = record::checksum(&bytes[CRC_COVERS_FROM..]);
    bytes[2..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn without_batch(producer_id: ProducerId, entry: &Entry) -> SnapshotEntry {
    SnapshotEntry {
        producer_id,
        epoch: entry.epoch,
        last_sequence: -1,
        last_offset: Offset(-1),
        offset_delta: 0,
        timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        transaction_first_offset: entry.transaction.unwrap_or(NO_TRANSACTION),
    }
}

fn with_batch(entry: SnapshotEntry, batch: &Batch) -> SnapshotEntry {
    let Batch { last_sequence, last_offset, offset_delta, .. } = *batch;
    SnapshotEntry { last_sequence, last_offset, offset_delta, ..entry }
}

fn put_entry(out: &mut Vec<u8>, entry: &SnapshotEntry) {
    out.extend_from_slice(&entry.producer_id.0.to_be_bytes());
    out.extend_from_slice(&entry.epoch.0.to_be_bytes());
    out.extend_from_slice(&entry.last_sequence.to_be_bytes());
    out.extend_from_slice(&entry.last_offset.0.to_be_bytes());
    out.extend_from_slice(&entry.offset_delta.to_be_bytes());
    out.extend_from_slice(&entry.timestamp.0.to_be_bytes());
    out.extend_from_slice(&entry.coordinator_epoch.0.to_be_bytes());
    out.extend_from_slice(&entry.transaction_first_offset.0.to_be_bytes());
}

/// Reads a snapshot; `None` when it is cut short, of another version or damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<Producers> {
    let mut producers = Producers::default();
    for (_, entry) in entries(bytes).ok()? {
        producers.restore(&entry);
    }
    Some(producers)
}

/// One entry as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// The producer.
    pub producer_id: ProducerId,
    /// Its newest incarnation.
    pub epoch: ProducerEpoch,
    /// The sequence number of the last record of a batch of it; -1 without one.
    pub last_sequence: i32,
    /// That record's offset.
    pub last_offset: Offset,
    /// Records in the batch, less one.
    pub offset_delta: i32,
    /// The timestamp of the producer's last batch or marker.
    pub timestamp: TimestampMs,
    /// The incarnation of the coordinator of its transactions; -1 without any.
    pub coordinator_epoch: CoordinatorEpoch,
    /// Where its open transaction begins; -1 without one.
    pub transaction_first_offset: Offset,
}

/// The entries of a snapshot, each with its first byte; or where something is wrong, and what.
pub(crate) fn entries(bytes: &[u8]) -> Result<impl Iterator<Item = (u64, SnapshotEntry)>, (u64, Flaw)> {
    let short = (0, Flaw::PartialEntry { have: bytes.len(), need: HEADER_BYTES });
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(short)?;
    let mut fields = Fields(header);
    let version = i16::from_be_bytes(fields.take());
    let stored = u32::from_be_bytes(fields.take());
    let count = i32::from_be_bytes(fields.take());
    if version != VERSION {
        return Err((0, Flaw::Version(version)));
    }
    let computed = record::checksum(&bytes[CRC_COVERS_FROM..]);
    if computed != stored {
        return Err((2, Flaw::Checksum { stored, computed }));
    }
    let (entries, torn) = rest.as_chunks::<ENTRY_BYTES>();
    if !torn.is_empty() || usize::try_from(count) != Ok(entries.len()) {
        return Err((6, Flaw::Count { said: count.into(), found: entries.len() }));
    }
    let place = |index: usize| batch_scan::bytes(HEADER_BYTES + index * ENTRY_BYTES);
    Ok(entries.iter().enumerate().map(move |(index, bytes)| (place(index), entry(bytes))))
}

fn entry(bytes: &[u8; ENTRY_BYTES]) -> SnapshotEntry {
    let mut fields = Fields(bytes);
    SnapshotEntry {
        producer_id: ProducerId(i64::from_be_bytes(fields.take())),
        epoch: ProducerEpoch(i16::from_be_bytes(fields.take())),
        last_sequence: i32::from_be_bytes(fields.take()),
        last_offset: Offset(i64::from_be_bytes(fields.take())),
        offset_delta: i32::from_be_bytes(fields.take()),
        timestamp: TimestampMs(i64::from_be_bytes(fields.take())),
        coordinator_epoch: CoordinatorEpoch(i32::from_be_bytes(fields.take())),
        transaction_first_offset: Offset(i64::from_be_bytes(fields.take())),
    }
}

/// The fields of something as long as all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk::<N>().expect("the fields are as long as the whole");
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot Kafka 4.3.1 wrote at a roll at offset 3282: one producer, six records in its last batch.
    const KAFKAS: [u8; 56] = [
        0x00, 0x01, 0x78, 0x72, 0xbc, 0xce, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0xd1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0xd1, 0x00, 0x00,
        0x00, 0x05, 0x00, 0x00, 0x01, 0xa1, 0xfd, 0xa2, 0x74, 0x58, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff,
    ];

    #[test]
    fn kafkas_bytes_are_read_and_written() {
        let producers = decode(&KAFKAS).expect("Kafka's own snapshot");
        let (id, entry) = producers.sorted()[0];
        assert_eq!((id, entry.epoch), (ProducerId(0), ProducerEpoch(0)));
        let batch = entry.batches[0];
        assert_eq!((batch.last_sequence, batch.last_offset, batch.offset_delta), (3281, Offset(3281), 5));
        assert_eq!(encode(&producers), KAFKAS);
    }

    /// One that Kafka 4.3.1 wrote at offset 9: a producer whose transactions have ended, in its next epoch by now, and one
    /// with a transaction open since offset 8.
    const KAFKAS_TRANSACTIONS: [u8; 102] = [
        0x00, 0x01, 0x53, 0x94, 0x36, 0x7a, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x01, 0xa1, 0xff, 0x6f, 0xdf, 0xa2, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x03, 0xe8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08,
    ];

    #[test]
    fn kafkas_transactions_are_read_and_written() {
        let producers = decode(&KAFKAS_TRANSACTIONS).expect("Kafka's own snapshot");
        let open: Vec<_> = producers.open_transactions().collect();
        assert_eq!(open, [(ProducerId(1), ProducerEpoch(1))]);
        assert_eq!(producers.first_undecided(), Some(Offset(8)));
        let ended = producers.active()[0];
        assert_eq!((ended.epoch, ended.last_sequence), (ProducerEpoch(2), -1));
        assert_eq!((ended.coordinator_epoch, ended.transaction_first_offset), (CoordinatorEpoch(0), None));
        assert_eq!(encode(&producers), KAFKAS_TRANSACTIONS);
    }

    #[test]
    fn all_batches_survive_and_damage_is_seen() {
        let mut producers = Producers::default();
        let marker_only = SnapshotEntry {
            producer_id: ProducerId(4),
            epoch: ProducerEpoch(2),
            last_sequence: -1,
            last_offset: Offset(-1),
            offset_delta: 0,
            timestamp: TimestampMs(5),
            coordinator_epoch: CoordinatorEpoch(3),
            transaction_first_offset: Offset(-1),
        };
        producers.restore(&marker_only);
        for sequence in 0..7 {
            producers.restore(&SnapshotEntry {
                producer_id: ProducerId(9),
                last_sequence: sequence,
                last_offset: Offset(i64::from(sequence)),
                transaction_first_offset: Offset(1),
                ..marker_only
            });
        }
        assert_eq!(producers.first_undecided(), Some(Offset(1)));
        let bytes = encode(&producers);
        assert_eq!(bytes.len(), HEADER_BYTES + 6 * ENTRY_BYTES);
        assert_eq!(decode(&bytes), Some(producers));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
    }
}
