//! The task that sends a producer's batches to the leaders of their partitions.
//!
//! - S1 The loop never waits for the network: connecting, refreshing metadata and asking for an identity are chores of
//!   their own, so one dead node does not hold up the others.
//! - S2 Requests to one node are submitted by this task alone, in the order their batches were numbered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::{BrokerId, ErrorCode, Offset, ProducerEpoch, ProducerId, Uuid};
use wire::produce::{PartitionProduceData, PartitionProduceResponse, ProduceResponse, TopicProduceData};
use wire::{ApiKey, InitProducerIdRequest, ProduceRequest, Records, VersionRange};

use super::accumulator::{Sending, build};
use super::{Acks, Shared};
use crate::backoff;
use crate::client::ANY;
use crate::connection::{Answer, Connection, Departure, Question};
use crate::error::Error;
use crate::metadata::{Snapshot, TopicPartition};
use crate::topic_names::{is_topic, versions_naming};

/// Versions we speak.
pub(crate) const PRODUCE_VERSIONS: VersionRange = VersionRange { first: 3, last: 13 };

/// Grace for an answer beyond the time the broker itself may take.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// What is being done on the side (S1).
#[derive(Default)]
struct Chores {
    connecting: BTreeSet<BrokerId>,
    refreshing: bool,
    identifying: bool,
    attempts: u32,
}

#[derive(Clone)]
struct Sender {
    shared: Arc<Shared>,
    chores: Arc<Mutex<Chores>>,
}

/// One batch of a request that is under way.
struct UnderWay {
    place: TopicPartition,
    topic_id: Uuid,
    id: u64,
}

/// Batches to be sent with the ids of their topics; those of one topic follow each other.
type Batches = BTreeMap<TopicPartition, (Uuid, Bytes)>;

/// What a request comes to.
enum Outcome {
    Answer(Answer, i16),
    Silence(Departure),
}

/// Sends until it is aborted.
pub(super) async fn run(shared: Arc<Shared>) {
    let sender = Sender { shared, chores: Arc::default() };
    loop {
        let work = sender.shared.work.notified();
        let (sent, next) = sender.round().await;
        if sent {
            continue;
        }
        match next {
            Some(at) => rt::select! {
                () = work => {}
                () = sender.shared.client.rt().sleep_until(at) => {}
            },
            None => work.await,
        }
    }
}

impl Sender {
    /// Sends what may leave; whether anything did, and when to look again.
    async fn round(&self) -> (bool, Option<rt::Instant>) {
        let client = &self.shared.client;
        let snapshot = client.snapshot();
        let mut connections: BTreeMap<BrokerId, Connection> = BTreeMap::new();
        let mut unconnected = BTreeSet::new();
        let mut leaderless = false;
        let drained = self.shared.accumulator().drain(client.rt().now(), |place| {
            let Some(leader) = snapshot.leader(place) else {
                leaderless = true;
                return false;
            };
            let known = connections.contains_key(&leader);
            match if known { None } else { client.open_node(leader, self.shared.lane) } {
                Some(connection) => drop(connections.insert(leader, connection)),
                None if known => {}
                None => drop(unconnected.insert(leader)),
            }
            connections.contains_key(&leader)
        });
        self.shared.settle(drained.finished);
        if self.shared.accumulator().needs_identity() {
            self.identify();
        }
        if leaderless {
            self.refresh();
        }
        for leader in unconnected {
            self.connect(leader);
        }
        let mut by_leader: BTreeMap<BrokerId, Vec<Sending>> = BTreeMap::new();
        for sending in drained.sendings {
            if let Some(leader) = snapshot.leader(&sending.place) {
                by_leader.entry(leader).or_default().push(sending);
            }
        }
        let sent = !by_leader.is_empty();
        for (leader, sendings) in by_leader {
            if let Some(connection) = connections.get(&leader) {
                self.send(connection, &snapshot, sendings).await;
            }
        }
        (sent, drained.next)
    }

