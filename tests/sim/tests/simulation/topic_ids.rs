//! Our own client names topics by id where the broker knows ids, by name where it does not, and follows a topic that is
//! deleted and created again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use client::{
    Admin, Client, Consumer, ConsumerConfig, Event, NewRecord, Producer, ProducerConfig, Reset, Start,
};
use client::{ClientConfig, TopicPartition};
use model::{PartitionIndex, TopicName, Uuid};
use rt::sim::Sim;
use rt::{Rt, Stream};
use sim_tests::raw::Raw;
use sim_tests::seeds::seeds;
use sim_tests::server::Server;
use sim_tests::topics::create_topic;
use wire::{ApiKey, ApiVersionsResponse, RequestHeader, decode_response, encode_response};

/// The node that stands between clients and the broker, and its port.
const DOOR: &str = "door";
const PORT: u16 = 9092;

const PATIENCE: Duration = Duration::from_secs(600);

const PARTITIONS: i32 = 2;

/// What clients come by: it tells them of no later versions than these, and notes which are asked for.
#[derive(Clone)]
struct Door {
    rt: Rt,
    broker: SocketAddr,
    lasts: &'static [(ApiKey, i16)],
    asked: Arc<Mutex<BTreeSet<(ApiKey, i16)>>>,
}

impl Door {
    async fn open(&self, address: SocketAddr) {
        let (listener, door) = (self.rt.listen(address).await.unwrap(), self.clone());
        self.rt.spawn("door", async move {
            while let Ok(stream) = listener.accept().await {
                let door = door.clone();
                // Whichever side ends it, both do.
                door.rt.clone().spawn("through the door", async move {
                    let _ = door.carry(stream).await;
                });
            }
        });
    }

    /// One request after the other, each with its answer.
    async fn carry(&self, stream: Stream) -> Option<()> {
        let mut near = Raw::over(stream);
        let mut far = Raw::connect(&self.rt, self.broker).await.ok()?;
        loop {
            let request = near.receive().await?;
            let header = RequestHeader::read(&mut wire::Reader::new(&request)).ok()?;
            let (key, version) = (header.api()?, header.request_api_version);
            self.asked.lock().unwrap().insert((key, version));
            far.send(&framed(&request)).await.ok()?;
            let answer = far.receive().await?;
            let answer =
                if key == ApiKey::ApiVersions { self.narrowed(&answer, version) } else { framed(&answer) };
            near.send(&answer).await.ok()?;
        }
    }

    fn narrowed(&self, answer: &[u8], version: i16) -> Bytes {
        let (id, mut answer) = decode_response::<ApiVersionsResponse<'_>>(answer, version).unwrap();
        for api in &mut answer.api_keys {
            let last = self.lasts.iter().find(|(key, _)| key.as_i16() == api.api_key);
            api.max_version = last.map_or(api.max_version, |(_, last)| api.max_version.min(*last));
        }
        encode_response(id, &answer, version).and_then(wire::Frame::into_bytes).unwrap()
    }

    /// The versions of an API that were asked for.
    fn asked(&self, wanted: ApiKey) -> Vec<i16> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(key, _)| *key == wanted).map(|(_, version)| *version).collect()
    }
}

