//! A client that copies records from topic to topic in transactions: what it has copied and how far it says that it
//! has read agree, whatever happens to it and to the broker.
//!
//! - P1 Each partition of the source has one copier, which writes to the same partition of the target.
//! - P2 A copy is named after the offset it is of; the offsets of the source are dense, so that the committed copies of a
//!   partition are those of 0, 1, 2, … up to the offset that is committed for it, each once and in order.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Client, Consumer, ConsumerConfig, Event, Isolation, Start, TopicPartition};
use history::{Commit, Ending, Event as Noted, Poll, Row};
use model::{ErrorCode, Offset, TopicName, TransactionVersion};
use wire::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartitions};
use wire::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use wire::{
    AddOffsetsToTxnRequest, OffsetFetchRequest, OffsetFetchResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};

use crate::load::{Worker, place_of, row_of};
use crate::server::connect;
use crate::transactions::{RuledOut, Transactional, question};

/// The topic that copies are written to; it has as many partitions as the source.
pub const COPIES: &str = "copies";

/// The group that says how far the copiers have read.
pub const COPIERS: &str = "copiers";

const ADD_OFFSETS_VERSION: i16 = 3;
const OFFSET_FETCH_VERSION: i16 = 8;

/// The kind of coordinator that groups have.
const GROUP: i8 = 0;

/// Copies these partitions until it is told to stop.
pub async fn copier(worker: Worker, protocol: TransactionVersion, sources: Vec<TopicPartition>) {
    let client = connect(&worker.rt, worker.address).await;
    let mut copier = Copier { producer: Transactional::new(worker, protocol), client, sources, attempts: 0 };
    while !copier.producer.worker.is_stopped() {
        copier.producer.begin_life().await;
        // A life ends with a transaction that it leaves behind, or that another one ended for it.
        let _ = copier.live().await;
    }
    copier.producer.begin_life().await;
}

struct Copier {
    producer: Transactional,
    client: Client,
    sources: Vec<TopicPartition>,
    attempts: u64,
}

impl Copier {
    async fn live(&mut self) -> Result<(), RuledOut> {
        let positions = self.committed().await;
        let starts = positions.iter().map(|(place, offset)| (place.clone(), Start::At(*offset))).collect();
        let config = ConsumerConfig {
            isolation: Isolation::ReadCommitted,
            poll_records: 20,
            ..ConsumerConfig::default()
        };
        let mut consumer = loop {
            match Consumer::assigned(&self.client, config.clone(), &starts).await {
                Ok(consumer) => break consumer,
                Err(error) if error.is_retriable() => self.producer.worker.pause(50..=200).await,
                Err(error) => panic!("{} cannot read: {error}", self.producer.worker.name),
            }
        };
        for (place, offset) in &positions {
            self.note_seek(place, *offset);
        }
        while !self.producer.worker.is_stopped() {
            let records = match consumer.poll(Duration::from_millis(200)).await {
                Ok(Event::Records(records)) => records,
                Ok(_) => continue,
                Err(error) if error.is_retriable() => {
                    self.producer.worker.pause(50..=200).await;
                    continue;
                }
                Err(error) => panic!("{} cannot read: {error}", self.producer.worker.name),
            };
            let mut read: BTreeMap<TopicPartition, Vec<Row>> = BTreeMap::new();
            for record in records {
                let place = record.place();
                read.entry(place).or_default().push(row_of(&record));
            }
            let Some(ending) = self.copy(&read).await? else { return Ok(()) };
            if ending == Ending::Abort {
                for (place, rows) in read {
                    let back = Offset(rows[0].offset);
                    consumer.seek(&place, Start::At(back)).await.expect("an assigned partition");
                    self.note_seek(&place, back);
                }
            }
            self.producer.worker.pause(0..=60).await;
        }
        Ok(())
    }

    fn note_seek(&self, place: &TopicPartition, offset: Offset) {
        let (client, place) = (self.producer.worker.name.clone(), place_of(place));
        self.producer.worker.recorder.note(Noted::Seek { client, place, offset: offset.0 });
    }

    /// Copies what was read, in one transaction; how that ended, unless it was left behind.
    async fn copy(&mut self, read: &BTreeMap<TopicPartition, Vec<Row>>) -> Result<Option<Ending>, RuledOut> {
        let transaction = self.producer.begin();
        for (place, rows) in read {
            let (client, transaction) = (self.producer.worker.name.clone(), Some(transaction.clone()));
            let (place, rows) = (place_of(place), rows.clone());
            let poll = Poll { client, place, rows, position: None, is_uncommitted: false, transaction };
            self.producer.worker.recorder.note(Noted::Poll(poll));
        }
        // The offsets may come first or last.
        let offsets_first = self.producer.worker.draw.one_in(2);
        if offsets_first {
            self.commit(read, &transaction).await?;
        }
        for (source, rows) in read {
            let target = TopicPartition { topic: topic(COPIES), partition: source.partition };
            self.producer.add_partition(&target).await?;
            self.attempts += 1;
            let attempt = format!("{}#{}", self.producer.worker.name, self.attempts);
            let names = rows.iter().map(|row| format!("{attempt}@{}", row.offset)).collect();
            self.producer.write(&target, &transaction, names).await?;
        }
        if !offsets_first {
            self.commit(read, &transaction).await?;
        }
        if self.producer.leaves_it().await {
            return Ok(None);
        }
        self.producer.end(transaction).await.map(Some)
    }

