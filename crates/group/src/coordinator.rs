//! The state machine of one partition of `__consumer_offsets`: events in, actions out.
//!
//! - C1 A step depends on nothing but the coordinator, the event and the time given: the same events give the same
//!   actions.
//! - C2 What the log holds is all that outlives the coordinator; `replay` of every record appended gives it back.
//!
//! Finds the group an event is for; the rules are in [`crate::group`] and its neighbours.

use std::collections::{BTreeMap, BTreeSet};

use model::{ErrorCode, NowMs, ProducerId, Ticket, TopicId, TopicName, TransactionResult};
use wire::RecordError;

use crate::action::{Action, CommittedTopic, DeleteOffsetsReply, LeaveReply, Reply};
use crate::config::GroupConfig;
use crate::event::{
    CommitRequest, DeleteOffsetsRequest, DescribeRequest, EndTransaction, Event, FetchRequest,
    HeartbeatRequest, JoinRequest, LeaveRequest, ListRequest, SyncRequest,
};
use crate::group::Group;
use crate::id::{GroupId, MemberId};
use crate::record::Record;
#[cfg(test)]
use crate::stored::{Generation, Offsets};
use crate::timers::{Timer, Timers};
use crate::turn::Turn;
use crate::{describe, join, leave, offsets};

/// All groups of one partition of `__consumer_offsets`.
///
/// The driver replays the partition's records, steps [`Event::Loaded`], then steps each request as it comes and
/// [`Event::Tick`] whenever [`Coordinator::next_deadline`] has passed. When a write fails or the partition moves, it
/// drops the coordinator and answers what is pending itself (NOT_COORDINATOR).
#[derive(Debug)]
pub struct Coordinator {
    config: GroupConfig,
    groups: BTreeMap<GroupId, Group>,
    /// Groups with offsets that a producer's transaction has not decided.
    undecided: BTreeMap<ProducerId, BTreeSet<GroupId>>,
    timers: Timers,
}

impl Coordinator {
    /// A coordinator of an empty partition.
    pub fn new(config: GroupConfig) -> Coordinator {
        Coordinator { config, groups: BTreeMap::new(), undecided: BTreeMap::new(), timers: Timers::default() }
    }

    /// Takes over one record of the log, in offset order, before [`Event::Loaded`].
    ///
    /// Records of other group protocols are passed over. One of a producer's transaction waits for its marker. On an
    /// error nothing has changed.
    pub fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        transaction: Option<ProducerId>,
    ) -> Result<(), RecordError> {
        let Some(record) = Record::decode(key, value)? else { return Ok(()) };
        let id = record.group().clone();
        let group = self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
        match transaction {
            None => group.apply(record),
            Some(producer) => {
                group.apply_undecided(producer, record);
                self.undecided.entry(producer).or_default().insert(id.clone());
            }
        }
        if group.is_gone() {
            self.groups.remove(&id);
        }
        Ok(())
    }

    /// Takes over the marker of a transaction, in offset order with the records.
    pub fn replay_marker(&mut self, producer: ProducerId, result: TransactionResult) {
        apply_end(&mut self.groups, &mut self.undecided, producer, result);
    }

    /// When [`Event::Tick`] has something to do, in monotonic ms.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    /// Takes one event and says what is to be done, in order. Never fails, never blocks.
    pub fn step(&mut self, now: NowMs, event: Event) -> Vec<Action> {
        let Coordinator { config, groups, undecided, timers } = self;
        let turn = Turn { now, config, timers, actions: Vec::new() };
        let mut step = Step { groups, undecided, turn };
        match event {
            Event::Loaded => step.on_loaded(),
            Event::Join(ticket, request) => step.on_join(ticket, request),
            Event::Sync(ticket, request) => step.on_sync(ticket, request),
            Event::Heartbeat(ticket, request) => step.on_heartbeat(ticket, &request),
            Event::Leave(ticket, request) => step.on_leave(ticket, request),
            Event::CommitOffsets(ticket, request) => step.on_commit(ticket, request),
            Event::EndTransaction(ticket, end) => step.on_end_transaction(ticket, end),
            Event::FetchOffsets(ticket, request) => step.on_fetch(ticket, request),
            Event::DeleteOffsets(ticket, request) => step.on_delete_offsets(ticket, request),
            Event::Describe(ticket, request) => step.on_describe(ticket, request),
            Event::List(ticket, request) => step.on_list(ticket, &request),
            Event::Delete(ticket, ids) => step.on_delete(ticket, ids),
            Event::TopicDeleted(name, id) => step.on_topic_deleted(&name, id),
            Event::Tick => step.on_tick(),
        }
        step.turn.actions
    }
}

/// One step in the making: the groups beside what a [`Turn`] has.
struct Step<'a> {
    groups: &'a mut BTreeMap<GroupId, Group>,
    undecided: &'a mut BTreeMap<ProducerId, BTreeSet<GroupId>>,
    turn: Turn<'a>,
}

