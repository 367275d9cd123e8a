//! A member of a classic group: a task that joins, shows signs of life, and joins again when others come or go.
//!
//! - G1 The member is in one generation or in none; [`Membership::standing`] says which.
//! - G2 It does not join the next generation before the consumer is done with its partitions, or time is up: the eager
//!   protocol, so nobody else has them meanwhile (I8).
//! - G3 A member id once given is kept and used for leaving, however the task ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{ErrorCode, TopicName};
use rt::channel::{mpsc, oneshot};
use rt::{Instant, Task};
use wire::consumer_protocol::TopicPartition as WirePartitions;
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{
    ApiKey, ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, VersionRange,
};

use super::GroupConfig;
use super::assignor::{Members, range};
use super::coordinator::{Coordinator, Standing};
use crate::backoff;
use crate::client::{ANY, Client};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::pool::Lane;

/// What members of consumer groups call their protocol.
const PROTOCOL_TYPE: &str = "consumer";

/// The assignor's name, which every member of the group must offer.
const RANGE: &str = "range";

/// Version of what members tell each other: eager members need nothing that came later.
const PROTOCOL_VERSION: i16 = 0;

/// Time between looks at the partitions of the topics, which only the leader of a group takes.
const METADATA_INTERVAL: Duration = Duration::from_secs(30);

/// Longest wait for the answer to a farewell: whoever leaves is in a hurry.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// LeaveGroup by members instead of one member: Kafka 2.4 on.
const LEAVE_VERSIONS: VersionRange = VersionRange { first: 3, last: i16::MAX };

/// What happens to a member.
pub(super) enum Change {
    /// It is in a generation, with these partitions.
    Assigned(Vec<TopicPartition>),
    /// Its generation ends.
    Revoked(Revocation),
}

/// The end of a generation, until the consumer has dealt with it.
pub(super) struct Revocation {
    /// The group went on without us already.
    pub(super) lost: bool,
    done: oneshot::Sender<()>,
}

impl Revocation {
    /// The consumer is done with its partitions.
    pub(super) fn done(self) {
        // The task may have stopped waiting.
        let _ = self.done.send(());
    }
}

/// The consumer's end.
pub(super) struct Membership {
    client: Client,
    lane: Lane,
    task: Task,
    changes: mpsc::Receiver<Result<Change, Error>>,
    identity: Arc<Mutex<Identity>>,
}

/// Who we are to the group, and where.
#[derive(Default)]
struct Identity {
    member_id: String,
    instance_id: Option<String>,
    generation: Option<i32>,
    /// What keeps us from joining, and since when.
    trouble: Option<(Instant, Error)>,
}

impl Membership {
    /// Begins to join.
    pub(super) fn join(client: &Client, config: &GroupConfig, topics: Vec<TopicName>) -> Membership {
        let identity = Identity { instance_id: config.instance_id.clone(), ..Identity::default() };
        let identity = Arc::new(Mutex::new(identity));
        let (sender, changes) = mpsc::channel(1);
        let lane = client.new_lane();
        let member = Member {
            client: client.clone(),
            coordinator: Coordinator::new(client, &config.group),
            config: config.clone(),
            topics,
            lane,
            changes: sender,
            identity: identity.clone(),
            led: None,
        };
        let task = client.rt().spawn("group-member", member.run());
        Membership { client: client.clone(), lane, task, changes, identity }
    }

    /// The next thing that happens.
    pub(super) async fn change(&mut self) -> Result<Change, Error> {
        // The task only ends after an error, which it told.
        self.changes.recv().await.unwrap_or(Err(Error::Closed))
    }

    /// The next thing that happened already.
    pub(super) fn try_change(&mut self) -> Option<Result<Change, Error>> {
        self.changes.try_recv().ok()
    }

