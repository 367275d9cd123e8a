//! The topic `ottla-sinks` in a cluster: made when it is first needed, read and written.
//!
//! - O1 It is compacted, in segments so small that what is read of it stays small, too.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{
    Acks, Admin, Client, Consumer, ConsumerConfig, Error, Event, NewRecord, NewTopic, OffsetQuery, Producer,
    ProducerConfig, Reset, Start, TopicPartition,
};
use model::{ErrorCode, Offset, PartitionIndex, TopicName};
use serde_json::Value;

use crate::board::{Board, Key};

/// Its name.
const NAME: &str = "ottla-sinks";

/// How it is kept (O1). Kafka takes no smaller segments.
const CONFIGS: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0.1")];

/// Longest wait for something of it to arrive.
const POLL: Duration = Duration::from_millis(500);

/// Longest time in which a record is written, or given up.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of what waits to be written.
const BUFFER_BYTES: usize = 2 * 1024 * 1024;

pub(crate) fn name() -> TopicName {
    TopicName::parse(NAME).expect("a name of letters and a hyphen")
}

fn place() -> TopicPartition {
    TopicPartition { topic: name(), partition: PartitionIndex(0) }
}

/// Reads it from the beginning, and then on.
pub(crate) struct Reader {
    consumer: Consumer,
    board: Board,
}

impl Reader {
    /// Takes in everything that is there now; none where there is no such topic yet.
    pub(crate) async fn open(client: &Client) -> Result<Option<Reader>, Error> {
        // What is known may be of one that was deleted.
        let snapshot = client.refresh(Some(&[name()])).await?;
        if !snapshot.topics.contains_key(&name()) {
            return Ok(None);
        }
        let config = ConsumerConfig { reset: Reset::Fail, ..ConsumerConfig::default() };
        let ends = client.list_offsets(&BTreeMap::from([(place(), OffsetQuery::Latest)])).await?;
        let starts = BTreeMap::from([(place(), Start::Earliest)]);
        let consumer = Consumer::assigned(client, config, &starts).await?;
        let end = ends.get(&place()).copied().flatten().unwrap_or(Offset::ZERO);
        let mut reader = Reader { consumer, board: Board::default() };
        while reader.position() < end {
            reader.read_on().await?;
        }
        Ok(Some(reader))
    }

    fn position(&self) -> Offset {
        self.consumer.positions().get(&place()).copied().unwrap_or(Offset::ZERO)
    }

    /// What came so far.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// The same, for who needs nothing that comes.
    pub(crate) fn into_board(self) -> Board {
        self.board
    }

    /// Waits a while for more.
    pub(crate) async fn read_on(&mut self) -> Result<(), Error> {
        match self.consumer.poll(POLL).await? {
            Event::Records(records) => {
                for record in records {
                    if let Some(key) = record.key.as_deref().and_then(Key::parse) {
                        self.board.apply(key, record.value.as_deref());
                    }
                }
                Ok(())
            }
            Event::Idle => match self.consumer.trouble() {
                Some((_, error)) => Err(error),
                None => Ok(()),
            },
            Event::Assigned(_) | Event::Revoked(_) | Event::Lost(_) => Ok(()),
        }
    }
}

/// Writes it.
pub(crate) struct Writer {
    client: Client,
    producer: Producer,
}

impl Writer {
    pub(crate) fn new(client: &Client) -> Writer {
        let config = ProducerConfig {
            // Not idempotent: what comes twice says the same.
            acks: Acks::Leader,
            linger: Duration::ZERO,
            buffer_bytes: BUFFER_BYTES,
            delivery_timeout: DELIVERY_TIMEOUT,
            ..ProducerConfig::default()
        };
        Writer { client: client.clone(), producer: Producer::new(client, config) }
    }

    /// Writes records; without a value they take back what was there.
    pub(crate) async fn write(&self, records: &[(Key, Option<Value>)]) -> Result<(), Error> {
        let written = self.try_to_write(records).await;
        if written.is_err() {
            // The topic may be gone; who knows that makes it anew. Should this fail, so does the next attempt, which counts.
            let _ = self.client.refresh(Some(&[name()])).await;
        }
        written
    }

    async fn try_to_write(&self, records: &[(Key, Option<Value>)]) -> Result<(), Error> {
        self.make_topic().await?;
        let mut deliveries = Vec::new();
        for (key, value) in records {
            let (key, value) = (key.text(), value.as_ref().map(Value::to_string));
            let record = NewRecord {
                partition: Some(PartitionIndex(0)),
                key: Some(key.as_bytes()),
                value: value.as_ref().map(String::as_bytes),
                ..NewRecord::default()
            };
            deliveries.push(self.producer.send(&name(), record).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
        Ok(())
    }

    async fn make_topic(&self) -> Result<(), Error> {
        if self.client.snapshot().topics.contains_key(&name()) {
            return Ok(());
        }
        make(&self.client, name(), &CONFIGS).await
    }
}

/// Makes a topic of one partition, where it is not there.
pub(crate) async fn make(client: &Client, name: TopicName, configs: &[(&str, &str)]) -> Result<(), Error> {
    if client.refresh(Some(std::slice::from_ref(&name))).await?.topics.contains_key(&name) {
        return Ok(());
    }
    let topic = NewTopic {
        name,
        partitions: Some(1),
        replication_factor: None,
        configs: configs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
    };
    match Admin::new(client).create_topic(&topic).await {
        // Another one was quicker.
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        made => made.map(drop),
    }
}