fn framed(frame: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&i32::try_from(frame.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(frame);
    bytes.freeze()
}

/// Writes `count` records to each partition of the topics, each with its topic's name and a number from `first` on.
async fn write(producer: &Producer, topics: &[TopicName], first: usize, count: usize) {
    for number in first..first + count {
        for topic in topics {
            for partition in 0..PARTITIONS {
                let value = format!("{topic} {number}");
                let partition = Some(PartitionIndex(partition));
                let record = NewRecord { partition, value: Some(value.as_bytes()), ..NewRecord::default() };
                let written = producer.send(topic, record).await.unwrap().await.unwrap();
                assert_eq!(written.offset.unwrap().0, i64::try_from(number - first).unwrap());
            }
        }
    }
}

/// Reads until there are `count` records of each partition of the topics, and checks that they are the ones written.
async fn read(consumer: &mut Consumer, topics: &[TopicName], first: usize, count: usize) {
    let mut seen: BTreeMap<TopicPartition, Vec<String>> = BTreeMap::new();
    while seen.values().map(Vec::len).sum::<usize>() < count * topics.len() * 2 {
        if let Event::Records(records) = consumer.poll(Duration::from_secs(1)).await.unwrap() {
            for record in records {
                let value = String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap();
                seen.entry(record.place()).or_default().push(value);
            }
        }
    }
    for (place, values) in seen {
        let written: Vec<String> =
            (first..first + count).map(|number| format!("{} {number}", place.topic)).collect();
        assert_eq!(values, written, "{place}");
    }
}

async fn create(client: &Client) -> [TopicName; 2] {
    [create_topic(client, "orders", PARTITIONS).await, create_topic(client, "others", PARTITIONS).await]
}

/// Writes and reads topics before and after they are made again, where no later versions than `lasts` are spoken.
fn check(lasts: &'static [(ApiKey, i16)], produce: i16, fetch: i16) {
    for seed in seeds(3) {
        let sim = Sim::new(seed);
        sim.run(async {
            let advertised = format!("PLAINTEXT://{DOOR}:{PORT}");
            let server = Server::started(&sim, &[("advertised.listeners", &advertised)]).await;
            let rt = sim.node("client");
            let door = Door { rt: sim.node(DOOR), broker: server.address(), lasts, asked: Arc::default() };
            door.open(SocketAddr::new(sim.ip(DOOR), PORT)).await;
            let config =
                ClientConfig { bootstrap: vec![format!("{DOOR}:{PORT}")], ..ClientConfig::default() };
            let client = Client::connect(&rt, config).await.unwrap();
            let topics = create(&client).await;
            let producer = Producer::new(&client, ProducerConfig::default());
            let places = topics
                .iter()
                .flat_map(|topic| (0..PARTITIONS).map(|index| TopicPartition::new(topic.clone(), index)));
            let starts = places.map(|place| (place, Start::Earliest)).collect();
            let config = ConsumerConfig { reset: Reset::Earliest, ..ConsumerConfig::default() };
            let mut consumer = Consumer::assigned(&client, config, &starts).await.unwrap();
            let work = async {
                write(&producer, &topics, 0, 3).await;
                read(&mut consumer, &topics, 0, 3).await;
                let id_of = |topic: &TopicName| client.snapshot().topics[topic].id;
                let before = topics.each_ref().map(id_of);
                for topic in &topics {
                    Admin::new(&client).delete_topic(topic).await.unwrap();
                }
                create(&client).await;
                // Fewer than before: a position of before is not in them.
                write(&producer, &topics, 10, 2).await;
                read(&mut consumer, &topics, 10, 2).await;
                let has_ids = before.iter().all(|id| *id != Uuid::ZERO);
                assert_eq!(has_ids, before != topics.each_ref().map(id_of));
                has_ids
            };
            let has_ids = rt.timeout(PATIENCE, work).await.expect("everything is written and read");
            assert_eq!(
                (door.asked(ApiKey::Produce), door.asked(ApiKey::Fetch)),
                (vec![produce], vec![fetch])
            );
            assert_eq!(has_ids, 12 < produce, "seed {seed}");
        });
    }
}

#[test]
fn topics_go_by_their_ids_and_one_that_is_made_again_is_followed() {
    check(&[], 13, 18);
}

#[test]
fn a_broker_of_before_topic_ids_is_written_and_read_by_names() {
    check(&[(ApiKey::Produce, 9), (ApiKey::Fetch, 12), (ApiKey::Metadata, 9)], 9, 12);
}

#[test]
fn a_broker_that_takes_ids_but_tells_none_is_written_and_read_by_names() {
    check(&[(ApiKey::Metadata, 9)], 12, 12);
}
