//! One group: what the log says of it, and what it is doing now.
//!
//! - G1 `stored`, `offsets` and `undecided` change in `apply` and its kin only, whether a record comes from a step or from
//!   the log.
//! - G2 While `Stable`, `stored` is the current generation: same number, same members.
//! - G3 While `Empty` there are no members; while `Syncing` nobody waits to join.
//! - G4 A group that the log says nothing of does not exist.
//!
//! The rules are in the files beside: `join`, `rebalance`, `sync`, `leave`, `offsets`, `expire`, `describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ErrorCode, ProducerId, TransactionResult};

use crate::action::{Action, GroupRecord, GroupState};
use crate::event::CommittingTransaction;
use crate::id::{GroupId, InstanceId, MemberId};
use crate::members::{Member, Members};
use crate::record::Record;
use crate::stored::{Generation, Offsets, StoredMember};
use crate::subscription;
use crate::timers::Timer;
use crate::transactions::Undecided;
use crate::turn::Turn;

/// What a record costs in a batch beside its key and value, bytes, at the most.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// What a batch costs beside its records, bytes.
const BATCH_OVERHEAD_BYTES: usize = 61;

/// What a group is doing.
#[derive(Debug)]
pub(crate) enum Phase {
    /// No members.
    Empty,
    /// Members join the next generation.
    Joining {
        /// Set while a group that was empty waits for more members than its first.
        initial: Option<InitialDelay>,
    },
    /// The leader makes the assignment.
    Syncing {
        /// Members that have not sent SyncGroup.
        unsynced: BTreeSet<MemberId>,
    },
    /// The assignment is stored.
    Stable {
        /// Members that have not sent SyncGroup.
        unsynced: BTreeSet<MemberId>,
    },
}

/// The wait of a group that was empty (`group.initial.rebalance.delay.ms`).
#[derive(Debug)]
pub(crate) struct InitialDelay {
    /// The wait that is running, ms.
    pub running_ms: u64,
    /// What more it may be extended by, ms.
    pub remaining_ms: u64,
    /// A member was added during the wait that is running.
    pub grew: bool,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    stored: Option<Generation>,
    offsets: Offsets,
    pub(crate) undecided: Undecided,
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol: Option<Arc<str>>,
    /// Unix ms of the last change of phase.
    pub(crate) state_since_ms: Option<i64>,
    /// The topics its members want; `None` when that cannot be known.
    pub(crate) subscribed: Option<BTreeSet<String>>,
    pub(crate) members: Members,
    /// Names given out with MEMBER_ID_REQUIRED and not used yet.
    pub(crate) pending: BTreeSet<MemberId>,
}

impl Group {
    /// A group the log says nothing of; it has to be given a record or dropped.
    pub fn new(id: GroupId) -> Group {
        Group {
            id,
            stored: None,
            offsets: Offsets::default(),
            undecided: Undecided::default(),
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            state_since_ms: None,
            subscribed: None,
            members: Members::default(),
            pending: BTreeSet::new(),
        }
    }

    /// Whether the log says nothing of this group any more (G4).
    pub fn is_gone(&self) -> bool {
        self.stored.is_none() && self.offsets.is_empty() && self.undecided.is_empty()
    }

    /// The stored generation.
    pub fn stored(&self) -> Option<&Generation> {
        self.stored.as_ref()
    }

