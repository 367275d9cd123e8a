//! Fetch (1), versions 4-18: records from files, by long poll, in sessions.
//!
//! - Answered at once when nothing is asked, enough bytes are there, reading any partition fails or the client
//!   will not wait; else after the next advances of a high watermark, at the latest after `max_wait_ms`.
//! - A partition that is not there ends no wait, as in Kafka: a client that still asks for a deleted one would ask in a
//!   busy loop. A partition whose records go on in the next segment does: no read would ever return more of it.
//! - The first partition with data may exceed both byte limits by its first batch, so that a client with small
//!   limits still gets on; all later ones are cut to what is left.
//! - Records leave as slices of segment files (D3): nothing is copied or looked at here. Kafka 4.3 sends zstd to
//!   versions before 10 as well, whose clients may not know it.
//! - Watermarks are set in every answer, also in empty ones; with an error they are −1.
//! - `read_committed` gets records below the last stable offset only, and the list of those transactions that were
//!   aborted and have records among them; clients leave these out.
//! - A follower's fetch (replica id 0 or more) is refused: there are no followers yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use log::{Cold, FirstBatch, ReadError, ReadLimits};
use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use rt::FileSlice;
use rt::channel::Notify;
use wire::fetch::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use wire::{FetchRequest, FetchResponse, Records};

use crate::call::Call;
use crate::endpoint;
use crate::error::PartitionError;
use crate::fetch_sessions::{Fetching, Found, SessionError, SessionRequest, TopicRef, Wanted};
use crate::partition::{FetchGuard, Partition};

/// First version that names topics by id (KIP-516).
const BY_TOPIC_ID: i16 = 13;
/// First version whose sessions exist (KIP-227).
const SESSIONS_SINCE: i16 = 7;
/// First version that tells who leads instead (KIP-595).
const CURRENT_LEADER_SINCE: i16 = 12;
/// First version that tells where whoever leads is (KIP-951).
const NODE_ENDPOINTS_SINCE: i16 = 16;
const READ_COMMITTED: i8 = 1;

/// An answer and the file slices its records are, in the order of their `External` index.
pub type Fetched = (FetchResponse<'static>, Vec<FileSlice>);

pub async fn handle(call: &Call<'_>, request: FetchRequest<'_>, version: i16) -> Fetched {
    if 0 <= request.replica_id || 0 <= request.replica_state.replica_id {
        return refused(ErrorCode::InvalidRequest);
    }
    let node = call.node;
    let limits = Limits {
        version,
        read_committed: request.isolation_level == READ_COMMITTED,
        min_bytes: u64::try_from(request.min_bytes).unwrap_or(0),
        max_bytes: u64::try_from(request.max_bytes)
            .unwrap_or(0)
            .min(u64::try_from(node.config().fetch_bytes_max).unwrap_or(u64::MAX)),
        max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
    };
    let fetching = match node.fetch_sessions().begin(session_request(&request, version), node.rt().now()) {
        Ok(fetching) => fetching,
        Err(error) => return refused(session_error(error)),
    };
    let reads = read_or_wait(call, &fetching.wanted, &limits).await;
    answer(call, fetching, reads, &limits)
}

struct Limits {
    version: i16,
    read_committed: bool,
    min_bytes: u64,
    max_bytes: u64,
    max_wait: Duration,
}

fn refused(error: ErrorCode) -> Fetched {
    (FetchResponse { error_code: error.code(), ..Default::default() }, Vec::new())
}

fn session_error(error: SessionError) -> ErrorCode {
    match error {
        SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
        SessionError::WrongEpoch => ErrorCode::InvalidFetchSessionEpoch,
        SessionError::TopicIdMismatch => ErrorCode::FetchSessionTopicIdError,
    }
}

fn session_request(request: &FetchRequest<'_>, version: i16) -> SessionRequest {
    let reference = |name: &str, id| {
        if version < BY_TOPIC_ID { TopicRef::Name(name.to_owned()) } else { TopicRef::Id(TopicId(id)) }
    };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            wanted.push(Wanted {
                key: (reference(&topic.topic, topic.topic_id), PartitionIndex(partition.partition)),
                fetch_offset: Offset(partition.fetch_offset),
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
                max_bytes: partition.partition_max_bytes,
            });
        }
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        let reference = reference(&topic.topic, topic.topic_id);
        forgotten.extend(topic.partitions.iter().map(|index| (reference.clone(), PartitionIndex(*index))));
    }
    let (session_id, epoch) =
        if version < SESSIONS_SINCE { (0, -1) } else { (request.session_id, request.session_epoch) };
    SessionRequest { session_id, epoch, uses_topic_ids: BY_TOPIC_ID <= version, wanted, forgotten }
}

