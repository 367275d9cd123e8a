//! What several tests need.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Admin, Client, NewRecord, NewTopic, Producer, ProducerConfig};
use model::{PartitionIndex, TopicName};
use rt::sim::Sim;
use sim_tests::server::Server;

/// Longest time, simulated, that a well-behaved neighbour waits for an acknowledgement.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(1);

/// Creates a topic and returns its name.
pub async fn create_topic(client: &Client, name: &str, partitions: i32) -> TopicName {
    create_topic_with(client, name, partitions, &[]).await
}

/// Creates a topic with settings of its own and returns its name.
pub async fn create_topic_with(
    client: &Client,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> TopicName {
    let name = TopicName::parse(name).unwrap();
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    Admin::new(client).create_topic(&topic).await.unwrap();
    name
}

/// A client that minds its own business: one record after the other, each acknowledged soon.
pub async fn start_neighbour(
    sim: &Sim,
    server: &Server<'_>,
    topic: TopicName,
    acknowledged: &Arc<Mutex<Vec<i64>>>,
) -> rt::Task {
    let rt = sim.node("neighbour");
    let client = server.client(&rt).await;
    let acknowledged = Arc::clone(acknowledged);
    rt.clone().spawn("neighbour", async move {
        let config = ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() };
        let producer = Producer::new(&client, config);
        loop {
            let record = NewRecord {
                partition: Some(PartitionIndex(0)),
                value: Some(b"mine"),
                ..NewRecord::default()
            };
            let delivery = producer.send(&topic, record).await.unwrap();
            let written = rt.timeout(NEIGHBOUR_PATIENCE, delivery).await;
            let written = written.expect("a neighbour is served in time").unwrap();
            acknowledged.lock().unwrap().push(written.offset.unwrap().0);
            rt.sleep(Duration::from_millis(20)).await;
        }
    })
}
