//! The crate's claims together: what Java wrote is read, what we write is read, what is broken is refused.

use bytes::Bytes;
use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use proptest::prelude::*;

use crate::header::{ATTRIBUTES_AT, CRC_AT};
use crate::*;

type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedRecord {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<OwnedHeader>,
}

fn build(records: &[OwnedRecord], options: BatchOptions) -> CheckedBatch {
    let mut builder = BatchBuilder::new();
    for record in records {
        let headers: Vec<Header<'_>> =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
        builder.push(record.key.as_deref(), record.value.as_deref(), &headers, TimestampMs(record.timestamp));
    }
    builder.build(options).expect("records to build from")
}

fn read(batch: &[u8]) -> Vec<OwnedRecord> {
    let decoded = decode(batch, 1 << 20).expect("decodes");
    let owned = |record: RecordView<'_>| OwnedRecord {
        timestamp: record.timestamp.0,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: record.headers().map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))).collect(),
    };
    decoded.records().map(|record| owned(record.expect("well formed"))).collect()
}

fn deep() -> BatchRules {
    BatchRules { validation: Validation::Records, ..BatchRules::default() }
}

fn simple(values: &[&str], compression: Compression) -> CheckedBatch {
    let record = |value: &&str| OwnedRecord {
        timestamp: 1000,
        key: None,
        value: Some(value.as_bytes().to_vec()),
        headers: Vec::new(),
    };
    let records: Vec<OwnedRecord> = values.iter().map(record).collect();
    build(&records, BatchOptions { compression, ..BatchOptions::default() })
}

/// Changes bytes of a batch and gives it the checksum that fits, so that only what is behind it can refuse.
fn forge(batch: &CheckedBatch, at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut forged = batch.to_vec();
    forged[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc_fast::crc32_iscsi(&forged[ATTRIBUTES_AT..]);
    forged[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    forged
}

#[track_caller]
fn check_refused(bytes: Vec<u8>, rules: &BatchRules, expected: &BatchError) {
    assert_eq!(CheckedBatch::parse(bytes, rules).as_ref().map(CheckedBatch::header), Err(expected));
}

fn kafka_batches() -> Vec<(Compression, Vec<u8>)> {
    let lines = include_str!("../testdata/kafka_batches.txt").lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let compression = Compression::ALL.into_iter().find(|c| c.name() == name).expect("a codec");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (compression, (0..hex.len()).step_by(2).map(byte).collect())
    };
    lines.map(parse).collect()
}

fn kafka_records() -> Vec<OwnedRecord> {
    let value = || Some(br#"{"lat":52.5200,"lon":13.4050}"#.to_vec());
    vec![
        OwnedRecord {
            timestamp: 1_700_000_000_000,
            key: Some(b"rider-1".to_vec()),
            value: value(),
            headers: vec![(b"trace".to_vec(), Some(b"abc".to_vec())), (b"empty".to_vec(), None)],
        },
        OwnedRecord { timestamp: 1_700_000_000_005, key: None, value: value(), headers: vec![] },
        OwnedRecord {
            timestamp: 1_699_999_999_999,
            key: Some(b"rider-2".to_vec()),
            value: None,
            headers: vec![],
        },
    ]
}

#[test]
fn batches_of_kafkas_java_client_are_read() {
    let batches = kafka_batches();
    assert_eq!(batches.len(), Compression::ALL.len());
    for (compression, bytes) in batches {
        let batch = CheckedBatch::parse(bytes.clone(), &deep()).expect("Kafka's own batch");
        let header = batch.header();
        assert_eq!(header.compression(), Ok(compression));
        assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(4711), ProducerEpoch(3)));
        assert_eq!((header.base_sequence, header.last_sequence()), (42, 44));
        assert!(header.is_transactional() && !header.is_control());
        assert_eq!(
            batch.timestamp_bounds(),
            (TimestampMs(1_699_999_999_999), TimestampMs(1_700_000_000_005))
        );
        assert_eq!(read(&bytes), kafka_records(), "{compression:?}");
        assert_eq!(batch.to_vec(), bytes);
    }
}

