//! Produce without and with idempotence: cases 22 to 33.

use model::{ErrorCode, ProducerEpoch, ProducerId};
use record::{BatchBuilder, BatchHeader, BatchOptions, Compression, Producer, TimestampType};
use wire::InitProducerIdRequest;
use wire::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse};

use crate::connection::{Connection, error};
use crate::peer::{Peer, check};
use crate::topic::{NOON, PRODUCE, batch, batch_at, batches, produce_request, with_topic};

// Where the fields of a batch lie.
const LENGTH: usize = 8;
const LEADER_EPOCH: usize = 12;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const MAX_TIMESTAMP: usize = 35;
const PRODUCER_ID: usize = 43;
const RECORD_COUNT: usize = 57;

/// A batch of two records with other bytes in one place, and the checksum that belongs to them.
fn altered(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch(2);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut batch);
    batch
}

fn seal(batch: &mut [u8]) {
    let checksum = record::checksum(&batch[ATTRIBUTES..]);
    batch[CRC..ATTRIBUTES].copy_from_slice(&checksum.to_be_bytes());
}

/// The batches of a producer with a number.
fn numbered(id: i64, epoch: i16, base_sequence: i32, count: usize) -> Vec<u8> {
    let producer = Producer { id: ProducerId(id), epoch: ProducerEpoch(epoch), base_sequence };
    batch_at(&vec![NOON; count], BatchOptions { producer: Some(producer), ..BatchOptions::default() })
}

fn compressed(compression: Compression, count: usize) -> Vec<u8> {
    batch_at(&vec![NOON; count], BatchOptions { compression, ..BatchOptions::default() })
}

async fn producer_id(connection: &mut Connection) -> (i64, i16) {
    let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let request = InitProducerIdRequest { transaction_timeout_ms: 60_000, ..request };
    for _ in Connection::looks() {
        let answer = connection.ask(&request, 4).await;
        if !error(answer.error_code).is_retriable() {
            assert_eq!(error(answer.error_code), ErrorCode::None);
            return (answer.producer_id, answer.producer_epoch);
        }
        connection.pause().await;
    }
    panic!("no producer id is to be had");
}

/// The only batch of a topic, as it is stored.
async fn stored(connection: &mut Connection, topic: &str) -> (BatchHeader, Vec<u8>) {
    let bytes = connection.fetch(topic, 0).await.records.bytes().unwrap().to_vec();
    (record::check(&bytes).unwrap(), bytes)
}

/// Error and offset of a batch that was sent.
async fn sent(connection: &mut Connection, topic: &str, batch: Vec<u8>) -> (ErrorCode, i64) {
    let answer = connection.produce(topic, batch).await;
    (error(answer.error_code), answer.base_offset)
}

async fn sent_in(
    connection: &mut Connection,
    topic: &str,
    batch: Vec<u8>,
    version: i16,
) -> PartitionProduceResponse<'static> {
    let request = produce_request(topic, batch, -1);
    connection.ask(&request, version).await.responses[0].partition_responses.remove(0)
}

#[test]
fn c22_a_batch_has_to_agree_with_itself() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let mut wrong_checksum = batch(2);
        *wrong_checksum.last_mut().unwrap() ^= 1;
        for (what, batch, expected) in [
            ("a base offset", altered(0, &7i64.to_be_bytes()), ErrorCode::InvalidRecord),
            (
                "more offsets than records",
                altered(LAST_OFFSET_DELTA, &2i32.to_be_bytes()),
                ErrorCode::InvalidRecord,
            ),
            (
                "fewer offsets than records",
                altered(LAST_OFFSET_DELTA, &0i32.to_be_bytes()),
                ErrorCode::InvalidRecord,
            ),
            ("no records", altered(RECORD_COUNT, &0i32.to_be_bytes()), ErrorCode::InvalidRecord),
            (
                "fewer than no records",
                altered(RECORD_COUNT, &(-2i32).to_be_bytes()),
                ErrorCode::InvalidRecord,
            ),
            ("the bit of markers", altered(ATTRIBUTES, &0x20i16.to_be_bytes()), ErrorCode::InvalidRecord),
            ("a number without a sequence", numbered(4_000, 0, -1, 1), ErrorCode::InvalidRecord),
            ("a wrong checksum", wrong_checksum, ErrorCode::CorruptMessage),
            ("nothing at all", Vec::new(), ErrorCode::InvalidRecord),
            ("two batches", [batch(1), batch(1)].concat(), ErrorCode::InvalidRecord),
            ("nothing wrong", batch(2), ErrorCode::None),
        ] {
            assert_eq!(sent(&mut connection, &topic, batch).await.0, expected, "{what}");
        }
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 2);
    });
}

