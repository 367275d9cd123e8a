//! The marker that ends a transaction in a partition: a control batch of one record.
//!
//! Key: version (i16), type (i16). Value: version (i16), the coordinator's epoch (i32). Newer versions may say more
//! behind these fields, which is not looked at. Layout: Kafka's `ControlRecordType` and `EndTransactionMarker`.

use model::{CoordinatorEpoch, ProducerEpoch, ProducerId, TimestampMs, TransactionResult};

use crate::batch::CheckedBatch;
use crate::batch_error::{BatchError, RecordFault};
use crate::builder::{BatchBuilder, BatchOptions, Producer};
use crate::records::{RecordView, decode};

const VERSION: i16 = 0;
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// Markers are not compressed; this bounds what somebody else's may unpack to.
const DECOMPRESSED_BYTES_MAX: usize = 4096;

/// What such a marker says beside its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// What the transaction came to.
    pub result: TransactionResult,
    /// Who decided it.
    pub coordinator_epoch: CoordinatorEpoch,
}

impl EndTransaction {
    /// The marker's batch, as a log takes it in.
    pub fn batch(self, id: ProducerId, epoch: ProducerEpoch, timestamp: TimestampMs) -> CheckedBatch {
        let kind = match self.result {
            TransactionResult::Abort => ABORT,
            TransactionResult::Commit => COMMIT,
        };
        let key = [VERSION.to_be_bytes(), kind.to_be_bytes()].concat();
        let value = [&VERSION.to_be_bytes()[..], &self.coordinator_epoch.0.to_be_bytes()].concat();
        let mut batch = BatchBuilder::new();
        batch.push(Some(&key), Some(&value), &[], timestamp);
        let options = BatchOptions {
            producer: Some(Producer { id, epoch, base_sequence: -1 }),
            transactional: true,
            control: true,
            ..BatchOptions::default()
        };
        batch.build(options).expect("one small record")
    }

    /// Reads a whole control batch; `None` when it ends no transaction: it is of another type, or compaction has
    /// taken its record.
    pub fn read(batch: &[u8]) -> Result<Option<EndTransaction>, BatchError> {
        let decoded = decode(batch, DECOMPRESSED_BYTES_MAX)?;
        let Some(record) = decoded.records().next().transpose()? else { return Ok(None) };
        let malformed = BatchError::BadRecord { index: 0, fault: RecordFault::Malformed };
        let Some((version, kind)) = key(&record) else { return Err(malformed) };
        let result = match kind {
            ABORT => TransactionResult::Abort,
            COMMIT => TransactionResult::Commit,
            _ => return Ok(None),
        };
        match value(&record) {
            Some((value_version, coordinator_epoch)) if VERSION <= version.min(value_version) => {
                Ok(Some(EndTransaction { result, coordinator_epoch }))
            }
            Some(_) | None => Err(malformed),
        }
    }
}

fn key(record: &RecordView<'_>) -> Option<(i16, i16)> {
    let (version, rest) = record.key?.split_first_chunk()?;
    Some((i16::from_be_bytes(*version), i16::from_be_bytes(*rest.first_chunk()?)))
}

fn value(record: &RecordView<'_>) -> Option<(i16, CoordinatorEpoch)> {
    let (version, rest) = record.value?.split_first_chunk()?;
    Some((i16::from_be_bytes(*version), CoordinatorEpoch(i32::from_be_bytes(*rest.first_chunk()?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BATCH_HEADER_BYTES;

    fn marker(result: TransactionResult) -> EndTransaction {
        EndTransaction { result, coordinator_epoch: CoordinatorEpoch(7) }
    }

    fn batch(result: TransactionResult) -> CheckedBatch {
        marker(result).batch(ProducerId(42), ProducerEpoch(3), TimestampMs(1_700_000_000_000))
    }

    #[test]
    fn markers_are_read_as_they_were_written() {
        for result in [TransactionResult::Commit, TransactionResult::Abort] {
            let batch = batch(result);
            let header = batch.header();
            assert!(header.is_control() && header.is_transactional());
            assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(42), ProducerEpoch(3)));
            assert_eq!((header.base_sequence, header.record_count), (-1, 1));
            assert_eq!(EndTransaction::read(&batch.to_vec()), Ok(Some(marker(result))));
        }
    }

    #[test]
    fn the_record_is_kafkas() {
        // Length, attributes, timestamp delta, offset delta, key, value, no headers.
        let expected = [32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 7, 0];
        assert_eq!(batch(TransactionResult::Commit).to_vec()[BATCH_HEADER_BYTES..], expected);
    }

    #[test]
    fn other_control_batches_end_nothing_and_broken_ones_are_refused() {
        let control = |key: &[u8], value: &[u8]| {
            let mut batch = BatchBuilder::new();
            batch.push(Some(key), Some(value), &[], TimestampMs(0));
            let options = BatchOptions { control: true, ..BatchOptions::default() };
            batch.build(options).expect("a record").to_vec()
        };
        assert_eq!(EndTransaction::read(&control(&[0, 0, 0, 2], b"leader change")), Ok(None));
        for (key, value) in
            [(&[0, 0, 0][..], &[0; 6][..]), (&[0, 0, 0, 1], &[0; 5]), (&[255, 255, 0, 1], &[0; 6])]
        {
            assert!(EndTransaction::read(&control(key, value)).is_err(), "{key:?} {value:?}");
        }
    }
}
