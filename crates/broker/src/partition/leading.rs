//! One partition inside its lane: the log's writer half and the replica state, moved together.
//!
//! - W1 Batches are appended in the order in which they came to the lane.
//! - W2 At most one sync of a partition is under way; what is written meanwhile goes into the next.
//! - W3 After the log failed nothing is appended, published or acknowledged any more.
//! - W4 What the disk has no room for is refused, and the partition goes on; the next append tries again.
//! - W5 What is promised to be on the disk is written in large pieces while a sync is under way, because nobody is
//!   answered before the sync after it, and small writes cost several times as much; without one, at once.

use std::collections::VecDeque;
use std::sync::Arc;

use log::{ActiveProducer, Cleaned, LastBatch, Log, LogError, PutAway, Retention, Sequence, SyncJob, Synced};
use model::limits::{APPEND_COALESCED_BYTES, UNSYNCED_BYTES_MAX};
use model::{Offset, ProducerId, TimestampMs};
use record::CheckedBatch;
use replica::{Acks, Action, Contract, Event, Leader, Ticket, Waiter};
use rt::channel::oneshot;
use rustc_hash::FxHashMap;

use crate::disk::DiskRoom;
use crate::error::PartitionError;

use super::grant::Grant;
use super::handle::{AppendError, AppendReply, Appended, Origin, Partition};

/// An append that reached the lane.
pub(super) struct Append {
    pub origin: Origin,
    pub batch: CheckedBatch,
    pub acks: Option<Acks>,
    pub reply: oneshot::Sender<AppendReply>,
}

struct Pending {
    appended: Appended,
    reply: oneshot::Sender<AppendReply>,
}

pub(super) struct Leading {
    pub handle: Arc<Partition>,
    log: Log,
    leader: Leader,
    pending: FxHashMap<Ticket, Pending>,
    next_ticket: u64,
    /// Appended since the last write: they wait for their ends once the bytes are with the kernel.
    unwritten: Vec<Waiter>,
    /// Appends held back because as many bytes are unsynced as may be (D1).
    held_back: VecDeque<Append>,
    /// Who waits for the disk to have everything below an offset, whatever the contract.
    syncing_to: Vec<(Offset, oneshot::Sender<Result<(), PartitionError>>)>,
    sync_under_way: bool,
    grant: Grant,
    /// Where the log ended when it was last asked whether it is idle.
    seen_end: Offset,
    /// Everything of the log is to be synced, whatever the contract.
    resting: bool,
    /// The last write was refused; said once.
    refusing: bool,
    failed: bool,
}

impl Leading {
    pub fn new(handle: Arc<Partition>, log: Log, leader: Leader, room: Arc<DiskRoom>) -> Leading {
        let grant = Grant::new(room, handle.topic.is_internal());
        let mut leading = Leading {
            handle,
            log,
            leader,
            pending: FxHashMap::default(),
            next_ticket: 0,
            unwritten: Vec::new(),
            held_back: VecDeque::new(),
            syncing_to: Vec::new(),
            sync_under_way: false,
            grant,
            seen_end: Offset::ZERO,
            resting: false,
            refusing: false,
            failed: false,
        };
        // A log that holds nothing ends at the leader's first high watermark: no step will advance it there.
        let known = leading.leader.high_watermark();
        leading.log.set_high_watermark(known);
        leading.handle.publish_high_watermark(known, leading.log.last_stable_offset());
        leading.handle.publish_transactions(leading.log.producers().open_transactions());
        let recovered = leading.log.log_end();
        leading.handle.publish_durable_end(recovered);
        leading.step(Event::DurableTo(recovered));
        leading
    }

