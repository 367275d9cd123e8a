//! A topic and what is written to it: so many messages a second, none before it is due.
//!
//! - F1 Counted is what was acknowledged, never what was only sent.
//! - F2 Who cannot keep the pace writes fewer messages: time is up when it is up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client::{Client, Delivery, NewRecord, OffsetQuery, Producer, ProducerConfig, TopicPartition};
use model::{Offset, PartitionIndex, TopicName};

use crate::error::DemoError;

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(5);

/// For the last messages, which were due before time was up (F2).
const GRACE: Duration = Duration::from_millis(200);

/// Messages between two looks at what was acknowledged meanwhile.
const PORTION: u64 = 1_000;

/// A topic.
pub(crate) struct Feed {
    topic: TopicName,
    acknowledged: Vec<AtomicU64>,
    /// Where the demo begins.
    origins: BTreeMap<TopicPartition, Offset>,
}

/// A message that is being written.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) partition: Option<PartitionIndex>,
    pub(crate) key: String,
    pub(crate) value: String,
}

/// How fast, and how long.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rate: u64,
    pub(crate) time: Duration,
    pub(crate) linger: Duration,
}

impl Pace {
    /// How many are due after `elapsed`.
    pub(crate) fn due(&self, elapsed: Duration) -> u64 {
        let due = u128::from(self.rate) * elapsed.min(self.time).as_nanos() / 1_000_000_000;
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// When a message is due.
    pub(crate) fn when(&self, message: u64) -> Duration {
        let after = u128::from(message) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX))
    }
}

impl Feed {
    /// Makes the topic if it is not there.
    pub(crate) async fn open(client: &Client, topic: &str, partitions: i32) -> Result<Feed, DemoError> {
        let topic =
            TopicName::parse(topic).map_err(|error| DemoError::Stuck(format!("topic '{topic}': {error}")))?;
        load::create_topic(client, &topic, partitions, &[]).await?;
        let acknowledged = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        let mut feed = Feed { topic, acknowledged, origins: BTreeMap::new() };
        feed.origins = feed.ends(client).await?;
        Ok(feed)
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    pub(crate) fn partitions(&self) -> usize {
        self.acknowledged.len()
    }

    pub(crate) fn origins(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.origins
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Those of one partition.
    pub(crate) fn acknowledged_in(&self, partition: usize) -> u64 {
        self.acknowledged[partition].load(Ordering::Relaxed)
    }

    /// Messages that lie in the log since the demo began.
    pub(crate) async fn in_log(&self, client: &Client) -> Result<u64, DemoError> {
        let ends = self.ends(client).await?;
        let since =
            |(place, end): (&TopicPartition, &Offset)| end.0 - self.origins.get(place).map_or(0, |at| at.0);
        Ok(ends.iter().map(|end| u64::try_from(since(end)).unwrap_or(0)).sum())
    }

    async fn ends(&self, client: &Client) -> Result<BTreeMap<TopicPartition, Offset>, DemoError> {
        let places =
            (0..).take(self.partitions()).map(|index| TopicPartition::new(self.topic.clone(), index));
        let ends = client.list_offsets(&places.map(|place| (place, OffsetQuery::Latest)).collect()).await?;
        Ok(ends.into_iter().map(|(place, end)| (place, end.unwrap_or(Offset::ZERO))).collect())
    }

    /// Writes messages; `make` fills in the one of a number.
    pub(crate) async fn write(
        &self,
        client: &Client,
        pace: Pace,
        mut make: impl FnMut(u64, &mut Message),
    ) -> Result<(), DemoError> {
        let rt = client.rt();
        let config = ProducerConfig { linger: pace.linger, ..ProducerConfig::default() };
        let producer = Producer::new(client, config);
        let (mut sent, mut message, mut under_way) = (0, Message::default(), VecDeque::new());
        let started = rt.now();
        loop {
            let elapsed = rt.now().saturating_since(started);
            let due = pace.due(elapsed);
            if pace.time <= elapsed && (due <= sent || pace.time + GRACE <= elapsed) {
                break;
            }
            let portion = due.min(sent + PORTION);
            while sent < portion {
                message.key.clear();
                message.value.clear();
                make(sent, &mut message);
                under_way.push_back(producer.send(&self.topic, message.record()).await?);
                sent += 1;
            }
            self.settle(&mut under_way)?;
            if due <= sent {
                rt.sleep(TICK).await;
            }
        }
        producer.flush().await;
        while let Some(delivery) = under_way.pop_front() {
            self.count(delivery.await?.partition);
        }
        Ok(())
    }

    /// Counts what is certain by now, in the order of sending.
    fn settle(&self, under_way: &mut VecDeque<Delivery>) -> Result<(), DemoError> {
        while let Some(answer) = under_way.front_mut().and_then(Delivery::try_take) {
            under_way.pop_front();
            self.count(answer?.partition);
        }
        Ok(())
    }

    fn count(&self, partition: PartitionIndex) {
        let index = usize::try_from(partition.0).ok();
        if let Some(count) = index.and_then(|index| self.acknowledged.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Message {
    fn record(&self) -> NewRecord<'_> {
        NewRecord {
            partition: self.partition,
            key: (!self.key.is_empty()).then_some(self.key.as_bytes()),
            value: Some(self.value.as_bytes()),
            ..NewRecord::default()
        }
    }
}
