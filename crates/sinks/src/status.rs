//! How sinks do: what their workers report beside what the cluster knows of their topics and groups.
//!
//! - V1 The database is not asked, so that this is known while it is away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{
    Admin, Client, Consumer, ConsumerConfig, Error, Event, Isolation, OffsetQuery, Offsets, Reset, Start,
    TopicPartition,
};
use model::{ErrorCode, Offset};

use crate::board::{Board, Entry, Key, Report, Stage, Standing, control};
use crate::topic::{Reader, Writer};

/// What one look at a partition's next record may bring, and how long all of them may take.
const PEEK_BYTES: usize = 64 * 1024;
const PEEK_TIMEOUT: Duration = Duration::from_secs(3);

/// How a sink is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its workers are at work.
    Running,
    /// Its workers look for their table, or wait for the first record.
    Starting,
    /// It was told to pause.
    Paused,
    /// A worker is in trouble, and tries again.
    Failing,
    /// A partition is not read on.
    Waiting,
    /// Its workers ended with errors.
    Failed,
    /// Its workers have not been heard of lately.
    Silent,
    /// It has no workers.
    Stopped,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Starting => "starting",
            State::Paused => "paused",
            State::Failing => "failing",
            State::Waiting => "waiting",
            State::Failed => "failed",
            State::Silent => "silent",
            State::Stopped => "stopped",
        }
    }
}

/// How far a partition came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which.
    pub place: TopicPartition,
    /// The worker that has it.
    pub owner: Option<String>,
    /// The first offset that is not in the table.
    pub next: Option<Offset>,
    /// Where the partition ends now, for who reads committed records.
    pub end: Option<Offset>,
    /// How old the first record is that is not in the table; zero where all are.
    pub age_ms: Option<i64>,
    /// When the owner last moved it.
    pub committed_at_ms: Option<i64>,
    /// Why it is not read on, where it is not.
    pub stopped: Option<String>,
}

impl PartitionStatus {
    /// How many offsets are not in the table.
    pub fn lag(&self) -> Option<i64> {
        Some((self.end?.0 - self.next?.0).max(0))
    }
}

impl Entry {
    /// The workers that are heard of.
    pub fn live(&self, now_ms: i64) -> impl Iterator<Item = (&String, &Report)> {
        let is_live = move |report: &Report| report.stage != Stage::Failed && !report.is_silent(now_ms);
        self.workers.iter().filter(move |(_, report)| is_live(report))
    }

    /// How the sink is, in a word: what a user has to know most.
    pub fn state(&self, now_ms: i64) -> State {
        let live: Vec<&Report> = self.live(now_ms).map(|(_, report)| report).collect();
        let is_in_trouble =
            |report: &&Report| report.trouble.as_ref().is_some_and(|trouble| !trouble.is_over);
        let has_stopped =
            |report: &&Report| report.partitions.values().any(|standing| standing.stopped.is_some());
        if self.is_paused {
            State::Paused
        } else if live.is_empty() {
            match (self.workers.is_empty(), self.workers.values().any(|report| report.is_silent(now_ms))) {
                (true, _) => State::Stopped,
                (false, true) => State::Silent,
                (false, false) => State::Failed,
            }
        } else if live.iter().any(is_in_trouble) {
            State::Failing
        } else if live.iter().any(has_stopped) {
            State::Waiting
        } else if live.iter().all(|report| report.stage == Stage::Starting) {
            State::Starting
        } else {
            State::Running
        }
    }

    /// Rows a second, of all its workers.
    pub fn rows_per_s(&self, now_ms: i64) -> f64 {
        self.live(now_ms).map(|(_, report)| report.rows_per_s).sum()
    }
}

/// Every sink that the cluster knows of.
///
/// # Errors
/// The cluster does not say.
pub async fn board(client: &Client) -> Result<Board, Error> {
    let mut board = Reader::open(client).await?.map(Reader::into_board).unwrap_or_default();
    board.forget(None, client.rt().wall_clock_ms());
    Ok(board)
}

