//! The load generator's sums: what was asked for is written, acknowledged and read, no record more or less.

use std::sync::Arc;
use std::time::Duration;

use client::{Acks, Client, FetchBounds, OffsetQuery, TopicPartition};
use load::{ConsumeLoad, LatencyLoad, Limit, LoadError, ProduceLoad, Progress};
use model::TopicName;
use record::Compression;
use rt::sim::Sim;
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};

/// Partitions of the topic.
const PARTITIONS: i32 = 6;

fn produce_load(topic: &TopicName, records: u64) -> ProduceLoad {
    ProduceLoad {
        topic: topic.clone(),
        producers: 3,
        in_flight: 4,
        record_bytes: 100,
        batch_bytes: 4096,
        batches_per_request: 1,
        acks: Acks::All,
        compression: Compression::None,
        limit: Limit::Records(records),
        rate: None,
    }
}

fn consume_load(topic: &TopicName, consumers: usize) -> ConsumeLoad {
    let bounds =
        FetchBounds { fetch_bytes: 64 * 1024, partition_bytes: 16 * 1024, wait: Duration::from_millis(500) };
    ConsumeLoad { topic: topic.clone(), consumers, bounds, records: None }
}

/// Records in each partition, as the broker tells.
async fn lengths(client: &Client, topic: &TopicName) -> Vec<i64> {
    let places =
        (0..PARTITIONS).map(|index| (TopicPartition::new(topic.clone(), index), OffsetQuery::Latest));
    let found = client.list_offsets(&places.collect()).await.unwrap();
    found.into_values().map(|offset| offset.unwrap().0).collect()
}

/// Runs `check` for some seeds, each with a broker, a client and a topic.
fn with_topic(check: impl AsyncFn(&Sim, Client, TopicName)) {
    for seed in seeds(2) {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &[]).await;
            let client = server.client(&sim.node("load")).await;
            let topic = TopicName::parse("bench").unwrap();
            load::create_topic(&client, &topic, PARTITIONS, &[]).await.unwrap();
            check(&sim, client, topic).await;
        });
    }
}

#[test]
fn as_many_records_are_read_as_were_asked_for_and_acknowledged() {
    with_topic(async |_, client, topic| {
        // Neither a whole number of batches nor of rounds over the partitions.
        let mut asked = 0;
        for (batches_per_request, compression, records) in
            [(1, Compression::None, 3_007), (4, Compression::Lz4, 1_001), (9, Compression::None, 1)]
        {
            let load = ProduceLoad { batches_per_request, compression, ..produce_load(&topic, records) };
            let progress = Arc::new(Progress::default());
            let written = load::produce(&client, &load, &progress).await.unwrap();
            assert_eq!((written.records, progress.records()), (records, records));
            assert_eq!(written.latency.count(), written.requests);
            asked += records;
        }
        let lengths = lengths(&client, &topic).await;
        assert_eq!(lengths.iter().sum::<i64>(), i64::try_from(asked).unwrap());
        assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() < 400, "even: {lengths:?}");
        for consumers in [4, 50] {
            let progress = Arc::new(Progress::default());
            let read = load::consume(&client, &consume_load(&topic, consumers), &progress).await.unwrap();
            assert_eq!((read.records, progress.records()), (asked, asked), "{consumers} consumers");
        }
    });
}

#[test]
fn a_rate_is_kept_and_times_count_from_when_a_request_was_due() {
    with_topic(async |sim, client, topic| {
        // A record in a batch, a batch in a request.
        let limit = Limit::Time(Duration::from_secs(4));
        let load = ProduceLoad { rate: Some(20), batch_bytes: 1, limit, ..produce_load(&topic, 0) };
        let rt = sim.node("load");
        let progress = Arc::new(Progress::default());
        let stall = async {
            rt.sleep(Duration::from_secs(1)).await;
            sim.network().partition("load", NODE);
            rt.sleep(Duration::from_secs(2)).await;
            sim.network().heal("load", NODE);
            std::future::pending().await
        };
        let written = rt::select! {
            written = load::produce(&client, &load, &progress) => written.unwrap(),
            () = stall => unreachable!("it never ends"),
        };
        assert_eq!((written.requests, written.records), (80, 80));
        // Half of the requests were due while nothing could leave, though only a dozen could be under way.
        let [affected, longest] = [600_000, 990_000].map(|of| written.latency.quantile(of));
        assert!(
            Duration::from_millis(200) < affected && Duration::from_millis(1_500) < longest,
            "{affected:?} {longest:?}"
        );
    });
}

#[test]
fn every_single_record_is_timed_twice() {
    with_topic(async |_, client, topic| {
        let place = TopicPartition::new(topic.clone(), 3);
        let load =
            LatencyLoad { place, records: 20, warm_up: 5, record_bytes: 100, acks: Acks::All, rate: None };
        let progress = Progress::default();
        let latencies = load::latency(&client, &load, &progress).await.unwrap();
        let counts = (latencies.acknowledged.count(), latencies.end_to_end.count(), progress.records());
        assert_eq!(counts, (20, 20, 20));
        assert!(Duration::ZERO < latencies.end_to_end.quantile(1));
        assert_eq!(lengths(&client, &topic).await, [0, 0, 0, 25, 0, 0]);
    });
}

#[test]
fn a_topic_of_another_shape_is_refused() {
    with_topic(async |_, client, topic| {
        load::create_topic(&client, &topic, PARTITIONS, &[]).await.unwrap();
        let error = load::create_topic(&client, &topic, 1, &[]).await.unwrap_err();
        assert_eq!(error, LoadError::Plan("topic 'bench' is there with 6 partitions, not 1".to_owned()));
        let load = ProduceLoad { batch_bytes: 1 << 30, record_bytes: 1 << 20, ..produce_load(&topic, 1) };
        let error = load::produce(&client, &load, &Arc::new(Progress::default())).await.unwrap_err();
        assert!(
            matches!(&error, LoadError::Plan(problem) if problem.contains("use smaller batches")),
            "{error}"
        );
    });
}