    async fn send(&self, connection: &Connection, snapshot: &Snapshot, sendings: Vec<Sending>) {
        let mut under_way = Vec::new();
        let mut batches = Batches::new();
        for Sending { place, id, source } in sendings {
            let topic_id = snapshot.topic_id(&place.topic);
            match build(source) {
                Ok(bytes) => {
                    self.shared.accumulator().on_built(&place, id, bytes.clone());
                    batches.insert(place.clone(), (topic_id, bytes));
                    under_way.push(UnderWay { place, topic_id, id });
                }
                Err(error) => self.fail(&UnderWay { place, topic_id, id }, error),
            }
        }
        if under_way.is_empty() {
            return;
        }
        match self.submit(connection, &batches).await {
            Ok(outcome) => {
                let sender = self.clone();
                let receive = async move {
                    match outcome {
                        Outcome::Answer(answer, version) => sender.receive(answer, version, &under_way).await,
                        Outcome::Silence(departure) => sender.depart(departure, &under_way).await,
                    }
                    sender.shared.work.notify_one();
                };
                self.shared.client.rt().spawn("producer-answer", receive);
            }
            Err(error) => self.fail_all(&under_way, &error),
        }
    }

    async fn submit(&self, connection: &Connection, batches: &Batches) -> Result<Outcome, Error> {
        let (question, version) = self.question(connection, batches)?;
        if self.shared.config.acks == Acks::None {
            return connection.submit_unanswered(question).await.map(Outcome::Silence);
        }
        Ok(Outcome::Answer(connection.submit(question).await?, version))
    }

    async fn depart(&self, departure: Departure, under_way: &[UnderWay]) {
        match departure.wait().await {
            Ok(()) => under_way.iter().for_each(|batch| self.written(batch, None)),
            Err(error) => self.fail_all(under_way, &error),
        }
    }

    fn question(&self, connection: &Connection, batches: &Batches) -> Result<(Question, i16), Error> {
        let timeout_ms = self.shared.client.config().request_timeout.as_millis();
        let mut request = ProduceRequest {
            acks: self.shared.config.acks.code(),
            timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
            ..ProduceRequest::default()
        };
        for (place, (topic_id, bytes)) in batches {
            let data = PartitionProduceData {
                index: place.partition.0,
                records: Records::Bytes(bytes.as_ref().into()),
            };
            match request.topic_data.last_mut() {
                Some(topic) if topic.name == place.topic.as_str() => topic.partition_data.push(data),
                Some(_) | None => request.topic_data.push(TopicProduceData {
                    name: place.topic.as_str().into(),
                    topic_id: *topic_id,
                    partition_data: vec![data],
                }),
            }
        }
        let versions = versions_naming(PRODUCE_VERSIONS, batches.values().map(|(topic_id, _)| *topic_id));
        let version = connection.version(ApiKey::Produce, versions)?;
        Ok((connection.question(&request, version)?, version))
    }

