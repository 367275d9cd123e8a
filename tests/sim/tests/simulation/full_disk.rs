//! A disk without room: produces are refused, everything else goes on, and so do produces once there is room again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{Admin, NewRecord, NewTopic, Producer, ProducerConfig, TopicPartition};
use model::{ErrorCode, Offset, TopicName};
use rt::sim::Sim;
use rt::{Open, Rt};
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use sim_tests::topics::{create_topic, create_topic_with};

use crate::support::alter_all_brokers;

const AMPLE: u64 = 1 << 30;

/// Produces are taken this soon after there is room, in simulated time.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

/// Segments of a few records, so that what is deleted frees space.
const SMALL_SEGMENTS: &[(&str, &str)] = &[("internal.segment.bytes", "10000")];

/// What a produce of one large record is answered with.
async fn produce(rt: &Rt, server: &Server<'_>, place: &TopicPartition, key: &str) -> (ErrorCode, i64) {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    let record = (key.as_bytes().to_vec(), vec![7; 3_000]);
    connection.send(&raw::produce(1, place, &[record])).await.unwrap();
    let (_, code, base) = raw::produced(&connection.receive().await.unwrap()).unwrap();
    (ErrorCode::from_code(code), base)
}

/// Produces until it is taken, which has to be soon; yields its offset.
async fn takes_again(rt: &Rt, server: &Server<'_>, place: &TopicPartition) -> i64 {
    let began = rt.now();
    loop {
        let (code, offset) = produce(rt, server, place, "again").await;
        let waited = rt.now().saturating_since(began);
        assert!(waited <= RESUMES_WITHIN, "refused for {waited:?} although there is room: {code:?}");
        match code {
            ErrorCode::None => return offset,
            code => assert_eq!(code, ErrorCode::KafkaStorageError),
        }
        rt.sleep(Duration::from_millis(100)).await;
    }
}

/// Produces until it is refused; says how many were taken.
async fn fill(rt: &Rt, server: &Server<'_>, place: &TopicPartition) -> i64 {
    let mut taken = 0;
    loop {
        match produce(rt, server, place, "fill").await {
            (ErrorCode::None, _) => taken += 1,
            (code, _) => {
                assert_eq!(code, ErrorCode::KafkaStorageError);
                return taken;
            }
        }
        assert!(taken < 10_000, "the disk is never full");
    }
}

async fn end_of(client: &client::Client, place: &TopicPartition) -> Offset {
    let query = BTreeMap::from([(place.clone(), client::OffsetQuery::Latest)]);
    client.list_offsets(&query).await.unwrap()[place].unwrap()
}

#[test]
fn a_full_disk_refuses_produces_and_takes_them_again_without_a_restart() {
    for (seed, free) in [(1, 0), (2, 150), (3, 2_000)] {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &[]).await;
            let rt = sim.node("client");
            let client = server.client(&rt).await;
            let admin = Admin::new(&client);
            let place = TopicPartition::new(create_topic(&client, "orders", 1).await, 0);
            assert_eq!(produce(&rt, &server, &place, "before").await, (ErrorCode::None, 0));
            let commit = |offset| BTreeMap::from([(place.clone(), Offset(offset))]);
            admin.commit("group", &commit(1)).await.unwrap();

            sim.disk(NODE).set_free_bytes(free);
            for _ in 0..3 {
                let (code, _) = produce(&rt, &server, &place, "refused").await;
                assert_eq!(code, ErrorCode::KafkaStorageError, "{free}");
                assert!(code.is_retriable());
            }
            assert_eq!(end_of(&client, &place).await, Offset(1), "{free}: nothing refused is there");
            assert_eq!(admin.committed("group").await.unwrap(), commit(1), "{free}");
            admin.describe_cluster().await.unwrap();

            sim.disk(NODE).set_free_bytes(AMPLE);
            assert_eq!(takes_again(&rt, &server, &place).await, 1, "{free}");
            admin.commit("group", &commit(2)).await.unwrap();
            create_topic(&client, "late", 1).await;

            sim.power_cut(NODE);
            server.start().await.unwrap();
            assert_eq!(produce(&rt, &server, &place, "last").await, (ErrorCode::None, 2), "{free}");
            assert_eq!(admin.committed("group").await.unwrap(), commit(2), "{free}");
        });
    }
}