#[test]
fn c22_formats_before_version_2_are_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for (magic, expected) in [
            (0, ErrorCode::InvalidRecord),
            (1, ErrorCode::InvalidRecord),
            // Nothing that was ever a format.
            (3, ErrorCode::CorruptMessage),
            (0xff, ErrorCode::CorruptMessage),
        ] {
            let mut batch = batch(2);
            batch[MAGIC] = magic;
            assert_eq!(sent(&mut connection, &topic, batch).await.0, expected, "magic {magic}");
        }
    });
}

#[test]
fn c22_a_batch_that_is_cut_short_is_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for length in [1, 20, batch(2).len() - 1] {
            let (error, _) = sent(&mut connection, &topic, batch(2)[..length].to_vec()).await;
            assert_eq!(error, ErrorCode::InvalidRecord, "{length} bytes");
        }
        let (error, _) = sent(&mut connection, &topic, altered(LENGTH, &10i32.to_be_bytes())).await;
        assert_eq!(error, ErrorCode::CorruptMessage);
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn c23_offset_and_leader_epoch_are_written_into_a_batch_and_nothing_else() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(2)).await;
        connection.delete_records(&topic, 2).await;
        let mut sent = altered(LEADER_EPOCH, &77i32.to_be_bytes());
        connection.write(&topic, sent.clone()).await;
        let bytes = connection.fetch(&topic, 2).await.records.bytes().unwrap().to_vec();
        sent[..LENGTH].copy_from_slice(&2i64.to_be_bytes());
        sent[LEADER_EPOCH..MAGIC].copy_from_slice(&0i32.to_be_bytes());
        assert_eq!(bytes, sent);
    });
}

#[test]
fn c23_the_time_of_appending_changes_attributes_largest_time_and_checksum() {
    check(async |peer| {
        let append_time = [("message.timestamp.type", "LogAppendTime")];
        let (mut connection, topic) = with_topic(&peer, &append_time).await;
        let sent = batch_at(&[NOON, NOON + 5], BatchOptions::default());
        let answer = connection.produce(&topic, sent.clone()).await;
        let (header, bytes) = stored(&mut connection, &topic).await;
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(header.max_timestamp.0, answer.log_append_time_ms);
        assert!(NOON + 5 < answer.log_append_time_ms);
        assert_eq!(bytes[LAST_OFFSET_DELTA..MAX_TIMESTAMP], sent[LAST_OFFSET_DELTA..MAX_TIMESTAMP]);
        assert_eq!(bytes[PRODUCER_ID..], sent[PRODUCER_ID..], "the records are as they came");
    });
}

#[test]
fn c24_the_answer_tells_where_the_batch_and_the_log_begin() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(3)).await;
        connection.delete_records(&topic, 2).await;
        let answer = connection.produce(&topic, batch(3)).await;
        assert_eq!((answer.base_offset, answer.log_append_time_ms, answer.log_start_offset), (3, -1, 2));
        let refused = connection.produce(&topic, altered(RECORD_COUNT, &0i32.to_be_bytes())).await;
        assert_eq!((refused.base_offset, refused.log_append_time_ms), (-1, -1));
    });
}

