//! What everybody may hold of a partition: append through its lane, read beside it, wait for more.
//!
//! - H1 The high watermark seen here never moves back, and every record below it is readable.
//! - H2 Whoever registers before looking is woken by every later advance: no advance falls between.
//! - H3 The start of a log is promised, written down, and only then moved: no crash brings deleted records back.
//! - H4 The last stable offset is read before the high watermark, which it never passes.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use config::{Durability, TopicConfig};
use log::{ActiveProducer, Cleaned, LastBatch, LogReader, Marker, PutAway, Retention, Verified};
use model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicName, TopicPartition};
use record::{CheckedBatch, EndTransaction};
use replica::Acks;
use rt::channel::{Notify, oneshot};
use rustc_hash::FxHashMap;

use super::inbox::LaneSender;
use super::lane::Command;
use crate::error::PartitionError;

/// Where an append ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the batch's first record.
    pub base_offset: Offset,
    /// The time the broker wrote into the batch, if the topic asks it to.
    pub log_append_time: TimestampMs,
    /// Where the log started at that moment.
    pub log_start: Offset,
}

/// Why an append was refused or is of unknown outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The partition is not led here, or is being deleted. Nothing was written.
    NotLeader,
    /// `acks=all` with too few replicas in sync. Nothing was written.
    NotEnoughReplicas(replica::NotEnoughReplicas),
    /// The producer's sequence numbers do not follow, or its transaction is not ongoing. Nothing was written.
    Sequence(log::SequenceError),
    /// The end of a transaction is not this producer's or this coordinator's to write. Nothing was written.
    Marker(log::MarkerError),
    /// The batch is larger than a segment may be. Nothing was written.
    LargerThanSegment,
    /// The disk has no room above its reserve. Nothing was written.
    DiskFull,
    /// The log failed: the batch may or may not be there after the next start.
    Storage,
}

/// Who appends, and so what is checked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer, or a group coordinator in its name.
    Producer(Verified),
    /// A transaction's coordinator: the batch is this marker.
    Coordinator(Marker),
}

/// The answer to one append.
pub type AppendReply = Result<Appended, AppendError>;

/// One led partition; shared as `Arc<Partition>`.
pub struct Partition {
    /// Its identity.
    pub id: TopicPartition,
    /// Its topic's name.
    pub topic: TopicName,
    /// The epoch in which it is led here.
    pub leader_epoch: LeaderEpoch,
    /// Reads its log.
    pub reader: LogReader,
    lane: LaneSender,
    config: RwLock<Arc<TopicConfig>>,
    high_watermark: AtomicI64,
    last_stable_offset: AtomicI64,
    /// Who has a transaction open here, and in which epoch.
    transactions: RwLock<FxHashMap<ProducerId, ProducerEpoch>>,
    durable_end: AtomicI64,
    promised_start: AtomicI64,
    /// -1 before the first compaction.
    cleaned_to: AtomicI64,
    closed: AtomicBool,
    waiting: Mutex<Vec<(u64, Arc<Notify>)>>,
    next_waiter: AtomicU64,
}

impl Partition {
    /// A handle whose lane is `lane`; published once the lane has adopted the partition.
    pub fn new(
        id: TopicPartition,
        topic: TopicName,
        leader_epoch: LeaderEpoch,
        reader: LogReader,
        lane: LaneSender,
        config: Arc<TopicConfig>,
    ) -> Partition {
        Partition {
            id,
            topic,
            leader_epoch,
            reader,
            lane,
            config: RwLock::new(config),
            high_watermark: AtomicI64::new(0),
            last_stable_offset: AtomicI64::new(0),
            transactions: RwLock::default(),
            durable_end: AtomicI64::new(0),
            promised_start: AtomicI64::new(0),
            cleaned_to: AtomicI64::new(-1),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
            next_waiter: AtomicU64::new(0),
        }
    }

    /// Consumers read below this.
    pub fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// Consumers of committed records read below this; look at it before the high watermark (H4).
    pub fn last_stable_offset(&self) -> Offset {
        Offset(self.last_stable_offset.load(Ordering::Acquire))
    }

    /// Whether a transaction of this producer's epoch is open here, so that it may go on without asking its
    /// coordinator. The lane decides: what is seen here may be over by then.
    pub fn has_open_transaction(&self, producer: ProducerId, epoch: ProducerEpoch) -> bool {
        let transactions = self.transactions.read().unwrap_or_else(PoisonError::into_inner);
        transactions.get(&producer) == Some(&epoch)
    }

