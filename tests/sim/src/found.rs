//! What is there at the end, written into the history.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Admin, Client, Consumer, ConsumerConfig, Event, Isolation, OffsetQuery, Start, TopicPartition};
use history::{Event as Noted, Recorder, Row};
use model::Offset;

use crate::load::{place_of, row_of};

/// Every record of a partition that is below its high watermark and committed; waits for open transactions to end.
///
/// # Panics
/// The broker does not serve it.
pub async fn rows_of(client: &Client, place: &TopicPartition) -> Vec<Row> {
    let query = BTreeMap::from([(place.clone(), OffsetQuery::Latest)]);
    let ends = client.list_offsets(&query).await.expect("the end of a partition");
    let end = ends.get(place).copied().flatten().unwrap_or(Offset::ZERO);
    let starts = BTreeMap::from([(place.clone(), Start::Earliest)]);
    let config = ConsumerConfig { isolation: Isolation::ReadCommitted, ..ConsumerConfig::default() };
    let mut consumer = Consumer::assigned(client, config, &starts).await.expect("a partition that is there");
    let mut rows = Vec::new();
    while consumer.positions().get(place).copied() < Some(end) {
        if let Event::Records(records) = consumer.poll(Duration::from_secs(1)).await.expect("records") {
            rows.extend(records.iter().map(row_of));
        }
    }
    rows
}

/// Notes what a partition holds.
pub fn note_log(recorder: &Recorder, place: &TopicPartition, rows: Vec<Row>) {
    recorder.note(Noted::Log { place: place_of(place), start: 0, rows });
}

/// Notes the topics that are there.
///
/// # Panics
/// The broker does not say.
pub async fn note_topics(recorder: &Recorder, client: &Client) {
    let cluster = Admin::new(client).topics().await.expect("all topics");
    let topics = cluster.topics.keys().map(|topic| topic.as_str().to_owned()).collect();
    recorder.note(Noted::Topics { topics });
}

/// Notes what a group committed.
pub fn note_offsets(recorder: &Recorder, group: &str, committed: &BTreeMap<TopicPartition, Offset>) {
    let offsets = committed.iter().map(|(place, offset)| (place_of(place), offset.0)).collect();
    recorder.note(Noted::Offsets { group: group.to_owned(), offsets });
}
