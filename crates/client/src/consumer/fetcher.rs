//! Fetches ahead: one request under way to each leader, its answers kept raw until somebody takes them.
//!
//! - T1 `position` is what comes next for the caller, `fetch_from` what comes next from the leader; between them lies
//!   what is ready.
//! - T2 An answer counts only while its partition's `lease` is the one it was asked under: seeking and assigning begin
//!   a new one.
//! - T3 A request waits for data only when nothing is ready: partitions with enough of it are not in the request, and must
//!   not wait for those that have nothing to give.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use model::{BrokerId, ErrorCode, Offset, ProducerId, Uuid};
use record::{BatchHeader, RecordView};
use rt::Instant;
use rt::channel::mpsc;
use wire::fetch::PartitionData;
use wire::{ApiKey, FetchRequest, FetchResponse, VersionRange};

use super::isolation::{AbortedTransactions, Isolation};
use super::session::{Session, Wanted};
use super::{ConsumerConfig, Record, Reset, no_position};
use crate::backoff;
use crate::client::Client;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::offsets::Start;
use crate::pool::Lane;
use crate::producer::is_stale_metadata;
use crate::topic_names::{is_topic, versions_naming};

/// Versions we speak that know sessions.
pub(crate) const FETCH_VERSIONS: VersionRange = VersionRange { first: 7, last: 18 };

/// Answers that may wait to be looked at; a fetching task waits with the next.
const ANSWERS_MAX: usize = 16;

pub(super) struct Fetcher {
    client: Client,
    config: ConsumerConfig,
    lane: Lane,
    sessions: BTreeMap<BrokerId, Session>,
    partitions: BTreeMap<TopicPartition, Reading>,
    ready: VecDeque<Ready>,
    answers: (mpsc::Sender<Fetched>, mpsc::Receiver<Fetched>),
    next_lease: u64,
    attempts: u32,
    trouble: Option<(Instant, Error)>,
}

struct Reading {
    lease: u64,
    position: Offset,
    committed: Option<Offset>,
    fetch_from: Offset,
    ready_bytes: usize,
    high_watermark: Option<Offset>,
    paused: bool,
    retry_at: Option<Instant>,
}

struct Ready {
    place: TopicPartition,
    lease: u64,
    bytes: Bytes,
    aborted: AbortedTransactions,
}

/// An answer, or why there is none.
pub(super) struct Fetched {
    node: BrokerId,
    asked: BTreeMap<TopicPartition, Asked>,
    result: Result<(i32, Vec<FetchedPartition>), Error>,
}

/// Under which lease a partition was asked for, and as one of which topic.
struct Asked {
    lease: u64,
    topic_id: Uuid,
}

struct FetchedPartition {
    topic: String,
    topic_id: Uuid,
    partition: i32,
    error_code: i16,
    high_watermark: Offset,
    aborted: Vec<(Offset, ProducerId)>,
    records: Bytes,
}

impl Fetcher {
    pub(super) fn new(client: &Client, config: ConsumerConfig) -> Fetcher {
        Fetcher {
            client: client.clone(),
            config,
            lane: client.new_lane(),
            sessions: BTreeMap::new(),
            partitions: BTreeMap::new(),
            ready: VecDeque::new(),
            answers: mpsc::channel(ANSWERS_MAX),
            next_lease: 0,
            attempts: 0,
            trouble: None,
        }
    }

    /// What keeps going wrong, and since when.
    pub(super) fn trouble(&self) -> Option<&(Instant, Error)> {
        self.trouble.as_ref()
    }

    pub(super) fn reset(&self) -> Reset {
        self.config.reset
    }

    pub(super) fn set_poll_records(&mut self, records: usize) {
        self.config.poll_records = records;
    }

    pub(super) fn isolation(&self) -> Isolation {
        self.config.isolation
    }

    /// Reads these partitions from now on, and no others.
    pub(super) fn assign(&mut self, positions: BTreeMap<TopicPartition, Offset>) {
        self.partitions.clear();
        self.ready.clear();
        for (place, position) in positions {
            let reading = self.reading(position);
            self.partitions.insert(place, reading);
        }
    }