/// 4.3 tells the start of the log with a batch that it refused, but not of a partition that is not there.
#[test]
fn c24_a_refused_batch_is_answered_without_an_offset() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let mut request = produce_request(&topic, batch(1), -1);
        request.topic_data[0].partition_data[0].index = 9;
        let answer = connection.ask(&request, PRODUCE).await.responses[0].partition_responses.remove(0);
        assert_eq!(error(answer.error_code), ErrorCode::UnknownTopicOrPartition);
        assert_eq!((answer.base_offset, answer.log_append_time_ms, answer.log_start_offset), (-1, -1, -1));
    });
}

#[test]
fn c24_times_far_from_the_clock_are_refused() {
    check(async |peer| {
        let before = [("message.timestamp.before.max.ms", "60000")];
        let (mut connection, topic) = with_topic(&peer, &before).await;
        let now = peer.rt.wall_clock_ms();
        for (time, expected) in [
            (now - 120_000, ErrorCode::InvalidTimestamp),
            (now, ErrorCode::None),
            (now + 3_000_000, ErrorCode::None),
            (now + 3_700_000, ErrorCode::InvalidTimestamp),
            (-1, ErrorCode::None),
        ] {
            let answer = connection.produce(&topic, batch_at(&[now, time], BatchOptions::default())).await;
            assert_eq!(error(answer.error_code), expected, "{} ms from now", time - now);
            let at_fault: Vec<_> = answer.record_errors.iter().map(|record| record.batch_index).collect();
            assert_eq!(at_fault, if expected == ErrorCode::None { vec![] } else { vec![1] });
        }
    });
}

#[test]
fn c25_the_largest_batch_is_counted_whole() {
    check(async |peer| {
        let size = batch(3).len();
        for (max, expected) in [(size, ErrorCode::None), (size - 1, ErrorCode::MessageTooLarge)] {
            let max = max.to_string();
            let (mut connection, topic) = with_topic(&peer, &[("max.message.bytes", max.as_str())]).await;
            assert_eq!(sent(&mut connection, &topic, batch(3)).await.0, expected, "{max} bytes");
        }
    });
}

#[test]
fn c25_what_grows_when_it_is_stored_is_counted_again() {
    check(async |peer| {
        let gzip = compressed(Compression::Gzip, 100);
        let configs = [("max.message.bytes", "1000"), ("compression.type", "uncompressed")];
        assert!(gzip.len() < 1000);
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        assert_eq!(sent(&mut connection, &topic, gzip).await.0, ErrorCode::MessageTooLarge);
    });
}

#[test]
fn c25_a_batch_larger_than_a_segment_is_refused() {
    check(async |peer| {
        let size = batch(3).len();
        for (segment, expected) in [(size, ErrorCode::None), (size - 1, ErrorCode::RecordListTooLarge)] {
            let segment = segment.to_string();
            let configs = [("internal.segment.bytes", segment.as_str())];
            let (mut connection, topic) = with_topic(&peer, &configs).await;
            assert_eq!(sent(&mut connection, &topic, batch(3)).await.0, expected, "{segment} bytes");
        }
    });
}

#[test]
fn c26_batches_are_stored_as_the_topic_says() {
    check(async |peer| {
        for (stored_as, sent_as, expected) in [
            ("gzip", Compression::None, Compression::Gzip),
            ("zstd", Compression::Gzip, Compression::Zstd),
            ("uncompressed", Compression::Lz4, Compression::None),
            ("producer", Compression::Snappy, Compression::Snappy),
        ] {
            let (mut connection, topic) = with_topic(&peer, &[("compression.type", stored_as)]).await;
            connection.write(&topic, compressed(sent_as, 3)).await;
            let (header, bytes) = stored(&mut connection, &topic).await;
            assert_eq!(header.compression(), Ok(expected), "{stored_as}");
            let decoded = record::decode(&bytes, 10_000).unwrap();
            let values: Vec<_> =
                decoded.records().map(|record| record.unwrap().value.unwrap().to_vec()).collect();
            assert_eq!(values, [b"0", b"1", b"2"]);
        }
    });
}