#[test]
fn an_uncompressed_batch_is_written_byte_for_byte_as_java_writes_it() {
    let producer = Producer { id: ProducerId(4711), epoch: ProducerEpoch(3), base_sequence: 42 };
    let options = BatchOptions { producer: Some(producer), transactional: true, ..BatchOptions::default() };
    let (_, theirs) = kafka_batches().swap_remove(0);
    assert_eq!(build(&kafka_records(), options).to_vec(), theirs);
}

#[test]
fn patching_outside_the_checksum_keeps_it_and_append_time_renews_it() {
    let mut batch = simple(&["a", "b"], Compression::None);
    let crc = batch.header().crc;
    batch.set_base_offset(Offset(41));
    batch.set_partition_leader_epoch(LeaderEpoch(7));
    assert_eq!(batch.header().crc, crc);
    assert_eq!((batch.header().last_offset(), batch.header().next_offset()), (Offset(42), Offset(43)));
    batch.set_log_append_time(TimestampMs(5000));
    assert_ne!(batch.header().crc, crc);
    let bytes = batch.to_vec();
    assert_eq!(check(&bytes).as_ref(), Ok(batch.header()));
    let decoded = decode(&bytes, 100).expect("decodes");
    let seen: Vec<(Offset, TimestampMs)> =
        decoded.records().map(|r| r.map(|r| (r.offset, r.timestamp)).expect("well formed")).collect();
    assert_eq!(seen, [(Offset(41), TimestampMs(5000)), (Offset(42), TimestampMs(5000))]);
}

#[test]
fn what_a_client_may_not_send_is_refused() {
    let batch = simple(&["a", "b"], Compression::None);
    let rules = BatchRules::default();
    assert!(CheckedBatch::parse(batch.to_vec(), &rules).is_ok());
    let mismatch =
        |record_count, last_offset_delta| BatchError::CountMismatch { record_count, last_offset_delta };
    let i32s = |n: i32| n.to_be_bytes().to_vec();
    for (at, bytes, expected) in [
        (0, 5i64.to_be_bytes().to_vec(), BatchError::BaseOffsetNotZero(5)),
        (8, i32s(-1), BatchError::ImpossibleLength(-1)),
        (8, i32s(i32::MIN), BatchError::ImpossibleLength(i32::MIN)),
        (16, vec![1], BatchError::UnsupportedMagic(1)),
        (16, vec![0], BatchError::UnsupportedMagic(0)),
        (16, vec![3], BatchError::UnsupportedMagic(3)),
        (21, vec![0, 0x20], BatchError::ControlFromClient),
        (21, vec![0, 0x08], BatchError::AppendTimeFromClient),
        (21, vec![0, 5], BatchError::UnknownCompression(5)),
        (23, i32s(2), mismatch(2, 2)),
        (57, i32s(0), mismatch(0, 1)),
        (57, i32s(-1), mismatch(-1, 1)),
        (43, 9i64.to_be_bytes().to_vec(), BatchError::SequenceMissing { producer_id: 9, base_sequence: -1 }),
        // The first record: its length, its offset delta.
        (61, vec![13], BatchError::BadRecord { index: 0, fault: RecordFault::Malformed }),
        (64, vec![2], BatchError::BadRecord { index: 0, fault: RecordFault::OffsetDelta { delta: 1 } }),
    ] {
        check_refused(forge(&batch, at, &bytes), &rules, &expected);
    }
    let mut flipped = batch.to_vec();
    flipped[65] ^= 1;
    let error = CheckedBatch::parse(flipped, &rules).expect_err("a flipped bit");
    assert!(matches!(error, BatchError::BadCrc { .. }), "{error}");
    let size = batch.size_in_bytes();
    check_refused(
        [batch.to_vec(), vec![0; 3]].concat(),
        &rules,
        &BatchError::MoreThanOneBatch { trailing: 3 },
    );
    check_refused(batch.to_vec()[..70].to_vec(), &rules, &BatchError::Truncated { have: 70, need: size });
    let small = BatchRules { batch_bytes_max: size - 1, ..rules };
    check_refused(batch.to_vec(), &small, &BatchError::TooLarge { size, max: size - 1 });
    let keyed = BatchRules { keys: Keys::Required, ..rules };
    check_refused(batch.to_vec(), &keyed, &BatchError::BadRecord { index: 0, fault: RecordFault::NullKey });
}

