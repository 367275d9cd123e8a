//! Writes records: gathered into batches a partition, sent to its leader, tried again until it is certain.
//!
//! - P1 Records of one partition are written in the order they were sent, whatever has to be tried again.
//! - P2 With [`Acks::All`] a record is written once: every batch carries a producer id, epoch and sequence (KIP-98).
//! - P3 At most `buffer_bytes` wait to be acknowledged; `send` waits for room.
//! - P4 Every [`Delivery`] gets an answer within `delivery_timeout` and one request timeout.

mod accumulator;
mod sender;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use model::{Offset, PartitionIndex, TimestampMs, TopicName};
use record::{Compression, Header};
use rt::Task;
use rt::channel::{Notify, Semaphore, oneshot};

use crate::client::{Client, unknown_partition};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::partitioner::{Sticky, partition_of_key};
use crate::pool::Lane;
use accumulator::Accumulator;
pub(crate) use sender::{PRODUCE_VERSIONS, is_stale_metadata};

/// What a record takes beyond its parts, in a batch and beside it, bytes. That empty records count for something keeps
/// their number within bounds, too (P3).
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Who must have a record before it counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody; not even the broker's answer is waited for, so nothing is known of what became of it.
    None,
    /// The partition's leader.
    Leader,
    /// Every replica that is in sync.
    All,
}

impl Acks {
    /// The number in a Produce request.
    pub fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How a producer works.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// Who must have a record. Only [`Acks::All`] is idempotent.
    pub acks: Acks,
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes of records, before compression, at which a batch is full.
    pub batch_bytes: usize,
    /// Bytes of the largest record: a batch of its own must be acceptable to the topic.
    pub record_bytes_max: usize,
    /// Bytes of records that may wait to be acknowledged (P3).
    pub buffer_bytes: usize,
    /// Batches of one partition that may be under way. Without idempotence it is one, for order's sake (P1).
    pub in_flight_max: usize,
    /// Longest time from `send` to giving up.
    pub delivery_timeout: Duration,
}

impl Default for ProducerConfig {
    /// Safe and in batches large enough to be fast.
    fn default() -> ProducerConfig {
        ProducerConfig {
            acks: Acks::All,
            compression: Compression::None,
            linger: Duration::from_millis(5),
            batch_bytes: 256 * 1024,
            record_bytes_max: 1_000_000,
            buffer_bytes: 32 * 1024 * 1024,
            in_flight_max: model::limits::PRODUCER_BATCHES_REMEMBERED,
            delivery_timeout: Duration::from_secs(120),
        }
    }
}

/// A record to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Where to; by default the key decides, and without a key whatever is being filled.
    pub partition: Option<PartitionIndex>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [Header<'a>],
    /// By default the time it is sent.
    pub timestamp: Option<TimestampMs>,
}

impl NewRecord<'_> {
    fn bytes(&self) -> usize {
        let of = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|header| header.key.len() + of(header.value)).sum();
        of(self.key) + of(self.value) + headers
    }
}

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The partition.
    pub partition: PartitionIndex,
    /// Its offset; `None` where the broker did not say: with [`Acks::None`], or when it only confirmed that a batch tried
    /// again had been there before.
    pub offset: Option<Offset>,
}

/// What became of a record: a future, ready once that is certain.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Result<Written, Error>>);

impl Delivery {
    /// The answer if it is there already.
    pub fn try_take(&mut self) -> Option<Result<Written, Error>> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(Error::Closed)),
        }
    }
}

impl Future for Delivery {
    type Output = Result<Written, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

/// Writes records. Dropping it gives up what is not written yet; [`Producer::flush`] first.
pub struct Producer {
    shared: Arc<Shared>,
    sender: Task,
}

/// What callers and the sending task share.
struct Shared {
    client: Client,
    config: ProducerConfig,
    lane: Lane,
    accumulator: Mutex<Accumulator>,
    sticky: Mutex<Vec<(TopicName, Sticky)>>,
    /// Bytes that may still be buffered (P3).
    room: Semaphore,
    /// There is something to send, or something changed that it waits for.
    work: Notify,
    /// Nothing waits to be acknowledged any more.
    settled: Notify,
}

impl Shared {
    fn accumulator(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers whoever waited for batches, and makes room for others.
    fn settle(&self, finished: Vec<accumulator::Finished>) {
        for batch in finished {
            self.room.add_permits(batch.complete());
        }
        if self.accumulator().is_settled() {
            self.settled.notify_waiters();
        }
    }
}

impl Producer {
    /// A producer; nothing is asked of the cluster before the first record.
    pub fn new(client: &Client, config: ProducerConfig) -> Producer {
        let in_flight_max = if config.acks == Acks::All { config.in_flight_max.max(1) } else { 1 };
        let shared = Arc::new(Shared {
            client: client.clone(),
            lane: client.new_lane(),
            accumulator: Mutex::new(Accumulator::new(&config, in_flight_max)),
            sticky: Mutex::new(Vec::new()),
            room: Semaphore::new(config.buffer_bytes),
            work: Notify::new(),
            settled: Notify::new(),
            config,
        });
        let sender = client.rt().spawn("producer", sender::run(shared.clone()));
        Producer { shared, sender }
    }

