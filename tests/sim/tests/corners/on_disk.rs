//! Segments and retention, as clients see them, and the files in the data folder: cases 46 to 53.

use model::ErrorCode;
use record::BatchOptions;

use crate::connection::{Connection, error};
use crate::peer::{Peer, check};
use crate::topic::{NOON, batch, batch_at, batches, with_topic};

/// Where the first segment ends, which the other records are not in: a fetch returns records of one segment.
async fn first_segment(connection: &mut Connection, topic: &str) -> usize {
    batches(&connection.fetch(topic, 0).await).len()
}

/// Waits until a topic starts at `offset`.
async fn starts_at(connection: &mut Connection, topic: &str, offset: i64) {
    for _ in Connection::looks() {
        if connection.list_offsets(topic, -2).await.offset == offset {
            return;
        }
        connection.pause().await;
    }
    panic!("{topic} starts at {}, not {offset}", connection.list_offsets(topic, -2).await.offset);
}

/// Waits until expired records were looked for twice: what should have gone by then has.
async fn two_passes(peer: &Peer) {
    for _ in 0..2 {
        let (mut connection, topic) = with_topic(peer, &[("retention.ms", "1000")]).await;
        connection.write(&topic, batch(1)).await;
        starts_at(&mut connection, &topic, 1).await;
    }
}

fn at(timestamp: i64) -> Vec<u8> {
    batch_at(&[timestamp], BatchOptions::default())
}

#[test]
fn c48_a_segment_is_closed_before_a_batch_would_make_it_too_large() {
    check(async |peer| {
        let size = batch(1).len();
        for (spare, expected) in [(0, 3), (1, 3), (size - 1, 3), (size, 4)] {
            let segment_bytes = (3 * size + spare).to_string();
            let configs = [("internal.segment.bytes", segment_bytes.as_str())];
            let (mut connection, topic) = with_topic(&peer, &configs).await;
            for _ in 0..6 {
                connection.write(&topic, batch(1)).await;
            }
            assert_eq!(first_segment(&mut connection, &topic).await, expected, "{segment_bytes} bytes");
        }
    });
}

/// The clock has nothing to do with it: records of the past are rolled by their own time.
#[test]
fn c48_a_segment_is_closed_when_records_are_newer_than_its_first_by_more_than_segment_ms() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("segment.ms", "1000")]).await;
        for after in [0, 1000, 500, 1001, 0] {
            connection.write(&topic, at(NOON + after)).await;
        }
        assert_eq!(first_segment(&mut connection, &topic).await, 3);
    });
}

/// The first batch counts with its largest timestamp.
#[test]
fn c48_the_largest_timestamp_of_the_first_batch_is_what_others_are_compared_with() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("segment.ms", "1000")]).await;
        connection.write(&topic, batch_at(&[NOON, NOON + 900], BatchOptions::default())).await;
        for after in [1800, 1900, 1901] {
            connection.write(&topic, at(NOON + after)).await;
        }
        assert_eq!(first_segment(&mut connection, &topic).await, 3);
    });
}

#[test]
fn c48_a_segment_is_closed_when_an_index_is_full() {
    check(async |peer| {
        // Room for 10 offsets and for 6 times, one of which closes the index.
        let configs = [("segment.index.bytes", "80"), ("index.interval.bytes", "0")];
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        for _ in 0..20 {
            connection.write(&topic, at(NOON)).await;
        }
        let by_offsets = first_segment(&mut connection, &topic).await;
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        for number in 0..20 {
            connection.write(&topic, at(NOON + number)).await;
        }
        let by_times = first_segment(&mut connection, &topic).await;
        assert_eq!((by_offsets, by_times), (11, 6));
    });
}

#[test]
fn c50_records_go_by_their_own_time_and_the_newest_segment_with_them() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("retention.ms", "3600000")]).await;
        connection.write(&topic, batch(5)).await;
        starts_at(&mut connection, &topic, 5).await;
        assert_eq!(connection.list_offsets(&topic, -1).await.offset, 5);
        assert_eq!(connection.write(&topic, batch(1)).await, 5);
    });
}

#[test]
fn c50_a_record_of_the_future_keeps_its_segment_and_all_that_follow() {
    check(async |peer| {
        let configs = [
            ("retention.ms", "1000"),
            ("segment.ms", "1000"),
            ("message.timestamp.after.max.ms", "99999999999"),
        ];
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        let tomorrow = peer.rt.wall_clock_ms() + 86_400_000;
        connection.write(&topic, batch_at(&[NOON, tomorrow], BatchOptions::default())).await;
        connection.write(&topic, at(tomorrow + 2000)).await;
        connection.write(&topic, at(NOON)).await;
        two_passes(&peer).await;
        assert_eq!(connection.list_offsets(&topic, -2).await.offset, 0);
    });
}

/// There is nothing else to go by: 4.3 takes the time of the file.
#[test]
fn c50_records_without_a_time_go_when_their_segment_was_not_written_for_so_long() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[("retention.ms", "1000")]).await;
        connection.write(&topic, at(-1)).await;
        starts_at(&mut connection, &topic, 1).await;
    });
}

#[test]
fn c50_a_log_that_is_too_large_loses_whole_segments_from_its_beginning() {
    check(async |peer| {
        let size = batch(1).len();
        let (segment, retained) = ((2 * size).to_string(), (5 * size).to_string());
        let configs = [("internal.segment.bytes", segment.as_str()), ("retention.bytes", retained.as_str())];
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        for _ in 0..9 {
            connection.write(&topic, batch(1)).await;
        }
        // Nine batches in segments of two: what is left when one more would leave less than is retained.
        starts_at(&mut connection, &topic, 4).await;
        two_passes(&peer).await;
        assert_eq!(connection.list_offsets(&topic, -2).await.offset, 4);
    });
}