#[test]
fn a_coordinator_and_new_partitions_come_back_when_there_is_room() {
    let sim = Sim::new(4);
    sim.run(async {
        // Without a reserve everybody meets the end of the disk.
        let server = Server::started(&sim, &[("ottla.disk.reserve.bytes", "0")]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let admin = Admin::new(&client);
        let place = TopicPartition::new(create_topic(&client, "orders", 1).await, 0);
        let commit = |offset| BTreeMap::from([(place.clone(), Offset(offset))]);
        admin.commit("group", &commit(1)).await.unwrap();
        // Room for the metadata of a topic, and not for its files: they come later, and so does the commit.
        sim.disk(NODE).set_free_bytes(400);
        let name = TopicName::parse("late").unwrap();
        let late = NewTopic {
            name: name.clone(),
            partitions: Some(1),
            replication_factor: Some(1),
            configs: BTreeMap::new(),
        };
        let freeing = {
            let (rt, sim) = (rt.clone(), &sim);
            async move {
                rt.sleep(Duration::from_secs(5)).await;
                sim.disk(NODE).set_free_bytes(AMPLE);
            }
        };
        let working = async {
            // Both are tried again for as long as their errors are for the moment.
            let created = admin.create_topic(&late).await;
            let is_there = created.as_ref().is_err_and(|e| e.code() == Some(ErrorCode::TopicAlreadyExists));
            assert!(created.is_ok() || is_there, "{created:?}");
            while admin.commit("group", &commit(2)).await.is_err() {
                rt.sleep(Duration::from_millis(200)).await;
            }
            let late = TopicPartition::new(name.clone(), 0);
            while produce(&rt, &server, &late, "first").await.0 != ErrorCode::None {
                rt.sleep(Duration::from_millis(200)).await;
            }
        };
        let both = async {
            let mut freeing = std::pin::pin!(freeing);
            let mut working = std::pin::pin!(working);
            rt::select! {
                () = &mut working => freeing.await,
                () = &mut freeing => working.await,
            }
        };
        rt.timeout(Duration::from_secs(60), both).await.expect("everything works again");
        assert_eq!(admin.committed("group").await.unwrap(), commit(2));
    });
}

#[test]
fn the_reserve_is_left_to_everything_but_produces() {
    const RESERVE: u64 = 200_000;
    let sim = Sim::new(5);
    sim.run(async {
        let server = Server::started(&sim, &[("ottla.disk.reserve.bytes", "200000")]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let admin = Admin::new(&client);
        let place = TopicPartition::new(create_topic_with(&client, "orders", 1, SMALL_SEGMENTS).await, 0);
        let commit = |offset| BTreeMap::from([(place.clone(), Offset(offset))]);
        let usable = async || admin.log_dirs(None).await.unwrap()[0].usable_bytes;
        sim.disk(NODE).set_free_bytes(RESERVE + 300_000);
        rt.sleep(Duration::from_secs(31)).await;
        let seen = usable().await.unwrap();
        assert!((299_000..=300_000).contains(&seen), "{seen}: checkpoints take a little");

        let taken = fill(&rt, &server, &place).await;
        assert!((80..100).contains(&taken), "{taken} records of 3 KB in 300 KB, with their indexes");
        let free = sim.disk(NODE).free_bytes();
        assert!((RESERVE..RESERVE + 10_000).contains(&free), "{free} bytes are left");
        rt.sleep(Duration::from_secs(1)).await;
        assert_eq!(usable().await, Some(0), "a user sees it");
        for offset in 0..100 {
            admin.commit("group", &commit(offset)).await.unwrap();
        }
        create_topic(&client, "other", 1).await;
        assert_eq!(end_of(&client, &place).await, Offset(taken), "nothing refused is there");
        assert_eq!(fill(&rt, &server, &place).await, 0, "still");

        // A smaller reserve takes effect at once, as more room does, and as records do that are deleted.
        assert_eq!(
            alter_all_brokers(&rt, server.address(), "ottla.disk.reserve.bytes", Some("100000")).await,
            Ok(())
        );
        assert_eq!(takes_again(&rt, &server, &place).await, taken);
        let more = fill(&rt, &server, &place).await;
        let half = BTreeMap::from([(place.clone(), Offset((taken + more) / 2))]);
        admin.delete_records(&half).await.unwrap();
        assert_eq!(takes_again(&rt, &server, &place).await, taken + 1 + more);
        fill(&rt, &server, &place).await;
        admin.delete_topic(&place.topic).await.unwrap();
        let other = TopicPartition::new(TopicName::parse("other").unwrap(), 0);
        assert_eq!(takes_again(&rt, &server, &other).await, 0);
    });
}

/// Somebody else's file takes all that is left.
fn fill_up(sim: &Sim) {
    let rt = sim.node(NODE);
    let ballast = rt.fs().open(Path::new("/ballast"), Open::Create).unwrap();
    ballast.allocate(ballast.file_len().unwrap() + sim.disk(NODE).free_bytes()).unwrap();
    ballast.sync_all().unwrap();
    rt.fs().sync_dir(Path::new("/")).unwrap();
    assert_eq!(sim.disk(NODE).free_bytes(), 0);
}

#[test]
fn a_disk_that_others_filled_to_the_last_byte_is_freed_through_the_broker() {
    for (seed, restarts) in [(6, false), (7, true)] {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::new(&sim, &[]);
            sim.disk(NODE).set_free_bytes(6_000_000);
            server.start().await.unwrap();
            let rt = sim.node("client");
            let client = server.client(&rt).await;
            let admin = Admin::new(&client);
            let create = async |name| {
                TopicPartition::new(create_topic_with(&client, name, 1, SMALL_SEGMENTS).await, 0)
            };
            let (kept, trimmed, deleted) =
                (create("kept").await, create("trimmed").await, create("deleted").await);
            // What is freed has to be more than what is held back and a part of the reserve.
            for (place, count) in [(&kept, 10), (&trimmed, 200), (&deleted, 200)] {
                for _ in 0..count {
                    assert_eq!(produce(&rt, &server, place, "before").await.0, ErrorCode::None);
                }
            }
            fill_up(&sim);
            if restarts {
                sim.power_cut(NODE);
                server.start().await.unwrap();
            }
            assert_eq!(fill(&rt, &server, &kept).await, 0, "{restarts}");
            admin.delete_records(&BTreeMap::from([(trimmed.clone(), Offset(190))])).await.unwrap();
            admin.delete_topic(&deleted.topic).await.unwrap();
            takes_again(&rt, &server, &kept).await;
            sim.power_cut(NODE);
            server.start().await.unwrap();
            assert_eq!(end_of(&client, &kept).await, Offset(11), "{restarts}");
            assert_eq!(end_of(&client, &trimmed).await, Offset(200), "{restarts}");
        });
    }
}

