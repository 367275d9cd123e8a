//! The same batch with fewer records, as compaction leaves it.
//!
//! - F1 Base offset, last offset delta, leader epoch, producer, sequence number, codec and kind stay, whichever records
//!   are left: which offsets a batch covered is never forgotten, and no record gets another offset or timestamp.
//! - F2 The delete horizon is a flag and the base timestamp, as Kafka writes it since 3.1 (KIP-534); the timestamps of
//!   the records then count from it.

use model::TimestampMs;

use crate::batch::checksum;
use crate::batch_error::{BatchError, RecordFault};
use crate::builder::put_nullable;
use crate::header::{
    ATTRIBUTES_AT, BATCH_HEADER_BYTES, BatchHeader, COMPRESSION_MASK, CRC_AT, DELETE_HORIZON_BIT, LENGTH_AT,
    LENGTH_OVERHEAD_BYTES, TimestampType,
};
use crate::records::{Decoded, RecordView};
use crate::varint;

impl Decoded<'_> {
    /// The batch with those records only for which `is_kept` has `true` at their place, and this delete horizon.
    ///
    /// Fails where a record cannot be read, or with `TooLarge` beyond what a length can say.
    pub fn rewrite(
        &self,
        is_kept: &[bool],
        delete_horizon: Option<TimestampMs>,
    ) -> Result<Vec<u8>, BatchError> {
        let mut header = *self.header();
        if let Some(horizon) = delete_horizon {
            header.attributes |= DELETE_HORIZON_BIT;
            header.base_timestamp = horizon;
        }
        let (mut records, mut scratch) = (Vec::new(), Vec::new());
        let (mut count, mut max_timestamp) = (0, TimestampMs::NONE);
        for (record, _) in self.records().zip(is_kept).filter(|&(_, &is_kept)| is_kept) {
            let record = record?;
            put_record(&mut records, &mut scratch, &header, &record)?;
            max_timestamp = max_timestamp.max(record.timestamp);
            count += 1;
        }
        header.record_count = count;
        if header.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = max_timestamp;
        }
        let body = header.compression()?.compress(records, None).map_err(|_| BatchError::Decompression)?;
        seal(&header, &body)
    }
}

/// What is left of a batch without records: which offsets it covered and whose it was.
pub fn emptied(header: &BatchHeader) -> Result<Vec<u8>, BatchError> {
    let attributes = header.attributes & !(COMPRESSION_MASK | DELETE_HORIZON_BIT);
    seal(&BatchHeader { attributes, base_timestamp: TimestampMs::NONE, record_count: 0, ..*header }, &[])
}

/// A record as it was, but for where its timestamp counts from.
fn put_record(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    header: &BatchHeader,
    record: &RecordView<'_>,
) -> Result<(), BatchError> {
    let unfit = BatchError::BadRecord { index: 0, fault: RecordFault::Malformed };
    let offset_delta = i32::try_from(record.offset.since(header.base_offset)).map_err(|_| unfit.clone())?;
    scratch.clear();
    scratch.push(0);
    varint::put_i64(scratch, record.timestamp.0.wrapping_sub(header.base_timestamp.0));
    varint::put_i32(scratch, offset_delta);
    put_nullable(scratch, record.key);
    put_nullable(scratch, record.value);
    varint::put_i32(scratch, record.header_count);
    scratch.extend_from_slice(record.headers);
    varint::put_i32(out, i32::try_from(scratch.len()).map_err(|_| unfit)?);
    out.extend_from_slice(scratch);
    Ok(())
}

/// Header and records with the length and the checksum they have now.
fn seal(header: &BatchHeader, body: &[u8]) -> Result<Vec<u8>, BatchError> {
    let size = BATCH_HEADER_BYTES + body.len();
    let Ok(length) = i32::try_from(size - LENGTH_OVERHEAD_BYTES) else {
        return Err(BatchError::TooLarge { size, max: model::limits::DECOMPRESSED_BATCH_BYTES_MAX });
    };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&header.to_bytes());
    bytes.extend_from_slice(body);
    bytes[LENGTH_AT..][..4].copy_from_slice(&length.to_be_bytes());
    let crc = checksum(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

    use super::*;
    use crate::{BatchBuilder, BatchOptions, Compression, Header, Producer, check, decode};

    fn batch(compression: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for (index, key) in [b"a", b"b", b"c"].into_iter().enumerate() {
            let headers = [Header { key: b"h", value: None }, Header { key: b"i", value: Some(b"1") }];
            let timestamp = TimestampMs(1000 - 10 * i64::try_from(index).expect("small"));
            builder.push(Some(key), Some(b"value"), &headers[..index.min(2)], timestamp);
        }
        let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(3), base_sequence: 40 };
        let options = BatchOptions { compression, producer: Some(producer), ..BatchOptions::default() };
        let mut batch = builder.build(options).expect("records");
        batch.set_base_offset(Offset(100));
        batch.set_partition_leader_epoch(LeaderEpoch(5));
        batch.to_vec()
    }

    #[test]
    fn a_rewritten_batch_keeps_offsets_producer_and_what_records_say() {
        for compression in Compression::ALL {
            let bytes = batch(compression);
            let before = decode(&bytes, usize::MAX).expect("decodes");
            for horizon in [None, Some(TimestampMs(9000))] {
                let rewritten = before.rewrite(&[false, true, true], horizon).expect("rewrites");
                let header = check(&rewritten).expect("sound");
                assert_eq!((header.base_offset, header.last_offset()), (Offset(100), Offset(102)));
                assert_eq!((header.last_sequence(), header.producer_epoch), (42, ProducerEpoch(3)));
                assert_eq!((header.partition_leader_epoch, header.record_count), (LeaderEpoch(5), 2));
                assert_eq!(header.max_timestamp, TimestampMs(990));
                assert_eq!((header.delete_horizon(), header.compression()), (horizon, Ok(compression)));
                let after = decode(&rewritten, usize::MAX).expect("decodes");
                let left: Vec<_> = after.records().map(|record| record.expect("reads")).collect();
                let expected: Vec<_> =
                    before.records().skip(1).map(|record| record.expect("reads")).collect();
                assert_eq!(left, expected, "{compression:?} {horizon:?}");
            }
        }
    }

    #[test]
    fn an_emptied_batch_covers_its_offsets_and_sequences_still() {
        let bytes = batch(Compression::Zstd);
        let before = check(&bytes).expect("sound");
        let emptied = emptied(&before).expect("fits");
        assert_eq!(emptied.len(), BATCH_HEADER_BYTES);
        let header = check(&emptied).expect("sound");
        assert_eq!((header.last_offset(), header.last_sequence()), (Offset(102), 42));
        assert_eq!((header.max_timestamp, header.base_timestamp), (TimestampMs(1000), TimestampMs::NONE));
        assert_eq!(decode(&emptied, 0).expect("decodes").records().count(), 0);
    }
}