    /// Says in the transaction how far the source was read.
    async fn commit(
        &mut self,
        read: &BTreeMap<TopicPartition, Vec<Row>>,
        transaction: &str,
    ) -> Result<(), RuledOut> {
        self.add_offsets().await?;
        let ends = read.iter().filter_map(|(place, rows)| Some((place.clone(), rows.last()?.offset + 1)));
        let ends: BTreeMap<TopicPartition, i64> = ends.collect();
        let producer = &mut self.producer;
        let attempt = format!("{transaction}/offsets");
        producer.worker.recorder.note(Noted::Commit(Commit {
            attempt: attempt.clone(),
            group: COPIERS.to_owned(),
            offsets: ends.iter().map(|(place, offset)| (place_of(place), *offset)).collect(),
            transaction: Some(transaction.to_owned()),
        }));
        let topics = ends.iter().map(|(place, offset)| TxnOffsetCommitRequestTopic {
            name: place.topic.as_str().to_owned().into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: place.partition.0,
                committed_offset: *offset,
                committed_leader_epoch: -1,
                committed_metadata: None,
            }],
        });
        let request = TxnOffsetCommitRequest {
            transactional_id: producer.worker.name.clone().into(),
            group_id: COPIERS.into(),
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            generation_id: -1,
            topics: topics.collect(),
            ..TxnOffsetCommitRequest::default()
        };
        let version = producer.versions.txn_offset_commit;
        let code = |answer: &TxnOffsetCommitResponse<'_>| {
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            first_error(partitions.map(|partition| partition.error_code))
        };
        producer.ask(question(&request, version, code)).await.map_err(|_| RuledOut)?;
        producer.worker.recorder.note(Noted::Committed { attempt });
        Ok(())
    }

    /// Adds the group's offsets to the transaction, where that is not for the commit to do.
    async fn add_offsets(&mut self) -> Result<(), RuledOut> {
        let producer = &mut self.producer;
        if producer.protocol == TransactionVersion::Tv2 {
            return Ok(());
        }
        let request = AddOffsetsToTxnRequest {
            transactional_id: producer.worker.name.clone().into(),
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            group_id: COPIERS.into(),
        };
        let added = producer.ask(question(&request, ADD_OFFSETS_VERSION, |answer| answer.error_code)).await;
        added.map(drop).map_err(|_| RuledOut)
    }

    /// How far its partitions were read in committed transactions; waits while one is still undecided.
    async fn committed(&mut self) -> BTreeMap<TopicPartition, Offset> {
        self.producer.find_coordinator(GROUP, COPIERS).await;
        let topics = self.sources.iter().map(|place| OffsetFetchRequestTopics {
            name: place.topic.as_str().to_owned().into(),
            partition_indexes: vec![place.partition.0],
            ..OffsetFetchRequestTopics::default()
        });
        let group = OffsetFetchRequestGroup {
            group_id: COPIERS.into(),
            topics: Some(topics.collect()),
            ..OffsetFetchRequestGroup::default()
        };
        let request =
            OffsetFetchRequest { groups: vec![group], require_stable: true, ..OffsetFetchRequest::default() };
        let code = |answer: &OffsetFetchResponse<'_>| {
            let codes = partitions_of(answer).map(|partition| partition.error_code);
            first_error(codes.chain([answer.groups[0].error_code]))
        };
        let answer = self.producer.ask(question(&request, OFFSET_FETCH_VERSION, code)).await;
        let answer = answer
            .unwrap_or_else(|code| panic!("{} is told of no offsets: {code}", self.producer.worker.name));
        let offsets = partitions_of(&answer).map(|partition| Offset(partition.committed_offset.max(0)));
        self.sources.iter().cloned().zip(offsets).collect()
    }
}

fn partitions_of<'a>(
    answer: &'a OffsetFetchResponse<'_>,
) -> impl Iterator<Item = &'a OffsetFetchResponsePartitions<'a>> {
    answer.groups[0].topics.iter().flat_map(|topic| &topic.partitions)
}

/// The first code that says something went wrong, else that nothing did.
fn first_error(mut codes: impl Iterator<Item = i16>) -> i16 {
    codes.find(|code| *code != ErrorCode::None.code()).unwrap_or(ErrorCode::None.code())
}

/// Where copies and the offsets committed with them do not agree at the end of a history (P2), of sources named `source`.
pub fn disagreements(events: &[Noted], source: &str) -> Vec<String> {
    let committed: BTreeMap<i32, i64> = events
        .iter()
        .filter_map(|event| match event {
            Noted::Offsets { group, offsets } if group == COPIERS => Some(offsets),
            _ => None,
        })
        .flatten()
        .filter(|(place, _)| place.topic == source)
        .map(|(place, offset)| (place.partition, *offset))
        .collect();
    let mut found = Vec::new();
    for event in events {
        let Noted::Log { place, rows, .. } = event else { continue };
        if place.topic != COPIES {
            continue;
        }
        let copied: Vec<Option<i64>> = rows
            .iter()
            .map(|row| row.record.rsplit_once('@').and_then(|(_, offset)| offset.parse().ok()))
            .collect();
        let end = committed.get(&place.partition).copied().unwrap_or(0);
        if copied != (0..end).map(Some).collect::<Vec<_>>() {
            found.push(format!(
                "partition {}: up to {end} by its offset, copied were {copied:?}",
                place.partition
            ));
        }
    }
    found
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic's name")
}
