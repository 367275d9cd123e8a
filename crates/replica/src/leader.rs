//! The leader of one partition.
//!
//! - I2 `log start ≤ high watermark ≤ contract end ≤ log end`, where the contract end is the durable end for
//!   topics that promise disks and the log end for those that promise memory.
//! - I3 The high watermark never moves back while the leader lives.
//! - I6 A duplicate waits for the same end as the batch it repeats, so it is never acknowledged before it.
//! - L1 Waiters complete in the order in which they came, each exactly once, for each kind of acks.

use std::collections::{BTreeMap, VecDeque};

use model::{BrokerId, LeaderEpoch, Offset};

/// The caller's name for something it will be told the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Whose disks a producer waits for; `acks=0` waits for nothing and never gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// `acks=1`: this leader's.
    Leader,
    /// `acks=all`: every in-sync replica's.
    All,
}

/// What "having" a record means for a topic (D1, topic key `ottla.durability`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// It is on the disk: it survives power.
    Disk,
    /// It is in the page cache: it survives the process. This is Apache Kafka's contract.
    Memory,
}

/// Somebody who hears once the log is safe up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Who.
    pub ticket: Ticket,
    /// How safe.
    pub acks: Acks,
    /// The offset after the last record waited for.
    pub end: Offset,
}

/// What happened to the leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records were written: the log now ends at `log_end`.
    Appended {
        /// The offset the next record will get.
        log_end: Offset,
    },
    /// Somebody waits; for records just appended, or, a duplicate, for those appended earlier.
    Await(Waiter),
    /// Everything below this offset is on this replica's disk.
    DurableTo(Offset),
    /// The topic's contract changed.
    ContractChanged(Contract),
    /// The log failed and takes nothing more: whoever waits will not be served.
    Fenced,
}

/// What the broker has to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Consumers may read below this offset.
    AdvanceHighWatermark(Offset),
    /// The waiter's records are as safe as it asked.
    Complete(Ticket),
    /// The waiter's records may or may not survive: the log failed before they were safe.
    Fail(Ticket),
}

/// Fewer replicas are in sync than the topic asks for: `acks=all` must be refused before it appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEnoughReplicas {
    /// How many are.
    pub in_sync: usize,
    /// How many should be.
    pub required: usize,
}

/// The leader's state. Only a leader can be asked to append, so this is a type of its own.
#[derive(Debug)]
pub struct Leader {
    id: BrokerId,
    epoch: LeaderEpoch,
    /// How many replicas the partition has, in sync or not.
    replicas: usize,
    contract: Contract,
    log_end: Offset,
    durable_end: Offset,
    high_watermark: Offset,
    /// Each in-sync replica and the end of what it has; for this broker itself, the contract end.
    in_sync_ends: BTreeMap<BrokerId, Offset>,
    waiting_for_leader: VecDeque<Waiter>,
    waiting_for_all: VecDeque<Waiter>,
}

impl Leader {
    /// The leader of a log that was just opened: everything recovered is on the disk (D1).
    ///
    /// `high_watermark` is the last one known, at most `log_end`; with ISR = {self} the first step after
    /// this brings it to the contract end.
    pub fn new(
        id: BrokerId,
        epoch: LeaderEpoch,
        replicas: usize,
        contract: Contract,
        log_end: Offset,
        high_watermark: Offset,
    ) -> Leader {
        assert!(high_watermark <= log_end, "I2: high watermark {high_watermark} > log end {log_end}");
        Leader {
            id,
            epoch,
            replicas,
            contract,
            log_end,
            durable_end: log_end,
            high_watermark,
            in_sync_ends: BTreeMap::from([(id, log_end)]),
            waiting_for_leader: VecDeque::new(),
            waiting_for_all: VecDeque::new(),
        }
    }

    /// The epoch of this leadership; every batch it appends carries it.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// What the topic promises.
    pub fn contract(&self) -> Contract {
        self.contract
    }

    /// Consumers read below this.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Who is in sync, this broker included.
    pub fn in_sync(&self) -> impl Iterator<Item = BrokerId> {
        self.in_sync_ends.keys().copied()
    }

    /// Whether a produce with these acks may be appended; checked before the append.
    ///
    /// A topic that asks for more than it has replicas asks for all of them, as in Kafka.
    pub fn may_append(&self, acks: Acks, min_in_sync: usize) -> Result<(), NotEnoughReplicas> {
        let (in_sync, required) = (self.in_sync_ends.len(), min_in_sync.min(self.replicas));
        match acks {
            Acks::All if in_sync < required => Err(NotEnoughReplicas { in_sync, required }),
            Acks::All | Acks::Leader => Ok(()),
        }
    }

    /// Takes in one event; returns what follows from it, in order.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Appended { log_end } => {
                assert!(self.log_end <= log_end, "I1: log end moved back to {log_end}");
                self.log_end = log_end;
            }
            Event::Await(waiter) => self.on_await(waiter),
            Event::DurableTo(end) => {
                assert!(end <= self.log_end, "I2: durable end {end} > log end {}", self.log_end);
                self.durable_end = self.durable_end.max(end);
            }
            Event::ContractChanged(contract) => self.contract = contract,
            Event::Fenced => return self.on_fenced(),
        }
        self.settle()
    }

    fn on_await(&mut self, waiter: Waiter) {
        assert!(waiter.end <= self.log_end, "L1: nobody waits for what was not appended");
        match waiter.acks {
            Acks::Leader => self.waiting_for_leader.push_back(waiter),
            Acks::All => self.waiting_for_all.push_back(waiter),
        }
    }

    fn on_fenced(&mut self) -> Vec<Action> {
        let waiters = self.waiting_for_leader.drain(..).chain(self.waiting_for_all.drain(..));
        waiters.map(|waiter| Action::Fail(waiter.ticket)).collect()
    }

    /// The end of what this replica has, in the sense of the topic's contract.
    fn contract_end(&self) -> Offset {
        match self.contract {
            Contract::Disk => self.durable_end,
            Contract::Memory => self.log_end,
        }
    }

    /// Brings the high watermark and the waiters up to date with the ends.
    fn settle(&mut self) -> Vec<Action> {
        let own_end = self.contract_end();
        self.in_sync_ends.insert(self.id, own_end);
        let mut actions = Vec::new();

        let in_sync_end = self.in_sync_ends.values().min().copied().unwrap_or(own_end);
        if self.high_watermark < in_sync_end {
            self.high_watermark = in_sync_end;
            actions.push(Action::AdvanceHighWatermark(in_sync_end));
        }
        // A contract that was tightened to `Disk` leaves the high watermark above the durable end until the
        // next sync: what consumers may have read is never taken back (I3).
        assert!(self.high_watermark <= self.log_end, "I2");

        complete(&mut self.waiting_for_leader, own_end, &mut actions);
        complete(&mut self.waiting_for_all, own_end.min(self.high_watermark), &mut actions);
        actions
    }
}

/// Completes the waiters at the front that are served by `end`. A duplicate may wait for less than those
/// before it; it keeps its turn all the same, since answers leave a connection in order anyway.
fn complete(waiters: &mut VecDeque<Waiter>, end: Offset, actions: &mut Vec<Action>) {
    while let Some(waiter) = waiters.front().filter(|waiter| waiter.end <= end) {
        actions.push(Action::Complete(waiter.ticket));
        waiters.pop_front();
    }
}