#[test]
fn c26_zstd_is_refused_from_writers_that_cannot_know_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for (version, expected) in [(6, ErrorCode::UnsupportedCompressionType), (7, ErrorCode::None)] {
            let answer = sent_in(&mut connection, &topic, compressed(Compression::Zstd, 3), version).await;
            assert_eq!(error(answer.error_code), expected, "version {version}");
        }
    });
}

#[test]
fn c27_a_record_without_a_key_fails_its_batch_in_a_compacted_topic() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("cleanup.policy", "compact")]).await;
        let mut builder = BatchBuilder::new();
        builder.push(Some(b"key"), Some(b"value"), &[], model::TimestampMs(NOON));
        builder.push(None, Some(b"value"), &[], model::TimestampMs(NOON));
        let answer =
            connection.produce(&topic, builder.build(BatchOptions::default()).unwrap().to_vec()).await;
        assert_eq!(error(answer.error_code), ErrorCode::InvalidRecord);
        let at_fault: Vec<_> = answer
            .record_errors
            .iter()
            .map(|BatchIndexAndErrorMessage { batch_index, .. }| *batch_index)
            .collect();
        assert_eq!(at_fault, [1]);
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 0);
    });
}

/// 4.3 never asks for more in-sync replicas than there are replicas.
#[test]
fn c28_min_insync_replicas_counts_up_to_the_replicas_there_are() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("min.insync.replicas", "2")]).await;
        assert_eq!(sent(&mut connection, &topic, batch(1)).await, (ErrorCode::None, 0));
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 1);
    });
}

#[test]
fn c29_a_repeated_batch_is_answered_with_its_first_offset_and_not_written_again() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        for number in 0..6 {
            let written = sent(&mut connection, &topic, numbered(id, epoch, 2 * number, 2)).await;
            assert_eq!(written, (ErrorCode::None, i64::from(2 * number)));
        }
        for (sequence, expected) in [
            (2, (ErrorCode::None, 2)),
            (10, (ErrorCode::None, 10)),
            // Five batches are remembered; this was the sixth last.
            (0, (ErrorCode::OutOfOrderSequenceNumber, -1)),
            (14, (ErrorCode::OutOfOrderSequenceNumber, -1)),
            (11, (ErrorCode::OutOfOrderSequenceNumber, -1)),
            (12, (ErrorCode::None, 12)),
        ] {
            let found = sent(&mut connection, &topic, numbered(id, epoch, sequence, 2)).await;
            assert_eq!(found, expected, "sequence {sequence}");
        }
        assert_eq!(batches(&connection.fetch(&topic, 0).await).len(), 7);
    });
}

#[test]
fn c29_a_repeated_batch_of_another_length_is_out_of_order() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        connection.write(&topic, numbered(id, epoch, 0, 4)).await;
        for (sequence, count) in [(0, 3), (1, 3), (0, 5), (2, 4)] {
            let (error, _) = sent(&mut connection, &topic, numbered(id, epoch, sequence, count)).await;
            assert_eq!(error, ErrorCode::OutOfOrderSequenceNumber, "{count} from {sequence}");
        }
    });
}

#[test]
fn c30_sequences_begin_again_after_the_largest() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        connection.write(&topic, numbered(id, epoch, i32::MAX - 1, 2)).await;
        assert_eq!(
            sent(&mut connection, &topic, numbered(id, epoch, 1, 1)).await.0,
            ErrorCode::OutOfOrderSequenceNumber
        );
        assert_eq!(sent(&mut connection, &topic, numbered(id, epoch, 0, 1)).await, (ErrorCode::None, 2));
    });
}

#[test]
fn c30_a_batch_may_span_the_largest_sequence() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        connection.write(&topic, numbered(id, epoch, i32::MAX - 1, 4)).await;
        assert_eq!(
            sent(&mut connection, &topic, numbered(id, epoch, i32::MAX - 1, 4)).await,
            (ErrorCode::None, 0)
        );
        assert_eq!(sent(&mut connection, &topic, numbered(id, epoch, 2, 1)).await, (ErrorCode::None, 4));
    });
}

