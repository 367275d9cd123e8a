//! Random histories: clients, crashes and time in any order, and what must hold whatever they do.
//!
//! Clients behave as real ones may at their worst: they repeat, forget, come back under old names and late. The driver
//! holds durable replies back until the log is flushed; a crash loses what is not, and its replies with it. Two producers
//! commit offsets in transactions, which end at any time or never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Barrier, CoordinatorEpoch, ErrorCode, LeaderEpoch, NowMs, Offset, PartitionIndex, ProducerEpoch,
    ProducerId, Ticket, TopicId, TopicName, TransactionResult, TransactionVersion, Uuid,
};
use proptest::prelude::*;

use crate::record::Record;
use crate::tests::log::{Logged, Offsets};
use crate::{
    Action, CommitPartition, CommitRequest, CommitTopic, CommittingTransaction, Coordinator, DescribeRequest,
    EndTransaction, Event, FetchRequest, FetchTopic, GroupConfig, GroupId, HeartbeatRequest, InstanceId,
    JoinReply, JoinRequest, LeaveRequest, LeavingMember, MemberId, Protocol, Reply, SyncReply, SyncRequest,
};

/// What a client remembers of its group.
#[derive(Clone, Debug)]
struct Client {
    group: GroupId,
    instance: Option<InstanceId>,
    member_id: MemberId,
    before: MemberId,
    generation: i32,
    protocol: Option<Arc<str>>,
    members: Vec<MemberId>,
}

/// A request that has not been answered.
#[derive(Clone, Debug)]
struct Pending {
    client: usize,
    member_id: MemberId,
    generation: i32,
}

struct World {
    config: GroupConfig,
    coordinator: Coordinator,
    clients: Vec<Client>,
    now: NowMs,
    log: Vec<Logged>,
    durable: usize,
    /// Replies that wait for the log to be durable up to a length.
    held: Vec<(usize, Ticket, Reply)>,
    pending: BTreeMap<Ticket, Pending>,
    tickets: u64,
    /// The SyncGroup whose assignments members of a generation were shown.
    shown: BTreeMap<(GroupId, i32), String>,
    /// Groups whose tombstone is not durable: what was shown of them is of a group before.
    buried: BTreeSet<GroupId>,
    /// Names of static members that were shown to be replaced: for good, or until a crash forgets the rebalance in
    /// which they were, before it had an assignment.
    fenced: BTreeMap<(GroupId, MemberId), Barrier>,
}

impl World {
    fn new() -> World {
        let client = |number: usize| Client {
            group: GroupId::from(if number % 7 == 6 { "h" } else { "g" }),
            instance: [None, None, None, Some("i0"), Some("i1"), Some("i1"), None][number % 7]
                .map(InstanceId::from),
            member_id: MemberId::from(""),
            before: MemberId::from(""),
            generation: -1,
            protocol: None,
            members: Vec::new(),
        };
        let config = GroupConfig { members_max: 4, offsets_retention_ms: 120_000, ..GroupConfig::default() };
        let mut world = World {
            coordinator: Coordinator::new(config.clone()),
            config,
            clients: (0..7).map(client).collect(),
            now: NowMs { monotonic: 0, wall: 1_000_000 },
            log: Vec::new(),
            durable: 0,
            held: Vec::new(),
            pending: BTreeMap::new(),
            tickets: 0,
            shown: BTreeMap::new(),
            buried: BTreeSet::new(),
            fenced: BTreeMap::new(),
        };
        world.step(Event::Loaded);
        world
    }

