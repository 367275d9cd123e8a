//! The clients of a scenario: producers of both kinds, a group, and somebody who creates and deletes topics.
//!
//! Each runs on a node of its own until it is told to stop, and writes down what it does. None of them gives up:
//! whatever becomes of the broker, it is only away for a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use client::{
    Admin, Client, Consumer, ConsumerConfig, Event, GroupConfig, Isolation, NewRecord, NewTopic, OffsetQuery,
    Producer, ProducerConfig, Reset, TopicPartition,
};
use history::{Commit, Event as Noted, Kind, Outcome, Place, Poll, Recorder, Row, Send, sum_of};
use model::{ErrorCode, Offset, TopicName};
use record::Compression;
use rt::Rt;
use rt::channel::watch;

use crate::draw::Draw;
use crate::raw::{self, Raw};
use crate::server::connect;

/// The group that reads everything.
pub const GROUP: &str = "readers";

/// The group's session timeout: the least that brokers allow by default.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Between two heartbeats of the group's members.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A partition as histories name it.
pub fn place_of(place: &TopicPartition) -> Place {
    Place::new(place.topic.as_str(), place.partition.0)
}

/// Longest wait of a plain producer for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// What every client of the load needs.
#[derive(Clone)]
pub struct Worker {
    /// Its name in the history, and its node's.
    pub name: String,
    /// Its node.
    pub rt: Rt,
    /// The broker.
    pub address: SocketAddr,
    /// Where to write things down.
    pub recorder: Recorder,
    /// What it draws.
    pub draw: Draw,
    /// Whether it should come to an end.
    pub stop: watch::Receiver<bool>,
}

impl Worker {
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(crate) async fn pause(&mut self, millis: std::ops::RangeInclusive<u64>) {
        let millis = self.draw.within(millis);
        self.rt.sleep(Duration::from_millis(millis)).await;
    }

    /// Draws a record's value and writes the record down as sent.
    pub(crate) fn begin(&mut self, record: &str, place: &TopicPartition, kind: Kind) -> Vec<u8> {
        let length = usize::try_from(self.draw.within(0..=300)).expect("a small length");
        let value: Vec<u8> = (0..length).map(|_| self.draw.number().to_le_bytes()[0]).collect();
        let (client, record, place) = (self.name.clone(), record.to_owned(), place_of(place));
        let sum = Some(sum_of(&value));
        self.recorder.note(Noted::Send(Send { client, record, place, kind, sum }));
        value
    }
}

/// An idempotent producer: sends without waiting, every record exactly once.
pub async fn idempotent(mut worker: Worker, places: Vec<TopicPartition>) {
    let client = connect(&worker.rt, worker.address).await;
    let config = ProducerConfig {
        linger: Duration::from_millis(worker.draw.within(0..=10)),
        batch_bytes: 2_000,
        compression: *worker.draw.pick(&[Compression::None, Compression::Lz4, Compression::Zstd]),
        delivery_timeout: Duration::from_secs(24 * 3600),
        ..ProducerConfig::default()
    };
    let producer = Producer::new(&client, config);
    let mut number = 0;
    while !worker.is_stopped() {
        for _ in 0..worker.draw.within(1..=6) {
            let place = worker.draw.pick(&places).clone();
            let name = format!("{}/{number}", worker.name);
            number += 1;
            let value = worker.begin(&name, &place, Kind::Idempotent);
            let record = NewRecord {
                partition: Some(place.partition),
                key: Some(name.as_bytes()),
                value: Some(&value),
                ..NewRecord::default()
            };
            let recorder = worker.recorder.clone();
            match producer.send(&place.topic, record).await {
                Ok(delivery) => {
                    worker.rt.spawn("delivery", async move {
                        let outcome = match delivery.await {
                            Ok(written) => Outcome::Done(written.offset.map(|offset| offset.0)),
                            Err(error) => Outcome::Unknown(error.to_string()),
                        };
                        recorder.note(Noted::Sent { record: name, outcome });
                    });
                }
                Err(error) => {
                    recorder.note(Noted::Sent { record: name, outcome: Outcome::Failed(error.to_string()) });
                }
            }
        }
        worker.pause(0..=40).await;
    }
    producer.flush().await;
}