    async fn receive(&self, answer: Answer, version: i16, under_way: &[UnderWay]) {
        let timeout = self.shared.client.config().request_timeout + ANSWER_GRACE;
        let frame = match answer.receive(timeout).await {
            Ok(frame) => frame,
            Err(error) => return self.fail_all(under_way, &error),
        };
        match wire::decode_response::<ProduceResponse<'_>>(&frame, version) {
            Ok((_, response)) => {
                for batch in under_way {
                    self.on_answer(batch, &response);
                }
            }
            Err(error) => {
                self.fail_all(under_way, &crate::connection::malformed(ApiKey::Produce, error));
            }
        }
    }

    fn on_answer(&self, batch: &UnderWay, response: &ProduceResponse<'_>) {
        let is_its = |name: &str, id: Uuid| is_topic(name, id, &batch.place.topic, batch.topic_id);
        let topic = response.responses.iter().find(|topic| is_its(&topic.name, topic.topic_id));
        let partition = topic.and_then(|topic| {
            topic.partition_responses.iter().find(|partition| partition.index == batch.place.partition.0)
        });
        let Some(partition) = partition else {
            let problem = format!("it does not mention {}", batch.place);
            return self.fail(batch, Error::Malformed { api: ApiKey::Produce, problem });
        };
        match check(&batch.place, partition) {
            Ok(()) => {
                let base = Offset(partition.base_offset);
                self.written(batch, Some(base).filter(|base| Offset::ZERO <= *base));
            }
            Err(error) => self.fail(batch, error),
        }
    }

    fn written(&self, batch: &UnderWay, base: Option<Offset>) {
        let finished = self.shared.accumulator().on_written(&batch.place, batch.id, base);
        self.shared.settle(finished.into_iter().collect());
    }

    fn fail_all(&self, batches: &[UnderWay], error: &Error) {
        for batch in batches {
            self.fail(batch, error.clone());
        }
    }

    fn fail(&self, batch: &UnderWay, error: Error) {
        tracing::debug!(place = %batch.place, %error, "a batch was not written");
        if error.is_unreachable() || error.code().is_some_and(is_stale_metadata) {
            self.refresh();
        }
        let rt = self.shared.client.rt();
        let retry_at = |attempts| rt.now() + backoff::delay(rt, attempts);
        let finished = self.shared.accumulator().on_failed(&batch.place, batch.id, error, retry_at);
        self.shared.settle(finished.into_iter().collect());
        self.shared.work.notify_one();
    }

    fn chores(&self) -> std::sync::MutexGuard<'_, Chores> {
        self.chores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a chore: after a failure only once a while has passed.
    async fn rest<T>(&self, result: &Result<T, Error>) {
        let attempts = {
            let mut chores = self.chores();
            chores.attempts = if result.is_ok() { 0 } else { chores.attempts.saturating_add(1) };
            chores.attempts
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a producer's chore failed");
            let rt = self.shared.client.rt();
            rt.sleep(backoff::delay(rt, attempts)).await;
        }
    }

    fn connect(&self, node: BrokerId) {
        if !self.chores().connecting.insert(node) {
            return;
        }
        let sender = self.clone();
        self.shared.client.rt().spawn("producer-connect", async move {
            let result = sender.shared.client.node(node, sender.shared.lane).await;
            if result.is_err() {
                sender.refresh();
            }
            sender.rest(&result).await;
            sender.chores().connecting.remove(&node);
            sender.shared.work.notify_one();
        });
    }

    fn refresh(&self) {
        if std::mem::replace(&mut self.chores().refreshing, true) {
            return;
        }
        let sender = self.clone();
        self.shared.client.rt().spawn("producer-refresh", async move {
            let places = sender.shared.accumulator().places();
            let mut topics: Vec<_> = places.into_iter().map(|place| place.topic).collect();
            topics.dedup();
            let result = sender.shared.client.refresh(Some(&topics)).await;
            sender.rest(&result).await;
            // A partition may stay without a leader for long: asking again at once would only add to its troubles.
            let rt = sender.shared.client.rt();
            rt.sleep(backoff::delay(rt, 1)).await;
            sender.chores().refreshing = false;
            sender.shared.work.notify_one();
        });
    }

    fn identify(&self) {
        if std::mem::replace(&mut self.chores().identifying, true) {
            return;
        }
        let sender = self.clone();
        self.shared.client.rt().spawn("producer-identify", async move {
            let result = sender.init_producer_id().await;
            match &result {
                Ok(identity) => sender.shared.accumulator().identify(*identity),
                Err(error) if error.is_retriable() => {}
                Err(error) => {
                    let finished = sender.shared.accumulator().give_up_unsent(error);
                    sender.shared.settle(finished);
                }
            }
            sender.rest(&result).await;
            sender.chores().identifying = false;
            sender.shared.work.notify_one();
        });
    }

    async fn init_producer_id(&self) -> Result<(ProducerId, ProducerEpoch), Error> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        let accept = |answer: &wire::InitProducerIdResponse| {
            Error::check(ApiKey::InitProducerId, answer.error_code, None, "an idempotent producer")
        };
        let answer = self.shared.client.ask_any(&request, ANY, accept).await?;
        Ok((ProducerId(answer.producer_id), ProducerEpoch(answer.producer_epoch)))
    }
}

fn check(place: &TopicPartition, answer: &PartitionProduceResponse<'_>) -> Result<(), Error> {
    let of_a_record =
        answer.record_errors.iter().find_map(|error| error.batch_index_error_message.as_deref());
    let message = of_a_record.or(answer.error_message.as_deref());
    Error::check(ApiKey::Produce, answer.error_code, message, place)
}

/// Codes that say that the leader may be another one by now.
pub(crate) fn is_stale_metadata(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::KafkaStorageError
    )
}
