//! A connection of the caller's own to one node, for who measures that node: requests are written down once and sent as
//! often as wanted.
//!
//! - D1 Sending what was prepared copies nothing and builds nothing, however often, on whichever connection to that node.
//! - D2 Answers come in the order of the requests; several may be under way.
//! - D3 Nothing is tried again: the first failure is the caller's.

use std::time::Duration;

use bytes::Bytes;
use model::{BrokerId, Offset, PartitionIndex, TopicName, Uuid};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::produce::{PartitionProduceData, ProduceResponse, TopicProduceData};
use wire::{ApiKey, FetchRequest, FetchResponse, ProduceRequest, Records};

use crate::client::Client;
use crate::connection::{Answer, Connection, Departure, Question, malformed};
use crate::consumer::{FETCH_VERSIONS, slice_of};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::pool::Lane;
use crate::producer::{Acks, PRODUCE_VERSIONS};
use crate::topic_names::versions_naming;

/// See the module.
pub struct Direct {
    client: Client,
    lane: Lane,
    node: BrokerId,
    connection: Connection,
}

/// A Produce request, ready to be sent any number of times.
#[derive(Clone)]
pub struct Prepared {
    question: Question,
    version: i16,
    topic: TopicName,
    acks: Acks,
}

/// A Produce request that is under way.
pub struct Produced {
    outcome: Outcome,
    version: i16,
    topic: TopicName,
    patience: Duration,
}

enum Outcome {
    Answer(Answer),
    Silence(Departure),
}

/// How much one fetch may bring, and how long the broker may hold it back for lack of records.
#[derive(Clone, Copy, Debug)]
pub struct FetchBounds {
    /// Bytes of the whole answer, about.
    pub fetch_bytes: i32,
    /// Bytes of one partition, about.
    pub partition_bytes: i32,
    /// Longest wait for the first record.
    pub wait: Duration,
}

/// What a fetch brought of one partition: whole batches, and perhaps the beginning of another.
pub struct Fetched {
    /// Which.
    pub partition: PartitionIndex,
    /// Its batches as they lie in the log.
    pub records: Bytes,
}

impl Client {
    /// Opens a connection to `node` that nobody else uses.
    ///
    /// # Errors
    /// The node is not known, or not reachable.
    pub async fn direct(&self, node: BrokerId) -> Result<Direct, Error> {
        let lane = self.new_lane();
        let connection = self.node(node, lane).await?;
        Ok(Direct { client: self.clone(), lane, node, connection })
    }
}

impl Direct {
    /// Writes a Produce request down: a batch for each of some partitions of `topic`.
    ///
    /// # Errors
    /// The node speaks no version we know, or the request is too long.
    pub fn prepare(
        &self,
        acks: Acks,
        topic: &TopicName,
        batches: &[(PartitionIndex, &[u8])],
    ) -> Result<Prepared, Error> {
        let partition_data = batches
            .iter()
            .map(|(index, bytes)| PartitionProduceData {
                index: index.0,
                records: Records::Bytes((*bytes).into()),
            })
            .collect();
        let topic_id = self.client.snapshot().topic_id(topic);
        let request = ProduceRequest {
            acks: acks.code(),
            timeout_ms: millis(self.client.config().request_timeout),
            topic_data: vec![TopicProduceData { name: topic.as_str().into(), topic_id, partition_data }],
            ..ProduceRequest::default()
        };
        let versions = versions_naming(PRODUCE_VERSIONS, [topic_id]);
        let version = self.connection.version(ApiKey::Produce, versions)?;
        let question = self.connection.question(&request, version)?;
        Ok(Prepared { question, version, topic: topic.clone(), acks })
    }

    /// Puts a prepared request in line; waits only while the line is full.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn produce(&self, prepared: &Prepared) -> Result<Produced, Error> {
        let question = prepared.question.clone();
        let outcome = match prepared.acks {
            Acks::None => Outcome::Silence(self.connection.submit_unanswered(question).await?),
            Acks::Leader | Acks::All => Outcome::Answer(self.connection.submit(question).await?),
        };
        let patience = self.client.config().request_timeout;
        Ok(Produced { outcome, version: prepared.version, topic: prepared.topic.clone(), patience })
    }

    /// Fetches some partitions of `topic` from where it is said, outside any fetch session.
    ///
    /// # Errors
    /// The connection is gone, or the node refuses one of the partitions.
    pub async fn fetch(
        &self,
        topic: &TopicName,
        positions: &[(PartitionIndex, Offset)],
        bounds: &FetchBounds,
    ) -> Result<Vec<Fetched>, Error> {
        let topic_id = self.client.snapshot().topic_id(topic);
        let versions = versions_naming(FETCH_VERSIONS, [topic_id]);
        let version = self.connection.version(ApiKey::Fetch, versions)?;
        let request = fetch_request(topic, topic_id, positions, bounds);
        let question = self.connection.question(&request, version)?;
        let patience = self.client.config().request_timeout + bounds.wait;
        let frame = self.connection.submit(question).await?.receive(patience).await?;
        let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&frame, version)
            .map_err(|error| malformed(ApiKey::Fetch, error))?;
        Error::check(ApiKey::Fetch, answer.error_code, None, format_args!("node {}", self.node))?;
        let mut fetched = Vec::with_capacity(positions.len());
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            let place = TopicPartition::new(topic.clone(), partition.partition_index);
            Error::check(ApiKey::Fetch, partition.error_code, None, &place)?;
            let records = partition.records.bytes().map_or_else(Bytes::new, |bytes| slice_of(&frame, bytes));
            fetched.push(Fetched { partition: place.partition, records });
        }
        Ok(fetched)
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.client.close_lane(self.lane);
    }
}

impl Produced {
    /// Waits until every batch of the request is acknowledged; with [`Acks::None`] until the request has left.
    ///
    /// # Errors
    /// No answer came, or one of the batches was refused.
    pub async fn receive(self) -> Result<(), Error> {
        let answer = match self.outcome {
            Outcome::Silence(departure) => return departure.wait().await,
            Outcome::Answer(answer) => answer,
        };
        let frame = answer.receive(self.patience).await?;
        let (_, response) = wire::decode_response::<ProduceResponse<'_>>(&frame, self.version)
            .map_err(|error| malformed(ApiKey::Produce, error))?;
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                let place = format_args!("{}-{}", self.topic, partition.index);
                Error::check(
                    ApiKey::Produce,
                    partition.error_code,
                    partition.error_message.as_deref(),
                    place,
                )?;
            }
        }
        Ok(())
    }
}

fn fetch_request(
    topic: &TopicName,
    topic_id: Uuid,
    positions: &[(PartitionIndex, Offset)],
    bounds: &FetchBounds,
) -> FetchRequest<'static> {
    let partitions = positions.iter().map(|(partition, from)| FetchPartition {
        partition: partition.0,
        fetch_offset: from.0,
        partition_max_bytes: bounds.partition_bytes,
        ..FetchPartition::default()
    });
    FetchRequest {
        replica_id: -1,
        max_wait_ms: millis(bounds.wait),
        min_bytes: 1,
        max_bytes: bounds.fetch_bytes,
        topics: vec![FetchTopic {
            topic: topic.to_string().into(),
            topic_id,
            partitions: partitions.collect(),
        }],
        ..FetchRequest::default()
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
