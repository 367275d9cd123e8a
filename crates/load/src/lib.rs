//! A load generator for any broker that speaks Kafka's protocol, cheap enough not to be what is measured.
//!
//! - L1 Batches are built before the clock starts; a request that is sent copies and builds nothing.
//! - L2 Sums are exact: as many records are acknowledged, or read, as were asked for, or the run fails.
//! - L3 With a rate, times count from when a request was due, not from when it left: a stall counts for all it held up.
//!
//! Reading order: [`produce`] and [`consume`] saturate or pace, [`latency`] sends one record at a time; [`stock`] is what
//! is sent. Knows nothing of the broker's insides, nor of what its figures are for.

mod consume;
mod histogram;
mod latency;
mod pace;
mod produce;
mod stock;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{Client, Error, NewTopic, OffsetQuery, Topic, TopicPartition};
use model::TopicName;

pub use consume::{ConsumeLoad, consume};
pub use histogram::Histogram;
pub use latency::{Latencies, LatencyLoad, latency};
pub use produce::{ProduceLoad, produce};
pub use stock::STOCK_BYTES_MAX;

/// How much load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Exactly so many records.
    Records(u64),
    /// As many as fit in this time.
    Time(Duration),
}

/// How far a run is; for whoever shows it meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Records acknowledged or read so far.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes of their batches.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds to both; returns the records with these.
    fn add(&self, records: u64, bytes: u64) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed) + records
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Records acknowledged (with acks=0: sent), or read.
    pub records: u64,
    /// Bytes of their batches, as they lie in the log.
    pub bytes: u64,
    /// Requests that took.
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Time of each request, to its answer.
    pub latency: Histogram,
    /// How much later than due each request left; empty without a rate.
    pub delay: Histogram,
}

impl Summary {
    /// Adds what another task did meanwhile.
    fn add(&mut self, other: &Summary) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.latency.add(&other.latency);
        self.delay.add(&other.delay);
    }
}

/// Why there is no load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The cluster failed or said no.
    Client(Error),
    /// What was asked for cannot be done.
    Plan(String),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> LoadError {
        LoadError::Client(error)
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Client(error) => error.fmt(f),
            LoadError::Plan(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for LoadError {}

/// How long a new topic may take until every partition has a leader.
const LEADERS_WAIT: Duration = Duration::from_secs(30);

/// How often that is looked at.
const LEADERS_LOOK: Duration = Duration::from_millis(20);

/// Creates `topic` if it is not there, and waits until each of its partitions has a leader that serves it.
///
/// # Errors
/// It cannot be created, or is there with another number of partitions.
pub async fn create_topic(
    client: &Client,
    topic: &TopicName,
    partitions: i32,
    configs: &[(String, String)],
) -> Result<(), LoadError> {
    let wanted = usize::try_from(partitions).unwrap_or(0);
    if let Some(known) = find(client, topic).await? {
        let count = known.partitions.len();
        if count != wanted {
            let problem = format!("topic '{topic}' is there with {count} partitions, not {wanted}");
            return Err(LoadError::Plan(problem));
        }
    } else {
        let new = NewTopic {
            name: topic.clone(),
            partitions: Some(partitions),
            replication_factor: None,
            configs: configs.iter().cloned().collect(),
        };
        client::Admin::new(client).create_topic(&new).await?;
    }
    let rt = client.rt();
    let deadline = rt.now() + LEADERS_WAIT;
    loop {
        let led = |topic: Topic| topic.partitions.values().filter(|one| one.leader.is_some()).count();
        let led = find(client, topic).await?.map_or(0, led);
        if led == wanted {
            // Kafka names a leader before that leader knows of it.
            let places = (0..partitions).map(|index| TopicPartition::new(topic.clone(), index));
            client.list_offsets(&places.map(|place| (place, OffsetQuery::Latest)).collect()).await?;
            return Ok(());
        }
        if deadline < rt.now() {
            let waited = LEADERS_WAIT.as_secs();
            let problem =
                format!("only {led} of {wanted} partitions of '{topic}' have a leader after {waited} s");
            return Err(LoadError::Plan(problem));
        }
        rt.sleep(LEADERS_LOOK).await;
    }
}

async fn find(client: &Client, topic: &TopicName) -> Result<Option<Topic>, Error> {
    let snapshot = client.refresh(Some(std::slice::from_ref(topic))).await?;
    Ok(snapshot.topics.get(topic).cloned())
}