    /// The committed offsets.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Takes over what a record of this group says (G1).
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Offset { group: _, topic, partition, value } => {
                self.undecided.overtake(&(topic.clone(), partition));
                self.offsets.set(topic, partition, value);
            }
            Record::Group { group: _, value } => self.stored = value,
        }
    }

    /// Takes over what a record of this group says that is part of a producer's transaction (G1).
    pub fn apply_undecided(&mut self, producer: ProducerId, record: Record) {
        match record {
            Record::Offset { group: _, topic, partition, value: Some(offset) } => {
                self.undecided.add(producer, (topic, partition), offset);
            }
            // Nobody writes others in transactions.
            Record::Offset { .. } | Record::Group { .. } => self.apply(record),
        }
    }

    /// Takes over how a producer's transaction ended (G1).
    pub fn apply_end(&mut self, producer: ProducerId, result: TransactionResult) {
        for ((topic, partition), offset) in self.undecided.end(producer, result) {
            self.offsets.set(topic, partition, Some(offset));
        }
    }

    /// Appends records of a producer's transaction in one batch and takes over what they say; they have to fit.
    pub fn append_transactional(
        &mut self,
        turn: &mut Turn<'_>,
        transaction: CommittingTransaction,
        records: Vec<Record>,
    ) {
        if !records.is_empty() {
            let encoded = records.iter().map(Record::encode).collect();
            turn.actions.push(Action::AppendTransactional(transaction, encoded));
        }
        for record in records {
            self.apply_undecided(transaction.producer, record);
        }
    }

    /// Appends records of this group and takes over what they say, in as many batches as they need.
    ///
    /// Each record on its own has to fit: see [`fits`].
    pub fn append(&mut self, turn: &mut Turn<'_>, records: Vec<Record>) {
        let mut batch: Vec<GroupRecord> = Vec::new();
        let mut bytes = BATCH_OVERHEAD_BYTES;
        for record in records {
            let encoded = record.encode();
            let size = record_bytes(&encoded);
            if turn.config.append_bytes_max < bytes + size && !batch.is_empty() {
                turn.actions.push(Action::Append(std::mem::take(&mut batch)));
                bytes = BATCH_OVERHEAD_BYTES;
            }
            bytes += size;
            batch.push(encoded);
            self.apply(record);
        }
        if !batch.is_empty() {
            turn.actions.push(Action::Append(batch));
        }
    }

    /// Makes sure the log knows the group before anybody joins it (G4): its offsets may go while members are there.
    pub fn begin(&mut self, turn: &mut Turn<'_>) {
        if self.stored.is_none() {
            self.state_since_ms = Some(turn.now.wall);
            let record = self.to_record(&BTreeMap::new());
            self.append(turn, vec![record]);
        }
    }

    /// Takes up the stored generation after all records have been replayed.
    pub fn restore(&mut self, turn: &mut Turn<'_>) {
        let Some(stored) = self.stored.clone() else { return };
        self.generation = stored.number;
        self.protocol_type = Some(stored.protocol_type).filter(|name| !name.is_empty());
        self.state_since_ms = stored.state_since_ms;
        let no_protocol: Arc<str> = Arc::from("");
        for (id, member) in &stored.members {
            let protocol = stored.protocol.as_ref().unwrap_or(&no_protocol);
            self.members.add(Member::restore(id.clone(), member, protocol));
            self.keep_alive(turn, id);
        }
        self.members.restore_leader(stored.leader.as_ref());
        self.protocol = stored.protocol;
        self.subscribed = self.subscribed_topics();
        if !self.members.is_empty() {
            self.phase = Phase::Stable { unsynced: BTreeSet::new() };
            if turn.config.members_max < self.members.len() {
                self.prepare_rebalance(turn);
            }
        }
    }

    /// The state in the protocol's words.
    pub fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Joining { .. } => GroupState::PreparingRebalance,
            Phase::Syncing { .. } => GroupState::CompletingRebalance,
            Phase::Stable { .. } => GroupState::Stable,
        }
    }

    /// Enters a phase and notes when.
    pub fn enter(&mut self, turn: &Turn<'_>, phase: Phase) {
        self.phase = phase;
        self.state_since_ms = Some(turn.now.wall);
    }

    /// Whether a member may speak, under the instance it claims.
    pub fn check_member(&self, id: &MemberId, instance: Option<&InstanceId>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.members.instance(instance) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if current != id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        self.members.get(id).map(|_| ()).ok_or(ErrorCode::UnknownMemberId)
    }

    /// The group as a record says it, its members with these assignments.
    pub fn to_record(&self, assignments: &BTreeMap<MemberId, Arc<[u8]>>) -> Record {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let stored_member = |member: &Member| StoredMember {
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            subscription: member.metadata(protocol),
            assignment: assignments.get(&member.id).cloned().unwrap_or_else(|| Arc::from([])),
        };
        let members = self.members.iter().map(|member| (member.id.clone(), stored_member(member)));
        let generation = Generation {
            number: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            protocol: self.protocol.clone(),
            leader: self.members.leader().cloned(),
            state_since_ms: self.state_since_ms,
            members: members.collect(),
        };
        Record::Group { group: self.id.clone(), value: Some(generation) }
    }

    /// The topics the members want under the current protocol; `None` when that cannot be known.
    pub fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        let mut topics = BTreeSet::new();
        if self.protocol_type.as_deref() != Some(subscription::CONSUMER) {
            return None;
        }
        if !self.members.is_empty() {
            let protocol = self.protocol.as_deref()?;
            for member in self.members.iter() {
                subscription::add_topics(&member.metadata(protocol), &mut topics)?;
            }
        }
        Some(topics)
    }

    /// Starts a member's session anew.
    pub fn keep_alive(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        if let Some(member) = self.members.get(id) {
            let timeout = u64::try_from(member.session_timeout_ms).unwrap_or(0);
            turn.schedule(Timer::Session(self.id.clone(), id.clone()), timeout);
        }
    }

    /// Takes a member out of the group and answers what it was waiting for. A rebalance has to follow (G2).
    pub fn remove_member(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        turn.timers.cancel(&Timer::Session(self.id.clone(), id.clone()));
        let Some(member) = self.members.remove(id) else { return };
        if let Some(ticket) = member.join {
            turn.refuse_join(ticket, ErrorCode::UnknownMemberId, MemberId::from(""));
        }
        if let Some(ticket) = member.sync {
            turn.refuse_sync(ticket, ErrorCode::UnknownMemberId);
        }
    }

    /// Forgets a name that was given out and not used.
    pub fn remove_pending(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        turn.timers.cancel(&Timer::Session(self.id.clone(), id.clone()));
        self.pending.remove(id);
    }
}