#[test]
fn a_full_disk_lets_the_oldest_records_go_where_it_was_told_to() {
    const RESERVE: u64 = 200_000;
    let sim = Sim::new(8);
    sim.run(async {
        let settings = [("ottla.disk.reserve.bytes", "200000"), ("ottla.disk.full.policy", "delete-oldest")];
        let server = Server::new(&sim, &settings);
        sim.disk(NODE).set_free_bytes(RESERVE + 1_000_000);
        server.start().await.unwrap();
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let create = async |name, policy| {
            let configs = [("internal.segment.bytes", "10000"), ("cleanup.policy", policy)];
            TopicPartition::new(create_topic_with(&client, name, 1, &configs).await, 0)
        };
        let table = create("table", "compact").await;
        let (older, newer) = (create("older", "delete").await, create("newer", "compact,delete").await);
        let send = async |place: &TopicPartition, count: u64| {
            let producer = Producer::new(&client, ProducerConfig::default());
            for key in 0..count {
                let (key, value) = (key.to_be_bytes(), vec![7; 3_000]);
                let record = NewRecord {
                    partition: Some(place.partition),
                    key: Some(&key),
                    value: Some(&value),
                    ..NewRecord::default()
                };
                // It tries again for as long as it is refused.
                producer.send(&place.topic, record).await.unwrap().await.unwrap();
            }
        };
        let start_of = async |place: &TopicPartition| {
            let query = BTreeMap::from([(place.clone(), client::OffsetQuery::Earliest)]);
            client.list_offsets(&query).await.unwrap()[place].unwrap()
        };
        for place in [&table, &older, &newer] {
            send(place, 100).await;
            assert_eq!(start_of(place).await, Offset(0), "there is room");
        }
        send(&newer, 50).await;
        assert!(Offset(0) < start_of(&older).await, "the oldest go first");
        assert_eq!(start_of(&newer).await, Offset(0), "and no others");
        send(&newer, 250).await;
        assert!(
            Offset(90) <= start_of(&older).await,
            "the newest segment stays: {:?}",
            start_of(&older).await
        );
        assert!(Offset(0) < start_of(&newer).await, "then the next oldest");
        assert_eq!(start_of(&table).await, Offset(0), "what is only compacted stays");
        assert_eq!(end_of(&client, &newer).await, Offset(400), "everything was taken in the end");
        let starts = [start_of(&older).await, start_of(&newer).await];
        sim.power_cut(NODE);
        server.start().await.unwrap();
        assert_eq!([start_of(&older).await, start_of(&newer).await], starts, "nothing comes back");
    });
}