    /// What keeps us from joining, and since when.
    pub(super) fn trouble(&self) -> Option<(Instant, Error)> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).trouble.clone()
    }

    /// The generation we are in, if any (G1).
    pub(super) fn standing(&self) -> Option<Standing> {
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.generation.map(|generation| Standing {
            member_id: identity.member_id.clone(),
            instance_id: identity.instance_id.clone(),
            generation,
        })
    }

    /// Ends it, and says so to the group unless the member is static: those come back.
    pub(super) async fn leave(self, coordinator: &Coordinator) {
        self.task.abort();
        let member_id = {
            let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            if identity.instance_id.is_some() { String::new() } else { identity.member_id.clone() }
        };
        if member_id.is_empty() {
            return;
        }
        let member = MemberIdentity {
            member_id: member_id.into(),
            group_instance_id: None,
            reason: Some("the consumer was closed".into()),
        };
        let request = LeaveGroupRequest {
            group_id: coordinator.group().to_owned().into(),
            members: vec![member],
            ..LeaveGroupRequest::default()
        };
        // Not on the member's own lane: a join that waits for others would hold it up.
        let ask = coordinator.ask(Lane::SHARED, &request, LEAVE_VERSIONS, Duration::ZERO, |_| Ok(()));
        if !matches!(self.client.rt().timeout(LEAVE_TIMEOUT, ask).await, Ok(Ok(_))) {
            tracing::debug!("the group did not hear that we left; it will notice by itself");
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.task.abort();
        self.client.close_lane(self.lane);
    }
}

/// The task's end.
struct Member {
    client: Client,
    coordinator: Coordinator,
    config: GroupConfig,
    topics: Vec<TopicName>,
    lane: Lane,
    changes: mpsc::Sender<Result<Change, Error>>,
    identity: Arc<Mutex<Identity>>,
    /// As the group's leader: how many partitions each topic had when they were dealt.
    led: Option<BTreeMap<TopicName, usize>>,
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The group wants everybody to join again.
    Rebalance,
    /// The group does not know us any more.
    Lost,
}

