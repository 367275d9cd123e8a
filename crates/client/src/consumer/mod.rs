//! Reads records: from partitions the caller names, or from those a group gives it.
//!
//! - K1 A partition's records come in offset order, each once, from the position on.
//! - K2 A position only passes what `poll` has returned; `commit` writes positions, so what was committed was seen.
//! - K3 After [`Event::Revoked`] nothing of those partitions comes, and nobody else gets them before the next `poll`:
//!   time to finish and commit. After [`Event::Lost`] others may have them already.
//! - K4 What is fetched ahead is bounded: two answers a partition, whole batches at least.

mod assignor;
mod coordinator;
mod fetcher;
mod isolation;
mod membership;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use model::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};
use record::TimestampType;
use rt::Instant;

use crate::client::Client;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::Start;
use fetcher::Fetcher;
use membership::{Change, Membership};

pub use assignor::{Members, range};
pub(crate) use coordinator::Coordinator;
pub(crate) use fetcher::{FETCH_VERSIONS, slice_of};
pub use isolation::Isolation;

/// How a consumer reads.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// Longest time a broker holds an answer back for lack of records.
    pub fetch_wait: Duration,
    /// Bytes of one answer, about.
    pub fetch_bytes: usize,
    /// Bytes of one partition in an answer, about.
    pub partition_bytes: usize,
    /// Records one `poll` returns, about: batches are never split.
    pub poll_records: usize,
    /// Bytes of the records that one `poll` returns, decompressed, about.
    pub poll_bytes: usize,
    /// Where to go on when a position is not there (any more), and where a group starts that never committed.
    pub reset: Reset,
    /// Which records of transactions to read.
    pub isolation: Isolation,
}

impl Default for ConsumerConfig {
    fn default() -> ConsumerConfig {
        ConsumerConfig {
            fetch_wait: Duration::from_millis(500),
            fetch_bytes: 32 * 1024 * 1024,
            partition_bytes: 2 * 1024 * 1024,
            poll_records: 2_000,
            poll_bytes: 16 * 1024 * 1024,
            reset: Reset::Latest,
            isolation: Isolation::default(),
        }
    }
}

/// Where to go on when there is no position, or none that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// Nowhere: `poll` fails.
    Fail,
}

/// Which group, and how to be a member of it.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// Its name.
    pub group: String,
    /// A name of this member that outlives its process (KIP-345): it leaves only when its session times out.
    pub instance_id: Option<String>,
    /// Without a sign of life for so long the group goes on without this member.
    pub session_timeout: Duration,
    /// How long a rebalance waits for this member, and so the longest time between two polls in one.
    pub rebalance_timeout: Duration,
    /// Time between signs of life.
    pub heartbeat_interval: Duration,
    /// Time between commits in `poll`, which also commits when partitions are revoked; `None` leaves it to the caller.
    pub auto_commit: Option<Duration>,
    /// Where it goes on in what the group gives it.
    pub positions: Positions,
}

/// Who knows how far a group's partitions were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// The group, by its commits.
    Group,
    /// The caller, who keeps them elsewhere: after [`Event::Assigned`] nothing of a partition is read until
    /// [`Consumer::seek`] says from where.
    Caller,
}

impl GroupConfig {
    /// A member of `group` with the timeouts of Java's consumers.
    pub fn new(group: impl Into<String>) -> GroupConfig {
        GroupConfig {
            group: group.into(),
            instance_id: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(3),
            auto_commit: Some(Duration::from_secs(5)),
            positions: Positions::Group,
        }
    }
}

/// One record, as it lies in its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: TopicName,
    /// Its partition.
    pub partition: PartitionIndex,
    /// Its offset.
    pub offset: Offset,
    /// When it was created or appended.
    pub timestamp: TimestampMs,
    /// Which of the two.
    pub timestamp_type: TimestampType,
    /// Epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
    /// Its key; `None` is null.
    pub key: Option<Bytes>,
    /// Its value; `None` is null.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Record {
    /// The partition it is in.
    pub fn place(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }
}

/// What `poll` came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records; never none.
    Records(Vec<Record>),
    /// The group gave us these partitions, and no others.
    Assigned(Vec<TopicPartition>),
    /// The group is about to give these partitions to others (K3).
    Revoked(Vec<TopicPartition>),
    /// We were not heard of for too long: others may have these partitions already (K3).
    Lost(Vec<TopicPartition>),
    /// Nothing happened in time.
    Idle,
}

/// Reads records. A member of a group should [`Consumer::close`]: dropping it leaves the group waiting for its session
/// timeout.
pub struct Consumer {
    client: Client,
    fetcher: Fetcher,
    group: Option<Grouped>,
}

/// What a member of a group has beyond its partitions.
struct Grouped {
    config: GroupConfig,
    coordinator: Coordinator,
    membership: Membership,
    /// What the group gave us and has not taken back.
    given: BTreeSet<TopicPartition>,
    /// Given, but not yet begun with.
    assigned: Option<Vec<TopicPartition>>,
    /// Answered when `poll` is next called: the caller is done with the partitions then.
    revocation: Option<membership::Revocation>,
    commit_at: Option<Instant>,
}