/// A producer without idempotence: one batch after the other, again until it is acknowledged.
pub async fn plain(mut worker: Worker, places: Vec<TopicPartition>) {
    let mut connection = None;
    let mut number = 0;
    while !worker.is_stopped() {
        let place = worker.draw.pick(&places).clone();
        let mut records = Vec::new();
        for _ in 0..worker.draw.within(1..=4) {
            let name = format!("{}/{number}", worker.name);
            number += 1;
            let value = worker.begin(&name, &place, Kind::Plain);
            records.push((name, value));
        }
        let base = write_until_acknowledged(&mut worker, &mut connection, &place, &records).await;
        for (offset, (record, _)) in (base.0..).zip(records) {
            worker.recorder.note(Noted::Sent { record, outcome: Outcome::Done(Some(offset)) });
        }
        worker.pause(0..=40).await;
    }
}

async fn write_until_acknowledged(
    worker: &mut Worker,
    connection: &mut Option<Raw>,
    place: &TopicPartition,
    records: &[(String, Vec<u8>)],
) -> Offset {
    let records: Vec<_> =
        records.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect();
    loop {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Raw::connect(&worker.rt, worker.address).await {
                Ok(open) => open,
                Err(_) => {
                    worker.pause(50..=200).await;
                    continue;
                }
            },
        };
        let attempt = async {
            open.send(&raw::produce(0, place, &records)).await.ok()?;
            raw::produced(&open.receive().await?)
        };
        // Without an answer the connection is given up: a late one must not be taken for the next.
        let Ok(Some((_, code, base))) = worker.rt.timeout(ANSWER_PATIENCE, attempt).await else { continue };
        *connection = Some(open);
        match ErrorCode::from_code(code) {
            ErrorCode::None => return Offset(base),
            code if code.is_retriable() => worker.pause(20..=100).await,
            code => panic!("{place} refuses a plain batch: {code}"),
        }
    }
}

/// A member of the group: reads, and commits by hand now and then and whenever it must let go.
pub async fn member(mut worker: Worker, topics: Vec<TopicName>) {
    let client = connect(&worker.rt, worker.address).await;
    let config = ConsumerConfig {
        reset: Reset::Earliest,
        poll_records: 50,
        isolation: Isolation::ReadCommitted,
        ..ConsumerConfig::default()
    };
    let group = GroupConfig {
        session_timeout: SESSION_TIMEOUT,
        rebalance_timeout: Duration::from_secs(10),
        heartbeat_interval: HEARTBEAT_INTERVAL,
        auto_commit: None,
        ..GroupConfig::new(GROUP)
    };
    worker.recorder.note(Noted::Subscribe { client: worker.name.clone(), group: GROUP.to_owned() });
    let mut consumer = Consumer::in_group(&client, config, group, topics);
    while !worker.is_stopped() {
        match consumer.poll(Duration::from_millis(200)).await {
            Ok(Event::Records(records)) => {
                note_reads(&worker, records);
                if worker.draw.one_in(4) {
                    commit(&mut worker, &mut consumer).await;
                }
            }
            Ok(Event::Revoked(_) | Event::Idle) => commit(&mut worker, &mut consumer).await,
            Ok(Event::Assigned(places)) => {
                let places = places.iter().map(place_of).collect();
                worker.recorder.note(Noted::Assign { client: worker.name.clone(), places });
            }
            Ok(Event::Lost(_)) => {}
            Err(error) if error.is_retriable() => worker.pause(50..=200).await,
            Err(error) => panic!("a member of the group cannot go on: {error}"),
        }
    }
    commit(&mut worker, &mut consumer).await;
    // It has nothing more to lose.
    let _ = consumer.close().await;
}

fn note_reads(worker: &Worker, records: Vec<client::Record>) {
    let mut polled: BTreeMap<TopicPartition, Vec<Row>> = BTreeMap::new();
    for record in records {
        let row = row_of(&record);
        let place = TopicPartition { topic: record.topic, partition: record.partition };
        polled.entry(place).or_default().push(row);
    }
    for (place, rows) in polled {
        let (client, place) = (worker.name.clone(), place_of(&place));
        let poll = Poll { client, place, rows, position: None, is_uncommitted: false, transaction: None };
        worker.recorder.note(Noted::Poll(poll));
    }
}

/// A record as histories show it.
pub fn row_of(record: &client::Record) -> Row {
    let name = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let sum = Some(sum_of(record.value.as_deref().unwrap_or_default()));
    Row { offset: record.offset.0, record: name, sum }
}