    /// Reads nothing more; positions stay, to be committed.
    pub(super) fn stop(&mut self) {
        self.ready.clear();
        self.partitions.values_mut().for_each(|reading| reading.paused = true);
    }

    pub(super) fn pause(&mut self, place: &TopicPartition) {
        self.ready.retain(|ready| ready.place != *place);
        if let Some(reading) = self.partitions.get_mut(place) {
            reading.paused = true;
        }
    }

    pub(super) fn seek(&mut self, place: &TopicPartition, position: Offset) {
        let reading = self.reading(position);
        if let Some(known) = self.partitions.get_mut(place) {
            *known = reading;
            self.ready.retain(|ready| ready.place != *place);
        }
    }

    /// Reads a partition from `position` on, whether or not it was read before.
    pub(super) fn begin(&mut self, place: TopicPartition, position: Offset) {
        let reading = self.reading(position);
        self.ready.retain(|ready| ready.place != place);
        self.partitions.insert(place, reading);
    }

    fn reading(&mut self, position: Offset) -> Reading {
        self.next_lease += 1;
        Reading {
            lease: self.next_lease,
            position,
            committed: None,
            fetch_from: position,
            ready_bytes: 0,
            high_watermark: None,
            paused: false,
            retry_at: None,
        }
    }

    pub(super) fn positions(&self) -> BTreeMap<TopicPartition, Offset> {
        self.partitions.iter().map(|(place, reading)| (place.clone(), reading.position)).collect()
    }

    /// Positions that moved since they were committed.
    pub(super) fn uncommitted(&self) -> BTreeMap<TopicPartition, Offset> {
        let moved = self.partitions.iter().filter(|(_, reading)| reading.committed != Some(reading.position));
        moved.map(|(place, reading)| (place.clone(), reading.position)).collect()
    }

    pub(super) fn committed(&mut self) {
        self.partitions.values_mut().for_each(|reading| reading.committed = Some(reading.position));
    }

    pub(super) fn high_watermark(&self, place: &TopicPartition) -> Option<Offset> {
        self.partitions.get(place)?.high_watermark
    }

