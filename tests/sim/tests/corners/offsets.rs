//! Offsets looked up and records deleted: cases 40, 41 and 45.

use model::ErrorCode;
use record::BatchOptions;
use wire::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use wire::{ListOffsetsRequest, OffsetForLeaderEpochRequest};

use crate::connection::{Connection, error};
use crate::peer::check;
use crate::topic::{LIST_OFFSETS, NOON, batch, batch_at, list_offsets_request, with_topic};

/// Where an epoch ended: error, epoch, offset.
async fn end_of_epoch(connection: &mut Connection, topic: &str, leader_epoch: i32) -> (ErrorCode, i32, i64) {
    let partition = OffsetForLeaderPartition { partition: 0, leader_epoch, ..Default::default() };
    let topics = vec![OffsetForLeaderTopic { topic: topic.to_owned().into(), partitions: vec![partition] }];
    let request = OffsetForLeaderEpochRequest { topics, replica_id: -1 };
    let answer = connection.ask(&request, 4).await;
    let found = &answer.topics[0].partitions[0];
    (error(found.error_code), found.leader_epoch, found.end_offset)
}

#[test]
fn c40_the_current_epoch_ends_at_the_log_end_and_a_later_one_is_unknown() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(end_of_epoch(&mut connection, &topic, 0).await, (ErrorCode::None, 0, 5));
        assert_eq!(end_of_epoch(&mut connection, &topic, 1).await, (ErrorCode::None, -1, -1));
    });
}

/// 4.3 knows the epoch of a leader from its election on, not from its first record.
#[test]
fn c40_a_leader_without_records_has_an_epoch_too() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        assert_eq!(end_of_epoch(&mut connection, &topic, 0).await, (ErrorCode::None, 0, 0));
    });
}

#[test]
fn c41_list_offsets_knows_the_earliest_and_the_latest_offset() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        connection.delete_records(&topic, 2).await;
        for (asked, offset) in [(-2, 2), (-1, 5), (-4, 2)] {
            let found = connection.list_offsets(&topic, asked).await;
            assert_eq!(
                (found.error_code, found.offset, found.timestamp),
                (0, offset, -1),
                "asked for {asked}"
            );
        }
    });
}

#[test]
fn c41_list_offsets_by_time_finds_the_first_record_at_or_after_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let times = |times: [i64; 3]| batch_at(&times.map(|time| NOON + time), BatchOptions::default());
        connection.write(&topic, times([10, 30, 20])).await;
        connection.write(&topic, times([5, 40, 40])).await;
        for (time, offset, found_at) in
            [(0, 0, 10), (10, 0, 10), (11, 1, 30), (25, 1, 30), (31, 4, 40), (40, 4, 40)]
        {
            let found = connection.list_offsets(&topic, NOON + time).await;
            assert_eq!(
                (found.error_code, found.offset, found.timestamp),
                (0, offset, NOON + found_at),
                "at {time}"
            );
        }
        let none = connection.list_offsets(&topic, NOON + 41).await;
        assert_eq!((none.error_code, none.offset, none.timestamp), (0, -1, -1), "and no error");
    });
}

#[test]
fn c41_the_largest_timestamp_is_that_of_the_first_record_that_has_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let empty = connection.list_offsets(&topic, -3).await;
        assert_eq!((empty.error_code, empty.offset, empty.timestamp), (0, -1, -1));
        let times = |times: [i64; 3]| batch_at(&times.map(|time| NOON + time), BatchOptions::default());
        connection.write(&topic, times([10, 30, 30])).await;
        connection.write(&topic, times([30, 20, 5])).await;
        let found = connection.list_offsets(&topic, -3).await;
        assert_eq!((found.error_code, found.offset, found.timestamp), (0, 1, NOON + 30));
    });
}

#[test]
fn c41_without_tiering_there_is_no_tiered_offset() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        for asked in [-5, -6] {
            let found = connection.list_offsets(&topic, asked).await;
            assert_eq!((error(found.error_code), found.offset, found.timestamp), (ErrorCode::None, -1, -1));
        }
    });
}