    fn ticket(&mut self, client: usize) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let Client { member_id, generation, .. } = self.clients[client].clone();
        self.pending.insert(ticket, Pending { client, member_id, generation });
        ticket
    }

    /// One step of a client, of time or of the disk, drawn as three bytes.
    fn act(&mut self, kind: u8, who: u8, what: u8) {
        let client = usize::from(who) % self.clients.len();
        match kind % 16 {
            0..=3 => self.join(client, what),
            4..=6 => self.sync(client),
            7 if 128 <= what => self.end_transaction(what),
            7 => self.heartbeat(client),
            8 => self.commit(client, what),
            9 => self.leave(client, what),
            10 => self.wait(u64::from(what) * 7),
            11 => self.wait(u64::from(what) * 150),
            12 => self.look(client, what),
            13 => self.flush(),
            14 if what.is_multiple_of(4) => self.crash(),
            14 => self.flush(),
            _ if what.is_multiple_of(8) => self.delete(client, what),
            _ => self.wait(3_000),
        }
    }

    fn join(&mut self, client: usize, what: u8) {
        let ticket = self.ticket(client);
        let Client { group, instance, member_id, before, .. } = self.clients[client].clone();
        let names: &[&str] =
            [&["range", "rr"][..], &["rr", "range"], &["range"], &["x"]][usize::from(what % 16) / 5];
        let member_id = match what / 16 {
            0 | 1 => MemberId::from(""),
            2 => before,
            _ => member_id,
        };
        let wants: Arc<[u8]> = Arc::from([what / 128]);
        let protocols = names.iter().map(|&name| Protocol { name: Arc::from(name), metadata: wants.clone() });
        let mut random = [0; 16];
        random[8..].copy_from_slice(&ticket.0.to_be_bytes());
        let request = JoinRequest {
            group_id: group,
            member_id,
            group_instance_id: instance,
            client_id: Arc::from(format!("c{client}")),
            client_host: Arc::from("/h"),
            session_timeout_ms: 6_000 + i32::from(what),
            rebalance_timeout_ms: 9_000 - i32::from(what),
            protocol_type: Arc::from("consumer"),
            protocols: protocols.collect(),
            requires_known_member_id: what & 1 == 0,
            supports_skip_assignment: what & 2 == 0,
            random,
        };
        self.step(Event::Join(ticket, request));
    }

    fn sync(&mut self, client: usize) {
        let ticket = self.ticket(client);
        let Client { group, instance, member_id, generation, protocol, members, .. } =
            self.clients[client].clone();
        let token = |member: MemberId| {
            let token = format!("{}:{member}", ticket.0);
            (member, Arc::from(token.as_bytes()))
        };
        let request = SyncRequest {
            group_id: group,
            generation,
            member_id,
            group_instance_id: instance,
            protocol_type: Some(Arc::from("consumer")),
            protocol_name: protocol,
            requires_protocol: false,
            assignments: members.into_iter().map(token).collect(),
        };
        self.step(Event::Sync(ticket, request));
    }

    fn heartbeat(&mut self, client: usize) {
        let ticket = self.ticket(client);
        let Client { group, instance, member_id, generation, .. } = self.clients[client].clone();
        let request =
            HeartbeatRequest { group_id: group, generation, member_id, group_instance_id: instance };
        self.step(Event::Heartbeat(ticket, request));
    }

    fn commit(&mut self, client: usize, what: u8) {
        let ticket = self.ticket(client);
        let Client { group, instance, member_id, before, generation, .. } = self.clients[client].clone();
        let transaction = (128 <= what).then(|| CommittingTransaction {
            producer: producer(what),
            epoch: EPOCH,
            asked_at: None,
        });
        let (member_id, generation) = match what % 4 {
            0 => (before, generation),
            1 if transaction.is_some() => (MemberId::from(""), -1),
            _ => (member_id, generation),
        };
        if let Some(pending) = self.pending.get_mut(&ticket) {
            (pending.member_id, pending.generation) = (member_id.clone(), generation);
        }
        let partition = CommitPartition {
            partition: PartitionIndex(i32::from(what % 3)),
            // No other commit has this one.
            offset: Offset(i64::try_from(ticket.0).unwrap()),
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        };
        let topic = CommitTopic { name: topic(), topic_id: None, partitions: vec![partition] };
        let request = CommitRequest {
            group_id: group,
            generation,
            member_id,
            group_instance_id: instance,
            retention_time_ms: what.is_multiple_of(5).then_some(i64::from(what) * 1000),
            knows_group_id_not_found: true,
            transaction,
            topics: vec![topic],
        };
        self.step(Event::CommitOffsets(ticket, request));
    }

    fn end_transaction(&mut self, what: u8) {
        let ticket = self.ticket(0);
        let end = EndTransaction {
            producer: producer(what),
            epoch: EPOCH,
            coordinator_epoch: CoordinatorEpoch(0),
            result: if what.is_multiple_of(3) { TransactionResult::Abort } else { TransactionResult::Commit },
            version: TransactionVersion::Tv1,
        };
        self.step(Event::EndTransaction(ticket, end));
    }

    fn leave(&mut self, client: usize, what: u8) {
        let ticket = self.ticket(client);
        let Client { group, instance, member_id, .. } = self.clients[client].clone();
        let by_instance = what.is_multiple_of(3) && instance.is_some();
        let member_id = if by_instance { MemberId::from("") } else { member_id };
        let members = vec![LeavingMember { member_id, group_instance_id: instance }];
        self.step(Event::Leave(ticket, LeaveRequest { group_id: group, members }));
    }

    fn look(&mut self, client: usize, what: u8) {
        let ticket = self.ticket(client);
        let group_id = self.clients[client].group.clone();
        if what.is_multiple_of(2) {
            let partitions = (0..3).map(PartitionIndex).collect();
            let topics = Some(vec![FetchTopic { name: topic(), topic_id: None, partitions }]);
            let require_stable = what.is_multiple_of(4);
            self.step(Event::FetchOffsets(ticket, FetchRequest { group_id, topics, require_stable }));
        } else {
            let request = DescribeRequest { group_ids: vec![group_id], knows_group_id_not_found: true };
            self.step(Event::Describe(ticket, request));
        }
    }

    fn delete(&mut self, client: usize, what: u8) {
        if what.is_multiple_of(16) {
            self.step(Event::TopicDeleted(topic(), TopicId(Uuid::ZERO)));
        } else {
            let ticket = self.ticket(client);
            self.step(Event::Delete(ticket, vec![self.clients[client].group.clone()]));
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now.monotonic += ms;
        self.now.wall += i64::try_from(ms).unwrap();
        if self.coordinator.next_deadline().is_some_and(|deadline| deadline <= self.now.monotonic) {
            self.step(Event::Tick);
        }
    }

    fn step(&mut self, event: Event) {
        let require_stable = matches!(&event, Event::FetchOffsets(_, request) if request.require_stable);
        let actions = self.coordinator.step(self.now, event);
        for action in actions {
            let logged = Logged::of(&action);
            self.buried.extend(logged.iter().filter_map(buried_group));
            self.log.extend(logged);
            let Action::Reply { ticket, reply, after } = action else { continue };
            self.check_commit(ticket, &reply);
            self.check_fetch(&reply, require_stable);
            match after {
                Barrier::Now => self.answer(ticket, &reply, Barrier::Now),
                Barrier::Durable => self.held.push((self.log.len(), ticket, reply)),
            }
        }
        self.coordinator.assert_invariants();
    }

    /// The disk has everything: replies go out, in order.
    fn flush(&mut self) {
        for (length, ticket, reply) in std::mem::take(&mut self.held) {
            self.durable_to(length);
            self.answer(ticket, &reply, Barrier::Durable);
        }
        self.durable_to(self.log.len());
    }

    fn durable_to(&mut self, length: usize) {
        for group in self.log[self.durable..length].iter().filter_map(buried_group) {
            // A group that is gone counts its generations from the start when it comes back.
            self.shown.retain(|(shown, _), _| *shown != group);
            self.buried.remove(&group);
        }
        self.durable = length;
    }

    /// Power fails: what the disk does not have is gone, and so is every request.
    fn crash(&mut self) {
        self.check_replay();
        self.log.truncate(self.durable);
        self.held.clear();
        self.pending.clear();
        self.buried.clear();
        self.fenced.retain(|_, after| *after == Barrier::Durable);
        self.coordinator = self.replayed();
        self.step(Event::Loaded);
    }

    fn replayed(&self) -> Coordinator {
        let mut coordinator = Coordinator::new(self.config.clone());
        self.log.iter().for_each(|logged| logged.replay(&mut coordinator));
        coordinator
    }

    fn check_replay(&self) {
        assert_eq!(self.replayed().persistent(), self.coordinator.persistent());
    }

    fn answer(&mut self, ticket: Ticket, reply: &Reply, after: Barrier) {
        let asked = self.pending.remove(&ticket).expect("a request is answered once");
        match reply {
            Reply::Join(reply) => self.on_joined(&asked, reply, after),
            Reply::Sync(reply) => self.check_sync(&asked, reply),
            Reply::Heartbeat(_)
            | Reply::Leave(_)
            | Reply::CommitOffsets(_)
            | Reply::EndTransaction
            | Reply::FetchOffsets(_)
            | Reply::DeleteOffsets(_)
            | Reply::Describe(_)
            | Reply::List(_)
            | Reply::Delete(_) => {}
        }
    }

    fn on_joined(&mut self, asked: &Pending, reply: &JoinReply, after: Barrier) {
        let client = &mut self.clients[asked.client];
        match reply.error {
            ErrorCode::None => {
                if client.member_id != reply.member_id {
                    client.before = std::mem::replace(&mut client.member_id, reply.member_id.clone());
                }
                client.generation = reply.generation;
                client.protocol = reply.protocol_name.clone();
                client.members = reply.members.iter().map(|member| member.member_id.clone()).collect();
                if let Some(instance) = client.instance.clone() {
                    let (group, current) = (client.group.clone(), reply.member_id.clone());
                    self.fence_older(&group, &instance, &current, after);
                }
            }
            ErrorCode::MemberIdRequired => client.member_id = reply.member_id.clone(),
            ErrorCode::UnknownMemberId => client.member_id = MemberId::from(""),
            _ => {}
        }
    }

    /// The clients that had this instance before are zombies now. An answer that waited for the disk may come after the
    /// one to a newer member, which it does not fence; the numbers in the ids tell.
    fn fence_older(&mut self, group: &GroupId, instance: &InstanceId, current: &MemberId, after: Barrier) {
        for client in &self.clients {
            if client.instance.as_ref() == Some(instance) {
                let old = [&client.member_id, &client.before]
                    .into_iter()
                    .filter(|id| *id < current && !id.is_empty());
                self.fenced.extend(old.map(|id| ((group.clone(), id.clone()), after)));
            }
        }
    }

    /// I8: in a generation everybody is shown the assignment of one SyncGroup, and each its own part of it.
    fn check_sync(&mut self, asked: &Pending, reply: &SyncReply) {
        if reply.error != ErrorCode::None {
            return;
        }
        let client = &self.clients[asked.client];
        let text = std::str::from_utf8(&reply.assignment).unwrap();
        let (event, owner) = text.split_once(':').expect("the leader assigned to everybody");
        match &client.instance {
            Some(instance) => {
                assert!(owner.starts_with(&format!("{instance}-")), "{instance} was given {text}")
            }
            None => assert_eq!(owner, asked.member_id.as_str()),
        }
        let key = (client.group.clone(), asked.generation);
        let shown = self.shown.entry(key.clone()).or_insert_with(|| event.to_owned());
        assert_eq!(shown, event, "two assignments in generation {key:?}");
    }

    /// I8: only an owner commits: nobody under a fenced name, nor after a later assignment was shown.
    fn check_commit(&self, ticket: Ticket, reply: &Reply) {
        let Reply::CommitOffsets(topics) = reply else { return };
        let asked = &self.pending[&ticket];
        if topics[0].partitions[0].1 != ErrorCode::None || asked.generation < 0 {
            return;
        }
        let group = self.clients[asked.client].group.clone();
        assert!(!self.fenced.contains_key(&(group.clone(), asked.member_id.clone())), "{asked:?} is fenced");
        if self.buried.contains(&group) {
            return;
        }
        let newest = self.shown.range((group.clone(), 0)..=(group, i32::MAX)).next_back();
        assert!(newest.is_none_or(|((_, newest), _)| *newest <= asked.generation), "{asked:?} is late");
    }

    /// I7: what is shown is what was committed last, in a transaction or not, and nothing that is open or aborted.
    fn check_fetch(&self, reply: &Reply, require_stable: bool) {
        let Reply::FetchOffsets(reply) = reply else { return };
        let offsets = Offsets::of(&self.log);
        for partition in reply.topics.iter().flat_map(|topic| &topic.partitions) {
            let place = (reply.group_id.clone(), partition.partition);
            let is_unstable = require_stable && offsets.is_undecided(&place);
            let (error, offset) = match is_unstable {
                true => (ErrorCode::UnstableOffsetCommit, None),
                false => (ErrorCode::None, offsets.committed(&place)),
            };
            assert_eq!(
                (partition.error, partition.offset),
                (error, Offset(offset.unwrap_or(-1))),
                "{place:?}"
            );
        }
    }

    /// Long after the last request every one has been answered.
    fn end(&mut self) {
        for _ in 0..200 {
            self.wait(3_000);
        }
        self.flush();
        self.check_replay();
        assert!(self.pending.is_empty(), "never answered: {:?}", self.pending);
    }
}