async fn commit(worker: &mut Worker, consumer: &mut Consumer) {
    let positions = consumer.uncommitted();
    if positions.is_empty() {
        return;
    }
    let attempt = format!("{}/{:016x}", worker.name, worker.draw.number());
    let offsets = positions.iter().map(|(place, offset)| (place_of(place), offset.0)).collect();
    let (group, transaction) = (GROUP.to_owned(), None);
    worker.recorder.note(Noted::Commit(Commit { attempt: attempt.clone(), group, offsets, transaction }));
    if consumer.commit().await.is_ok() {
        worker.recorder.note(Noted::Committed { attempt });
    }
}

/// Creates topics under ever new names, and deletes every other one again.
pub async fn churn(mut worker: Worker) {
    let client = connect(&worker.rt, worker.address).await;
    let admin = Admin::new(&client);
    for number in 0.. {
        if worker.is_stopped() {
            return;
        }
        let name = TopicName::parse(&format!("churn-{number}")).expect("a topic's name");
        let topic_name = || name.as_str().to_owned();
        worker.recorder.note(Noted::Create { topic: topic_name() });
        let topic = NewTopic {
            name: name.clone(),
            partitions: Some(2),
            replication_factor: Some(1),
            configs: BTreeMap::new(),
        };
        let created = admin.create_topic(&topic).await;
        // That it exists is what a second attempt hears when only the first one's answer got lost.
        let is_created = created
            .as_ref()
            .map_or_else(|error| error.code() == Some(ErrorCode::TopicAlreadyExists), |_| true);
        assert!(is_created, "{name} cannot be created: {created:?}");
        worker.recorder.note(Noted::Created { topic: topic_name() });
        worker.pause(0..=300).await;
        if worker.draw.one_in(2) {
            worker.recorder.note(Noted::Delete { topic: topic_name() });
            delete(&worker, &admin, &name).await;
            worker.recorder.note(Noted::Deleted { topic: topic_name() });
        }
        worker.pause(0..=500).await;
    }
}

async fn delete(worker: &Worker, admin: &Admin, name: &TopicName) {
    loop {
        match admin.delete_topic(name).await {
            Ok(()) => return,
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => return,
            Err(error) if error.is_retriable() => worker.rt.sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{name} cannot be deleted: {error}"),
        }
    }
}

/// The topic that loses its oldest records, by order and by retention.
pub const TRIMMED: &str = "trimmed";

/// Writes to a topic whose oldest records go: neither its start nor its end ever moves back.
pub async fn trim(mut worker: Worker) {
    let place = TopicPartition::new(TopicName::parse(TRIMMED).expect("a topic's name"), 0);
    let client = connect(&worker.rt, worker.address).await;
    let mut connection = None;
    let (mut start, mut end) = (Offset::ZERO, Offset::ZERO);
    for number in 0_u64.. {
        if worker.is_stopped() {
            return;
        }
        let record = (format!("{}/{number}", worker.name), vec![7; 400]);
        let base = write_until_acknowledged(&mut worker, &mut connection, &place, &[record]).await;
        assert!(end <= base, "a record got offset {base:?} although the log ended at {end:?}");
        end = base.next();
        if worker.draw.one_in(4) {
            let kept = i64::try_from(worker.draw.within(0..=end.since(start))).expect("few records");
            let before = BTreeMap::from([(place.clone(), end.plus(-kept))]);
            match Admin::new(&client).delete_records(&before).await {
                Ok(starts) => start = start.max(starts[&place]),
                // Retention was there first.
                Err(error) => assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange), "{error}"),
            }
        }
        let found = offset_of(&client, &place, OffsetQuery::Earliest).await;
        assert!(start <= found, "the log starts at {found:?} again, which was {start:?}");
        start = found;
        let found = offset_of(&client, &place, OffsetQuery::Latest).await;
        assert!(end <= found, "the log ends at {found:?} again, which was {end:?}");
        worker.pause(0..=100).await;
    }
}

async fn offset_of(client: &Client, place: &TopicPartition, query: OffsetQuery) -> Offset {
    let query = BTreeMap::from([(place.clone(), query)]);
    let found = client.list_offsets(&query).await.expect("the client is patient");
    found.get(place).copied().flatten().expect("a log has a start and an end")
}
