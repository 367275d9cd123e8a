//! Records that are refused, on their way to a topic of their own and back.
//!
//! - L1 A letter is its record, key, value, time and headers, with headers of its own behind: whose record it is, and why it
//!   was refused.
//! - L2 Letters are acknowledged before an offset passes their records: a crash between may write one again, and whoever
//!   drives them in again knows a record by its topic's id, its partition and its offset.
//! - L3 Of letters of one record the latest generation counts: one that was refused again, or mended.

use std::time::Duration;

use bytes::Bytes;
use client::{Client, NewRecord, Producer, ProducerConfig, Record};
use model::{Offset, PartitionIndex, TopicName};
use record::Header;

/// Headers of a letter.
const SINK: &str = "ottla.sink";
const TOPIC: &str = "ottla.topic";
const TOPIC_ID: &str = "ottla.topic_id";
const PARTITION: &str = "ottla.partition";
const OFFSET: &str = "ottla.offset";
const GENERATION: &str = "ottla.generation";
const ERROR: &str = "ottla.error";
const SQLSTATE: &str = "ottla.sqlstate";
const ATTEMPTS: &str = "ottla.attempts";
const PREFIX: &[u8] = b"ottla.";

/// What makes a record the one it is, wherever it is carried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordId {
    /// Its topic's name.
    pub topic: TopicName,
    /// Its topic's id.
    pub topic_id: String,
    /// Its partition.
    pub partition: PartitionIndex,
    /// Its offset.
    pub offset: Offset,
}

/// Longest time for letters to be acknowledged; then they and what waits for them are tried again.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A letter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The sink that refused it.
    pub(crate) sink: String,
    pub(crate) id: RecordId,
    /// How often the record was driven in again, or mended, before.
    pub(crate) generation: u32,
    /// The record as it was.
    pub(crate) record: Record,
}

/// A record that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) record: Record,
    pub(crate) id: RecordId,
    pub(crate) generation: u32,
    pub(crate) problem: String,
    pub(crate) code: Option<String>,
    pub(crate) attempts: u32,
}

impl Read {
    /// A letter from its topic; none if it is something else.
    pub(crate) fn from_record(record: &Record) -> Option<Read> {
        let header = |name: &str| {
            let (_, value) = record.headers.iter().rev().find(|(key, _)| key == name.as_bytes())?;
            std::str::from_utf8(value.as_ref()?).ok()
        };
        let id = RecordId {
            topic: TopicName::parse(header(TOPIC)?).ok()?,
            topic_id: header(TOPIC_ID)?.to_owned(),
            partition: PartitionIndex(header(PARTITION)?.parse().ok()?),
            offset: Offset(header(OFFSET)?.parse().ok()?),
        };
        let generation = header(GENERATION)?.parse().ok()?;
        let mut headers = record.headers.clone();
        headers.retain(|(key, _)| !key.starts_with(PREFIX));
        let (topic, partition, offset) = (id.topic.clone(), id.partition, id.offset);
        let record = Record { topic, partition, offset, headers, ..record.clone() };
        Some(Read { sink: header(SINK)?.to_owned(), id, generation, record })
    }
}

impl DeadLetter {
    /// Memory it takes, bytes.
    pub(crate) fn size_in_bytes(&self) -> usize {
        let of = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
        size_of::<DeadLetter>() + of(&self.record.key) + of(&self.record.value) + self.problem.len()
    }
}

/// Where letters go.
pub(crate) struct DeadLetters {
    producer: Producer,
    topic: TopicName,
    sink: String,
}

impl DeadLetters {
    pub(crate) fn new(client: &Client, topic: TopicName, sink: &str) -> DeadLetters {
        let config = ProducerConfig { delivery_timeout: DELIVERY_TIMEOUT, ..ProducerConfig::default() };
        DeadLetters { producer: Producer::new(client, config), topic, sink: sink.to_owned() }
    }

    /// Writes letters, and returns when all are acknowledged (L2).
    pub(crate) async fn send(&self, letters: &[DeadLetter]) -> Result<(), client::Error> {
        let mut deliveries = Vec::with_capacity(letters.len());
        for letter in letters {
            deliveries.push(self.write(letter).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
        Ok(())
    }

    async fn write(&self, letter: &DeadLetter) -> Result<client::Delivery, client::Error> {
        let (record, id) = (&letter.record, &letter.id);
        let (partition, offset) = (id.partition.0.to_string(), id.offset.0.to_string());
        let (generation, attempts) = (letter.generation.to_string(), letter.attempts.to_string());
        let own = [
            (SINK, self.sink.as_str()),
            (TOPIC, id.topic.as_str()),
            (TOPIC_ID, &id.topic_id),
            (PARTITION, &partition),
            (OFFSET, &offset),
            (GENERATION, &generation),
            (ERROR, &letter.problem),
            (ATTEMPTS, &attempts),
        ];
        let code = letter.code.as_ref().map(|code| (SQLSTATE, code.as_str()));
        let own = own.into_iter().chain(code);
        let theirs = record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() });
        let own = own.map(|(key, value)| Header { key: key.as_bytes(), value: Some(value.as_bytes()) });
        let headers: Vec<_> = theirs.chain(own).collect();
        let record = NewRecord {
            partition: None,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp: Some(record.timestamp),
        };
        self.producer.send(&self.topic, record).await
    }
}
