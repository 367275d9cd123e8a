//! A transaction that is open in a partition and that no coordinator knows: a record of it came after it was ended.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use client::TopicPartition;
use model::{ProducerEpoch, ProducerId, TopicName};
use sim_tests::raw::{self, Raw};

use crate::support::Broker;

const PRODUCER: i64 = 7;

/// Writes the record that came late, which is taken only by a broker that asks no coordinator.
fn hang(broker: &Broker, partition: i32) {
    let address = broker.address();
    let place = TopicPartition::new(TopicName::parse("t").unwrap(), partition);
    rt::os::run(|rt| async move {
        let mut connection = Raw::connect(&rt, address).await.unwrap();
        let producer =
            record::Producer { id: ProducerId(PRODUCER), epoch: ProducerEpoch(2), base_sequence: 40 };
        connection.send(&raw::late_produce(0, &place, producer)).await.unwrap();
        let (_, code, base) = raw::produced(&connection.receive().await.unwrap()).unwrap();
        assert_eq!((code, base), (0, 0));
    })
    .unwrap();
}

/// The partitions in which the producer's transaction hangs.
fn hanging(broker: &Broker, topics: &str) -> Vec<i64> {
    let listed = broker.run(&format!("txn list --hanging{topics}")).json();
    let places = listed.iter().map(|row| {
        let shown = (&row["topic"], &row["producer"], &row["start"], &row["epoch"]);
        assert_eq!(shown, (&"t".into(), &PRODUCER.into(), &0.into(), &2.into()));
        row["partition"].as_i64().unwrap()
    });
    places.collect()
}

#[test]
fn what_hangs_is_found_and_aborted_and_readers_go_on() {
    let broker = Broker::start_with(&["transaction.partition.verification.enable=false"]);
    broker.run("topic create t -p 2").out();
    for partition in 0..2 {
        hang(&broker, partition);
        broker.feed(&format!("produce t -p {partition}"), "behind\n").out();
    }
    let read = |partition: i32| {
        let line = format!("consume t -p {partition} -o start:end -f value --isolation-level read_committed");
        broker.run(&line).out().to_owned()
    };
    assert_eq!((read(0), read(1)), (String::new(), String::new()));
    assert_eq!(hanging(&broker, ""), [0, 1]);

    broker
        .run("txn abort --partition t:1 --producer 8")
        .refused(1, "no transaction of producer 8 hangs in t-1");
    let would = broker.run("txn abort --partition t:1 --producer 7 --dry-run");
    assert_eq!(would.json()[0]["result"], "would be aborted");
    assert_eq!(hanging(&broker, " -t t"), [0, 1]);
    let done = broker.run("txn abort --partition t:1 --producer 7");
    assert_eq!(done.json()[0]["result"], "aborted");
    assert_eq!(hanging(&broker, " -t t"), [0]);
    assert_eq!((read(0), read(1)), (String::new(), "behind\n".to_owned()));

    broker.run("txn abort --partition t:0 --producer 7").out();
    assert_eq!(read(0), "behind\n");
    assert_eq!(broker.run("txn list --hanging").json().len(), 0);
}