#[test]
fn c30_an_unknown_producer_may_begin_anywhere_and_a_new_epoch_only_at_zero() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        assert_eq!(sent(&mut connection, &topic, numbered(id, epoch, 42, 1)).await, (ErrorCode::None, 0));
        let next = epoch + 1;
        let later = sent(&mut connection, &topic, numbered(id, next, 43, 1)).await;
        assert_eq!(later.0, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(sent(&mut connection, &topic, numbered(id, next, 0, 1)).await, (ErrorCode::None, 1));
    });
}

#[test]
fn c31_an_older_epoch_is_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = producer_id(&mut connection).await;
        connection.write(&topic, numbered(id, epoch + 1, 0, 1)).await;
        for sequence in [0, 1] {
            let (error, _) = sent(&mut connection, &topic, numbered(id, epoch, sequence, 1)).await;
            assert_eq!(error, ErrorCode::InvalidProducerEpoch, "sequence {sequence}");
        }
    });
}

/// What a producer whose last batches were `(6, 1)` and `(7, 2)`, at offsets 6 and 7, is answered.
async fn goes_on(connection: &mut Connection, topic: &str, id: i64, epoch: i16) {
    for (what, sequence, count, expected) in [
        ("a gap", 10, 1, (ErrorCode::OutOfOrderSequenceNumber, -1)),
        ("its last batch again", 7, 2, (ErrorCode::None, 7)),
        ("the one before again", 6, 1, (ErrorCode::None, 6)),
        ("what was long ago", 0, 1, (ErrorCode::OutOfOrderSequenceNumber, -1)),
        ("the next", 9, 1, (ErrorCode::None, 9)),
    ] {
        let found = sent(connection, topic, numbered(id, epoch, sequence, count)).await;
        assert_eq!(found, expected, "{what}");
    }
    let older = sent(connection, topic, numbered(id, epoch - 1, 10, 1)).await;
    assert_eq!(older.0, ErrorCode::InvalidProducerEpoch);
}

/// Writes what [`goes_on`] goes on from, in the producer's second epoch.
async fn write_numbered(connection: &mut Connection, topic: &str) -> (i64, i16) {
    let (id, epoch) = producer_id(connection).await;
    for sequence in 0..7 {
        connection.write(topic, numbered(id, epoch + 1, sequence, 1)).await;
    }
    assert_eq!(connection.write(topic, numbered(id, epoch + 1, 7, 2)).await, 7);
    (id, epoch + 1)
}

#[test]
fn c32_a_producer_outlives_its_records_that_are_deleted() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = write_numbered(&mut connection, &topic).await;
        assert_eq!(connection.delete_records(&topic, -1).await, (ErrorCode::None, 9));
        goes_on(&mut connection, &topic, id, epoch).await;
    });
}

#[test]
fn c32_a_producer_outlives_its_records_that_are_past_their_time() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (id, epoch) = write_numbered(&mut connection, &topic).await;
        assert_eq!(connection.set(&topic, "retention.ms", "1000").await, ErrorCode::None);
        for _ in Connection::looks() {
            if connection.list_offsets(&topic, -2).await.offset == 9 {
                break;
            }
            connection.pause().await;
        }
        assert_eq!(connection.set(&topic, "retention.ms", "-1").await, ErrorCode::None);
        goes_on(&mut connection, &topic, id, epoch).await;
    });
}

#[test]
fn c33_producers_get_numbers_of_their_own_and_the_epoch_zero() {
    check(async |peer| {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let mut connection = peer.connect().await;
            for _ in 0..5 {
                let (id, epoch) = producer_id(&mut connection).await;
                assert_eq!(epoch, 0);
                assert!(0 <= id && seen.insert(id), "{id} was given before");
            }
        }
    });
}

mod simulated {
    use std::time::Duration;

    use sim_tests::server::NODE;

    use super::*;
    use crate::peer::simulated;