/// What was found in one partition.
struct Read {
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start: Offset,
    slice: Option<FileSlice>,
    /// For `read_committed` alone.
    aborted: Option<Vec<log::AbortedTransaction>>,
    /// The records go on in the next segment: waiting would not add to `slice`.
    spans_segments: bool,
    diverging: Option<(LeaderEpoch, Offset)>,
}

type ReadResult = Result<Read, PartitionError>;

/// Reads all partitions; as long as that is not enough, waits for more to become readable and reads again.
async fn read_or_wait(call: &Call<'_>, wanted: &[Wanted], limits: &Limits) -> Vec<ReadResult> {
    let deadline = call.node.rt().now() + limits.max_wait;
    let wake = Arc::new(Notify::new());
    let mut guards: Vec<FetchGuard> = Vec::new();
    let mut registered = false;
    let mut missing: Option<Vec<bool>> = None;
    loop {
        let reads: Vec<ReadResult> = read_all(call, wanted, limits).await;
        let missing = missing.get_or_insert_with(|| reads.iter().map(is_missing).collect());
        let now = call.node.rt().now();
        if deadline <= now || is_enough(&reads, missing, limits) {
            return reads;
        }
        if !registered {
            // Register, then look once more: an advance between the two must not be missed (H2).
            registered = true;
            let partitions = wanted.iter().filter_map(|wanted| find(call, wanted).ok());
            guards.extend(partitions.map(|partition| partition.wait_for_more(&wake)));
            continue;
        }
        let mut stopping = call.node.stopping.subscribe();
        // Woken, out of time, or about to stop: the next look decides.
        rt::select! {
            () = wake.notified() => {}
            () = call.node.rt().sleep_until(deadline) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return reads,
        }
    }
}

fn is_missing(read: &ReadResult) -> bool {
    read.as_ref().is_err_and(PartitionError::is_about_existence)
}

/// Whether to answer with `reads`; `missing` says which partitions were not there from the beginning.
fn is_enough(reads: &[ReadResult], missing: &[bool], limits: &Limits) -> bool {
    let mut there =
        reads.iter().zip(missing).filter(|(_, missing)| !**missing).map(|(read, _)| read).peekable();
    let decides = |read: &ReadResult| {
        read.as_ref().map_or(true, |read| read.diverging.is_some() || read.spans_segments)
    };
    let bytes: u64 =
        reads.iter().flatten().filter_map(|read| read.slice.as_ref()).map(|slice| slice.len).sum();
    there.peek().is_none() || limits.min_bytes <= bytes || there.any(decides)
}

async fn read_all(call: &Call<'_>, wanted: &[Wanted], limits: &Limits) -> Vec<ReadResult> {
    let mut left = limits.max_bytes;
    let mut nothing_yet = true;
    let mut reads = Vec::with_capacity(wanted.len());
    for one in wanted {
        let read = read(call, one, limits, left, nothing_yet).await;
        if let Ok(Read { slice: Some(slice), .. }) = &read {
            left = left.saturating_sub(slice.len);
            nothing_yet = false;
        }
        reads.push(read);
    }
    reads
}