    /// Everything below is on the disk.
    pub fn durable_end(&self) -> Offset {
        Offset(self.durable_end.load(Ordering::Acquire))
    }

    /// Where the next process is to let the log start: where it does, or where it is about to (H3).
    pub fn start_to_keep(&self) -> Offset {
        self.reader.log_start().max(Offset(self.promised_start.load(Ordering::Acquire)))
    }

    /// Waits until the disk has everything below `to`, which is at most the log's end.
    pub async fn sync_to(&self, to: Offset) -> Result<(), PartitionError> {
        let (reply, synced) = oneshot::channel();
        self.ask(Command::SyncTo { partition: self.id, to, reply }, synced).await?
    }

    /// First step of deleting the records below `to`, which is at most the high watermark: makes sure that the
    /// disk has what lies below, so that the log does not end before it starts after a crash, and promises the new
    /// start to the checkpoint. Then the checkpoint is written, then comes [`Partition::advance_start`] (H3).
    pub async fn promise_start(&self, to: Offset) -> Result<(), PartitionError> {
        self.sync_to(to).await?;
        self.promised_start.fetch_max(to.0, Ordering::AcqRel);
        Ok(())
    }

    /// Where the log would start without what has expired; `None` when nothing has.
    pub async fn expired_to(&self, retention: Retention) -> Result<Option<Offset>, PartitionError> {
        let (reply, expired) = oneshot::channel();
        self.ask(Command::ExpiredTo { partition: self.id, retention, reply }, expired).await?
    }

    /// Moves the log's start to what was promised and written down, and removes the segments below; yields where
    /// the log starts now.
    pub async fn advance_start(&self, to: Offset) -> Result<Offset, PartitionError> {
        let (reply, advanced) = oneshot::channel();
        self.ask(Command::AdvanceStart { partition: self.id, to, reply }, advanced).await?
    }

    /// The same for who needs the space now: yields the segments below, to be removed.
    pub async fn put_away_before(&self, to: Offset) -> Result<PutAway, PartitionError> {
        let (reply, put_away) = oneshot::channel();
        self.ask(Command::PutAwayBefore { partition: self.id, to, reply }, put_away).await?
    }

    /// Everything below was compacted once; `None` where nothing was.
    pub fn cleaned_to(&self) -> Option<Offset> {
        Some(Offset(self.cleaned_to.load(Ordering::Acquire))).filter(|&to| Offset::ZERO <= to)
    }

    /// Notes how far a compaction came.
    pub fn set_cleaned_to(&self, to: Offset) {
        self.cleaned_to.store(to.0, Ordering::Release);
    }

    /// What each of its idempotent producers wrote last, which compaction keeps.
    pub async fn last_batches(&self) -> Result<Vec<(ProducerId, LastBatch)>, PartitionError> {
        let (reply, batches) = oneshot::channel();
        self.ask(Command::LastBatches(self.id, reply), batches).await
    }

    /// Puts a compacted segment in the place of those it was made of.
    pub async fn swap_in(&self, cleaned: Box<Cleaned>) -> Result<(), PartitionError> {
        let (reply, swapped) = oneshot::channel();
        self.ask(Command::SwapIn { partition: self.id, cleaned, reply }, swapped).await?
    }

    /// What its idempotent producers did last, by id.
    pub async fn producers(&self) -> Result<Vec<ActiveProducer>, PartitionError> {
        let (reply, producers) = oneshot::channel();
        self.ask(Command::DescribeProducers(self.id, reply), producers).await
    }