impl Member {
    async fn run(mut self) {
        let rt = self.client.rt().clone();
        let mut attempts = 0;
        loop {
            let assigned = match self.join_and_sync().await {
                Ok(assigned) => assigned,
                Err(error) if joins_again(&error) => {
                    tracing::debug!(%error, group = %self.config.group, "joining again");
                    if !matches!(
                        error.code(),
                        Some(ErrorCode::MemberIdRequired | ErrorCode::RebalanceInProgress)
                    ) {
                        self.identity().trouble.get_or_insert((rt.now(), error));
                        rt.sleep(backoff::delay(&rt, attempts)).await;
                        attempts = attempts.saturating_add(1);
                    }
                    continue;
                }
                Err(error) => {
                    // Nobody listens when the consumer is gone.
                    let _ = self.changes.send(Err(error)).await;
                    return;
                }
            };
            attempts = 0;
            self.identity().trouble = None;
            if self.changes.send(Ok(Change::Assigned(assigned))).await.is_err() {
                return;
            }
            let ended = self.stay().await;
            if !self.hand_back(ended != Ok(Ended::Rebalance)).await {
                return;
            }
            match ended {
                Ok(Ended::Rebalance) => {}
                Ok(Ended::Lost) => self.forget(None),
                Err(error) => {
                    let _ = self.changes.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Waits until the consumer is done with its partitions, alive meanwhile; `false` when it is gone.
    async fn hand_back(&mut self, mut lost: bool) -> bool {
        let rt = self.client.rt().clone();
        let (done, mut waiting) = oneshot::channel();
        if self.changes.send(Ok(Change::Revoked(Revocation { lost, done }))).await.is_err() {
            return false;
        }
        let give_up_at = rt.now() + self.config.rebalance_timeout;
        loop {
            rt::select! {
                answer = &mut waiting => {
                    self.leave_generation();
                    return answer.is_ok();
                }
                () = rt.sleep(self.config.heartbeat_interval) => {}
            }
            if give_up_at <= rt.now() {
                self.leave_generation();
                return !self.changes.is_closed();
            }
            if !lost {
                lost = matches!(self.heartbeat().await, Err(error) if ends(&error) == Some(Ended::Lost));
            }
        }
    }

    /// Shows signs of life until the generation ends; an error is one that joining again does not mend.
    async fn stay(&mut self) -> Result<Ended, Error> {
        let rt = self.client.rt().clone();
        let mut heard_at = rt.now();
        let mut look_at = rt.now() + METADATA_INTERVAL;
        loop {
            rt.sleep(self.config.heartbeat_interval).await;
            match self.heartbeat().await {
                Ok(()) => heard_at = rt.now(),
                Err(error) => {
                    if let Some(ended) = ends(&error) {
                        return Ok(ended);
                    }
                    if !error.is_retriable() {
                        return Err(error);
                    }
                    tracing::debug!(%error, group = %self.config.group, "a heartbeat failed");
                    if heard_at + self.config.session_timeout <= rt.now() {
                        return Ok(Ended::Lost);
                    }
                }
            }
            if look_at <= rt.now() {
                look_at = rt.now() + METADATA_INTERVAL;
                if self.topics_changed().await {
                    return Ok(Ended::Rebalance);
                }
            }
        }
    }

    /// Whether the leader would deal differently now.
    async fn topics_changed(&self) -> bool {
        let Some(dealt) = &self.led else { return false };
        let topics: Vec<_> = dealt.keys().cloned().collect();
        self.client.refresh(Some(&topics)).await.is_ok() && self.count_partitions(&topics) != *dealt
    }

    fn count_partitions(&self, topics: &[TopicName]) -> BTreeMap<TopicName, usize> {
        let snapshot = self.client.snapshot();
        let count = |topic: &TopicName| snapshot.topics.get(topic).map_or(0, |known| known.partitions.len());
        topics.iter().map(|topic| (topic.clone(), count(topic))).collect()
    }

    async fn heartbeat(&self) -> Result<(), Error> {
        let (member_id, generation) = self.who();
        let request = HeartbeatRequest {
            group_id: self.config.group.clone().into(),
            generation_id: generation.unwrap_or(-1),
            member_id: member_id.into(),
            group_instance_id: self.config.instance_id.clone().map(Into::into),
        };
        let check = |answer: &wire::HeartbeatResponse| self.check(ApiKey::Heartbeat, answer.error_code);
        self.coordinator.ask(self.lane, &request, ANY, Duration::ZERO, check).await.map(drop)
    }

    async fn join_and_sync(&mut self) -> Result<Vec<TopicPartition>, Error> {
        let joined = self.join().await.inspect_err(|error| self.learn_from(error))?;
        let assignments = if joined.leader == joined.member_id && !joined.skip_assignment {
            self.deal(&joined).await?
        } else {
            self.led = None;
            Vec::new()
        };
        let request = SyncGroupRequest {
            group_id: self.config.group.clone().into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: self.config.instance_id.clone().map(Into::into),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let check =
            |answer: &wire::SyncGroupResponse<'static>| self.check(ApiKey::SyncGroup, answer.error_code);
        let asked =
            self.coordinator.ask(self.lane, &request, ANY, self.config.rebalance_timeout, check).await;
        let answer = asked.inspect_err(|error| self.learn_from(error))?;
        let assigned = read_assignment(&answer.assignment)?;
        self.identity().generation = Some(joined.generation_id);
        tracing::debug!(group = %self.config.group, generation = joined.generation_id, ?assigned, "joined");
        Ok(assigned)
    }

    async fn join(&self) -> Result<JoinGroupResponse<'static>, Error> {
        let (member_id, _) = self.who();
        let topics = self.topics.iter().map(|topic| topic.to_string().into()).collect();
        let subscription = ConsumerProtocolSubscription { topics, ..ConsumerProtocolSubscription::default() };
        let metadata = wire::encode_versioned(&subscription, PROTOCOL_VERSION)
            .map_err(|error| Error::Unwritable { api: ApiKey::JoinGroup, problem: error.to_string() })?;
        let protocol = JoinGroupRequestProtocol { name: RANGE.into(), metadata: metadata.into() };
        let request = JoinGroupRequest {
            group_id: self.config.group.clone().into(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: member_id.into(),
            group_instance_id: self.config.instance_id.clone().map(Into::into),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![protocol],
            reason: None,
        };
        let check = |answer: &JoinGroupResponse<'static>| {
            if !answer.member_id.is_empty() {
                // From here on we can leave, whatever becomes of the join (G3).
                self.identity().member_id = answer.member_id.clone().into_owned();
            }
            self.check(ApiKey::JoinGroup, answer.error_code)
        };
        self.coordinator.ask(self.lane, &request, ANY, self.config.rebalance_timeout, check).await
    }

    /// As leader: gives every member its share.
    async fn deal(
        &mut self,
        joined: &JoinGroupResponse<'static>,
    ) -> Result<Vec<SyncGroupRequestAssignment<'static>>, Error> {
        let mut members = Members::new();
        let mut topics = Vec::new();
        for member in &joined.members {
            let subscription = wire::decode_subscription(&member.metadata)
                .map_err(|error| crate::connection::malformed(ApiKey::JoinGroup, error))?;
            // A name that is none has no partitions to deal.
            let wants: Vec<_> =
                subscription.topics.iter().filter_map(|name| TopicName::parse(name).ok()).collect();
            topics.extend(wants.iter().cloned());
            let name = member.group_instance_id.as_deref().map(str::to_owned);
            members.insert(member.member_id.clone().into_owned(), (name, wants));
        }
        topics.sort();
        topics.dedup();
        self.client.refresh(Some(&topics)).await?;
        let counts = self.count_partitions(&topics);
        let assigned = range(&members, &counts);
        self.led = Some(counts);
        assigned.into_iter().map(|(member_id, places)| write_assignment(member_id, &places)).collect()
    }

    fn check(&self, api: ApiKey, code: i16) -> Result<(), Error> {
        Error::check(api, code, None, format_args!("group '{}'", self.config.group))
    }

    fn identity(&self) -> std::sync::MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn who(&self) -> (String, Option<i32>) {
        let identity = self.identity();
        (identity.member_id.clone(), identity.generation)
    }

    fn leave_generation(&self) {
        self.identity().generation = None;
    }

    /// A group that does not know our id gives us another one.
    fn learn_from(&self, error: &Error) {
        self.leave_generation();
        if matches!(error.code(), Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration)) {
            self.forget(error.code());
        }
    }

    fn forget(&self, why: Option<ErrorCode>) {
        tracing::debug!(group = %self.config.group, ?why, "the group does not know us any more");
        let mut identity = self.identity();
        identity.member_id.clear();
        identity.generation = None;
    }
}

/// Whether joining is worth another attempt.
fn joins_again(error: &Error) -> bool {
    let code_allows = matches!(
        error.code(),
        Some(
            ErrorCode::MemberIdRequired
                | ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::RebalanceInProgress
        )
    );
    code_allows || error.is_retriable()
}

/// Whether a heartbeat's error ends the generation.
fn ends(error: &Error) -> Option<Ended> {
    let code = error.code()?;
    if code == ErrorCode::RebalanceInProgress {
        return Some(Ended::Rebalance);
    }
    matches!(code, ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration).then_some(Ended::Lost)
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn read_assignment(bytes: &[u8]) -> Result<Vec<TopicPartition>, Error> {
    let malformed = |problem: String| Error::Malformed { api: ApiKey::SyncGroup, problem };
    let assignment = wire::decode_assignment(bytes).map_err(|error| malformed(error.to_string()))?;
    let mut places = Vec::new();
    for topic in &assignment.assigned_partitions {
        let name = TopicName::parse(&topic.topic).map_err(|error| malformed(error.to_string()))?;
        places.extend(topic.partitions.iter().map(|index| TopicPartition::new(name.clone(), *index)));
    }
    places.sort();
    Ok(places)
}

fn write_assignment(
    member_id: String,
    places: &[TopicPartition],
) -> Result<SyncGroupRequestAssignment<'static>, Error> {
    let mut assignment = ConsumerProtocolAssignment::default();
    for place in places {
        match assignment.assigned_partitions.last_mut() {
            Some(topic) if topic.topic == place.topic.as_str() => topic.partitions.push(place.partition.0),
            Some(_) | None => assignment.assigned_partitions.push(WirePartitions {
                topic: place.topic.to_string().into(),
                partitions: vec![place.partition.0],
            }),
        }
    }
    let bytes = wire::encode_versioned(&assignment, PROTOCOL_VERSION)
        .map_err(|error| Error::Unwritable { api: ApiKey::SyncGroup, problem: error.to_string() })?;
    Ok(SyncGroupRequestAssignment { member_id: member_id.into(), assignment: bytes.into() })
}