    /// When a partition that waits may be asked for again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.partitions.values().filter_map(|reading| reading.retry_at).min()
    }

    /// Asks for what comes after what is ready, so that it is there when that is taken.
    pub(super) fn fetch_ahead(&mut self) {
        if self.has_ready() {
            self.fetch();
        }
    }

    fn has_ready(&self) -> bool {
        self.ready.iter().any(|ready| !ready.bytes.is_empty())
    }

    /// Asks every leader that is not being asked for what it leads.
    pub(super) fn fetch(&mut self) {
        let now = self.client.rt().now();
        let snapshot = self.client.snapshot();
        let mut by_leader: BTreeMap<BrokerId, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        let mut leaderless = Vec::new();
        for (place, reading) in &mut self.partitions {
            reading.retry_at = reading.retry_at.filter(|at| now < *at);
            if reading.paused
                || reading.retry_at.is_some()
                || self.config.partition_bytes <= reading.ready_bytes
            {
                continue;
            }
            match snapshot
                .partition(place)
                .and_then(|partition| Some((partition.leader?, partition.leader_epoch)))
            {
                Some((leader, _)) if self.sessions.get(&leader).is_some_and(|session| session.in_flight) => {}
                Some((leader, leader_epoch)) => {
                    let topic_id = snapshot.topic_id(&place.topic);
                    let wanted = Wanted { topic_id, from: reading.fetch_from, leader_epoch };
                    by_leader.entry(leader).or_default().insert(place.clone(), wanted);
                }
                None => leaderless.push(place.clone()),
            }
        }
        for (node, wanted) in by_leader {
            self.ask(node, wanted);
        }
        if !leaderless.is_empty() {
            self.hold_back(&leaderless);
        }
    }

    fn ask(&mut self, node: BrokerId, wanted: BTreeMap<TopicPartition, Wanted>) {
        let wait = if self.has_ready() { Duration::ZERO } else { self.config.fetch_wait };
        let session = self.sessions.entry(node).or_default();
        let lease_of = |place: &TopicPartition| self.partitions.get(place).map_or(0, |reading| reading.lease);
        let as_asked = |(place, wanted): (&TopicPartition, &Wanted)| {
            (place.clone(), Asked { lease: lease_of(place), topic_id: wanted.topic_id })
        };
        let asked: BTreeMap<_, _> = wanted.iter().map(as_asked).collect();
        let versions = versions_naming(FETCH_VERSIONS, asked.values().map(|asked| asked.topic_id));
        let limit = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
        let mut request = FetchRequest {
            replica_id: -1,
            max_wait_ms: limit(usize::try_from(wait.as_millis()).unwrap_or(usize::MAX)),
            min_bytes: 1,
            max_bytes: limit(self.config.fetch_bytes),
            isolation_level: self.config.isolation.code(),
            ..FetchRequest::default()
        };
        session.fill(wanted, limit(self.config.partition_bytes), &mut request);
        let (client, lane, answers) = (self.client.clone(), self.lane, self.answers.0.clone());
        self.client.rt().spawn("fetch", async move {
            let result = fetch(&client, node, lane, versions, request, wait).await;
            // A consumer that is gone does not want to know.
            let _ = answers.send(Fetched { node, asked, result }).await;
        });
    }

    /// The next answer.
    pub(super) async fn fetched(&mut self) -> Fetched {
        match self.answers.1.recv().await {
            Some(fetched) => fetched,
            // We hold a sender ourselves, so the channel never ends.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer in.
    pub(super) async fn on_fetched(&mut self, fetched: Fetched) -> Result<(), Error> {
        let Fetched { node, asked, result } = fetched;
        let session = self.sessions.entry(node).or_default();
        let (session_id, partitions) = match result {
            Ok(answer) => answer,
            Err(error) => {
                session.on_failure();
                let places: Vec<_> = asked.into_keys().collect();
                if !error.is_retriable() {
                    return Err(error);
                }
                tracing::debug!(%node, %error, "a fetch failed");
                let is_session = matches!(
                    error.code(),
                    Some(
                        ErrorCode::FetchSessionIdNotFound
                            | ErrorCode::InvalidFetchSessionEpoch
                            | ErrorCode::FetchSessionTopicIdError
                    )
                );
                if !is_session {
                    self.hold_back(&places);
                    self.trouble.get_or_insert((self.client.rt().now(), error));
                }
                return Ok(());
            }
        };
        session.on_answer(session_id);
        self.attempts = 0;
        self.trouble = None;
        let mut failure = Ok(());
        let mut held_back = Vec::new();
        for partition in partitions {
            let is_it = |(place, asked): &(&TopicPartition, &Asked)| {
                place.partition.0 == partition.partition
                    && is_topic(&partition.topic, partition.topic_id, &place.topic, asked.topic_id)
            };
            let Some((place, asked)) = asked.iter().find(is_it) else { continue };
            if let Err(error) = self.on_partition(place, asked.lease, partition, &mut held_back).await {
                failure = Err(error);
            }
        }
        if !held_back.is_empty() {
            self.hold_back(&held_back);
        }
        failure
    }

    async fn on_partition(
        &mut self,
        place: &TopicPartition,
        lease: u64,
        answer: FetchedPartition,
        held_back: &mut Vec<TopicPartition>,
    ) -> Result<(), Error> {
        let Some(reading) = self.partitions.get_mut(place).filter(|reading| reading.lease == lease) else {
            return Ok(());
        };
        let code = ErrorCode::from_code(answer.error_code);
        if code == ErrorCode::None {
            reading.high_watermark = Some(answer.high_watermark);
            if let Some(end) = end_of(&answer.records)
                && !reading.paused
            {
                reading.fetch_from = end;
                reading.ready_bytes += answer.records.len();
                let aborted = AbortedTransactions::new(answer.aborted);
                self.ready.push_back(Ready { place: place.clone(), lease, bytes: answer.records, aborted });
            }
            return Ok(());
        }
        if code == ErrorCode::OffsetOutOfRange {
            return self.on_out_of_range(place).await;
        }
        let error = Error::check(ApiKey::Fetch, answer.error_code, None, place);
        if code.is_retriable() || is_stale_metadata(code) {
            held_back.push(place.clone());
            return Ok(());
        }
        // Asked again only after a while, should the caller go on polling.
        reading.retry_at = Some(self.client.rt().now() + backoff::delay(self.client.rt(), u32::MAX));
        error
    }

    async fn on_out_of_range(&mut self, place: &TopicPartition) -> Result<(), Error> {
        let Some(reading) = self.partitions.get_mut(place) else { return Ok(()) };
        if reading.position != reading.fetch_from {
            // The caller gets what is ready first, and may have moved by then.
            reading.fetch_from = reading.position.max(reading.fetch_from);
            reading.retry_at = Some(self.client.rt().now() + backoff::delay(self.client.rt(), 0));
            return Ok(());
        }
        let start = match self.config.reset {
            Reset::Earliest => Start::Earliest,
            Reset::Latest => Start::Latest,
            Reset::Fail => {
                reading.retry_at = Some(self.client.rt().now() + backoff::delay(self.client.rt(), u32::MAX));
                return Err(no_position(place, reading.position));
            }
        };
        tracing::info!(%place, position = reading.position.0, ?start, "the position is not there: going on elsewhere");
        let starts = BTreeMap::from([(place.clone(), start)]);
        let resolved = self.client.resolve_as(self.config.isolation, &starts).await?;
        for (place, position) in resolved {
            self.seek(&place, position);
        }
        Ok(())
    }

    /// Leaves partitions alone for a moment, and looks who leads them meanwhile.
    fn hold_back(&mut self, places: &[TopicPartition]) {
        let rt = self.client.rt();
        let retry_at = rt.now() + backoff::delay(rt, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        let mut topics = Vec::new();
        for place in places {
            if let Some(reading) = self.partitions.get_mut(place) {
                reading.retry_at = Some(retry_at);
                topics.push(place.topic.clone());
            }
        }
        topics.dedup();
        let client = self.client.clone();
        rt.spawn("fetch-refresh", async move {
            if let Err(error) = client.refresh(Some(&topics)).await {
                tracing::debug!(%error, "metadata could not be refreshed");
            }
        });
    }

    /// Records that are ready, about as many as a poll should return.
    pub(super) fn take(&mut self) -> Result<Option<Vec<Record>>, Error> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < self.config.poll_records && bytes < self.config.poll_bytes {
            let Some(ready) = self.ready.front_mut() else { break };
            let reading =
                self.partitions.get_mut(&ready.place).filter(|reading| reading.lease == ready.lease);
            let (Some(reading), true) = (reading, !ready.bytes.is_empty()) else {
                self.ready.pop_front();
                continue;
            };
            let Some(batch) = split_batch(&mut ready.bytes) else {
                reading.ready_bytes -= ready.bytes.len();
                self.ready.pop_front();
                continue;
            };
            reading.ready_bytes -= batch.len();
            match read_batch(&ready.place, reading.position, &batch, &mut ready.aborted, &mut records) {
                Ok((next, size)) => {
                    reading.position = reading.position.max(next);
                    bytes += size;
                }
                Err(error) => {
                    let (place, position) = (ready.place.clone(), reading.position);
                    // Nothing behind it may come before it (K1): it is fetched again, and the caller hears of it again,
                    // until it moves on by itself.
                    self.seek(&place, position);
                    if records.is_empty() {
                        return Err(error);
                    }
                    break;
                }
            }
        }
        Ok((!records.is_empty()).then_some(records))
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.client.close_lane(self.lane);
    }
}

async fn fetch(
    client: &Client,
    node: BrokerId,
    lane: Lane,
    versions: VersionRange,
    request: FetchRequest<'static>,
    wait: Duration,
) -> Result<(i32, Vec<FetchedPartition>), Error> {
    let connection = client.node(node, lane).await?;
    let version = connection.version(ApiKey::Fetch, versions)?;
    let question = connection.question(&request, version)?;
    let frame = connection.submit(question).await?.receive(client.config().request_timeout + wait).await?;
    let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&frame, version)
        .map_err(|error| crate::connection::malformed(ApiKey::Fetch, error))?;
    Error::check(ApiKey::Fetch, answer.error_code, None, format_args!("node {node}"))?;
    let mut partitions = Vec::new();
    for topic in &answer.responses {
        for partition in &topic.partitions {
            partitions.push(FetchedPartition {
                topic: topic.topic.clone().into_owned(),
                topic_id: topic.topic_id,
                partition: partition.partition_index,
                error_code: partition.error_code,
                high_watermark: Offset(partition.high_watermark),
                aborted: aborted_in(partition),
                records: partition.records.bytes().map_or_else(Bytes::new, |bytes| slice_of(&frame, bytes)),
            });
        }
    }
    Ok((answer.session_id, partitions))
}