/// Whether a record fits into one append on its own.
pub(crate) fn fits(turn: &Turn<'_>, records: &[Record]) -> bool {
    let bytes: usize = records.iter().map(|record| record_bytes(&record.encode())).sum();
    BATCH_OVERHEAD_BYTES + bytes <= turn.config.append_bytes_max
}

fn record_bytes(record: &GroupRecord) -> usize {
    RECORD_OVERHEAD_BYTES + record.key.len() + record.value.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
impl Group {
    /// G1 is what the tests' replays compare.
    pub(crate) fn assert_invariants(&self) {
        self.members.assert_invariants();
        let waiting = |member: &Member| member.join.is_some();
        match &self.phase {
            Phase::Empty => assert!(self.members.is_empty(), "G3"),
            Phase::Joining { .. } => assert!(self.members.iter().all(|member| member.sync.is_none())),
            Phase::Syncing { .. } => assert!(!self.members.iter().any(waiting), "G3"),
            Phase::Stable { .. } => {
                assert!(!self.members.iter().any(waiting), "G3");
                let stored = self.stored.as_ref().expect("G2");
                assert_eq!(stored.number, self.generation, "G2");
                assert!(stored.members.keys().eq(self.members.ids().iter()), "G2");
            }
        }
        if let Phase::Syncing { unsynced } | Phase::Stable { unsynced } = &self.phase {
            assert!(unsynced.iter().all(|id| self.members.get(id).is_some()));
        }
        assert!(!self.is_gone(), "G4");
    }

    /// The timers this group needs; a session may also run while waiting stands in for heartbeats.
    pub(crate) fn assert_timers(&self, timers: &crate::timers::Timers) {
        let id = || self.id.clone();
        let joining = matches!(self.phase, Phase::Joining { .. });
        assert_eq!(timers.is_set(&Timer::Join(id())), joining, "join timer of {:?}", self.phase);
        let syncing = match &self.phase {
            Phase::Syncing { unsynced } | Phase::Stable { unsynced } => !unsynced.is_empty(),
            Phase::Empty | Phase::Joining { .. } => false,
        };
        assert_eq!(timers.is_set(&Timer::Sync(id())), syncing, "sync timer of {:?}", self.phase);
        let watched = self.members.iter().filter(|member| !member.is_kept_alive_by_waiting());
        for member in watched.map(|member| &member.id).chain(&self.pending) {
            assert!(timers.is_set(&Timer::Session(id(), member.clone())), "{member:?} is not watched");
        }
    }

    /// Whether this group can have such a timer.
    pub(crate) fn knows(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Session(_, id) => self.members.get(id).is_some() || self.pending.contains(id),
            Timer::Join(_) | Timer::Sync(_) | Timer::OffsetExpiry => true,
        }
    }
}
