//! A reader that stops in the middle of an answer gets every byte of it, whatever becomes of the files meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{Admin, TopicPartition};
use model::Offset;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic_with;

use crate::support::write_batches;

/// Files go at once, and the cleaner looks every second.
const SETTINGS: &[(&str, &str)] = &[("log.segment.delete.delay.ms", "0"), ("log.cleaner.backoff.ms", "1000")];

/// Several times what the network of the simulator takes in between.
const SEGMENT_BYTES: &str = "2000000";
const VALUE_BYTES: usize = 100_000;
/// One segment, and a second one that is in use.
const BATCHES: i64 = 22;

const SEGMENT: &str = "/data/read-slowly-0/00000000000000000000.log";

/// Reads everything, and again with a pause in which `change` happens to the first segment.
fn check(change: impl AsyncFn(&Admin, &TopicPartition)) {
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, SETTINGS).await;
            let rt = sim.node("client");
            let client = server.client(&rt).await;
            let configs = [("internal.segment.bytes", SEGMENT_BYTES), ("min.cleanable.dirty.ratio", "0.01")];
            let place = TopicPartition::new(create_topic_with(&client, "read-slowly", 1, &configs).await, 0);
            write_batches(&rt, &server, &place, BATCHES, VALUE_BYTES).await;
            let asked = async || {
                let reader = Raw::connect(&rt, server.address()).await.unwrap();
                reader.send(&raw::fetch(1, &place, 0)).await.unwrap();
                reader
            };
            let whole = asked().await.receive().await.unwrap();
            assert!(10 * VALUE_BYTES < whole.len(), "seed {seed}: {} bytes", whole.len());
            let mut paused = asked().await;
            paused.begun().await;
            let length = || sim.node(NODE).fs().file_len(Path::new(SEGMENT)).ok();
            let before = length();
            change(&Admin::new(&client), &place).await;
            rt.sleep(Duration::from_secs(30)).await;
            assert_ne!(length(), before, "seed {seed}: the segment is as it was");
            let got = paused.receive().await.unwrap();
            assert!(got == whole, "seed {seed}: {} bytes came, others than those promised", got.len());
        });
    }
}

#[test]
fn a_paused_reader_gets_records_that_are_deleted_meanwhile() {
    check(async |admin, place| {
        admin.delete_records(&BTreeMap::from([(place.clone(), Offset(BATCHES))])).await.unwrap();
    });
}

#[test]
fn a_paused_reader_gets_records_that_are_compacted_meanwhile() {
    check(async |admin, place| {
        let policy = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        admin.alter_topic_configs(&place.topic, &policy, &[]).await.unwrap();
    });
}

#[test]
fn a_paused_reader_gets_records_of_a_topic_that_is_deleted_meanwhile() {
    check(async |admin, place| admin.delete_topic(&place.topic).await.unwrap());
}