fn find(call: &Call<'_>, wanted: &Wanted) -> Result<Arc<Partition>, PartitionError> {
    match &wanted.key {
        (TopicRef::Id(id), index) => call.node.partition_by_id(*id, *index),
        (TopicRef::Name(name), index) => call.node.partition_by_name(name, *index),
    }
}

async fn read(call: &Call<'_>, wanted: &Wanted, limits: &Limits, left: u64, first: bool) -> ReadResult {
    let partition = find(call, wanted)?;
    partition.check_epoch(wanted.current_leader_epoch)?;
    // In this order: the one never passes the other.
    let last_stable_offset = partition.last_stable_offset();
    let high_watermark = partition.high_watermark();
    let nothing = Read {
        high_watermark,
        last_stable_offset,
        log_start: partition.reader.log_start(),
        slice: None,
        aborted: limits.read_committed.then(Vec::new),
        spans_segments: false,
        diverging: None,
    };
    if let Some(diverging) = diverging_epoch(&partition, wanted)? {
        return Ok(Read { diverging: Some(diverging), ..nothing });
    }
    let read_limits = ReadLimits {
        max_bytes: u64::try_from(wanted.max_bytes).unwrap_or(0).min(left),
        first_batch: if first { FirstBatch::Whole } else { FirstBatch::Limited },
        cold: Cold::Refuse,
    };
    let from = wanted.fetch_offset;
    let up_to = if limits.read_committed { last_stable_offset } else { high_watermark };
    let read = match partition.reader.read(from, up_to, read_limits) {
        // The disk may have to be waited for: not on a worker that serves others.
        Err(ReadError::Cold) => {
            let reader = partition.reader.clone();
            let read_limits = ReadLimits { cold: Cold::Check, ..read_limits };
            call.node.rt().blocking(move || reader.read(from, up_to, read_limits)).await
        }
        done => done,
    };
    let failed = |error| call.node.damage.read_failed(&partition, from, error);
    let read = read.map_err(failed)?;
    let aborted = match nothing.aborted {
        Some(_) => Some(aborted_in(call, &partition, &read, from, up_to).await.map_err(failed)?),
        None => None,
    };
    let log::Read { log_start, slice, spans_segments, .. } = read;
    Ok(Read { log_start, slice, spans_segments, aborted, ..nothing })
}

/// The aborted transactions among what was read. Files say so where there are any: not on a worker that serves others.
async fn aborted_in(
    call: &Call<'_>,
    partition: &Partition,
    read: &log::Read,
    from: Offset,
    up_to: Offset,
) -> Result<Vec<log::AbortedTransaction>, ReadError> {
    if read.slice.is_none() || !partition.reader.may_hold_aborted(from) {
        return Ok(Vec::new());
    }
    let (reader, read) = (partition.reader.clone(), read.clone());
    call.node.rt().blocking(move || reader.aborted_in(&read, from, up_to)).await
}

/// Whether the client's last record is of an epoch that ended earlier than the client believes (KIP-595).
fn diverging_epoch(
    partition: &Partition,
    wanted: &Wanted,
) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
    if wanted.last_fetched_epoch == LeaderEpoch::NONE {
        return Ok(None);
    }
    let reader = &partition.reader;
    let (epoch, end) = reader.end_offset_for_epoch(wanted.last_fetched_epoch);
    if epoch == LeaderEpoch::NONE {
        // Nobody here knows that epoch, so nobody can say where the client's log is still right.
        let (log_start, log_end) = (reader.log_start(), reader.log_end());
        return Err(PartitionError::OffsetOutOfRange { asked: wanted.fetch_offset, log_start, log_end });
    }
    Ok((epoch < wanted.last_fetched_epoch || end < wanted.fetch_offset).then_some((epoch, end)))
}

