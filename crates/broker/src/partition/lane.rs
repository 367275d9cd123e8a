//! A lane: the one task that writes a set of partitions (D4).
//!
//! - L1 Commands are carried out in the order in which they came.
//! - L2 Everything that queued while a write was under way leaves in the next one: one `pwritev` a partition.
//! - L3 The task sleeps while its disk is busy with what can be answered no earlier anyway (see `inbox`).
//! - L4 A log that nothing is appended to is brought to where its recovery reads nothing, a few at a time.
//! - L5 What a new log begins with is synced soon, a few at a time: until then it holds descriptors.

use std::sync::Arc;
use std::time::Duration;

use log::{ActiveProducer, Cleaned, GroupCommit, LastBatch, Log, PutAway, Retention, SyncJob, Synced};
use model::{Offset, ProducerId, TimestampMs, TopicPartition};
use record::CheckedBatch;
use replica::{Acks, Contract, Leader};
use rt::channel::{mpsc, oneshot};
use rt::{Instant, Rt};
use rustc_hash::FxHashMap;

use crate::disk::DiskRoom;
use crate::error::PartitionError;

use super::handle::{AppendReply, Origin, Partition};
use super::inbox::{Inbox, LaneSender, inbox};
use super::leading::{Append, Leading};

/// Syncs that ended heard of in one turn: as many as a round has, mostly.
const SYNCED_PER_ROUND: usize = 1024;

/// How often producers that fell silent are looked for (Kafka's `producer.id.expiration.check.interval.ms`).
const EXPIRY_INTERVAL: Duration = Duration::from_secs(600);

/// How often logs are looked for that nothing was appended to since the last look.
const REST_INTERVAL: Duration = Duration::from_secs(60);

/// So many of them at a time, with a pause after each time: others append meanwhile.
const RESTS_PER_TURN: usize = 8;
const REST_PAUSE: Duration = Duration::from_millis(200);

/// A partition on its way into a lane.
pub struct NewPartition {
    /// Its handle.
    pub handle: Arc<Partition>,
    /// Its log, opened and recovered.
    pub log: Log,
    /// Its replica state.
    pub leader: Leader,
}

/// What a lane is told.
pub enum Command {
    /// Append a batch; `None` for `acks=0`.
    Append {
        /// Where.
        partition: TopicPartition,
        /// Who.
        origin: Origin,
        /// What.
        batch: CheckedBatch,
        /// How safe before the reply.
        acks: Option<Acks>,
        /// Who hears.
        reply: oneshot::Sender<AppendReply>,
    },
    /// Sync until everything below `to` is on the disk.
    SyncTo {
        /// Where.
        partition: TopicPartition,
        /// At most the log's end.
        to: Offset,
        /// Who hears.
        reply: oneshot::Sender<Result<(), PartitionError>>,
    },
    /// Say where the log would start without what has expired.
    ExpiredTo {
        /// Where.
        partition: TopicPartition,
        /// What may stay.
        retention: Retention,
        /// Who hears.
        reply: oneshot::Sender<Result<Option<Offset>, PartitionError>>,
    },
    /// Let the log start at `to`, and put away the segments below.
    AdvanceStart {
        /// Where.
        partition: TopicPartition,
        /// At most the high watermark.
        to: Offset,
        /// Who hears where the log starts now.
        reply: oneshot::Sender<Result<Offset, PartitionError>>,
    },
    /// Let the log start at `to`, and give the segments below to who asks, to be removed at once.
    PutAwayBefore {
        /// Where.
        partition: TopicPartition,
        /// At most the high watermark.
        to: Offset,
        /// Who removes them.
        reply: oneshot::Sender<Result<PutAway, PartitionError>>,
    },
    /// Say what each producer wrote last.
    LastBatches(TopicPartition, oneshot::Sender<Vec<(ProducerId, LastBatch)>>),
    /// Put a compacted segment in force.
    SwapIn {
        /// Where.
        partition: TopicPartition,
        /// The segment.
        cleaned: Box<Cleaned>,
        /// Who hears.
        reply: oneshot::Sender<Result<(), PartitionError>>,
    },
    /// Say what the producers did last.
    DescribeProducers(TopicPartition, oneshot::Sender<Vec<ActiveProducer>>),
    /// Take up a partition; done when the reply comes.
    Adopt(Box<NewPartition>, oneshot::Sender<()>),
    /// Give a partition's log back.
    Release(TopicPartition, oneshot::Sender<Option<Log>>),
    /// Give all logs back and end.
    ReleaseAll(oneshot::Sender<Vec<(TopicPartition, Log)>>),
    /// Changed settings.
    Reconfigure(TopicPartition, Contract, log::LogConfig),
}

impl Command {
    /// Answers an append that no lane will carry out.
    pub fn refuse(self, answer: AppendReply) {
        if let Command::Append { reply, .. } = self {
            drop(reply.send(answer));
        }
    }
}