#[test]
fn c52_only_topics_with_the_policy_delete_lose_old_records() {
    check(async |peer| {
        for (policy, start) in [("delete", 5), ("compact,delete", 5), ("compact", 0), ("", 0)] {
            let configs = [("retention.ms", "3600000"), ("cleanup.policy", policy)];
            let (mut connection, topic) = with_topic(&peer, &configs).await;
            connection.write(&topic, batch(5)).await;
            if start == 0 {
                two_passes(&peer).await;
            }
            starts_at(&mut connection, &topic, start).await;
        }
    });
}

#[test]
fn c52_the_policy_of_a_topic_can_be_switched_while_it_is_in_use() {
    check(async |peer| {
        let configs = [("retention.ms", "3600000"), ("cleanup.policy", "compact")];
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        connection.write(&topic, batch(5)).await;
        two_passes(&peer).await;
        assert_eq!(connection.list_offsets(&topic, -2).await.offset, 0);
        assert_eq!(connection.set(&topic, "cleanup.policy", "delete").await, ErrorCode::None);
        starts_at(&mut connection, &topic, 5).await;
    });
}

mod simulated {
    use std::path::Path;

    use super::*;
    use crate::peer::{Simulated, simulated};
    use sim_tests::server::NODE;

    /// What lies in a folder of the broker's disk.
    fn listed(simulated: &Simulated<'_>, folder: &str) -> Vec<String> {
        let entries = simulated.sim.node(NODE).fs().read_dir(Path::new(folder)).unwrap();
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    fn read(simulated: &Simulated<'_>, path: &str) -> Vec<u8> {
        simulated.sim.node(NODE).fs().read(Path::new(path)).unwrap()
    }

    #[test]
    fn c46_folders_and_files_are_where_tools_look_for_them() {
        simulated(&[], async |simulated| {
            let configs = [("internal.segment.bytes", "100")];
            let (mut connection, topic) = with_topic(&simulated.peer, &configs).await;
            connection.write(&topic, batch(1)).await;
            connection.write(&topic, batch(1)).await;
            simulated.peer.rt.sleep(std::time::Duration::from_secs(60)).await;
            let expected = [
                "00000000000000000000.index",
                "00000000000000000000.log",
                "00000000000000000000.timeindex",
                "00000000000000000001.index",
                "00000000000000000001.log",
                "00000000000000000001.snapshot",
                "00000000000000000001.timeindex",
                "leader-epoch-checkpoint",
                "partition.metadata",
            ];
            assert_eq!(listed(&simulated, &format!("/data/{topic}-0")), expected);
            let all = listed(&simulated, "/data");
            for name in [
                "log-start-offset-checkpoint",
                "meta.properties",
                "recovery-point-offset-checkpoint",
                "replication-offset-checkpoint",
            ] {
                assert!(all.iter().any(|there| there == name), "{name} in {all:?}");
            }
            let checkpoint = read(&simulated, "/data/replication-offset-checkpoint");
            let line = format!("{topic} 0 2");
            assert!(String::from_utf8(checkpoint).unwrap().lines().any(|written| written == line), "{line}");
        });
    }

    /// Times that go back make no entries.
    #[test]
    fn c47_index_entries_grow_in_offset_and_time() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[("index.interval.bytes", "0")]).await;
            for after in [5, 3, 9, 9, 1, 12, 11] {
                connection.write(&topic, at(NOON + after)).await;
            }
            connection.set(&topic, "segment.ms", "1").await;
            connection.write(&topic, at(NOON + 100)).await;
            let bytes = read(&simulated, &format!("/data/{topic}-0/00000000000000000000.timeindex"));
            let entries: Vec<(i64, i32)> = bytes
                .chunks(12)
                .map(|entry| {
                    let (time, offset) = entry.split_at(8);
                    (
                        i64::from_be_bytes(time.try_into().unwrap()),
                        i32::from_be_bytes(offset.try_into().unwrap()),
                    )
                })
                .collect();
            assert!(entries.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "{entries:?}");
            assert_eq!(entries.last(), Some(&(NOON + 12, 5)), "the last entry closes the segment");
            let offsets = read(&simulated, &format!("/data/{topic}-0/00000000000000000000.index"));
            let entries: Vec<_> = offsets.chunks(8).map(<[u8]>::to_vec).collect();
            assert!(1 < entries.len() && entries.is_sorted_by(|one, next| one < next));
        });
    }

    #[test]
    fn c49_after_a_crash_the_high_watermark_covers_what_was_acknowledged_and_nothing_is_lost() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            for _ in 0..5 {
                connection.write(&topic, batch(2)).await;
            }
            simulated.sim.power_cut(NODE);
            simulated.server.start().await.unwrap();
            let mut connection = simulated.peer.connect().await;
            let data = connection.fetch(&topic, 0).await;
            assert_eq!((data.high_watermark, batches(&data).len()), (10, 5));
            assert_eq!(connection.write(&topic, batch(1)).await, 10);
        });
    }

    #[test]
    fn c53_a_log_whose_disk_fails_is_refused_and_the_others_go_on() {
        simulated(&[], async |simulated| {
            let (mut connection, failing) = with_topic(&simulated.peer, &[]).await;
            let (_, other) = with_topic(&simulated.peer, &[]).await;
            connection.write(&failing, batch(1)).await;
            simulated.sim.disk(NODE).fail_next_sync();
            for _ in 0..2 {
                let answer = connection.produce(&failing, batch(1)).await;
                assert_eq!(error(answer.error_code), ErrorCode::KafkaStorageError);
            }
            assert_eq!(connection.write(&other, batch(1)).await, 0);
        });
    }
}
