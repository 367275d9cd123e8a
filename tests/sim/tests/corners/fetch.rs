//! Fetch without sessions: cases 34 to 37, 39, 43 and 44.

use std::time::Duration;

use model::ErrorCode;
use record::{BatchOptions, Compression};
use wire::FetchRequest;
use wire::fetch::PartitionData;

use crate::connection::{Connection, error};
use crate::peer::check;
use crate::topic::{
    FETCH, NOON, batch, batch_at, batches, fetch_partition, fetch_partitions, fetch_request, with_partitions,
    with_topic,
};

/// How long a test looks at a fetch that must not be answered.
const WHILE: Duration = Duration::from_millis(300);

/// Longer than any test waits for an answer.
const FOREVER_MS: i32 = 120_000;

fn waiting(topic: &str, min_bytes: i32) -> FetchRequest<'_> {
    FetchRequest { max_wait_ms: FOREVER_MS, min_bytes, ..fetch_request(topic, 0) }
}

async fn finish(connection: &mut Connection) -> PartitionData<'static> {
    let (_, mut answer) = connection.finish::<FetchRequest<'_>>(FETCH).await;
    answer.responses.remove(0).partitions.remove(0)
}

#[test]
fn c34_a_fetch_that_will_not_wait_is_answered_at_once() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for max_wait_ms in [0, -1] {
            let request = FetchRequest { max_wait_ms, ..fetch_request(&topic, 0) };
            let answer = connection.ask(&request, FETCH).await;
            assert_eq!(batches(&answer.responses[0].partitions[0]), []);
        }
    });
}

#[test]
fn c34_a_fetch_of_nothing_is_answered_at_once() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let request = FetchRequest { topics: Vec::new(), ..waiting("", 1) };
        let answer = connection.ask(&request, FETCH).await;
        assert_eq!((error(answer.error_code), answer.responses.len()), (ErrorCode::None, 0));
    });
}

#[test]
fn c34_a_fetch_waits_until_enough_bytes_are_there() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let mut writer = peer.connect().await;
        let one = batch(1);
        let enough = i32::try_from(2 * one.len()).unwrap();
        connection.start(&waiting(&topic, enough), FETCH).await;
        assert_eq!(connection.answer_within(WHILE).await, None);
        writer.write(&topic, one.clone()).await;
        assert_eq!(connection.answer_within(WHILE).await, None, "half of it is not enough");
        writer.write(&topic, one).await;
        assert_eq!(batches(&finish(&mut connection).await), [(0, 0), (1, 1)]);
    });
}

#[test]
fn c34_a_partition_that_cannot_be_read_ends_the_wait() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 2).await;
        let mut request = FetchRequest { max_wait_ms: FOREVER_MS, ..fetch_partitions(&topic, &[0, 1]) };
        request.topics[0].partitions[1].fetch_offset = 10;
        let answer = connection.ask(&request, FETCH).await;
        let errors: Vec<_> =
            answer.responses[0].partitions.iter().map(|data| error(data.error_code)).collect();
        assert_eq!(errors, [ErrorCode::None, ErrorCode::OffsetOutOfRange]);
    });
}

/// 4.3 says so in the answer and waits for the others all the same, unless there is no other.
#[test]
fn c34_a_partition_that_is_not_there_does_not_end_the_wait() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let request = FetchRequest { max_wait_ms: FOREVER_MS, ..fetch_partitions(&topic, &[0, 9]) };
        connection.start(&request, FETCH).await;
        assert_eq!(connection.answer_within(WHILE).await, None);
        peer.connect().await.write(&topic, batch(1)).await;
        let (_, answer) = connection.finish::<FetchRequest<'_>>(FETCH).await;
        let mut errors: Vec<_> = answer.responses[0]
            .partitions
            .iter()
            .map(|data| (data.partition_index, error(data.error_code)))
            .collect();
        errors.sort();
        assert_eq!(errors, [(0, ErrorCode::None), (9, ErrorCode::UnknownTopicOrPartition)]);
        let request = FetchRequest { max_wait_ms: FOREVER_MS, ..fetch_partitions(&topic, &[9]) };
        let answer = connection.ask(&request, FETCH).await;
        let data = &answer.responses[0].partitions[0];
        assert_eq!(error(data.error_code), ErrorCode::UnknownTopicOrPartition);
    });
}

/// A reader at the end of an old segment would otherwise never find `min_bytes`: a read stays in one segment.
#[test]
fn c34_a_wait_ends_when_the_log_rolls_a_segment() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("internal.segment.bytes", "1000")]).await;
        let mut writer = peer.connect().await;
        writer.write(&topic, batch_at(&[NOON; 40], BatchOptions::default())).await;
        connection.start(&waiting(&topic, 100_000), FETCH).await;
        assert_eq!(connection.answer_within(WHILE).await, None);
        writer.write(&topic, batch_at(&[NOON; 40], BatchOptions::default())).await;
        assert_eq!(batches(&finish(&mut connection).await), [(0, 39)]);
    });
}