impl Consumer {
    /// Reads these partitions from where it is said.
    ///
    /// # Errors
    /// A topic or partition is not there, or the cluster does not answer.
    pub async fn assigned(
        client: &Client,
        config: ConsumerConfig,
        starts: &BTreeMap<TopicPartition, Start>,
    ) -> Result<Consumer, Error> {
        for place in starts.keys() {
            client.partition(place).await?;
        }
        let positions = client.resolve_as(config.isolation, starts).await?;
        let mut fetcher = Fetcher::new(client, config);
        fetcher.assign(positions);
        Ok(Consumer { client: client.clone(), fetcher, group: None })
    }

    /// Reads what a group gives it of these topics. Joining happens on the side; [`Event::Assigned`] tells.
    pub fn in_group(
        client: &Client,
        config: ConsumerConfig,
        group: GroupConfig,
        topics: Vec<TopicName>,
    ) -> Consumer {
        let membership = Membership::join(client, &group, topics);
        let coordinator = Coordinator::new(client, &group.group);
        let fetcher = Fetcher::new(client, config);
        let grouped = Grouped {
            config: group,
            coordinator,
            membership,
            given: BTreeSet::new(),
            assigned: None,
            revocation: None,
            commit_at: None,
        };
        Consumer { client: client.clone(), fetcher, group: Some(grouped) }
    }