/// How far the partitions of a sink came; without their ages.
///
/// # Errors
/// The cluster does not say.
pub async fn partitions(client: &Client, entry: &Entry) -> Result<Vec<PartitionStatus>, Error> {
    let Some(identity) = &entry.identity else { return Ok(Vec::new()) };
    let snapshot = client.refresh(Some(&identity.topics)).await?;
    let committed = match Admin::new(client).committed(&identity.group).await {
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => BTreeMap::new(),
        committed => committed?,
    };
    let owned = owned(entry, client.rt().wall_clock_ms());
    let led = |place: &TopicPartition| snapshot.leader(place).is_some();
    let of_topics = snapshot.topics.iter().filter(|(name, _)| identity.topics.contains(name));
    let places: BTreeSet<TopicPartition> = of_topics
        .flat_map(|(name, topic)| {
            topic.partitions.keys().map(|index| TopicPartition::new(name.clone(), index.0))
        })
        .collect();
    // Whichever is further is the younger news.
    let next_of = |place: &TopicPartition| {
        owned.get(place).and_then(|(_, standing)| standing.next).max(committed.get(place).copied())
    };
    let ask = async |query: OffsetQuery, wanted: &dyn Fn(&TopicPartition) -> bool| {
        let wanted = places.iter().filter(|place| led(place) && wanted(place));
        let queries = wanted.map(|place| (place.clone(), query)).collect();
        client.list_offsets_as(Isolation::ReadCommitted, &queries).await
    };
    let ends = ask(OffsetQuery::Latest, &|_| true).await?;
    let is_to_begin = |place: &TopicPartition| identity.begins_at_start && next_of(place).is_none();
    let begins = ask(OffsetQuery::Earliest, &is_to_begin).await?;
    let of = |offsets: &Offsets, place: &TopicPartition| offsets.get(place).copied().flatten();
    let status = |place: &TopicPartition| {
        let owner = owned.get(place);
        PartitionStatus {
            place: place.clone(),
            owner: owner.map(|(id, _)| (*id).clone()),
            next: next_of(place).or_else(|| of(&begins, place)),
            end: of(&ends, place),
            age_ms: None,
            committed_at_ms: owner.and_then(|(_, standing)| standing.committed_at_ms),
            stopped: owner.and_then(|(_, standing)| standing.stopped.clone()),
        }
    };
    Ok(places.iter().map(status).collect())
}

/// Who has which partition. Of two that say so the one that has moved it further, as the other has not heard yet.
fn owned(entry: &Entry, now_ms: i64) -> BTreeMap<&TopicPartition, (&String, &Standing)> {
    let mut owned: BTreeMap<_, (&String, &Standing)> = BTreeMap::new();
    for (id, report) in entry.live(now_ms) {
        for (place, standing) in &report.partitions {
            let is_further = owned.get(place).is_none_or(|(_, known)| known.next < standing.next);
            if is_further {
                owned.insert(place, (id, standing));
            }
        }
    }
    owned
}

/// Looks at the first record of each partition that is not in the table, and tells how old it is. Where that does not come in
/// time, or the offsets do not say enough, the age stays unknown.
///
/// # Errors
/// The cluster does not say.
pub async fn tell_ages(client: &Client, partitions: &mut [PartitionStatus]) -> Result<(), Error> {
    let mut starts = BTreeMap::new();
    for partition in &mut *partitions {
        match (partition.lag(), partition.next) {
            (Some(0), _) => partition.age_ms = Some(0),
            (Some(_), Some(next)) => drop(starts.insert(partition.place.clone(), Start::At(next))),
            _ => {}
        }
    }
    let config = ConsumerConfig {
        partition_bytes: PEEK_BYTES,
        poll_records: 1,
        isolation: Isolation::ReadCommitted,
        // Where what was next is gone, the oldest there is tells.
        reset: Reset::Earliest,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::assigned(client, config, &starts).await?;
    let mut timestamps = BTreeMap::new();
    let rt = client.rt();
    let deadline = rt.now() + PEEK_TIMEOUT;
    while timestamps.len() < starts.len() && rt.now() < deadline {
        let Event::Records(records) = consumer.poll(deadline.saturating_since(rt.now())).await? else {
            continue;
        };
        for record in records {
            let place = TopicPartition { topic: record.topic, partition: record.partition };
            consumer.pause(&place);
            timestamps.entry(place).or_insert(record.timestamp.0);
        }
    }
    let now_ms = rt.wall_clock_ms();
    for partition in partitions {
        if let Some(timestamp_ms) = timestamps.get(&partition.place) {
            partition.age_ms = Some(now_ms.saturating_sub(*timestamp_ms).max(0));
        }
    }
    Ok(())
}

/// Tells a sink to pause or to go on, and waits a while for its workers to say that they do. Returns the ids of those that
/// have not.
///
/// # Errors
/// The cluster does not take it.
pub async fn set_paused(
    client: &Client,
    sink: &str,
    is_paused: bool,
    patience: Duration,
) -> Result<Vec<String>, Error> {
    let rt = client.rt();
    let record = (Key::Control(sink.to_owned()), Some(control(is_paused, rt.wall_clock_ms())));
    Writer::new(client).write(&[record]).await?;
    let Some(mut reader) = Reader::open(client).await? else { return Ok(Vec::new()) };
    let deadline = rt.now() + patience;
    loop {
        let entry = reader.board().sinks().get(sink).cloned().unwrap_or_default();
        let now_ms = rt.wall_clock_ms();
        let lingering = entry.live(now_ms).filter(|(_, report)| (report.stage == Stage::Paused) != is_paused);
        let lingering: Vec<String> = lingering.map(|(id, _)| id.clone()).collect();
        if lingering.is_empty() || deadline <= rt.now() {
            return Ok(lingering);
        }
        reader.read_on().await?;
    }
}