#[test]
fn compressed_records_are_looked_into_when_asked() {
    for compression in Compression::ALL {
        let batch = simple(&["a", "b"], compression);
        // One record fewer than the payload holds.
        let mut forged = forge(&batch, 57, &1i32.to_be_bytes());
        forged = forge(&CheckedBatch::parse_appended(forged).expect("sound but for its count"), 23, &[0; 4]);
        check_refused(forged.clone(), &deep(), &BatchError::TrailingRecordBytes);
        let shallow = CheckedBatch::parse(forged, &BatchRules::default());
        assert_eq!(shallow.is_ok(), compression != Compression::None, "{compression:?}");
    }
}

#[test]
fn a_wrong_maximum_timestamp_is_corrected() {
    let forged = forge(&simple(&["a"], Compression::None), 35, &i64::MAX.to_be_bytes());
    let batch = CheckedBatch::parse(forged, &BatchRules::default()).expect("a batch");
    assert_eq!(batch.header().max_timestamp, TimestampMs(1000));
    assert!(check(&batch.to_vec()).is_ok());
}

#[test]
fn decompression_bombs_are_bounded() {
    let zeros = "0".repeat(3 << 20);
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let bomb = simple(&[&zeros], compression);
        assert!(bomb.size_in_bytes() < 1 << 19, "{compression:?} compresses");
        let max = 1 << 20;
        let rules = BatchRules { decompressed_bytes_max: max, ..deep() };
        check_refused(bomb.to_vec(), &rules, &BatchError::DecompressedTooLarge { max });
        let error = decode(&bomb.to_vec(), max).err();
        assert_eq!(error, Some(BatchError::DecompressedTooLarge { max }));
        assert!(CheckedBatch::parse(bomb.to_vec(), &deep()).is_ok(), "{compression:?} within the bound");
    }
}

#[test]
fn appended_batches_may_have_gaps_and_markers() {
    let control = BatchOptions { control: true, ..BatchOptions::default() };
    let record = OwnedRecord { timestamp: 1, key: Some(vec![0; 4]), value: None, headers: Vec::new() };
    let mut marker = build(&[record], control);
    marker.set_base_offset(Offset(99));
    check_refused(marker.to_vec(), &BatchRules::default(), &BatchError::BaseOffsetNotZero(99));
    assert!(CheckedBatch::parse_appended(marker.to_vec()).is_ok());
    let compacted = forge(&simple(&["a", "b"], Compression::None), 23, &9i32.to_be_bytes());
    assert_eq!(CheckedBatch::parse_appended(compacted).expect("gaps").header().next_offset(), Offset(10));
}

fn bytes_strategy() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80))
}

fn record_strategy() -> impl Strategy<Value = OwnedRecord> {
    let header = (proptest::collection::vec(any::<u8>(), 0..9), bytes_strategy());
    let headers = proptest::collection::vec(header, 0..3);
    (any::<i64>(), bytes_strategy(), bytes_strategy(), headers)
        .prop_map(|(timestamp, key, value, headers)| OwnedRecord { timestamp, key, value, headers })
}

fn batch_strategy() -> impl Strategy<Value = (Vec<OwnedRecord>, BatchOptions)> {
    let records = proptest::collection::vec(record_strategy(), 1..12);
    let producer = proptest::option::of((0..i64::MAX, 0..i16::MAX, 0..i32::MAX));
    (records, 0..5i16, producer, any::<bool>()).prop_map(|(records, codec, producer, transactional)| {
        let compression = Compression::from_id(codec).expect("a codec");
        let producer = producer.map(|(id, epoch, base_sequence)| Producer {
            id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
            base_sequence,
        });
        (records, BatchOptions { compression, producer, transactional, control: false })
    })
}

