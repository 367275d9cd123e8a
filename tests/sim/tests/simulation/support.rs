//! What several tests need.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Admin, Client, NewRecord, Producer, ProducerConfig, TopicPartition};
use model::{ErrorCode, PartitionIndex, TopicName};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::{self, Raw};
use sim_tests::server::Server;
use wire::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use wire::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, Request};

/// Longest time, simulated, that a well-behaved neighbour waits for an acknowledgement.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(1);

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

/// Writes batches of one record each, whose value has so many bytes, to a partition.
pub async fn write_batches(
    rt: &Rt,
    server: &Server<'_>,
    place: &TopicPartition,
    batches: i64,
    value_bytes: usize,
) {
    let mut connection = Raw::connect(rt, server.address()).await.unwrap();
    for _ in 0..batches {
        let record = (b"key".to_vec(), vec![b'v'; value_bytes]);
        connection.send(&raw::produce(1, place, &[record])).await.unwrap();
        let (_, code, _) = raw::produced(&connection.receive().await.unwrap()).unwrap();
        assert_eq!(ErrorCode::from_code(code), ErrorCode::None);
    }
}

/// Sets a topic's setting, or puts it back to its default.
pub async fn alter(client: &Client, topic: &TopicName, key: &str, value: Option<&str>) {
    let set = value.map(|value| (key.to_owned(), value.to_owned()));
    let unset = if value.is_none() { vec![key.to_owned()] } else { Vec::new() };
    Admin::new(client).alter_topic_configs(topic, &BTreeMap::from_iter(set), &unset).await.unwrap();
}

/// Sets a key of all brokers while they run, or puts it back to its default; says why it was refused.
pub async fn alter_all_brokers(
    rt: &Rt,
    address: SocketAddr,
    key: &str,
    value: Option<&str>,
) -> Result<(), String> {
    alter_brokers(rt, address, "", key, value).await
}

/// The same for the broker of this name, of which the empty one is all.
pub async fn alter_brokers(
    rt: &Rt,
    address: SocketAddr,
    broker: &str,
    key: &str,
    value: Option<&str>,
) -> Result<(), String> {
    const BROKER: i8 = 4;
    const VERSION: i16 = 1;
    let config = AlterableConfig {
        name: key.to_owned().into(),
        config_operation: i8::from(value.is_none()),
        value: value.map(|value| value.to_owned().into()),
    };
    let resource = AlterConfigsResource {
        resource_type: BROKER,
        resource_name: broker.to_owned().into(),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let answer = ask(rt, address, &request, VERSION).await;
    let (_, answer) = wire::decode_response::<IncrementalAlterConfigsResponse<'_>>(&answer, VERSION).unwrap();
    let result = &answer.responses[0];
    match result.error_code {
        0 => Ok(()),
        _ => Err(result.error_message.as_deref().unwrap_or_default().to_owned()),
    }
}

/// The bytes of the answer to one request on a connection of its own.
pub async fn ask<'a, Q: Request<'a>>(
    rt: &Rt,
    address: SocketAddr,
    request: &Q,
    version: i16,
) -> bytes::Bytes {
    let mut connection = Raw::connect(rt, address).await.unwrap();
    connection.send(&raw::frame(1, request, version)).await.unwrap();
    connection.receive().await.unwrap()
}