    /// Puts a question to the lane; a lane that gave the partition up does not answer.
    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, PartitionError> {
        let closed = || PartitionError::Closed(self.topic.clone());
        self.lane.send(command).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())
    }

    /// The settings of its topic as they are now.
    pub fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts changed settings in force.
    pub fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Whether the partition is gone: deleted, or its log failed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Hands a batch to the partition's writer. Resolves once it is queued, in the order of the calls;
    /// the receiver hears when the batch is as safe as `acks` asks, or at once, with `None`, when appended.
    ///
    /// A full queue makes the caller wait: that is the back-pressure of D8.
    pub async fn append(&self, batch: CheckedBatch, acks: Option<Acks>) -> oneshot::Receiver<AppendReply> {
        self.append_verified(batch, acks, Verified::No).await
    }

    /// As [`Partition::append`], for a batch of a transaction: with what its coordinator said of it.
    pub async fn append_verified(
        &self,
        batch: CheckedBatch,
        acks: Option<Acks>,
        verified: Verified,
    ) -> oneshot::Receiver<AppendReply> {
        self.append_from(Origin::Producer(verified), batch, acks).await
    }

    /// Ends a producer's transaction here, as its coordinator decided. Resolves once the marker is queued; the receiver
    /// hears when it is below the high watermark. Where nothing is open the marker is written all the same, as in
    /// Kafka: a coordinator that repeats itself succeeds.
    ///
    /// What fails with [`AppendError::Marker`] was refused for good; anything else is to be tried again.
    pub async fn append_marker(&self, marker: Marker, now: TimestampMs) -> oneshot::Receiver<AppendReply> {
        let Marker { result, coordinator_epoch, producer, epoch, .. } = marker;
        let batch = EndTransaction { result, coordinator_epoch }.batch(producer, epoch, now);
        self.append_from(Origin::Coordinator(marker), batch, Some(Acks::All)).await
    }

    async fn append_from(
        &self,
        origin: Origin,
        batch: CheckedBatch,
        acks: Option<Acks>,
    ) -> oneshot::Receiver<AppendReply> {
        let (reply, receiver) = oneshot::channel();
        let is_patient = acks.is_some() && self.config().durability == Durability::Disk;
        let bytes = batch.size_in_bytes();
        let command = Command::Append { partition: self.id, origin, batch, acks, reply };
        let sent = if is_patient {
            self.lane.send_patient(command, bytes).await
        } else {
            self.lane.send(command).await
        };
        if let Err(refused) = sent {
            refused.refuse(Err(AppendError::NotLeader));
        }
        receiver
    }

    /// Registers for a wake-up at the next advance of the high watermark (H2); dropping the guard ends it.
    pub fn wait_for_more(self: &Arc<Self>, wake: &Arc<Notify>) -> FetchGuard {
        let id = self.next_waiter.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((id, Arc::clone(wake)));
        FetchGuard { partition: Arc::clone(self), id }
    }

    /// Checks the leader epoch a client believes in; none is always right.
    pub fn check_epoch(&self, asked: LeaderEpoch) -> Result<(), PartitionError> {
        let current = self.leader_epoch;
        if asked == LeaderEpoch::NONE || asked == current {
            Ok(())
        } else if asked < current {
            Err(PartitionError::FencedEpoch { asked, current })
        } else {
            Err(PartitionError::UnknownEpoch { asked, current })
        }
    }

    pub(super) fn publish_high_watermark(&self, high_watermark: Offset, last_stable_offset: Offset) {
        self.high_watermark.store(high_watermark.0, Ordering::Release);
        self.last_stable_offset.store(last_stable_offset.0, Ordering::Release);
        self.wake_all();
    }

    /// Says in which epoch a producer has a transaction open, if it has.
    pub(super) fn publish_transaction(&self, producer: ProducerId, open: Option<ProducerEpoch>) {
        let known = self.transactions.read().unwrap_or_else(PoisonError::into_inner).get(&producer).copied();
        if known == open {
            return;
        }
        let mut transactions = self.transactions.write().unwrap_or_else(PoisonError::into_inner);
        match open {
            Some(epoch) => transactions.insert(producer, epoch),
            None => transactions.remove(&producer),
        };
    }

    /// Says it of all producers.
    pub(super) fn publish_transactions(&self, open: impl Iterator<Item = (ProducerId, ProducerEpoch)>) {
        *self.transactions.write().unwrap_or_else(PoisonError::into_inner) = open.collect();
    }

    pub(super) fn publish_durable_end(&self, offset: Offset) {
        self.durable_end.store(offset.0, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    fn wake_all(&self) {
        for (_, wake) in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake.notify_one();
        }
    }
}

/// A registration for wake-ups; see [`Partition::wait_for_more`].
pub struct FetchGuard {
    partition: Arc<Partition>,
    id: u64,
}

impl Drop for FetchGuard {
    fn drop(&mut self) {
        let mut waiting = self.partition.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = waiting.iter().position(|(id, _)| *id == self.id) {
            waiting.swap_remove(index);
        }
    }
}