    /// Takes an append into the log's gathering buffer, or refuses it, or holds it back.
    pub fn append(&mut self, append: Append, now: TimestampMs) {
        let has_room = self.held_back.is_empty() && self.log.has_room_for(append.batch.size_in_bytes());
        if !self.failed && !has_room {
            self.held_back.push_back(append);
            return;
        }
        let Append { origin, batch, acks, reply } = append;
        match self.try_append(origin, batch, acks, now) {
            Ok((appended, end)) => match acks {
                Some(acks) => self.wait_for(end, acks, Pending { appended, reply }),
                // `acks=0`: nothing is promised; a receiver that is gone belongs to a connection that is gone.
                None => drop(reply.send(Ok(appended))),
            },
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn wait_for(&mut self, end: Offset, acks: Acks, pending: Pending) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        self.unwritten.push(Waiter { ticket, acks, end });
    }

    fn try_append(
        &mut self,
        origin: Origin,
        batch: CheckedBatch,
        acks: Option<Acks>,
        now: TimestampMs,
    ) -> Result<(Appended, Offset), AppendError> {
        if self.failed {
            return Err(AppendError::Storage);
        }
        if let Some(acks) = acks {
            let required = self.handle.config().min_insync_replicas;
            self.leader.may_append(acks, required).map_err(AppendError::NotEnoughReplicas)?;
        }
        let header = *batch.header();
        let sequence = match origin {
            Origin::Producer(verified) => {
                let sequence = self.log.check_sequence(&header, verified);
                // What is in the log already needs no room; what does not follow may do so only because of a refusal.
                let is_there = matches!(sequence, Ok(Sequence::Duplicate { .. }));
                if !is_there && !self.grant.ask(u64::try_from(batch.size_in_bytes()).unwrap_or(u64::MAX)) {
                    return Err(AppendError::DiskFull);
                }
                sequence.map_err(AppendError::Sequence)?
            }
            Origin::Coordinator(marker) => {
                self.log.check_marker(&marker).map_err(AppendError::Marker)?;
                Sequence::New
            }
        };
        let (base_offset, last_offset, log_append_time) = match sequence {
            Sequence::New => {
                let appended = match self.log.append(batch, self.leader.epoch(), now.0) {
                    Ok(appended) => appended,
                    Err(error) => return Err(self.refused(error)),
                };
                if header.is_transactional() {
                    let open = self.log.producers().open_transaction(header.producer_id);
                    self.handle.publish_transaction(header.producer_id, open);
                }
                let time = appended.log_append_time.unwrap_or(TimestampMs::NONE);
                (appended.base_offset, appended.last_offset, time)
            }
            Sequence::Duplicate { base_offset, last_offset, .. } => {
                (base_offset, last_offset, TimestampMs::NONE)
            }
        };
        let log_start = self.log.log_start();
        Ok((Appended { base_offset, log_append_time, log_start }, last_offset.next()))
    }

    fn refused(&mut self, error: LogError) -> AppendError {
        if let LogError::BatchTooLarge { .. } = error {
            return AppendError::LargerThanSegment;
        }
        self.on_not_written(&error);
        AppendError::Storage
    }

    /// A write failed. Whoever waits for what is not in the log hears so; the log goes on unless it is fenced (W4).
    fn on_not_written(&mut self, error: &LogError) {
        if self.log.fenced().is_some() {
            self.fail(error);
            return;
        }
        self.grant.look_again();
        if !std::mem::replace(&mut self.refusing, true) {
            tracing::error!(
                "{}-{}: records are refused until the disk takes them again: {error}",
                self.handle.topic,
                self.handle.id.partition
            );
        }
        // Transactions that began or ended with what was not written did not.
        self.handle.publish_transactions(self.log.producers().open_transactions());
        let end = self.log.log_end();
        for waiter in self.unwritten.extract_if(.., |waiter| end < waiter.end) {
            if let Some(Pending { reply, .. }) = self.pending.remove(&waiter.ticket) {
                drop(reply.send(Err(AppendError::Storage)));
            }
        }
    }

    /// Hands what was gathered to the kernel and, when the topic promises disks, asks for a sync.
    ///
    /// While a sync is under way a little waits for more (W5).
    pub fn write(&mut self) -> Option<SyncJob> {
        let may_wait = self.sync_under_way && self.leader.contract() == Contract::Disk;
        if self.failed || may_wait && self.log.unwritten_bytes() < APPEND_COALESCED_BYTES {
            return None;
        }
        match self.grant.write(&mut self.log) {
            Ok(()) if self.refusing && !self.unwritten.is_empty() => {
                self.refusing = false;
                tracing::info!(
                    "{}-{}: the disk takes records again",
                    self.handle.topic,
                    self.handle.id.partition
                );
            }
            Ok(()) => {}
            Err(error) => {
                self.on_not_written(&error);
                if self.failed {
                    return None;
                }
            }
        }
        self.step(Event::Appended { log_end: self.log.log_end() });
        for waiter in std::mem::take(&mut self.unwritten) {
            self.step(Event::Await(waiter));
        }
        self.next_sync()
    }

    /// A sync came back. What was gathered meanwhile is to be written now.
    pub fn on_synced(&mut self, synced: Synced, now: TimestampMs) {
        self.sync_under_way = false;
        if self.failed {
            return;
        }
        match self.log.synced(synced) {
            Ok(durable_end) => {
                self.handle.publish_durable_end(durable_end);
                self.step(Event::DurableTo(durable_end));
                for (_, reply) in self.syncing_to.extract_if(.., |(to, _)| *to <= durable_end) {
                    drop(reply.send(Ok(())));
                }
            }
            Err(error) => {
                self.fail(&error);
                return;
            }
        }
        for append in std::mem::take(&mut self.held_back) {
            self.append(append, now);
        }
    }

    /// Whether a sync has not come back yet.
    pub fn is_syncing(&self) -> bool {
        self.sync_under_way
    }

    /// Syncs are needed for the contract, and, whatever the contract, to keep the unsynced bytes bounded (D1), and the
    /// unsynced records where the topic bounds those (`flush.messages`).
    fn next_sync(&mut self) -> Option<SyncJob> {
        let may_wait = self.leader.contract() == Contract::Memory
            && !self.resting
            && self.log.unsynced_bytes() < UNSYNCED_BYTES_MAX / 2
            && self.held_back.is_empty()
            && self.syncing_to.is_empty()
            && self.log.log_end().since(self.log.durable_end()) < self.handle.config().flush_messages;
        if self.sync_under_way || may_wait {
            return None;
        }
        let job = self.start_sync();
        self.resting &= job.is_some();
        job
    }

    /// The sync of whatever is unsynced, where none is under way.
    fn start_sync(&mut self) -> Option<SyncJob> {
        let job = self.log.take_sync();
        self.sync_under_way = job.is_some();
        job
    }

    /// Whether nothing was appended since this was last asked, and a recovery would have something to read.
    pub fn became_idle(&mut self) -> bool {
        let end = self.log.log_end();
        std::mem::replace(&mut self.seen_end, end) == end && !self.log.is_rested()
    }

    /// Brings the log to where its recovery reads nothing, also where the contract asks for no sync; gives the sync that
    /// needs. What finds no room is tried again when the log is next found idle.
    pub fn rest(&mut self) -> Option<SyncJob> {
        if self.failed || self.sync_under_way {
            return None;
        }
        if let Err(error) = self.log.rest() {
            self.on_not_written(&error);
            return None;
        }
        self.resting = true;
        self.next_sync()
    }

    /// The sync of what a log begins with; none where records came meanwhile, which are synced as they ask for it.
    pub fn sync_beginning(&mut self) -> Option<SyncJob> {
        if self.failed || self.sync_under_way || 0 < self.log.unsynced_bytes() {
            return None;
        }
        self.start_sync()
    }

    /// Answers once the disk has everything below `to`, at most what was written; gives the sync that needs.
    pub fn sync_to(
        &mut self,
        to: Offset,
        reply: oneshot::Sender<Result<(), PartitionError>>,
    ) -> Option<SyncJob> {
        if self.failed {
            drop(reply.send(Err(storage_failed())));
            return None;
        }
        if to <= self.log.durable_end() {
            drop(reply.send(Ok(())));
            return None;
        }
        self.syncing_to.push((to, reply));
        self.next_sync()
    }

    /// Where the log would start without what has expired; closes the newest segment when all of it has.
    pub fn expired_to(
        &mut self,
        retention: Retention,
        now: TimestampMs,
    ) -> Result<Option<Offset>, PartitionError> {
        if self.failed {
            return Err(storage_failed());
        }
        let expired = self.log.expired_to(retention, now.0, self.leader.high_watermark());
        expired.map_err(|error| {
            self.on_not_written(&error);
            storage_failed()
        })
    }

    /// Moves the start of the log, which the checkpoint has by now, and puts away what lies below it.
    pub fn advance_start(&mut self, to: Offset) -> Result<PutAway, PartitionError> {
        if self.failed {
            return Err(storage_failed());
        }
        let put_away = self.log.advance_start(to).and_then(|()| self.log.put_away_before_start());
        // Readers of committed records cannot wait below the log's start.
        self.handle.publish_high_watermark(self.leader.high_watermark(), self.log.last_stable_offset());
        put_away.map_err(|error| {
            self.on_not_written(&error);
            storage_failed()
        })
    }

    /// What each producer wrote last, which compaction keeps.
    pub fn last_batches(&self) -> Vec<(ProducerId, LastBatch)> {
        self.log.producers().last_batches()
    }

    /// Puts a compacted segment in force.
    pub fn swap_in(&mut self, cleaned: Cleaned) -> Result<PutAway, PartitionError> {
        if self.failed {
            return Err(storage_failed());
        }
        let put_away = self.log.swap_in(cleaned);
        put_away.map_err(|error| {
            self.on_not_written(&error);
            storage_failed()
        })
    }

    /// What the producers did last, by id.
    pub fn producers(&self) -> Vec<ActiveProducer> {
        self.log.producers().active()
    }

    /// Forgets idempotent producers that were silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, now: TimestampMs) {
        self.log.expire_producers(now.0);
    }