/// Whatever the bytes, an answer comes back; a batch that is let in can be iterated to its last record.
fn survives(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let _header = BatchHeader::parse(&bytes);
    if let Ok(decoded) = decode(&bytes, 1 << 16) {
        let _count = decoded.records().count();
    }
    if let Ok(batch) = CheckedBatch::parse(bytes, &deep()) {
        let bytes = batch.to_vec();
        let decoded = decode(&bytes, 1 << 26).expect("a checked batch decodes");
        assert!(decoded.records().all(|record| record.is_ok()));
    }
}

proptest! {
    #[test]
    fn what_is_built_is_read_back((records, options) in batch_strategy()) {
        let built = build(&records, options);
        let bytes = built.to_vec();
        let parsed = CheckedBatch::parse(bytes.clone(), &deep()).expect("built by the rules");
        prop_assert_eq!(parsed.header(), built.header());
        prop_assert_eq!(read(&bytes), records);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        survives(bytes);
    }

    #[test]
    fn damaged_batches_never_panic(
        (records, options) in batch_strategy(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        fix_checksum: bool,
    ) {
        let built = build(&records, options);
        let mut bytes = built.to_vec();
        survives(bytes[..cut.index(bytes.len())].to_vec());
        for (at, bits) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        if fix_checksum {
            let crc = crc_fast::crc32_iscsi(&bytes[ATTRIBUTES_AT..]);
            bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        }
        survives(bytes);
    }
}

#[test]
fn a_recompressed_batch_is_the_same_but_for_its_codec() {
    let header = |key: &[u8], value: Option<&[u8]>| (key.to_vec(), value.map(<[u8]>::to_vec));
    let record = |timestamp, key: Option<&[u8]>, value: Option<&[u8]>| OwnedRecord {
        timestamp,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: vec![header(b"h", None), header(b"h", Some(b"1")), header(b"h", Some(b"1"))],
    };
    let records = [
        record(1000, Some(b"k"), Some(&[b'v'; 300])),
        record(990, None, None),
        record(1010, Some(b""), Some(b"")),
    ];
    let producer = Producer { id: ProducerId(7), epoch: ProducerEpoch(3), base_sequence: 41 };
    for from in Compression::ALL {
        let batch = build(
            &records,
            BatchOptions { compression: from, producer: Some(producer), ..BatchOptions::default() },
        );
        for to in Compression::ALL {
            let again = batch.clone().recompress(to, None, 1 << 20).expect("fits");
            assert_eq!(again.header().compression(), Ok(to), "{from:?} to {to:?}");
            let rest =
                |header: &BatchHeader| BatchHeader { batch_length: 0, crc: 0, attributes: 0, ..*header };
            assert_eq!(rest(again.header()), rest(batch.header()), "{from:?} to {to:?}");
            let parsed = CheckedBatch::parse(again.to_vec(), &deep()).expect("a batch by all rules");
            assert_eq!(parsed.timestamp_bounds(), (TimestampMs(990), TimestampMs(1010)));
            assert_eq!(read(&again.to_vec()), records, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn recompressing_is_bounded_and_its_level_counts() {
    let value = "0123456789abcdef".repeat(1000);
    let batch = simple(&[&value], Compression::Zstd);
    assert_eq!(
        batch.clone().recompress(Compression::None, None, 1000),
        Err(BatchError::DecompressedTooLarge { max: 1000 })
    );
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 7).unwrap())
    };
    let words: Vec<String> = (0..300).map(|_| (0..9).map(|_| letter()).collect()).collect();
    let text: String = (0..3000_usize).map(|i| words[i * i % 293].as_str()).collect();
    let batch = simple(&[&text], Compression::None);
    for codec in [Compression::Gzip, Compression::Zstd] {
        let size = |level| batch.clone().recompress(codec, Some(level), 1 << 20).unwrap().size_in_bytes();
        assert!(size(9) < size(1), "{codec:?}");
    }
}