    /// Whether the broker remembers that a batch was written: it answers with its offset.
    async fn remembers(peer: &Peer, topic: &str, batch: Vec<u8>) -> bool {
        let mut connection = peer.connect().await;
        let end = connection.list_offsets(topic, -1).await.offset;
        let (error, offset) = sent(&mut connection, topic, batch).await;
        assert_eq!(error, ErrorCode::None);
        offset < end
    }

    #[test]
    fn c32_a_producer_is_remembered_after_a_crash_and_forgotten_after_its_time() {
        simulated(&[("producer.id.expiration.ms", "600000")], async |simulated| {
            let peer = &simulated.peer;
            let (mut connection, topic) = with_topic(peer, &[]).await;
            let (id, epoch) = producer_id(&mut connection).await;
            connection.write(&topic, numbered(id, epoch, 7, 1)).await;
            simulated.restart().await;
            assert!(remembers(peer, &topic, numbered(id, epoch, 7, 1)).await);
            peer.rt.sleep(Duration::from_secs(550)).await;
            assert!(remembers(peer, &topic, numbered(id, epoch, 7, 1)).await);
            peer.rt.sleep(Duration::from_secs(1_300)).await;
            assert!(!remembers(peer, &topic, numbered(id, epoch, 7, 1)).await);
        });
    }

    #[test]
    fn c32_a_producer_outlives_its_records_and_a_crash() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            let (id, epoch) = write_numbered(&mut connection, &topic).await;
            assert_eq!(connection.delete_records(&topic, -1).await, (ErrorCode::None, 9));
            let mut connection = simulated.restart().await;
            goes_on(&mut connection, &topic, id, epoch).await;
        });
    }

    /// The batch may be written all the same: it is, here.
    #[test]
    fn c28_a_produce_that_takes_longer_than_it_may_is_told_so() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            simulated.sim.disk(NODE).set_latency(Duration::from_secs(2)..=Duration::from_secs(2));
            let request = wire::ProduceRequest { timeout_ms: 500, ..produce_request(&topic, batch(1), -1) };
            let answer = connection.ask(&request, PRODUCE).await.responses[0].partition_responses.remove(0);
            assert_eq!((error(answer.error_code), answer.base_offset), (ErrorCode::RequestTimedOut, -1));
            simulated.peer.rt.sleep(Duration::from_secs(20)).await;
            assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 1);
        });
    }

    /// Asked with the same batches, 4.3 answers UNKNOWN_SERVER_ERROR where nothing decompresses, and INVALID_RECORD.
    #[test]
    fn c22_what_is_compressed_is_looked_into_where_the_topic_says_so() {
        simulated(&[], async |simulated| {
            let mut broken = compressed(Compression::Gzip, 3);
            // What gzip begins with.
            broken[RECORD_COUNT + 4] ^= 0x55;
            seal(&mut broken);
            let mut miscounted = compressed(Compression::Gzip, 3);
            miscounted[LAST_OFFSET_DELTA..][..4].copy_from_slice(&3i32.to_be_bytes());
            miscounted[RECORD_COUNT..][..4].copy_from_slice(&4i32.to_be_bytes());
            seal(&mut miscounted);
            let records = [("ottla.produce.validation", "records")];
            for (configs, expected) in [
                (&records[..], [ErrorCode::CorruptMessage, ErrorCode::InvalidRecord]),
                (&[][..], [ErrorCode::None; 2]),
            ] {
                let (mut connection, topic) = with_topic(&simulated.peer, configs).await;
                for (batch, expected) in [&broken, &miscounted].into_iter().zip(expected) {
                    assert_eq!(sent(&mut connection, &topic, batch.clone()).await.0, expected);
                }
            }
        });
    }

    #[test]
    fn c33_no_number_is_given_twice_over_a_crash() {
        simulated(&[], async |simulated| {
            let mut last = -1;
            for _ in 0..5 {
                let mut connection = simulated.peer.connect().await;
                for _ in 0..3 {
                    let (id, _) = producer_id(&mut connection).await;
                    assert!(last < id, "{id} after {last}");
                    last = id;
                }
                drop(simulated.restart().await);
            }
        });
    }
}