    /// Puts the topic's changed settings in force.
    pub fn reconfigure(&mut self, contract: Contract, config: log::LogConfig) {
        self.log.set_config(config);
        self.step(Event::ContractChanged(contract));
    }

    fn step(&mut self, event: Event) {
        for action in self.leader.step(event) {
            match action {
                Action::AdvanceHighWatermark(offset) => {
                    self.log.set_high_watermark(offset);
                    self.handle.publish_high_watermark(offset, self.log.last_stable_offset());
                }
                Action::Complete(ticket) => {
                    if let Some(Pending { appended, reply }) = self.pending.remove(&ticket) {
                        drop(reply.send(Ok(appended)));
                    }
                }
                Action::Fail(ticket) => {
                    if let Some(Pending { reply, .. }) = self.pending.remove(&ticket) {
                        drop(reply.send(Err(AppendError::Storage)));
                    }
                }
            }
        }
    }

    /// The log can no longer be trusted: nothing more is promised (W3). Restarting reads what the disk has.
    fn fail(&mut self, error: &LogError) {
        tracing::error!(
            "{}-{}: the log failed and takes no more writes until the broker is restarted: {error}",
            self.handle.topic,
            self.handle.id.partition
        );
        self.failed = true;
        self.grant.settle();
        self.log.fence(&error.to_string());
        self.step(Event::Fenced);
        for (_, reply) in self.syncing_to.drain(..) {
            drop(reply.send(Err(storage_failed())));
        }
        for Append { reply, .. } in self.held_back.drain(..) {
            drop(reply.send(Err(AppendError::Storage)));
        }
        for waiter in std::mem::take(&mut self.unwritten) {
            if let Some(Pending { reply, .. }) = self.pending.remove(&waiter.ticket) {
                drop(reply.send(Err(AppendError::Storage)));
            }
        }
    }

    /// Ends the leadership; whoever waits hears nothing, which says that the outcome is not known.
    pub fn into_log(self) -> Log {
        self.handle.close();
        self.log
    }
}

/// The broker's log has said more.
fn storage_failed() -> PartitionError {
    PartitionError::Storage("the broker's log says why".to_owned())
}