    /// Adds a record to its partition's batch; waits while the buffer is full.
    ///
    /// # Errors
    /// The record cannot be sent at all: too large, no such topic, no such partition, or nobody told of the topic for as
    /// long as the client tries. What happens to it later is the [`Delivery`]'s to tell.
    pub async fn send(&self, topic: &TopicName, record: NewRecord<'_>) -> Result<Delivery, Error> {
        let shared = &self.shared;
        let bytes = record.bytes();
        let bytes_max = shared.config.record_bytes_max.min(shared.config.buffer_bytes);
        if bytes_max < bytes {
            return Err(Error::RecordTooLarge { bytes, bytes_max });
        }
        let mut backoff = shared.client.backoff();
        let partition = loop {
            match self.partition_for(topic, &record, bytes).await {
                Ok(partition) => break partition,
                Err(error) if error.is_retriable() => backoff.wait(shared.client.rt(), error).await?,
                Err(error) => return Err(error),
            }
        };
        let held = bytes + RECORD_OVERHEAD_BYTES;
        let permits = u32::try_from(held).map_err(|_| Error::RecordTooLarge { bytes, bytes_max })?;
        // The semaphore is never closed while the producer lives.
        shared.room.acquire_many(permits).await.map_err(|_| Error::Closed)?.forget();
        let rt = shared.client.rt();
        let timestamp = record.timestamp.unwrap_or_else(|| TimestampMs(rt.wall_clock_ms()));
        let place = TopicPartition { topic: topic.clone(), partition };
        let (delivery, wake) = shared.accumulator().push(rt.now(), place, record, timestamp, held);
        if wake {
            shared.work.notify_one();
        }
        Ok(delivery)
    }

    /// Waits until everything sent so far is written or given up; lingering batches leave at once.
    pub async fn flush(&self) {
        loop {
            let settled = self.shared.settled.notified();
            let mut settled = std::pin::pin!(settled);
            settled.as_mut().enable();
            {
                let mut accumulator = self.shared.accumulator();
                if accumulator.is_settled() {
                    return;
                }
                accumulator.flush();
            }
            self.shared.work.notify_one();
            settled.await;
        }
    }

    async fn partition_for(
        &self,
        topic: &TopicName,
        record: &NewRecord<'_>,
        bytes: usize,
    ) -> Result<PartitionIndex, Error> {
        let client = &self.shared.client;
        if let Some(partition) = record.partition {
            let place = TopicPartition { topic: topic.clone(), partition };
            client.partition(&place).await?;
            return Ok(partition);
        }
        let mut snapshot = client.snapshot();
        if !snapshot.topics.contains_key(topic) {
            snapshot = client.refresh(Some(std::slice::from_ref(topic))).await?;
        }
        let Some(known) = snapshot.topics.get(topic) else {
            return Err(Error::UnknownTopic { topic: topic.clone() });
        };
        let none = || unknown_partition(&snapshot, &TopicPartition::new(topic.clone(), 0));
        if let Some(key) = record.key {
            return partition_of_key(key, known.partitions.len()).ok_or_else(none);
        }
        // Partitions without a leader are passed by while others have one.
        let led = known.partitions.values().filter(|partition| partition.leader.is_some()).count();
        let count = if led == 0 { known.partitions.len() } else { led };
        let place = self.stick(topic, count, bytes).ok_or_else(none)?;
        let mut places =
            known.partitions.iter().filter(|(_, partition)| led == 0 || partition.leader.is_some());
        places.nth(place).map(|(index, _)| *index).ok_or_else(none)
    }

    fn stick(&self, topic: &TopicName, count: usize, bytes: usize) -> Option<usize> {
        let mut topics = self.shared.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        let index = topics.iter().position(|(name, _)| name == topic).unwrap_or_else(|| {
            topics.push((topic.clone(), Sticky::default()));
            topics.len() - 1
        });
        let rt = self.shared.client.rt();
        topics[index].1.next(count, bytes, self.shared.config.batch_bytes, || rt.random_u64())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.sender.abort();
        self.shared.client.close_lane(self.shared.lane);
    }
}
