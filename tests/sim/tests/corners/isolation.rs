//! Transactions as a partition and its readers see them: cases 36, 37, 41, 45 and 77 to 80.
//!
//! The scripts end transactions with WriteTxnMarkers, as an operator's tool does, so that each one says where its markers are.

use model::ErrorCode;
use record::BatchOptions;
use wire::describe_producers::{ProducerState, TopicRequest};
use wire::fetch::PartitionData;
use wire::write_txn_markers::{WritableTxnMarker, WritableTxnMarkerTopic};
use wire::{DescribeProducersRequest, FetchRequest, ListOffsetsRequest, WriteTxnMarkersRequest};

use crate::connection::{Connection, error};
use crate::peer::check;
use crate::topic::{
    FETCH, LIST_OFFSETS, NOON, PRODUCE, batch, batch_at, batches, fetch_request, list_offsets_request,
    with_topic,
};
use crate::transactional::{ABORT, COMMIT, Transactional};

const READ_COMMITTED: i8 = 1;
/// The last version of Produce that adds no partition to a transaction.
const ADDS_NOTHING: i16 = 11;
const MARKERS: i16 = 2;
/// Markers are made now, and records long ago: a segment would be over between them.
pub const ONE_SEGMENT: &[(&str, &str)] = &[("segment.ms", "9223372036854775807")];

pub async fn mark(connection: &mut Connection, topic: &str, marker: WritableTxnMarker<'static>) -> ErrorCode {
    let topics = vec![WritableTxnMarkerTopic { name: topic.to_owned().into(), partition_indexes: vec![0] }];
    let request = WriteTxnMarkersRequest { markers: vec![WritableTxnMarker { topics, ..marker }] };
    let answer = connection.ask(&request, MARKERS).await;
    error(answer.markers[0].topics[0].partitions[0].error_code)
}

fn committed(topic: &str, offset: i64) -> FetchRequest<'_> {
    FetchRequest { isolation_level: READ_COMMITTED, ..fetch_request(topic, offset) }
}

pub async fn fetch_committed(
    connection: &mut Connection,
    topic: &str,
    offset: i64,
) -> PartitionData<'static> {
    connection.ask(&committed(topic, offset), FETCH).await.responses.remove(0).partitions.remove(0)
}

/// Producers and first offsets of the aborted transactions that a reader from `offset` on is told of, by offsets.
///
/// Kafka lists them as they ended, Ottla as they began, which is what clients need that go through the list once.
async fn aborted(connection: &mut Connection, topic: &str, offset: i64) -> Vec<(i64, i64)> {
    let data = fetch_committed(connection, topic, offset).await;
    let listed = data.aborted_transactions.unwrap();
    let mut listed: Vec<_> = listed.iter().map(|one| (one.first_offset, one.producer_id)).collect();
    listed.sort_unstable();
    listed
}

async fn latest(connection: &mut Connection, topic: &str, isolation_level: i8, timestamp: i64) -> i64 {
    let request = ListOffsetsRequest { isolation_level, ..list_offsets_request(topic, timestamp) };
    connection.ask(&request, LIST_OFFSETS).await.topics[0].partitions[0].offset
}

async fn producers(connection: &mut Connection, topic: &str) -> Vec<ProducerState> {
    let topics = vec![TopicRequest { name: topic.to_owned().into(), partition_indexes: vec![0] }];
    let mut answer = connection.ask(&DescribeProducersRequest { topics }, 0).await;
    answer.topics.remove(0).partitions.remove(0).active_producers
}

#[test]
fn c36_a_reader_of_committed_records_stops_at_the_first_open_transaction() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        connection.write(&topic, batch(1)).await;
        one.write(&mut connection, &topic, 2).await;
        connection.write(&topic, batch(1)).await;
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!((data.high_watermark, data.last_stable_offset), (4, 1));
        assert_eq!(batches(&data), [(0, 0)]);
        for offset in [1, 3, 4] {
            let data = fetch_committed(&mut connection, &topic, offset).await;
            assert_eq!((error(data.error_code), batches(&data)), (ErrorCode::None, vec![]), "{offset}");
        }
        assert_eq!(batches(&connection.fetch(&topic, 0).await), [(0, 0), (1, 2), (3, 3)]);
        one.end(&mut connection, &topic, COMMIT).await;
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!((data.high_watermark, data.last_stable_offset), (5, 5));
        assert_eq!(batches(&data), [(0, 0), (1, 2), (3, 3), (4, 4)]);
    });
}

