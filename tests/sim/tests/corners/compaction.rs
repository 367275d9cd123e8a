//! Compaction, as clients see it: cases 44 and 51.

use std::time::Duration;

use model::{ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchHeader, BatchOptions, Producer};

use crate::connection::Connection;
use crate::peer::{Peer, check};
use crate::topic::{NOON, with_topic};

/// A record: its offset, its key and its value.
type Record = (i64, String, Option<String>);

/// One batch of records, `a=1` or `a` for a deletion of `a`, made at a time.
fn batch_of(records: &str, timestamp: i64, producer: Option<Producer>) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for record in records.split(' ') {
        let (key, value) = record.split_once('=').map_or((record, None), |(key, value)| (key, Some(value)));
        builder.push(Some(key.as_bytes()), value.map(str::as_bytes), &[], TimestampMs(timestamp));
    }
    builder.build(BatchOptions { producer, ..BatchOptions::default() }).unwrap().to_vec()
}

/// A topic that is compacted at the first occasion, each of whose batches gets a segment of its own.
async fn compacted(peer: &Peer, more: &[(&str, &str)]) -> (Connection, String) {
    let mut configs = vec![
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0"),
        ("internal.segment.bytes", "100"),
    ];
    configs.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    configs.extend(more);
    with_topic(peer, &configs).await
}

async fn write(connection: &mut Connection, topic: &str, batches: &[&str]) {
    for records in batches {
        connection.write(topic, batch_of(records, NOON, None)).await;
    }
}

/// Every batch of a topic and every record.
async fn read(connection: &mut Connection, topic: &str) -> (Vec<BatchHeader>, Vec<Record>) {
    let (mut next, mut headers, mut records) = (0, Vec::new(), Vec::new());
    loop {
        let data = connection.fetch(topic, next).await;
        let mut rest = data.records.bytes().unwrap_or_default();
        if rest.is_empty() {
            return (headers, records);
        }
        while let Ok(header) = record::check(rest) {
            let (batch, after) = rest.split_at(header.size_in_bytes());
            for record in record::decode(batch, 1 << 20).unwrap().records() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                records.push((record.offset.0, text(record.key.unwrap()), record.value.map(text)));
            }
            headers.push(header);
            (rest, next) = (after, header.next_offset().0);
        }
    }
}

/// Waits until a topic holds these records, `2 a=1` for the one at offset 2; its batches then.
async fn holds(connection: &mut Connection, topic: &str, expected: &[&str]) -> Vec<BatchHeader> {
    let mut shown = Vec::new();
    for _ in Connection::looks() {
        let (headers, records) = read(connection, topic).await;
        let show = |(offset, key, value): Record| match value {
            Some(value) => format!("{offset} {key}={value}"),
            None => format!("{offset} {key}"),
        };
        shown = records.into_iter().map(show).collect();
        if shown == expected {
            return headers;
        }
        connection.pause().await;
    }
    panic!("{topic} holds {shown:?}, not {expected:?}");
}

#[test]
fn c51_the_newest_record_of_each_key_stays_at_its_offset_and_the_segment_in_use_is_left_alone() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[]).await;
        write(&mut connection, &topic, &["a=1 b=1", "a=2 c=1 a=3", "c=2", "a=4"]).await;
        // The last batch is in the segment that is written to: it counts for no key yet.
        let headers = holds(&mut connection, &topic, &["1 b=1", "4 a=3", "5 c=2", "6 a=4"]).await;
        let kept = headers.iter().find(|header| header.record_count == 1 && header.base_offset.0 == 2);
        assert_eq!(kept.map(|header| header.last_offset().0), Some(4), "a batch keeps its offsets");
        assert_eq!(connection.write(&topic, batch_of("d=1", NOON, None)).await, 7);
        holds(&mut connection, &topic, &["1 b=1", "5 c=2", "6 a=4", "7 d=1"]).await;
    });
}

#[test]
fn c44_a_fetch_from_where_compaction_left_nothing_goes_on_behind_it() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[]).await;
        write(&mut connection, &topic, &["a=1", "a=2", "a=3", "a=4", "b=1"]).await;
        holds(&mut connection, &topic, &["3 a=4", "4 b=1"]).await;
        assert_eq!(connection.list_offsets(&topic, -2).await.offset, 0, "the log starts where it did");
        for from in 0..4 {
            let (mut next, mut first) = (from, None);
            while first.is_none() {
                let data = connection.fetch(&topic, next).await;
                let bytes = data.records.bytes().unwrap().to_vec();
                let header = record::check(&bytes).expect("a batch at or behind every offset below the end");
                assert!(next <= header.last_offset().0);
                first =
                    record::decode(&bytes, 1 << 20).unwrap().records().next().map(|it| it.unwrap().offset.0);
                next = header.next_offset().0;
            }
            assert_eq!(first, Some(3), "from {from}");
        }
    });
}