impl Step<'_> {
    fn on_loaded(&mut self) {
        for group in self.groups.values_mut() {
            group.restore(&mut self.turn);
        }
        self.schedule_expiry();
    }

    fn schedule_expiry(&mut self) {
        let interval = self.turn.config.offsets_retention_check_interval_ms;
        self.turn.schedule(Timer::OffsetExpiry, interval);
    }

    fn on_join(&mut self, ticket: Ticket, request: JoinRequest) {
        let id = request.group_id.clone();
        if let Err(error) = join::check(&self.turn, &request) {
            self.turn.refuse_join(ticket, error, request.member_id);
            return;
        }
        let refused = match self.groups.contains_key(&id) {
            true => None,
            false if !request.member_id.is_empty() => Some(ErrorCode::UnknownMemberId),
            false => self.refuse_new_group(),
        };
        if let Some(error) = refused {
            self.turn.refuse_join(ticket, error, request.member_id);
            return;
        }
        let group = self.groups.entry(id.clone()).or_insert_with(|| Group::new(id));
        group.begin(&mut self.turn);
        group.on_join(&mut self.turn, ticket, request);
    }

    /// Memory is bounded: expiry makes room again.
    fn refuse_new_group(&self) -> Option<ErrorCode> {
        (self.turn.config.groups_max <= self.groups.len()).then_some(ErrorCode::CoordinatorNotAvailable)
    }

    fn on_sync(&mut self, ticket: Ticket, request: SyncRequest) {
        let incomplete = request.protocol_type.is_none() || request.protocol_name.is_none();
        if request.group_id.is_empty() {
            self.turn.refuse_sync(ticket, ErrorCode::InvalidGroupId);
        } else if request.requires_protocol && incomplete {
            self.turn.refuse_sync(ticket, ErrorCode::InconsistentGroupProtocol);
        } else if let Some(group) = self.groups.get_mut(&request.group_id) {
            group.on_sync(&mut self.turn, ticket, request);
        } else {
            self.turn.refuse_sync(ticket, ErrorCode::UnknownMemberId);
        }
    }

    fn on_heartbeat(&mut self, ticket: Ticket, request: &HeartbeatRequest) {
        if request.group_id.is_empty() {
            self.turn.reply(ticket, Reply::Heartbeat(ErrorCode::InvalidGroupId));
        } else if let Some(group) = self.groups.get_mut(&request.group_id) {
            group.on_heartbeat(&mut self.turn, ticket, request);
        } else {
            self.turn.reply(ticket, Reply::Heartbeat(ErrorCode::UnknownMemberId));
        }
    }

    fn on_leave(&mut self, ticket: Ticket, request: LeaveRequest) {
        if request.group_id.is_empty() {
            let reply = LeaveReply { error: ErrorCode::InvalidGroupId, members: Vec::new() };
            self.turn.reply(ticket, Reply::Leave(reply));
        } else if let Some(group) = self.groups.get_mut(&request.group_id) {
            group.on_leave(&mut self.turn, ticket, request);
        } else {
            self.turn.reply(ticket, Reply::Leave(leave::unknown_group(request)));
        }
    }

    fn on_commit(&mut self, ticket: Ticket, request: CommitRequest) {
        let id = request.group_id.clone();
        let refused = match self.groups.contains_key(&id) {
            true => None,
            false if !join::is_storable(&id) => Some(ErrorCode::InvalidGroupId),
            // A group that only keeps offsets begins with its first commit.
            false if request.generation < 0 => self.refuse_new_group(),
            false if request.knows_group_id_not_found => Some(ErrorCode::GroupIdNotFound),
            false => Some(ErrorCode::IllegalGeneration),
        };
        if let Some(error) = refused {
            let topics = CommittedTopic::refused(&request.topics, error);
            self.turn.reply(ticket, Reply::CommitOffsets(topics));
            return;
        }
        let group = self.groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
        let producer = request.transaction.map(|transaction| transaction.producer);
        group.on_commit(&mut self.turn, ticket, request);
        if let Some(producer) = producer.filter(|&producer| group.undecided.is_of(producer)) {
            self.undecided.entry(producer).or_default().insert(id.clone());
        }
        self.remove_if_gone(&id);
    }

    fn on_end_transaction(&mut self, ticket: Ticket, end: EndTransaction) {
        // Also where nothing is undecided: the log keeps what its producer was told.
        self.turn.actions.push(Action::AppendMarker(end));
        apply_end(self.groups, self.undecided, end.producer, end.result);
        self.turn.reply_durable(ticket, Reply::EndTransaction);
    }

    fn on_fetch(&mut self, ticket: Ticket, request: FetchRequest) {
        let reply = match self.groups.get(&request.group_id) {
            Some(group) => group.on_fetch(request),
            None => offsets::nothing_committed(request),
        };
        self.turn.reply_durable(ticket, Reply::FetchOffsets(reply));
    }

    fn on_delete_offsets(&mut self, ticket: Ticket, request: DeleteOffsetsRequest) {
        let refuse = |error| Reply::DeleteOffsets(DeleteOffsetsReply { error, topics: Vec::new() });
        let id = request.group_id.clone();
        if id.is_empty() {
            self.turn.reply(ticket, refuse(ErrorCode::InvalidGroupId));
        } else if let Some(group) = self.groups.get_mut(&id) {
            group.on_delete_offsets(&mut self.turn, ticket, request);
            self.remove_if_gone(&id);
        } else {
            self.turn.reply(ticket, refuse(ErrorCode::GroupIdNotFound));
        }
    }

    fn on_describe(&mut self, ticket: Ticket, request: DescribeRequest) {
        let unknown = |id| describe::unknown(id, request.knows_group_id_not_found);
        let described = |id| self.groups.get(&id).map_or_else(|| unknown(id), Group::describe);
        let reply = request.group_ids.into_iter().map(described).collect();
        self.turn.reply_durable(ticket, Reply::Describe(reply));
    }

    fn on_list(&mut self, ticket: Ticket, request: &ListRequest) {
        let wanted = self.groups.values().filter(|group| request.wants(group));
        let reply = wanted.map(Group::list).collect();
        self.turn.reply_durable(ticket, Reply::List(reply));
    }

    fn on_delete(&mut self, ticket: Ticket, ids: Vec<GroupId>) {
        let mut reply: Vec<(GroupId, ErrorCode)> = Vec::with_capacity(ids.len());
        let mut seen = BTreeSet::new();
        for id in ids {
            if !seen.insert(id.clone()) {
                continue;
            }
            let error = match self.groups.get_mut(&id) {
                Some(group) => group.delete(&mut self.turn),
                None => ErrorCode::GroupIdNotFound,
            };
            self.remove_if_gone(&id);
            reply.push((id, error));
        }
        self.turn.reply_durable(ticket, Reply::Delete(reply));
    }

    fn on_topic_deleted(&mut self, name: &TopicName, id: TopicId) {
        for group in self.groups.values_mut() {
            group.on_topic_deleted(&mut self.turn, name, id);
        }
        self.groups.retain(|_, group| !group.is_gone());
    }

    fn on_tick(&mut self) {
        while let Some(timer) = self.turn.timers.pop_due(self.turn.now.monotonic) {
            match timer {
                Timer::Join(id) => self.with_group(&id, Group::on_join_deadline),
                Timer::Sync(id) => self.with_group(&id, Group::on_sync_deadline),
                Timer::Session(id, member) => self.on_session_deadline(&id, &member),
                Timer::OffsetExpiry => self.on_expiry_deadline(),
            }
        }
    }

    fn with_group(&mut self, id: &GroupId, rule: impl FnOnce(&mut Group, &mut Turn<'_>)) {
        if let Some(group) = self.groups.get_mut(id) {
            rule(group, &mut self.turn);
        }
    }

    fn on_session_deadline(&mut self, id: &GroupId, member: &MemberId) {
        self.with_group(id, |group, turn| group.on_session_deadline(turn, member));
    }

    fn on_expiry_deadline(&mut self) {
        for group in self.groups.values_mut() {
            group.expire(&mut self.turn);
        }
        self.groups.retain(|_, group| !group.is_gone());
        self.schedule_expiry();
    }

    /// A group the log says nothing of does not exist (G4).
    fn remove_if_gone(&mut self, id: &GroupId) {
        if self.groups.get(id).is_some_and(Group::is_gone) {
            self.groups.remove(id);
        }
    }
}

