//! A consumer that is behind asks for what comes next while its caller works on what came before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use client::{Consumer, ConsumerConfig, Event, Start, TopicPartition};
use rt::sim::Sim;
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;

use crate::support::write_batches;

/// Of a batch's one record.
const VALUE_BYTES: usize = 100_000;

/// Of the first partition, which has one batch.
const LOG: &str = "/data/behind-0/00000000000000000000.log";

/// One way over the network.
const LATENCY: Duration = Duration::from_millis(10);

/// What is in two partitions, how it is read, and how long that may take from the first record to the last.
struct Case {
    batches: [i64; 2],
    /// How many of them an answer has of each.
    answered: u64,
    /// On the records of each poll.
    work: Duration,
    limit: Duration,
}

fn check(Case { batches, answered, work, limit }: Case) {
    for seed in seeds(5) {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &[]).await;
            let rt = sim.node("client");
            let client = server.client(&rt).await;
            let topic = create_topic(&client, "behind", 2).await;
            let places = [0, 1].map(|partition| TopicPartition::new(topic.clone(), partition));
            for (place, batches) in places.iter().zip(batches) {
                write_batches(&rt, &server, place, batches, VALUE_BYTES).await;
            }
            let batch_bytes = sim.node(NODE).fs().file_len(Path::new(LOG)).unwrap();
            let partition_bytes = usize::try_from(answered * batch_bytes).unwrap();
            let config = ConsumerConfig { partition_bytes, poll_records: 1, ..ConsumerConfig::default() };
            let starts: BTreeMap<_, _> = places.into_iter().map(|place| (place, Start::Earliest)).collect();
            let mut consumer = Consumer::assigned(&client, config, &starts).await.unwrap();
            sim.network().set_latency(LATENCY..=LATENCY);
            let (mut read, mut since) = (0, None);
            while read < batches.iter().sum::<i64>() {
                if let Event::Records(records) = consumer.poll(Duration::from_secs(10)).await.unwrap() {
                    since.get_or_insert(rt.now());
                    read += i64::try_from(records.len()).unwrap();
                    rt.sleep(work).await;
                }
            }
            let taken = rt.now().saturating_since(since.unwrap());
            assert!(taken < limit, "seed {seed}: {taken:?}");
        });
    }
}

#[test]
fn fetching_takes_no_time_beside_work_that_takes_longer() {
    let work = Duration::from_millis(30);
    // Every other poll would wait for an answer: 400 ms more in all.
    check(Case { batches: [1, 40], answered: 2, work, limit: 41 * work + 5 * LATENCY });
}

#[test]
fn a_partition_that_has_nothing_more_does_not_hold_up_the_others() {
    // With a batch of the second one ready, which is as much as an answer may have, only the first one is asked for.
    let limit = ConsumerConfig::default().fetch_wait;
    check(Case { batches: [1, 3], answered: 1, work: Duration::ZERO, limit });
}