#[test]
fn c51_a_deletion_has_its_horizon_in_its_batch_and_goes_after_it() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[("delete.retention.ms", "2000")]).await;
        write(&mut connection, &topic, &["a=1", "b=1", "a", "c=1"]).await;
        let before = peer.rt.wall_clock_ms();
        let left = ["1 b=1", "2 a", "3 c=1"];
        let is_deletion = |header: &BatchHeader| header.base_offset.0 == 2;
        let mut headers = holds(&mut connection, &topic, &left).await;
        // Its segment may be put in force after the one that lost `a=1`.
        while headers.iter().any(|header| is_deletion(header) && header.delete_horizon().is_none()) {
            connection.pause().await;
            headers = holds(&mut connection, &topic, &left).await;
        }
        let deletion = headers.iter().find(|header| is_deletion(header)).unwrap();
        let horizon = deletion.delete_horizon().expect("the loop saw it");
        let (earliest, latest) = (before - 60_000, peer.rt.wall_clock_ms() + 2000);
        assert!((earliest..=latest).contains(&horizon.0), "{horizon:?}");
        assert_eq!(deletion.max_timestamp, TimestampMs(NOON), "the record keeps its time");
        assert!(headers.iter().all(|header| is_deletion(header) || header.delete_horizon().is_none()));
        peer.rt.sleep(Duration::from_secs(3)).await;
        // A pass needs something new to go over.
        write(&mut connection, &topic, &["d=1", "e=1"]).await;
        holds(&mut connection, &topic, &["1 b=1", "3 c=1", "4 d=1", "5 e=1"]).await;
    });
}

#[test]
fn c51_the_last_batch_of_a_producer_stays_without_its_records() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[]).await;
        let id = ProducerId(i64::try_from(peer.rt.random_u64() >> 2).unwrap());
        for sequence in 0..2 {
            let producer = Producer { id, epoch: ProducerEpoch(0), base_sequence: sequence };
            connection.write(&topic, batch_of("a=1", NOON, Some(producer))).await;
        }
        write(&mut connection, &topic, &["a=2", "b=1"]).await;
        let headers = holds(&mut connection, &topic, &["2 a=2", "3 b=1"]).await;
        let left: Vec<_> = headers.iter().filter(|header| header.producer_id == id).collect();
        let last = left.last().expect("the last one is there");
        assert_eq!((last.base_offset.0, last.record_count, last.last_sequence()), (1, 0, 1));
        // The next one follows it, and it is known when it comes again.
        let again = Producer { id, epoch: ProducerEpoch(0), base_sequence: 1 };
        assert_eq!(connection.write(&topic, batch_of("a=1", NOON, Some(again))).await, 1);
        let next = Producer { id, epoch: ProducerEpoch(0), base_sequence: 2 };
        assert_eq!(connection.write(&topic, batch_of("c=1", NOON, Some(next))).await, 4);
    });
}

#[test]
fn c51_what_is_younger_than_the_least_lag_stays_and_all_behind_it() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[("min.compaction.lag.ms", "3600000")]).await;
        write(&mut connection, &topic, &["a=1", "a=2"]).await;
        connection.write(&topic, batch_of("a=3", peer.rt.wall_clock_ms(), None)).await;
        write(&mut connection, &topic, &["a=4", "a=5", "a=6"]).await;
        let left = ["1 a=2", "2 a=3", "3 a=4", "4 a=5", "5 a=6"];
        holds(&mut connection, &topic, &left).await;
    });
}

#[test]
fn c51_what_waited_for_the_largest_lag_is_compacted_however_little_it_is() {
    check(async |peer| {
        let configs = [("min.cleanable.dirty.ratio", "1"), ("max.compaction.lag.ms", "3600000")];
        let (mut connection, waiting) = compacted(&peer, &configs[..1]).await;
        let (_, overdue) = compacted(&peer, &configs).await;
        for topic in [&waiting, &overdue] {
            write(&mut connection, topic, &["a=1", "a=2", "b=1"]).await;
        }
        holds(&mut connection, &overdue, &["1 a=2", "2 b=1"]).await;
        holds(&mut connection, &waiting, &["0 a=1", "1 a=2", "2 b=1"]).await;
    });
}

#[test]
fn c51_the_policy_compact_takes_effect_on_what_is_there() {
    check(async |peer| {
        let (mut connection, topic) = compacted(&peer, &[("cleanup.policy", "")]).await;
        write(&mut connection, &topic, &["a=1", "a=2", "b=1"]).await;
        connection.set(&topic, "cleanup.policy", "compact").await;
        holds(&mut connection, &topic, &["1 a=2", "2 b=1"]).await;
    });
}

mod simulated {
    use std::path::Path;

    use sim_tests::server::NODE;

    use super::*;
    use crate::peer::{Simulated, simulated};

    #[test]
    fn c51_how_far_a_log_is_compacted_is_written_down_and_goes_with_its_topic() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = compacted(&simulated.peer, &[]).await;
            write(&mut connection, &topic, &["a=1", "a=2", "b=1"]).await;
            holds(&mut connection, &topic, &["1 a=2", "2 b=1"]).await;
            let compacted_to_2 = [format!("{topic} 0 2")];
            says(&simulated, &mut connection, &compacted_to_2).await;
            let mut connection = simulated.restart().await;
            holds(&mut connection, &topic, &["1 a=2", "2 b=1"]).await;
            says(&simulated, &mut connection, &compacted_to_2).await;
            connection.delete_topic(&topic).await;
            says(&simulated, &mut connection, &[]).await;
        });
    }

    /// Waits until the checkpoint has these entries: it is written after readers see what it tells of.
    async fn says(simulated: &Simulated<'_>, connection: &mut Connection, expected: &[String]) {
        let mut entries = None;
        for _ in Connection::looks() {
            entries = entries_of(simulated);
            if entries.as_deref() == Some(expected) {
                return;
            }
            connection.pause().await;
        }
        panic!("the checkpoint has {entries:?}, not {expected:?}");
    }

    /// The checkpoint's entries: its lines without version, count and checksum.
    fn entries_of(simulated: &Simulated<'_>) -> Option<Vec<String>> {
        let bytes = simulated.sim.node(NODE).fs().read(Path::new("/data/cleaner-offset-checkpoint")).ok()?;
        let text = String::from_utf8(bytes).unwrap();
        Some(text.lines().skip(2).filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    }
}
