//! Where a partition's records lie: its ends, and offsets found by time.

use std::collections::BTreeMap;

use model::{BrokerId, Offset, TimestampMs};
use wire::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use wire::{ApiKey, ListOffsetsRequest, ListOffsetsResponse};

use crate::client::{ANY, Client};
use crate::consumer::Isolation;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::pool::Lane;

/// A place in a partition, as one may name it before knowing offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record there is.
    Earliest,
    /// After the newest record there is.
    Latest,
    /// This very offset.
    At(Offset),
    /// So many records after the oldest, at most after the newest.
    AfterEarliest(u64),
    /// So many records before the end, at most at the oldest.
    BeforeLatest(u64),
    /// The first record with this timestamp or a later one; the end, where there is none.
    Timestamp(TimestampMs),
}

/// What to ask of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetQuery {
    /// Its log start.
    Earliest,
    /// Its high watermark; of committed records, the last stable offset.
    Latest,
    /// The first record with this timestamp or a later one.
    Timestamp(TimestampMs),
}

impl OffsetQuery {
    /// The number in a ListOffsets request.
    fn code(self) -> i64 {
        match self {
            OffsetQuery::Earliest => -2,
            OffsetQuery::Latest => -1,
            OffsetQuery::Timestamp(TimestampMs(timestamp)) => timestamp,
        }
    }
}

/// Answers by partition; `None` where no record is that new.
pub type Offsets = BTreeMap<TopicPartition, Option<Offset>>;

impl Client {
    /// Asks the leaders of partitions for offsets, until all have answered or time is up.
    ///
    /// # Errors
    /// The first partition that cannot be answered for; of the others nothing is said then.
    pub async fn list_offsets(
        &self,
        queries: &BTreeMap<TopicPartition, OffsetQuery>,
    ) -> Result<Offsets, Error> {
        self.list_offsets_as(Isolation::ReadUncommitted, queries).await
    }

    /// As [`Client::list_offsets`], among those records that a consumer of this isolation gets to see.
    ///
    /// # Errors
    /// As there.
    pub async fn list_offsets_as(
        &self,
        isolation: Isolation,
        queries: &BTreeMap<TopicPartition, OffsetQuery>,
    ) -> Result<Offsets, Error> {
        let mut found = Offsets::new();
        let mut backoff = self.backoff();
        loop {
            let mut left = queries.clone();
            left.retain(|place, _| !found.contains_key(place));
            if left.is_empty() {
                return Ok(found);
            }
            if let Err(error) = self.list_offsets_once(isolation, &left, &mut found).await {
                if !error.is_retriable() {
                    return Err(error);
                }
                backoff.wait(self.rt(), error).await?;
                let mut topics: Vec<_> = left.into_keys().map(|place| place.topic).collect();
                topics.dedup();
                // Should it fail, so will the next attempt, which counts.
                let _ = self.refresh(Some(&topics)).await;
            }
        }
    }

    async fn list_offsets_once(
        &self,
        isolation: Isolation,
        queries: &BTreeMap<TopicPartition, OffsetQuery>,
        found: &mut Offsets,
    ) -> Result<(), Error> {
        let mut by_leader: BTreeMap<BrokerId, Vec<ListOffsetsTopic<'static>>> = BTreeMap::new();
        for (place, query) in queries {
            let leader = self.partition(place).await?.leader.ok_or_else(|| no_leader(place))?;
            let topics = by_leader.entry(leader).or_default();
            let partition = ListOffsetsPartition {
                partition_index: place.partition.0,
                timestamp: query.code(),
                ..ListOffsetsPartition::default()
            };
            match topics.last_mut() {
                Some(topic) if topic.name == place.topic.as_str() => topic.partitions.push(partition),
                Some(_) | None => topics.push(ListOffsetsTopic {
                    name: place.topic.to_string().into(),
                    partitions: vec![partition],
                }),
            }
        }
        for (leader, topics) in by_leader {
            let connection = self.node(leader, Lane::SHARED).await?;
            let isolation_level = isolation.code();
            let request =
                ListOffsetsRequest { replica_id: -1, isolation_level, topics, ..Default::default() };
            let answer = self.ask_on(&connection, &request, ANY).await?;
            take_answers(queries, &answer, found)?;
        }
        Ok(())
    }