#[test]
fn c41_special_times_are_refused_to_versions_before_them() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for (asked, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11)] {
            let mut request = list_offsets_request(&topic, asked);
            request.timeout_ms = 0;
            let answer = connection.ask(&request, since - 1).await;
            let found = &answer.topics[0].partitions[0];
            assert_eq!(error(found.error_code), ErrorCode::UnsupportedVersion, "{asked} before {since}");
            let answer = connection.ask(&request, since).await;
            assert_eq!(
                error(answer.topics[0].partitions[0].error_code),
                ErrorCode::None,
                "{asked} in {since}"
            );
        }
        let found = connection.list_offsets(&topic, -7).await;
        assert_eq!(error(found.error_code), ErrorCode::UnsupportedVersion, "there is no such time");
    });
}

#[test]
fn c41_a_partition_named_twice_is_answered_once_as_an_invalid_request() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let mut request: ListOffsetsRequest<'_> = list_offsets_request(&topic, -1);
        let again = request.topics[0].partitions[0].clone();
        request.topics[0].partitions.push(again);
        let answer = connection.ask(&request, LIST_OFFSETS).await;
        let errors: Vec<_> =
            answer.topics[0].partitions.iter().map(|found| error(found.error_code)).collect();
        assert_eq!(errors, [ErrorCode::InvalidRequest]);
    });
}

#[test]
fn c45_minus_one_deletes_up_to_the_high_watermark() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(connection.delete_records(&topic, -1).await, (ErrorCode::None, 5));
        assert_eq!(connection.list_offsets(&topic, -2).await.offset, 5);
    });
}

#[test]
fn c45_what_is_not_there_cannot_be_deleted_and_what_is_gone_needs_not() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(connection.delete_records(&topic, 6).await, (ErrorCode::OffsetOutOfRange, -1));
        assert_eq!(connection.delete_records(&topic, -2).await, (ErrorCode::OffsetOutOfRange, -1));
        assert_eq!(connection.delete_records(&topic, 4).await, (ErrorCode::None, 4));
        assert_eq!(connection.delete_records(&topic, 2).await, (ErrorCode::None, 4));
    });
}

#[test]
fn c45_a_compacted_topic_keeps_its_records() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("cleanup.policy", "compact")]).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(connection.delete_records(&topic, 2).await, (ErrorCode::PolicyViolation, -1));
        let both = [("cleanup.policy", "compact,delete")];
        let (mut connection, topic) = with_topic(&peer, &both).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(connection.delete_records(&topic, 2).await, (ErrorCode::None, 2));
    });
}

mod simulated {
    use super::*;
    use crate::peer::simulated;

    /// Epochs 0 and 2 have five records each, 1 has none; what is below 3 is deleted.
    #[test]
    fn c40_epochs_between_and_below_the_known_ones_end_where_the_next_one_starts() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            connection.write(&topic, batch(5)).await;
            drop(simulated.restart().await);
            let mut connection = simulated.restart().await;
            connection.write(&topic, batch(5)).await;
            for (epoch, expected) in [(0, (0, 5)), (2, (2, 10)), (3, (-1, -1))] {
                let (error, found, end) = end_of_epoch(&mut connection, &topic, epoch).await;
                assert_eq!((error, (found, end)), (ErrorCode::None, expected), "epoch {epoch}");
            }
            let (_, between, end) = end_of_epoch(&mut connection, &topic, 1).await;
            assert!((between == 0 || between == 1) && end == 5, "an epoch without records may be unknown");
            assert_eq!(connection.delete_records(&topic, 7).await, (ErrorCode::None, 7));
            let below = end_of_epoch(&mut connection, &topic, 0).await;
            assert_eq!(below, (ErrorCode::None, 0, 7), "below the first known epoch: where that one starts");
            let mut connection = simulated.restart().await;
            let below = end_of_epoch(&mut connection, &topic, 0).await;
            assert_eq!(below, (ErrorCode::None, 0, 7), "and all of that is written down");
        });
    }
}