#[test]
fn c34_a_wait_ends_when_the_topic_is_deleted() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.start(&waiting(&topic, 1), FETCH).await;
        assert_eq!(connection.answer_within(WHILE).await, None);
        peer.connect().await.delete_topic(&topic).await;
        let data = finish(&mut connection).await;
        assert_eq!(error(data.error_code), ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn c35_the_first_partition_with_data_may_exceed_both_limits_by_its_first_batch() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 3).await;
        for partition in [1, 1, 2] {
            connection.write_to(&topic, partition, batch(5)).await;
        }
        let mut request = fetch_partitions(&topic, &[0, 1, 2]);
        request.max_bytes = 1;
        request.topics[0].partitions.iter_mut().for_each(|partition| partition.partition_max_bytes = 1);
        let answer = connection.ask(&request, FETCH).await;
        let found: Vec<_> = answer.responses[0].partitions.iter().map(batches).collect();
        assert_eq!(found, [vec![], vec![(0, 4)], vec![]]);
        request.topics[0].partitions.reverse();
        let answer = connection.ask(&request, FETCH).await;
        let found: Vec<_> = answer.responses[0].partitions.iter().map(batches).collect();
        assert_eq!(found, [vec![(0, 4)], vec![], vec![]], "the order of the request decides which is first");
    });
}

#[test]
fn c35_later_partitions_get_what_the_first_ones_leave() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 2).await;
        let size = i32::try_from(batch(5).len()).unwrap();
        for partition in [0, 0, 0, 1, 1, 1] {
            connection.write_to(&topic, partition, batch(5)).await;
        }
        let mut request = fetch_partitions(&topic, &[0, 1]);
        request.topics[0].partitions[0].partition_max_bytes = 2 * size;
        request.max_bytes = 3 * size;
        let answer = connection.ask(&request, FETCH).await;
        let found: Vec<_> = answer.responses[0].partitions.iter().map(batches).collect();
        assert_eq!(found, [vec![(0, 4), (5, 9)], vec![(0, 4)]]);
    });
}

#[test]
fn c35_records_begin_with_the_whole_batch_that_contains_the_offset() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for _ in 0..3 {
            connection.write(&topic, batch(5)).await;
        }
        assert_eq!(batches(&connection.fetch(&topic, 8).await), [(5, 9), (10, 14)]);
    });
}

#[test]
fn c36_an_offset_outside_the_log_is_out_of_range_and_one_at_its_end_is_not() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        connection.write(&topic, batch(5)).await;
        for (offset, expected) in [
            (-1, ErrorCode::OffsetOutOfRange),
            (0, ErrorCode::None),
            (10, ErrorCode::None),
            (11, ErrorCode::OffsetOutOfRange),
        ] {
            assert_eq!(error(connection.fetch(&topic, offset).await.error_code), expected, "offset {offset}");
        }
        assert_eq!(batches(&connection.fetch(&topic, 10).await), []);
    });
}

#[test]
fn c36_the_log_may_start_in_the_middle_of_a_batch() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        assert_eq!(connection.delete_records(&topic, 3).await, (ErrorCode::None, 3));
        assert_eq!(error(connection.fetch(&topic, 2).await.error_code), ErrorCode::OffsetOutOfRange);
        let data = connection.fetch(&topic, 3).await;
        assert_eq!((data.log_start_offset, batches(&data)), (3, vec![(0, 4)]), "the whole batch is sent");
    });
}

#[test]
fn c37_watermarks_are_set_in_empty_answers_and_undefined_in_errors() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        connection.delete_records(&topic, 2).await;
        let watermarks =
            |data: &PartitionData<'_>| (data.high_watermark, data.last_stable_offset, data.log_start_offset);
        assert_eq!(watermarks(&connection.fetch(&topic, 3).await), (5, 5, 2));
        assert_eq!(watermarks(&connection.fetch(&topic, 5).await), (5, 5, 2));
        assert_eq!(watermarks(&connection.fetch(&topic, 6).await), (-1, -1, -1));
        let request = fetch_partitions(&topic, &[9]);
        let answer = connection.ask(&request, FETCH).await;
        assert_eq!(watermarks(&answer.responses[0].partitions[0]), (-1, -1, -1));
    });
}

#[test]
fn c37_only_read_committed_is_told_of_aborted_transactions() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        for offset in [0, 5] {
            for (isolation_level, expected) in [(0, None), (1, Some(Vec::new()))] {
                let request = FetchRequest { isolation_level, ..fetch_request(&topic, offset) };
                let answer = connection.ask(&request, FETCH).await;
                assert_eq!(answer.responses[0].partitions[0].aborted_transactions, expected);
            }
        }
    });
}

/// The epoch of a topic whose broker never restarted is 0.
#[test]
fn c39_a_leader_epoch_that_the_broker_does_not_know_yet_is_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        for (epoch, expected) in
            [(-1, ErrorCode::None), (0, ErrorCode::None), (1, ErrorCode::UnknownLeaderEpoch)]
        {
            let mut request = fetch_request(&topic, 0);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let answer = connection.ask(&request, FETCH).await;
            assert_eq!(error(answer.responses[0].partitions[0].error_code), expected, "epoch {epoch}");
        }
    });
}

