//! A disk without room: produces are refused, everything else goes on, and so do produces once there is room again.

use std::collections::BTreeMap;

use client::{Admin, NewTopic, TopicPartition};
use model::{ErrorCode, Offset, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};

use crate::support::create_topic;

const AMPLE: u64 = 1 << 30;

/// What a produce of one large record is answered with.
async fn produce(rt: &Rt, server: &Server<'_>, place: &TopicPartition, key: &str) -> (ErrorCode, i64) {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    let record = (key.as_bytes().to_vec(), vec![7; 3_000]);
    connection.send(&raw::produce(1, place, &[record])).await.unwrap();
    let (_, code, base) = raw::produced(&connection.receive().await.unwrap()).unwrap();
    (ErrorCode::from_code(code), base)
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
            let server = Server::new(&sim, &[]);
            server.start().await.unwrap();
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
            assert_eq!(produce(&rt, &server, &place, "after").await, (ErrorCode::None, 1), "{free}");
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
        let server = Server::new(&sim, &[]);
        server.start().await.unwrap();
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
                rt.sleep(std::time::Duration::from_secs(5)).await;
                sim.disk(NODE).set_free_bytes(AMPLE);
            }
        };
        let working = async {
            // Both are tried again for as long as their errors are for the moment.
            let created = admin.create_topic(&late).await;
            let is_there = created.as_ref().is_err_and(|e| e.code() == Some(ErrorCode::TopicAlreadyExists));
            assert!(created.is_ok() || is_there, "{created:?}");
            while admin.commit("group", &commit(2)).await.is_err() {
                rt.sleep(std::time::Duration::from_millis(200)).await;
            }
            let late = TopicPartition::new(name.clone(), 0);
            while produce(&rt, &server, &late, "first").await.0 != ErrorCode::None {
                rt.sleep(std::time::Duration::from_millis(200)).await;
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
        rt.timeout(std::time::Duration::from_secs(60), both).await.expect("everything works again");
        assert_eq!(admin.committed("group").await.unwrap(), commit(2));
    });
}