#[test]
fn c37_aborted_transactions_are_told_to_readers_of_their_records() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        let mut two = Transactional::new(&peer, &mut connection).await;
        one.write(&mut connection, &topic, 1).await;
        two.write(&mut connection, &topic, 1).await;
        one.write(&mut connection, &topic, 1).await;
        two.end(&mut connection, &topic, ABORT).await;
        one.end(&mut connection, &topic, ABORT).await;
        let mut three = Transactional::new(&peer, &mut connection).await;
        three.write(&mut connection, &topic, 1).await;
        three.end(&mut connection, &topic, COMMIT).await;
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!(batches(&data).len(), 7, "their records come all the same, and the markers");
        for (offset, expected) in [
            (0, vec![(0, one.id), (1, two.id)]),
            (3, vec![(0, one.id), (1, two.id)]),
            (4, vec![(0, one.id)]),
            (5, vec![]),
            (7, vec![]),
        ] {
            assert_eq!(aborted(&mut connection, &topic, offset).await, expected, "{offset}");
        }
        assert_eq!(connection.fetch(&topic, 0).await.aborted_transactions, None);
    });
}

#[test]
fn c41_offsets_of_committed_records_end_at_the_last_stable_one() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        connection.write(&topic, batch(1)).await;
        one.write(&mut connection, &topic, 1).await;
        connection.write(&topic, batch_at(&[NOON + 9], BatchOptions::default())).await;
        for (isolation, end, late) in [(0, 3, 2), (READ_COMMITTED, 1, -1)] {
            assert_eq!(latest(&mut connection, &topic, isolation, -1).await, end);
            assert_eq!(latest(&mut connection, &topic, isolation, NOON + 5).await, late);
            assert_eq!(latest(&mut connection, &topic, isolation, -2).await, 0);
        }
        one.end(&mut connection, &topic, ABORT).await;
        assert_eq!(latest(&mut connection, &topic, READ_COMMITTED, -1).await, 4);
        assert_eq!(latest(&mut connection, &topic, READ_COMMITTED, NOON + 5).await, 2);
    });
}

#[test]
fn c45_records_of_an_open_transaction_can_be_deleted() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.write(&mut connection, &topic, 2).await;
        connection.write(&topic, batch(1)).await;
        assert_eq!(connection.delete_records(&topic, 2).await, (ErrorCode::None, 2));
        let data = fetch_committed(&mut connection, &topic, 2).await;
        assert_eq!((data.log_start_offset, data.last_stable_offset, batches(&data)), (2, 2, vec![]));
        one.end(&mut connection, &topic, ABORT).await;
        let data = fetch_committed(&mut connection, &topic, 2).await;
        assert_eq!((data.last_stable_offset, batches(&data)), (4, vec![(2, 2), (3, 3)]));
    });
}

#[test]
fn c77_a_transaction_begins_in_a_partition_only_when_its_coordinator_knows() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let one = Transactional::new(&peer, &mut connection).await;
        let batch = Transactional { transactional_id: String::new(), ..one }.batch(1, true);
        let one = Transactional::new(&peer, &mut connection).await;
        let own = Transactional { transactional_id: one.transactional_id.clone(), ..one }.batch(1, true);
        for (what, batch, version, expected) in [
            ("no partition was added", own.clone(), ADDS_NOTHING - 1, ErrorCode::InvalidTxnState),
            ("no partition was added", own, ADDS_NOTHING, ErrorCode::TransactionAbortable),
            ("another's producer id", batch, ADDS_NOTHING, ErrorCode::InvalidProducerIdMapping),
        ] {
            let answer = one.send(&mut connection, &topic, batch, version).await;
            assert_eq!(error(answer.error_code), expected, "{what}, version {version}");
        }
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn c77_a_batch_of_a_transaction_needs_a_transactional_id() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        let batch = one.batch(1, true);
        let answer = connection.produce(&topic, batch).await;
        assert_eq!(error(answer.error_code), ErrorCode::TransactionalIdAuthorizationFailed);
    });
}