/// Decides the offsets of a producer's transaction in every group that has some.
fn apply_end(
    groups: &mut BTreeMap<GroupId, Group>,
    undecided: &mut BTreeMap<ProducerId, BTreeSet<GroupId>>,
    producer: ProducerId,
    result: TransactionResult,
) {
    for id in undecided.remove(&producer).unwrap_or_default() {
        let Some(group) = groups.get_mut(&id) else { continue };
        group.apply_end(producer, result);
        if group.is_gone() {
            groups.remove(&id);
        }
    }
}

#[cfg(test)]
impl Coordinator {
    /// What the log says, for comparison with a replay of it.
    pub(crate) fn persistent(&self) -> BTreeMap<GroupId, (Option<Generation>, Offsets)> {
        let one = |(id, group): (&GroupId, &Group)| {
            (id.clone(), (group.stored().cloned(), group.offsets().clone()))
        };
        self.groups.iter().map(one).collect()
    }

    /// Checks what the module docs of `group`, `members` and `timers` promise.
    pub(crate) fn assert_invariants(&self) {
        for group in self.groups.values() {
            group.assert_invariants();
            group.assert_timers(&self.timers);
        }
        self.timers.assert_invariants();
        for timer in self.timers.iter() {
            let (Timer::Join(id) | Timer::Sync(id) | Timer::Session(id, _)) = timer else { continue };
            assert!(self.groups.get(id).is_some_and(|group| group.knows(timer)), "{timer:?} is left over");
        }
    }
}