fn aborted_in(partition: &PartitionData<'_>) -> Vec<(Offset, ProducerId)> {
    let listed = partition.aborted_transactions.iter().flatten();
    listed.map(|aborted| (Offset(aborted.first_offset), ProducerId(aborted.producer_id))).collect()
}

/// `part` of `whole` without a copy, where it is one.
pub(crate) fn slice_of(whole: &Bytes, part: &[u8]) -> Bytes {
    let within = whole.as_ptr_range().contains(&part.as_ptr());
    if within && !part.is_empty() { whole.slice_ref(part) } else { Bytes::copy_from_slice(part) }
}

/// The offset after the last whole batch; `None` when there is no whole batch. A broker may cut the last one off.
fn end_of(records: &[u8]) -> Option<Offset> {
    let mut rest = records;
    let mut end = None;
    while let Ok(header) = BatchHeader::parse(rest) {
        let Some(after) = rest.get(header.size_in_bytes()..) else { break };
        end = Some(header.next_offset());
        rest = after;
    }
    end
}

fn split_batch(bytes: &mut Bytes) -> Option<Bytes> {
    let size = BatchHeader::parse(bytes).ok()?.size_in_bytes();
    (size <= bytes.len()).then(|| bytes.split_to(size))
}

/// Appends the records of a batch from `position` on, unless it is left out; returns the offset after it, and how many bytes
/// its records are.
fn read_batch(
    place: &TopicPartition,
    position: Offset,
    batch: &Bytes,
    aborted: &mut AbortedTransactions,
    records: &mut Vec<Record>,
) -> Result<(Offset, usize), Error> {
    let bad = |error: record::BatchError| Error::BadBatch {
        topic: place.topic.clone(),
        partition: place.partition,
        problem: error.to_string(),
    };
    let header = record::check(batch).map_err(bad)?;
    if aborted.leave_out(&header) {
        return Ok((header.next_offset(), 0));
    }
    let decoded = record::decode(batch, model::limits::DECOMPRESSED_BATCH_BYTES_MAX).map_err(bad)?;
    for view in decoded.records() {
        let view = view.map_err(bad)?;
        if position <= view.offset {
            records.push(owned(place, &header, batch, &view));
        }
    }
    Ok((header.next_offset(), decoded.size_in_bytes()))
}

fn owned(place: &TopicPartition, header: &BatchHeader, batch: &Bytes, view: &RecordView<'_>) -> Record {
    let bytes = |part: &[u8]| slice_of(batch, part);
    Record {
        topic: place.topic.clone(),
        partition: place.partition,
        offset: view.offset,
        timestamp: view.timestamp,
        timestamp_type: header.timestamp_type(),
        leader_epoch: header.partition_leader_epoch,
        key: view.key.map(bytes),
        value: view.value.map(bytes),
        headers: view.headers().map(|header| (bytes(header.key), header.value.map(bytes))).collect(),
    }
}