/// The task's state.
pub struct Lane {
    rt: Rt,
    commit: GroupCommit,
    room: Arc<DiskRoom>,
    partitions: FxHashMap<TopicPartition, Leading>,
    inbox: Inbox,
    /// At most one per partition is under way, so this needs no bound of its own.
    synced: mpsc::UnboundedReceiver<(TopicPartition, Synced)>,
    synced_sender: mpsc::UnboundedSender<(TopicPartition, Synced)>,
    /// Sync jobs of the turn under way.
    jobs: Vec<(TopicPartition, SyncJob)>,
    /// Sync jobs that were handed in and are not heard of yet.
    syncs: usize,
    /// Whose logs are to rest (L4).
    idle: Vec<TopicPartition>,
    /// Whose logs are new (L5), and when some of them are synced.
    new: Vec<TopicPartition>,
    next_new: Instant,
    /// Who waits for all logs, which are given back when no sync of theirs is under way any more.
    releasing: Option<oneshot::Sender<Vec<(TopicPartition, Log)>>>,
}

impl Lane {
    /// Starts the task on the runtime's lane `index`.
    pub fn start(rt: &Rt, index: usize, commit: GroupCommit, room: Arc<DiskRoom>) -> LaneSender {
        let (sender, inbox) = inbox();
        let (synced_sender, synced) = mpsc::unbounded_channel();
        let lane = Lane {
            rt: rt.clone(),
            commit,
            room,
            partitions: FxHashMap::default(),
            inbox,
            synced,
            synced_sender,
            jobs: Vec::new(),
            syncs: 0,
            idle: Vec::new(),
            new: Vec::new(),
            next_new: rt.now(),
            releasing: None,
        };
        rt.spawn_on_lane(index, "log lane", lane.run());
        sender
    }

    async fn run(mut self) {
        let mut commands = Vec::new();
        let mut synced = Vec::new();
        let mut touched = Vec::new();
        let mut next_expiry = self.rt.now() + EXPIRY_INTERVAL;
        let mut next_rest = self.rt.now() + REST_INTERVAL;
        loop {
            rt::select! {
                count = self.synced.recv_many(&mut synced, SYNCED_PER_ROUND) => {
                    if count == 0 {
                        return;
                    }
                    self.syncs -= count;
                    for (partition, synced) in synced.drain(..) {
                        self.on_synced(partition, synced);
                        touched.push(partition);
                    }
                    // What lay waiting goes into the same writes and the same round as what was gathered (L2).
                    self.inbox.take(&mut commands);
                }
                count = self.inbox.receive(&mut commands, 0 < self.syncs) => {
                    if count == 0 {
                        return;
                    }
                }
                () = self.rt.sleep_until(next_expiry) => {
                    let now = self.now();
                    self.partitions.values_mut().for_each(|leading| leading.expire_producers(now));
                    next_expiry = self.rt.now() + EXPIRY_INTERVAL;
                }
                () = self.rt.sleep_until(next_rest) => {
                    self.rest();
                    next_rest = self.rt.now() + if self.idle.is_empty() { REST_INTERVAL } else { REST_PAUSE };
                }
                () = self.rt.sleep_until(self.next_new), if !self.new.is_empty() => self.sync_new(),
            }
            for command in commands.drain(..) {
                self.on_command(command, &mut touched);
            }
            self.write(&mut touched);
            self.submit();
            self.release_when_settled();
        }
    }

    /// How a sync ends decides whether its log may be called clean, so logs are given back only after theirs.
    fn release_when_settled(&mut self) {
        if self.releasing.is_none() || self.partitions.values().any(Leading::is_syncing) {
            return;
        }
        if let Some(done) = self.releasing.take() {
            let logs = self.partitions.drain().map(|(id, leading)| (id, leading.into_log())).collect();
            drop(done.send(logs));
        }
    }

    fn now(&self) -> TimestampMs {
        TimestampMs(self.rt.wall_clock_ms())
    }