/// 4.3 answers an epoch that it does not know with OFFSET_OUT_OF_RANGE, not with an undefined diverging epoch.
#[test]
fn c39_a_reader_that_diverged_is_told_where_and_given_no_records() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.write(&topic, batch(5)).await;
        let mut request = fetch_request(&topic, 8);
        request.topics[0].partitions[0] =
            wire::fetch::FetchPartition { last_fetched_epoch: 0, ..fetch_partition(0, 8) };
        let answer = connection.ask(&request, FETCH).await;
        let data = &answer.responses[0].partitions[0];
        assert_eq!(error(data.error_code), ErrorCode::None);
        assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (0, 5));
        assert_eq!(batches(data), []);
        request.topics[0].partitions[0].last_fetched_epoch = 7;
        let answer = connection.ask(&request, FETCH).await;
        let data = &answer.responses[0].partitions[0];
        assert_eq!(error(data.error_code), ErrorCode::OffsetOutOfRange);
        assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (-1, -1));
    });
}

#[test]
fn c43_old_fetches_get_the_stored_bytes() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let sent = batch(5);
        connection.write(&topic, sent.clone()).await;
        for version in [4, 9, FETCH] {
            let answer = connection.ask(&fetch_request(&topic, 0), version).await;
            let records = answer.responses[0].partitions[0].records.bytes().unwrap();
            // Base offset, length and leader epoch come before what the producer's checksum covers.
            assert_eq!(records[16..], sent[16..], "version {version}");
        }
    });
}

/// 4.3 does not refuse zstd to versions that came before it, as brokers that converted records did.
#[test]
fn c43_zstd_is_sent_to_readers_that_cannot_know_it() {
    check(async |peer| {
        for stored_as in ["zstd", "producer"] {
            let (mut connection, topic) = with_topic(&peer, &[("compression.type", stored_as)]).await;
            let zstd = BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() };
            connection.write(&topic, batch_at(&[NOON; 5], zstd)).await;
            for version in [4, 9, 10] {
                let answer = connection.ask(&fetch_request(&topic, 0), version).await;
                let data = &answer.responses[0].partitions[0];
                assert_eq!((error(data.error_code), batches(data)), (ErrorCode::None, vec![(0, 4)]));
            }
        }
    });
}

mod simulated {
    use std::path::Path;

    use sim_tests::server::NODE;

    use super::*;
    use crate::peer::simulated;

    #[test]
    fn c39_a_leader_epoch_that_is_over_is_refused_with_a_hint_at_the_current_one() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            connection.write(&topic, batch(5)).await;
            let topic_id = connection.metadata(&topic).await.topic_id;
            let mut connection = simulated.restart().await;
            let mut request = fetch_request("", 0);
            request.topics[0].topic_id = topic_id;
            request.topics[0].partitions[0].current_leader_epoch = 0;
            let answer = connection.ask(&request, 16).await;
            let data = &answer.responses[0].partitions[0];
            assert_eq!(error(data.error_code), ErrorCode::FencedLeaderEpoch);
            assert_eq!((data.current_leader.leader_id, data.current_leader.leader_epoch), (1, 1));
            let nodes: Vec<_> = answer.node_endpoints.iter().map(|node| node.node_id).collect();
            assert_eq!(nodes, [1]);
        });
    }

    #[test]
    fn c39_a_reader_of_an_older_epoch_is_told_where_that_epoch_ended() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            connection.write(&topic, batch(5)).await;
            let mut connection = simulated.restart().await;
            connection.write(&topic, batch(5)).await;
            let mut request = fetch_request(&topic, 7);
            request.topics[0].partitions[0].last_fetched_epoch = 0;
            let answer = connection.ask(&request, FETCH).await;
            let data = &answer.responses[0].partitions[0];
            assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (0, 5));
        });
    }

    /// Compaction leaves such logs: here the second of two batches is moved on by hand.
    #[test]
    fn c44_a_fetch_into_a_gap_begins_with_the_batch_behind_it() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            connection.write(&topic, batch(2)).await;
            connection.write(&topic, batch(2)).await;
            simulated.sim.kill(NODE);
            let rt = simulated.sim.node(NODE);
            let path = format!("/data/{topic}-0/00000000000000000000.log");
            let file = rt.fs().open(Path::new(&path), rt::Open::ReadWrite).unwrap();
            let second = u64::try_from(batch(2).len()).unwrap();
            file.write_all_at(&[std::io::IoSlice::new(&20i64.to_be_bytes())], second).unwrap();
            drop((file, rt));
            let mut connection = simulated.restart().await;
            for (offset, expected) in
                [(0, vec![(0, 1), (20, 21)]), (2, vec![(20, 21)]), (19, vec![(20, 21)]), (22, vec![])]
            {
                let data = connection.fetch(&topic, offset).await;
                assert_eq!((data.high_watermark, batches(&data)), (22, expected), "from {offset}");
            }
            assert_eq!(connection.list_offsets(&topic, -1).await.offset, 22);
            assert_eq!(connection.write(&topic, batch(1)).await, 22);
        });
    }
}