    /// Waits for something to happen, for `timeout` at the most. Calling it says that what it returned before is done.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// What trying again does not mend. The consumer may be polled again after an error about one partition.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Event, Error> {
        let rt = self.client.rt().clone();
        let deadline = rt.now() + timeout;
        self.finish_revocation().await?;
        self.auto_commit().await?;
        loop {
            // The group waits for us, so what it wants comes before the next records.
            if let Some(change) = self.group.as_mut().and_then(|group| group.membership.try_change())
                && let Some(event) = self.on_change(change?)
            {
                return Ok(event);
            }
            if let Some(event) = self.begin().await? {
                return Ok(event);
            }
            if let Some(records) = self.fetcher.take()? {
                self.fetcher.fetch_ahead();
                return Ok(Event::Records(records));
            }
            self.fetcher.fetch();
            let wake_at = self.fetcher.retry_at().map_or(deadline, |at| at.min(deadline));
            let changed = async {
                match &mut self.group {
                    Some(group) => group.membership.change().await,
                    None => std::future::pending().await,
                }
            };
            rt::select! {
                change = changed => {
                    if let Some(event) = self.on_change(change?) {
                        return Ok(event);
                    }
                }
                fetched = self.fetcher.fetched() => self.fetcher.on_fetched(fetched).await?,
                () = rt.sleep_until(wake_at) => {
                    if deadline <= rt.now() {
                        return Ok(Event::Idle);
                    }
                }
            }
        }
    }

    /// The partitions read now and the offset that comes next in each.
    pub fn positions(&self) -> BTreeMap<TopicPartition, Offset> {
        self.fetcher.positions()
    }

    /// The offset after the last readable record, as of the last answer that told.
    pub fn high_watermark(&self, place: &TopicPartition) -> Option<Offset> {
        self.fetcher.high_watermark(place)
    }

    /// What keeps it from reading, tried again all the time, and since when; `None` while all is well.
    pub fn trouble(&self) -> Option<(Instant, Error)> {
        let of_group = self.group.as_ref().and_then(|group| group.membership.trouble());
        of_group.or_else(|| self.fetcher.trouble().cloned())
    }

    /// The most records of one [`Event::Records`] from now on.
    pub fn set_poll_records(&mut self, records: usize) {
        self.fetcher.set_poll_records(records);
    }

    /// Reads no more of a partition; its position stays.
    pub fn pause(&mut self, place: &TopicPartition) {
        self.fetcher.pause(place);
    }

    /// Goes on at another place, also in a partition that was paused. Does nothing in one that is not ours.
    ///
    /// # Errors
    /// The place cannot be turned into an offset.
    pub async fn seek(&mut self, place: &TopicPartition, start: Start) -> Result<(), Error> {
        let starts = BTreeMap::from([(place.clone(), start)]);
        let resolved = self.client.resolve_as(self.fetcher.isolation(), &starts).await?;
        for (place, offset) in resolved {
            if self.group.as_ref().is_some_and(|group| group.given.contains(&place)) {
                self.fetcher.begin(place, offset);
            } else {
                self.fetcher.seek(&place, offset);
            }
        }
        Ok(())
    }

    /// Writes the positions to the group. Does nothing without one, or with nothing new to write.
    ///
    /// # Errors
    /// [`Error::Refused`] with `REBALANCE_IN_PROGRESS`, `ILLEGAL_GENERATION` or `UNKNOWN_MEMBER_ID` when the group went on
    /// without us, or may have; what was read since the last commit will come again, to whoever has the partition then.
    pub async fn commit(&mut self) -> Result<(), Error> {
        let Some(group) = &mut self.group else { return Ok(()) };
        group.commit_at = group.config.auto_commit.map(|interval| self.client.rt().now() + interval);
        let uncommitted = self.fetcher.uncommitted();
        self.commit_offsets(&uncommitted).await?;
        self.fetcher.committed();
        Ok(())
    }

    /// Writes these offsets to the group, for a caller that decides itself what is done. Does nothing without a group.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub async fn commit_offsets(&mut self, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), Error> {
        let Some(group) = &mut self.group else { return Ok(()) };
        if offsets.is_empty() {
            return Ok(());
        }
        let Some(standing) = group.membership.standing() else {
            return Err(Error::Refused {
                api: wire::ApiKey::OffsetCommit,
                subject: format!("group '{}'", group.config.group),
                code: model::ErrorCode::RebalanceInProgress,
                message: Some("this consumer is in no generation of the group now".to_owned()),
            });
        };
        group.coordinator.commit(offsets, Some(&standing)).await
    }

    /// What [`Consumer::commit`] would commit now: positions that moved, past markers and aborted records too.
    pub fn uncommitted(&self) -> BTreeMap<TopicPartition, Offset> {
        self.fetcher.uncommitted()
    }

    /// Commits if it commits by itself, and leaves the group.
    ///
    /// # Errors
    /// The commit failed; the group was left all the same.
    pub async fn close(mut self) -> Result<(), Error> {
        let commits = self.group.as_ref().is_some_and(|group| group.config.auto_commit.is_some());
        let committed = if commits { self.commit().await } else { Ok(()) };
        if let Some(group) = self.group {
            group.membership.leave(&group.coordinator).await;
        }
        committed
    }

    async fn auto_commit(&mut self) -> Result<(), Error> {
        let now = self.client.rt().now();
        let due = self.group.as_ref().and_then(|group| group.commit_at).is_some_and(|at| at <= now);
        if !due {
            return Ok(());
        }
        forgive_rebalance(self.commit().await)
    }

    /// The caller came back after [`Event::Revoked`]: the group may go on.
    async fn finish_revocation(&mut self) -> Result<(), Error> {
        let Some(group) = &mut self.group else { return Ok(()) };
        let Some(revocation) = &group.revocation else { return Ok(()) };
        let commits = !revocation.lost && group.config.auto_commit.is_some();
        let committed = if commits { forgive_rebalance(self.commit().await) } else { Ok(()) };
        self.fetcher.assign(BTreeMap::new());
        // Whatever became of the commit: the group waits.
        if let Some(revocation) = self.group.as_mut().and_then(|group| group.revocation.take()) {
            revocation.done();
        }
        committed
    }

    /// Takes note of a change; what an assignment means is looked up afterwards.
    fn on_change(&mut self, change: Change) -> Option<Event> {
        let group = self.group.as_mut()?;
        match change {
            Change::Assigned(places) => {
                group.given = places.iter().cloned().collect();
                group.assigned = Some(places);
                None
            }
            Change::Revoked(revocation) => {
                let places = std::mem::take(&mut group.given).into_iter().collect();
                self.fetcher.stop();
                let lost = revocation.lost;
                group.assigned = None;
                group.revocation = Some(revocation);
                Some(if lost { Event::Lost(places) } else { Event::Revoked(places) })
            }
        }
    }

    /// Finds out where to begin in what the group gave us. What fails is tried again by the next `poll`.
    async fn begin(&mut self) -> Result<Option<Event>, Error> {
        let Some(group) = &mut self.group else { return Ok(None) };
        let Some(places) = &group.assigned else { return Ok(None) };
        if group.config.positions == Positions::Caller {
            self.fetcher.assign(BTreeMap::new());
            return Ok(group.assigned.take().map(Event::Assigned));
        }
        let committed = group.coordinator.committed(places).await?;
        let mut starts = BTreeMap::new();
        for place in places {
            let start = match (committed.get(place), self.fetcher.reset()) {
                (Some(offset), _) => Start::At(*offset),
                (None, Reset::Earliest) => Start::Earliest,
                (None, Reset::Latest) => Start::Latest,
                (None, Reset::Fail) => return Err(no_position(place, Offset(-1))),
            };
            starts.insert(place.clone(), start);
        }
        self.fetcher.assign(self.client.resolve_as(self.fetcher.isolation(), &starts).await?);
        group.commit_at = group.config.auto_commit.map(|interval| self.client.rt().now() + interval);
        Ok(group.assigned.take().map(Event::Assigned))
    }
}

/// A commit that came too late for its generation costs a repetition, not the consumer.
fn forgive_rebalance(result: Result<(), Error>) -> Result<(), Error> {
    use model::ErrorCode;
    match result {
        Err(error)
            if matches!(
                error.code(),
                Some(
                    ErrorCode::RebalanceInProgress
                        | ErrorCode::IllegalGeneration
                        | ErrorCode::UnknownMemberId
                )
            ) =>
        {
            tracing::warn!(%error, "the group went on before the commit: records since the last one come again");
            Ok(())
        }
        other => other,
    }
}

/// That a position is not there, and that there is no rule where to go instead.
fn no_position(place: &TopicPartition, position: Offset) -> Error {
    Error::OffsetOutOfRange { topic: place.topic.clone(), partition: place.partition, offset: position.0 }
}