    fn on_command(&mut self, command: Command, touched: &mut Vec<TopicPartition>) {
        match command {
            Command::Append { partition, origin, batch, acks, reply } => {
                let now = self.now();
                let Some(leading) = self.partitions.get_mut(&partition) else {
                    drop(reply.send(Err(super::AppendError::NotLeader)));
                    return;
                };
                leading.append(Append { origin, batch, acks, reply }, now);
                if touched.last() != Some(&partition) {
                    touched.push(partition);
                }
            }
            Command::SyncTo { partition, to, reply } => {
                self.add_job(partition, |leading| leading.sync_to(to, reply));
            }
            Command::ExpiredTo { partition, retention, reply } => {
                let now = self.now();
                self.answer(partition, reply, |leading| leading.expired_to(retention, now));
            }
            Command::AdvanceStart { partition, to, reply } => {
                if let Some(leading) = self.partitions.get_mut(&partition) {
                    let put_away = leading.advance_start(to);
                    let handle = Arc::clone(&leading.handle);
                    drop(reply.send(put_away.map(|put_away| {
                        self.remove_later(&handle, put_away);
                        handle.reader.log_start()
                    })));
                }
            }
            Command::PutAwayBefore { partition, to, reply } => {
                self.answer(partition, reply, |leading| leading.advance_start(to));
            }
            Command::LastBatches(partition, reply) => {
                self.answer(partition, reply, |leading| leading.last_batches());
            }
            Command::SwapIn { partition, cleaned, reply } => {
                if let Some(leading) = self.partitions.get_mut(&partition) {
                    let put_away = leading.swap_in(*cleaned);
                    let handle = Arc::clone(&leading.handle);
                    drop(reply.send(put_away.map(|put_away| self.remove_later(&handle, put_away))));
                }
            }
            Command::DescribeProducers(partition, reply) => {
                self.answer(partition, reply, |leading| leading.producers());
            }
            Command::Adopt(new, done) => {
                let NewPartition { handle, log, leader } = *new;
                if log.has_unsynced_files() {
                    if self.new.is_empty() {
                        self.next_new = self.rt.now() + REST_PAUSE;
                    }
                    self.new.push(handle.id);
                }
                self.partitions.insert(handle.id, Leading::new(handle, log, leader, Arc::clone(&self.room)));
                let _ = done.send(());
            }
            Command::Release(partition, done) => {
                let log = self.partitions.remove(&partition).map(Leading::into_log);
                drop(done.send(log));
            }
            Command::ReleaseAll(done) => {
                // What was gathered before this command is with the kernel before its log is closed.
                self.write(touched);
                self.releasing = Some(done);
            }
            Command::Reconfigure(partition, contract, config) => {
                if let Some(leading) = self.partitions.get_mut(&partition) {
                    leading.reconfigure(contract, config);
                }
            }
        }
    }

    /// Answers with what `act` makes of a partition, unless it is not, or no longer, in this lane. Whoever asked may be gone.
    fn answer<T>(
        &mut self,
        partition: TopicPartition,
        reply: oneshot::Sender<T>,
        act: impl FnOnce(&mut Leading) -> T,
    ) {
        if let Some(leading) = self.partitions.get_mut(&partition) {
            drop(reply.send(act(leading)));
        }
    }

    /// Frees the space of deleted segments after the topic's `file.delete.delay.ms`, or as soon as it is needed.
    fn remove_later(&self, partition: &Arc<Partition>, put_away: PutAway) {
        if put_away.is_empty() {
            return;
        }
        let delay = Duration::from_millis(partition.config().file_delete_delay_ms);
        let (rt, room, partition) = (self.rt.clone(), Arc::clone(&self.room), Arc::clone(partition));
        self.rt.spawn("segment removal", async move {
            let _ = rt.timeout(delay, room.short()).await;
            if let Err(error) = rt.blocking(move || put_away.remove()).await {
                let (topic, index) = (&partition.topic, partition.id.partition);
                tracing::warn!(
                    "{topic}-{index}: deleted segments stay on the disk until the next start: {error}"
                );
            }
        });
    }

    fn write(&mut self, touched: &mut Vec<TopicPartition>) {
        touched.sort_unstable();
        touched.dedup();
        for partition in touched.drain(..) {
            self.add_job(partition, Leading::write);
        }
    }

    /// Does something with a partition, and takes the sync job that this gives, if it does.
    fn add_job(&mut self, partition: TopicPartition, act: impl FnOnce(&mut Leading) -> Option<SyncJob>) {
        let job = self.partitions.get_mut(&partition).and_then(act);
        self.jobs.extend(job.map(|job| (partition, job)));
    }

    fn on_synced(&mut self, partition: TopicPartition, synced: Synced) {
        let now = self.now();
        if let Some(leading) = self.partitions.get_mut(&partition) {
            leading.on_synced(synced, now);
        }
    }

    /// Lets some of the idle logs rest; looks for them when there are none (L4).
    fn rest(&mut self) {
        if self.idle.is_empty() {
            let looked_at = self.partitions.iter_mut();
            self.idle = looked_at.filter_map(|(id, leading)| leading.became_idle().then_some(*id)).collect();
        }
        for partition in few_of(&mut self.idle) {
            self.add_job(partition, Leading::rest);
        }
    }

    /// Syncs what some of the new logs begin with (L5).
    fn sync_new(&mut self) {
        for partition in few_of(&mut self.new) {
            self.add_job(partition, Leading::sync_beginning);
        }
        self.next_new = self.rt.now() + REST_PAUSE;
    }

    /// Hands in the jobs of one turn together, so that they share a round.
    fn submit(&mut self) {
        self.syncs += self.jobs.len();
        let back = self.synced_sender.clone();
        // The lane may have ended meanwhile: then nobody waits for this sync.
        self.commit
            .submit(self.jobs.drain(..), move |partition, synced| drop(back.send((partition, synced))));
    }
}

/// Takes out as many as one turn looks at.
fn few_of(waiting: &mut Vec<TopicPartition>) -> Vec<TopicPartition> {
    waiting.split_off(waiting.len().saturating_sub(RESTS_PER_TURN))
}
