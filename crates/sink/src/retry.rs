//! Dead letters, driven in again.
//!
//! - V1 Letters are read as a sink of their own reads a topic, with offsets of its own beside the rows: whoever is killed,
//!   each is in the table once.
//! - V2 Of the letters of one record that are there, one is driven in: the first of the latest generation.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::{Client, Consumer, ConsumerConfig, Event, OffsetQuery, Record, Start, TopicPartition};
use model::{Offset, TopicName};

use crate::dead_letter::{DeadLetter, DeadLetters, Read, RecordId};
use crate::definition::Definition;
use crate::note::Note;
use crate::rows::Rows;
use crate::schema::{Column, Schema};
use crate::target::Target;
use crate::transform::{Refused, Transform};
use crate::worker::Worker;

/// How long the next letter may take to come.
const POLL: std::time::Duration = std::time::Duration::from_secs(1);

/// Which letter of each record counts.
type Counting = BTreeMap<RecordId, (u32, TopicPartition, Offset)>;

/// What became of the letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Rows that are in the table now.
    pub rows: usize,
    /// Records that are refused again: there are new letters of them.
    pub letters: usize,
}

/// Drives all letters of a sink in again that are there now, or until `stop`. The target is prepared for `schema` already.
///
/// # Errors
/// The sink has no topic of dead letters, it cannot be read, or the cluster does not let us be a member of the group.
pub async fn retry<T: Target>(
    client: &Client,
    definition: &Definition,
    schema: Schema,
    transform: impl Transform,
    target: T,
    stop: impl Future<Output = ()>,
    mut note: impl FnMut(Note),
) -> Result<Retried, client::Error> {
    let Some(topic) = &definition.dead_letters else { return Ok(Retried::default()) };
    let (ends, counting) = scan(client, topic, &definition.name).await?;
    let mut retried = Retried::default();
    if ends.values().all(|end| *end == Offset(0)) {
        return Ok(retried);
    }
    let letters = Letters { sink: definition.name.clone(), inner: transform, counting };
    let count = |heard: Note| {
        if let Note::Committed { rows, letters, .. } = &heard {
            retried.rows += rows;
            retried.letters += letters;
        }
        note(heard);
    };
    let definition = definition.of_retry(topic.clone());
    Worker::start(client, definition, schema, letters, target, count).until(ends).run(stop).await?;
    Ok(retried)
}

/// Writes a letter that says what a record should have been, to be driven in in its place. `false` says that the sink has
/// no letter of that record.
///
/// # Errors
/// The letters cannot be read or written.
pub async fn mend(
    client: &Client,
    definition: &Definition,
    place: &TopicPartition,
    offset: Offset,
    value: Option<Bytes>,
) -> Result<bool, client::Error> {
    let Some(topic) = &definition.dead_letters else { return Ok(false) };
    let mut latest: Option<Read> = None;
    let is_it = |read: &Read| {
        read.sink == definition.name
            && (&read.id.topic, read.id.partition, read.id.offset) == (&place.topic, place.partition, offset)
    };
    each(client, topic, |record| {
        let read = Read::from_record(record).filter(is_it);
        if let Some(read) =
            read.filter(|read| latest.as_ref().is_none_or(|l| l.generation <= read.generation))
        {
            latest = Some(read);
        }
    })
    .await?;
    let Some(read) = latest else { return Ok(false) };
    let letter = DeadLetter {
        record: Record { value, ..read.record },
        id: read.id,
        generation: read.generation + 1,
        problem: "mended".to_owned(),
        code: None,
        attempts: 0,
    };
    DeadLetters::new(client, topic.clone(), &definition.name).send(&[letter]).await?;
    Ok(true)
}

/// Where the letters end, and which count (V2).
async fn scan(
    client: &Client,
    topic: &TopicName,
    sink: &str,
) -> Result<(BTreeMap<TopicPartition, Offset>, Counting), client::Error> {
    let mut counting = Counting::new();
    let ends = each(client, topic, |record| {
        let Some(read) = Read::from_record(record).filter(|read| read.sink == sink) else { return };
        let letter = (read.generation, record.place(), record.offset);
        let known = counting.entry(read.id).or_insert_with(|| letter.clone());
        if known.0 < letter.0 {
            *known = letter;
        }
    })
    .await?;
    Ok((ends, counting))
}

/// Reads a topic as far as it goes now, and returns where that is.
async fn each(
    client: &Client,
    topic: &TopicName,
    mut read: impl FnMut(&Record),
) -> Result<BTreeMap<TopicPartition, Offset>, client::Error> {
    let partitions = client.topic(topic).await?.partitions.into_keys();
    let places: Vec<_> =
        partitions.map(|partition| TopicPartition { topic: topic.clone(), partition }).collect();
    let query = places.iter().map(|place| (place.clone(), OffsetQuery::Latest)).collect();
    let ends = client.list_offsets(&query).await?;
    let ends: BTreeMap<_, _> =
        ends.into_iter().map(|(place, end)| (place, end.unwrap_or(Offset(0)))).collect();
    let starts = places.into_iter().map(|place| (place, Start::Earliest)).collect();
    let mut consumer = Consumer::assigned(client, ConsumerConfig::default(), &starts).await?;
    let is_at_end = |consumer: &Consumer| {
        let positions = consumer.positions();
        ends.iter().all(|(place, end)| positions.get(place).is_some_and(|position| end <= position))
    };
    while !is_at_end(&consumer) {
        match consumer.poll(POLL).await? {
            Event::Records(records) => {
                let is_before_end =
                    |record: &&Record| ends.get(&record.place()).is_some_and(|end| record.offset < *end);
                records.iter().filter(is_before_end).for_each(&mut read);
            }
            Event::Idle => {
                // Whoever waits for letters is to hear why none come.
                if let Some((_, error)) = consumer.trouble() {
                    return Err(error);
                }
            }
            Event::Assigned(_) | Event::Revoked(_) | Event::Lost(_) => {}
        }
    }
    Ok(ends)
}

/// Makes rows of the records that letters are about.
struct Letters<T> {
    sink: String,
    inner: T,
    counting: Counting,
}

impl<T: Transform> Transform for Letters<T> {
    fn apply(&mut self, records: &[Record], rows: &mut Rows) -> Vec<Refused> {
        let counts = |record: &Record, read: &Read| {
            read.sink == self.sink
                && self.counting.get(&read.id).is_some_and(|(_, place, offset)| {
                    (&place.topic, place.partition, *offset)
                        == (&record.topic, record.partition, record.offset)
                })
        };
        let letters = records.iter().enumerate();
        let letters = letters.filter_map(|(index, record)| Some((index, record, Read::from_record(record)?)));
        let (indexes, records): (Vec<_>, Vec<_>) = letters
            .filter(|(_, record, read)| counts(record, read))
            .map(|(index, _, read)| (index, read.record))
            .unzip();
        let refused = self.inner.apply(&records, rows).into_iter();
        refused.map(|refused| Refused { index: indexes[refused.index], ..refused }).collect()
    }

    fn new_columns(&mut self) -> Vec<Column> {
        self.inner.new_columns()
    }

    fn on_schema(&mut self, schema: &Schema) {
        self.inner.on_schema(schema);
    }
}