#[test]
fn c78_a_marker_of_an_older_producer_or_coordinator_is_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.epoch += 2;
        let known = one.marker(COMMIT, one.epoch, 5);
        assert_eq!(mark(&mut connection, &topic, known).await, ErrorCode::None, "nobody knows better");
        for (what, marker, expected) in [
            ("older producer", one.marker(COMMIT, one.epoch - 1, 5), ErrorCode::InvalidProducerEpoch),
            ("older coordinator", one.marker(COMMIT, one.epoch, 4), ErrorCode::TransactionCoordinatorFenced),
            ("the same again", one.marker(ABORT, one.epoch, 5), ErrorCode::None),
            ("newer coordinator", one.marker(COMMIT, one.epoch, 6), ErrorCode::None),
            ("newer producer", one.marker(COMMIT, one.epoch + 1, 6), ErrorCode::None),
        ] {
            assert_eq!(mark(&mut connection, &topic, marker).await, expected, "{what}");
        }
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!(batches(&data).len(), 4, "what was not refused is there");
        let unknown = mark(&mut connection, "no-such-topic", one.marker(COMMIT, one.epoch, 5)).await;
        assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn c78_where_each_transaction_has_its_epoch_a_marker_has_the_next() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.write(&mut connection, &topic, 1).await;
        let marker = |epoch| WritableTxnMarker { transaction_version: 2, ..one.marker(COMMIT, epoch, 0) };
        let same = mark(&mut connection, &topic, marker(one.epoch)).await;
        assert_eq!(same, ErrorCode::InvalidProducerEpoch);
        for what in ["the end", "the same again"] {
            let next = mark(&mut connection, &topic, marker(one.epoch + 1)).await;
            assert_eq!(next, ErrorCode::None, "{what}");
        }
        let late = one.batch(1, true);
        let late = one.send(&mut connection, &topic, late, PRODUCE).await;
        assert_eq!(error(late.error_code), ErrorCode::InvalidProducerEpoch, "its epoch is over");
        assert_eq!(fetch_committed(&mut connection, &topic, 0).await.last_stable_offset, 3);
    });
}

#[test]
fn c79_a_reader_that_waits_for_committed_records_hears_of_the_end_of_a_transaction() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut writer = peer.connect().await;
        let mut one = Transactional::new(&peer, &mut writer).await;
        one.write(&mut writer, &topic, 1).await;
        let request = FetchRequest { max_wait_ms: 20_000, ..committed(&topic, 0) };
        connection.start(&request, FETCH).await;
        let while_open = connection.answer_within(std::time::Duration::from_millis(300)).await;
        assert_eq!(while_open, None, "there is nothing for it yet");
        one.end(&mut writer, &topic, COMMIT).await;
        let (_, answer) = connection.finish::<FetchRequest<'_>>(FETCH).await;
        assert_eq!(batches(&answer.responses[0].partitions[0]), [(0, 0), (1, 1)]);
    });
}

#[test]
fn c79_an_open_transaction_shows_who_has_it_and_since_when() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        connection.write(&topic, batch(3)).await;
        one.write(&mut connection, &topic, 2).await;
        let shown = producers(&mut connection, &topic).await.remove(0);
        assert_eq!((shown.producer_id, shown.producer_epoch), (one.id, i32::from(one.epoch)));
        assert_eq!((shown.last_sequence, shown.last_timestamp), (1, NOON));
        assert_eq!((shown.coordinator_epoch, shown.current_txn_start_offset), (-1, 3));
        let marker = one.marker(ABORT, one.epoch, 7);
        assert_eq!(mark(&mut connection, &topic, marker).await, ErrorCode::None);
        let shown = producers(&mut connection, &topic).await.remove(0);
        assert_eq!((shown.last_sequence, shown.coordinator_epoch), (1, 7));
        assert_eq!(shown.current_txn_start_offset, -1);
        assert!(NOON < shown.last_timestamp, "the marker's");
    });
}

#[test]
fn c80_who_has_a_transaction_open_writes_nothing_outside_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.write(&mut connection, &topic, 1).await;
        let outside = one.batch(1, false);
        let answer = one.send(&mut connection, &topic, outside.clone(), PRODUCE).await;
        assert_eq!(error(answer.error_code), ErrorCode::InvalidTxnState);
        one.end(&mut connection, &topic, ABORT).await;
        let answer = one.send(&mut connection, &topic, outside, PRODUCE).await;
        assert_eq!((error(answer.error_code), answer.base_offset), (ErrorCode::None, 2));
    });
}

#[test]
fn c30_in_an_epoch_of_one_transaction_an_unknown_producer_begins_at_zero() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.sequence = 5;
        let late = one.batch(1, true);
        let answer = one.send(&mut connection, &topic, late, PRODUCE).await;
        assert_eq!(error(answer.error_code), ErrorCode::OutOfOrderSequenceNumber);
        one.sequence = 0;
        assert_eq!(one.write(&mut connection, &topic, 1).await, 0);
    });
}