    /// Turns places into offsets.
    ///
    /// # Errors
    /// As [`Client::list_offsets`].
    pub async fn resolve(
        &self,
        starts: &BTreeMap<TopicPartition, Start>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        self.resolve_as(Isolation::ReadUncommitted, starts).await
    }

    /// As [`Client::resolve`], among those records that a consumer of this isolation gets to see.
    ///
    /// # Errors
    /// As [`Client::list_offsets`].
    pub async fn resolve_as(
        &self,
        isolation: Isolation,
        starts: &BTreeMap<TopicPartition, Start>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let asking = |wanted: fn(Start) -> Option<OffsetQuery>| {
            let queries =
                starts.iter().filter_map(move |(place, start)| Some((place.clone(), wanted(*start)?)));
            queries.collect::<BTreeMap<_, _>>()
        };
        let earliest = self.list_offsets_as(isolation, &asking(needs_earliest)).await?;
        let latest = self.list_offsets_as(isolation, &asking(needs_latest)).await?;
        let timed = self.list_offsets_as(isolation, &asking(needs_timestamp)).await?;
        let of = |offsets: &Offsets, place| offsets.get(place).copied().flatten().unwrap_or(Offset::ZERO);
        let resolved = starts.iter().map(|(place, start)| {
            let (first, end) = (of(&earliest, place), of(&latest, place));
            let offset = match *start {
                Start::Earliest => first,
                Start::Latest => end,
                Start::At(offset) => offset,
                Start::AfterEarliest(records) => {
                    first.plus(i64::try_from(records).unwrap_or(i64::MAX)).min(end)
                }
                Start::BeforeLatest(records) => Offset(end.0.saturating_sub_unsigned(records)).max(first),
                Start::Timestamp(_) => timed.get(place).copied().flatten().unwrap_or(end),
            };
            (place.clone(), offset)
        });
        Ok(resolved.collect())
    }
}

fn needs_earliest(start: Start) -> Option<OffsetQuery> {
    match start {
        Start::Earliest | Start::AfterEarliest(_) | Start::BeforeLatest(_) => Some(OffsetQuery::Earliest),
        Start::Latest | Start::At(_) | Start::Timestamp(_) => None,
    }
}

fn needs_latest(start: Start) -> Option<OffsetQuery> {
    match start {
        Start::Latest | Start::AfterEarliest(_) | Start::BeforeLatest(_) | Start::Timestamp(_) => {
            Some(OffsetQuery::Latest)
        }
        Start::Earliest | Start::At(_) => None,
    }
}

fn needs_timestamp(start: Start) -> Option<OffsetQuery> {
    match start {
        Start::Timestamp(timestamp) => Some(OffsetQuery::Timestamp(timestamp)),
        Start::Earliest | Start::Latest | Start::At(_) | Start::AfterEarliest(_) | Start::BeforeLatest(_) => {
            None
        }
    }
}

/// Keeps what was answered well, also when something else was not.
fn take_answers(
    queries: &BTreeMap<TopicPartition, OffsetQuery>,
    answer: &ListOffsetsResponse<'_>,
    found: &mut Offsets,
) -> Result<(), Error> {
    let mut failure = Ok(());
    let partitions = answer
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    for (topic, partition) in partitions {
        let asked = |place: &&TopicPartition| {
            place.topic.as_str() == topic.name && place.partition.0 == partition.partition_index
        };
        let Some(place) = queries.keys().find(asked) else { continue };
        match Error::check(ApiKey::ListOffsets, partition.error_code, None, place) {
            Ok(()) => {
                let offset = Some(Offset(partition.offset)).filter(|offset| Offset::ZERO <= *offset);
                found.insert(place.clone(), offset);
            }
            Err(error) => failure = Err(error),
        }
    }
    failure
}

/// That a partition has no leader.
pub(crate) fn no_leader(place: &TopicPartition) -> Error {
    Error::NoLeader { topic: place.topic.clone(), partition: place.partition }
}