fn answer(call: &Call<'_>, mut fetching: Fetching, reads: Vec<ReadResult>, limits: &Limits) -> Fetched {
    let mut topics: Vec<FetchableTopicResponse<'static>> = Vec::new();
    let mut places: BTreeMap<TopicRef, usize> = BTreeMap::new();
    let mut slices = Vec::new();
    let mut leader_moved = false;
    let keys: Vec<_> = fetching.wanted.iter().map(|wanted| wanted.key.clone()).collect();
    for (key, read) in keys.into_iter().zip(reads) {
        if !fetching.tell(&key, &found(&read)) {
            continue;
        }
        leader_moved |= read.as_ref().is_err_and(PartitionError::is_about_leadership);
        let (topic, index) = key;
        let place = *places.entry(topic.clone()).or_insert_with(|| {
            topics.push(empty_topic(&topic));
            topics.len() - 1
        });
        topics[place].partitions.push(partition_data(call, index, read, limits, &mut slices));
    }
    let session_id =
        call.node.fetch_sessions().finish(fetching, call.node.rt().now(), || call.node.rt().random_u64());
    let tells_nodes = leader_moved && NODE_ENDPOINTS_SINCE <= limits.version;
    let node_endpoints = if tells_nodes { node_endpoints(call) } else { Vec::new() };
    (FetchResponse { session_id, responses: topics, node_endpoints, ..Default::default() }, slices)
}

fn found(read: &ReadResult) -> Found {
    match read {
        Ok(read) => Found {
            has_records: read.slice.is_some(),
            has_error: read.diverging.is_some(),
            high_watermark: read.high_watermark,
            log_start: read.log_start,
        },
        Err(_) => {
            Found { has_records: false, has_error: true, high_watermark: Offset(-1), log_start: Offset(-1) }
        }
    }
}

fn empty_topic(topic: &TopicRef) -> FetchableTopicResponse<'static> {
    match topic {
        TopicRef::Id(id) => FetchableTopicResponse { topic_id: id.0, ..Default::default() },
        TopicRef::Name(name) => FetchableTopicResponse { topic: name.clone().into(), ..Default::default() },
    }
}

fn partition_data(
    call: &Call<'_>,
    index: PartitionIndex,
    read: ReadResult,
    limits: &Limits,
    slices: &mut Vec<FileSlice>,
) -> PartitionData<'static> {
    let unknown = PartitionData {
        partition_index: index.0,
        high_watermark: -1,
        aborted_transactions: limits.read_committed.then(Vec::new),
        records: Records::Bytes(Default::default()),
        ..Default::default()
    };
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            return PartitionData {
                error_code: error.code().code(),
                current_leader: (CURRENT_LEADER_SINCE <= limits.version && error.is_about_leadership())
                    .then(|| error.current_leader(call.node))
                    .flatten()
                    .map_or_else(Default::default, |(leader, epoch)| LeaderIdAndEpoch {
                        leader_id: leader.0,
                        leader_epoch: epoch.0,
                    }),
                ..unknown
            };
        }
    };
    let records = match read.slice {
        None => Records::Bytes(Default::default()),
        Some(slice) => {
            let index = u32::try_from(slices.len()).expect("fewer partitions than a request has bytes");
            let len = u32::try_from(slice.len).expect("a slice is cut to the answer's limit");
            slices.push(slice);
            Records::External { index, len }
        }
    };
    PartitionData {
        high_watermark: read.high_watermark.0,
        last_stable_offset: read.last_stable_offset.0,
        aborted_transactions: read.aborted.map(|aborted| aborted.into_iter().map(told).collect()),
        log_start_offset: read.log_start.0,
        diverging_epoch: read.diverging.map_or_else(Default::default, |(epoch, end)| EpochEndOffset {
            epoch: epoch.0,
            end_offset: end.0,
        }),
        records,
        ..unknown
    }
}

fn told(aborted: log::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer.0, first_offset: aborted.first_offset.0 }
}

fn node_endpoints(call: &Call<'_>) -> Vec<NodeEndpoint<'static>> {
    endpoint::all(call, &call.node.image())
        .into_iter()
        .map(|broker| NodeEndpoint {
            node_id: broker.id.0,
            host: broker.host.into(),
            port: broker.port,
            rack: broker.rack.map(Into::into),
        })
        .collect()
}