/// The epoch of every producer: who has another one is fenced by the log, which knows.
const EPOCH: ProducerEpoch = ProducerEpoch(0);

fn producer(what: u8) -> ProducerId {
    ProducerId(i64::from(what / 64))
}

fn buried_group(logged: &Logged) -> Option<GroupId> {
    match logged.record() {
        Some(Record::Group { group, value: None }) => Some(group),
        Some(_) | None => None,
    }
}

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

fn run(steps: impl IntoIterator<Item = (u8, u8, u8)>) {
    let mut world = World::new();
    for (kind, who, what) in steps {
        world.act(kind, who, what);
    }
    world.end();
}

/// Found by the property below: a member is replaced while the answer that made it one waits for the disk.
#[test]
fn an_answer_that_comes_late_fences_no_newer_member() {
    let leave_unflushed = [(96, 26, 10), (251, 0, 20), (116, 117, 0), (16, 49, 0), (9, 207, 0), (16, 12, 0)];
    let crash = [(233, 81, 0), (109, 0, 0), (206, 0, 32)];
    let replace_and_commit = [(80, 25, 90), (80, 180, 133), (253, 0, 0), (16, 94, 16), (232, 68, 17)];
    run(leave_unflushed.into_iter().chain(crash).chain(replace_and_commit));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_partition_has_one_owner_in_a_generation_whatever_happens(
        steps in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..150)
    ) {
        run(steps);
    }
}
