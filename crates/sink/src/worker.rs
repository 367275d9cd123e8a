//! A worker: a member of a group that carries what the group gives it into a table.
//!
//! - Y1 Offsets come from the database and go there with their rows; the group's are for those who watch its lag.
//! - Y2 Whatever goes wrong, rows that are not in the table yet are dropped and read again from where the database
//!   stands: there is one way back, and it is the way in.
//! - Y3 A database that is slow or away holds up reading, never the membership; at most one batch is on its way to it and
//!   one is being filled.
//! - Y4 A batch leaves only after the cluster said, later than its last record was read, that its topics are the ones whose
//!   offsets the database has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{
    Client, Consumer, ConsumerConfig, Event, GroupConfig, Isolation, OffsetQuery, Positions, Record, Reset,
    Start, TopicPartition,
};
use model::Offset;
use rt::channel::watch;
use rt::{Instant, Rt};

use crate::definition::{Begin, Definition};
use crate::desk::{Desk, Outcome};
use crate::ledger::{Ledger, Verdict};
use crate::rows::Rows;
use crate::schema::Schema;
use crate::target::{Batch, Origin, Target};
use crate::transform::Transform;

/// Longest wait for something to happen.
const POLL: Duration = Duration::from_millis(500);

/// Time between commits to the group.
const GROUP_COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Without a sign of life for so long a worker's partitions go to the others, who hear of it by their next one: rows wait
/// for less than ten seconds when a worker is killed.
const SESSION_TIMEOUT: Duration = Duration::from_secs(8);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes of an answer and of one partition in it: what is fetched ahead is a good part of a worker's memory.
const FETCH_BYTES: usize = 4 * 1024 * 1024;
const PARTITION_BYTES: usize = 1024 * 1024;

/// Records that are decoded between two looks at the database.
const POLL_RECORDS: usize = 5_000;

/// What a worker has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The group gave it these partitions.
    Assigned(Vec<TopicPartition>),
    /// The group took back what it gave.
    Revoked,
    /// A partition is read from here on, as everything before is in the table.
    Begun {
        /// Which.
        place: TopicPartition,
        /// Where.
        next: Offset,
    },
    /// Rows are in the table.
    Committed {
        /// How many.
        rows: usize,
        /// Where that leaves the partitions they came from.
        offsets: Vec<(TopicPartition, Offset)>,
    },
    /// A partition is not read on, for this reason.
    Stopped {
        /// Which.
        place: TopicPartition,
        /// Why.
        reason: String,
    },
    /// Something keeps it from working, and is tried again.
    Trouble(String),
    /// The trouble is over.
    Recovered,
    /// It was told to pause: it keeps its partitions, and neither reads nor writes.
    Paused,
    /// It was told to go on.
    Resumed,
}

/// A worker at work.
pub struct Worker<F> {
    rt: Rt,
    client: Client,
    definition: Definition,
    schema: Schema,
    consumer: Consumer,
    transform: Box<dyn Transform>,
    ledger: Ledger,
    desk: Desk,
    rows: Rows,
    /// When the first record was read that is in no batch yet.
    since: Option<Instant>,
    /// What is in the table, as far as the group was not told.
    done: BTreeMap<TopicPartition, Offset>,
    tell_group_at: Instant,
    /// Nothing is tried before.
    retry_at: Instant,
    attempts: u32,
    /// What it is in trouble with, so as to say it once.
    trouble: Option<String>,
    /// Whether it is to pause, and whether it does.
    pause: watch::Receiver<bool>,
    is_paused: bool,
    note: F,
}

impl<F: FnMut(Note)> Worker<F> {
    /// Joins the group. The target is prepared for `schema` already.
    pub fn start<T: Target>(
        client: &Client,
        definition: Definition,
        schema: Schema,
        transform: impl Transform,
        target: T,
        note: F,
    ) -> Worker<F> {
        let rt = client.rt().clone();
        let reading = ConsumerConfig {
            fetch_bytes: FETCH_BYTES,
            partition_bytes: PARTITION_BYTES,
            poll_records: POLL_RECORDS.min(definition.flush.rows),
            reset: Reset::Fail,
            isolation: Isolation::ReadCommitted,
            ..ConsumerConfig::default()
        };
        let group = GroupConfig {
            session_timeout: SESSION_TIMEOUT,
            heartbeat_interval: HEARTBEAT_INTERVAL,
            auto_commit: None,
            positions: Positions::Caller,
            ..GroupConfig::new(&definition.group)
        };
        let consumer = Consumer::in_group(client, reading, group, definition.topics.clone());
        Worker {
            client: client.clone(),
            consumer,
            transform: Box::new(transform),
            ledger: Ledger::default(),
            desk: Desk::open(&rt, target, definition.name.clone(), schema.clone()),
            rows: Rows::new(schema.columns.len()),
            since: None,
            done: BTreeMap::new(),
            tell_group_at: Instant::START,
            retry_at: Instant::START,
            attempts: 0,
            trouble: None,
            pause: watch::channel(false).1,
            is_paused: false,
            note,
            rt,
            definition,
            schema,
        }
    }

    /// Pauses while this says `true`.
    pub fn with_pause(self, pause: watch::Receiver<bool>) -> Worker<F> {
        Worker { pause, ..self }
    }

    /// Works until `stop`, then writes what it has and leaves the group.
    ///
    /// # Errors
    /// The cluster does not let it be a member, or does not have the topics.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), client::Error> {
        let mut stop = std::pin::pin!(stop);
        let result = loop {
            self.follow_pause();
            self.give_orders().await;
            if !self.done.is_empty() && self.tell_group_at <= self.rt.now() {
                self.tell_group().await;
            }
            let wait = self.wait();
            let is_full = self.definition.flush.is_full(&self.rows);
            let (consumer, rt) = (&mut self.consumer, &self.rt);
            let read = async {
                if is_full {
                    // More has to wait (Y3).
                    rt.sleep(wait).await;
                    return Ok(Event::Idle);
                }
                consumer.poll(wait).await
            };
            let event = rt::select! {
                () = &mut stop => break Ok(()),
                outcome = self.desk.outcome() => {
                    self.on_outcome(outcome).await;
                    continue;
                }
                Ok(()) = self.pause.changed() => continue,
                event = read => event,
            };
            let handled = match event {
                Ok(event) => self.on_event(event).await,
                Err(error) => self.on_error(error),
            };
            if let Err(error) = handled {
                break Err(error);
            }
        };
        self.drain().await;
        let closed = self.consumer.close().await;
        result.and(closed)
    }

    /// How long nothing is to be done unless something happens.
    fn wait(&self) -> Duration {
        if self.is_paused {
            return POLL;
        }
        let flush_at = self.since.map(|since| since + self.definition.flush.age);
        let next = [flush_at, self.ledger.next_claim_at()].into_iter().flatten().min();
        let now = self.rt.now();
        next.map_or(POLL, |at| {
            at.max(self.retry_at).saturating_since(now).clamp(Duration::from_millis(1), POLL)
        })
    }

    /// Puts everything down when it is to pause: what is not in the table yet is read again when it goes on (Y2).
    fn follow_pause(&mut self) {
        let is_to_pause = *self.pause.borrow_and_update();
        if is_to_pause == self.is_paused {
            return;
        }
        self.is_paused = is_to_pause;
        if is_to_pause {
            self.start_over();
        }
        (self.note)(if is_to_pause { Note::Paused } else { Note::Resumed });
    }

    /// Gives the database what it is to do next, if it is free.
    async fn give_orders(&mut self) {
        let now = self.rt.now();
        if self.is_paused || self.desk.is_busy() || now < self.retry_at {
            return;
        }
        let unclaimed = self.ledger.unclaimed(now);
        if !unclaimed.is_empty() {
            return self.claim(&unclaimed).await;
        }
        if self.since.is_some_and(|since| self.definition.flush.is_due(&self.rows, since, now)) {
            self.flush().await;
        }
    }

    async fn claim(&mut self, places: &[TopicPartition]) {
        match origins(&self.client, self.definition.begin, places).await {
            Ok(origins) => {
                let claims = self.ledger.claim(origins, self.rt.now());
                if !claims.is_empty() {
                    self.desk.claim(claims).await;
                }
            }
            Err(error) => self.on_trouble(error.to_string()),
        }
    }

    /// Sends everything that was read.
    async fn flush(&mut self) {
        // Asked anew each time: whatever was fetched before this answer is of the topics it names (Y4).
        let snapshot = match self.client.refresh(Some(&self.definition.topics)).await {
            Ok(snapshot) => snapshot,
            Err(error) => return self.on_trouble(error.to_string()),
        };
        let topic_id = |place: &TopicPartition| Some(snapshot.topics.get(&place.topic)?.id.to_string());
        if self.ledger.is_recreated(topic_id) {
            return self.start_over();
        }
        self.since = None;
        let moves = self.ledger.send(&self.consumer.positions());
        if !moves.is_empty() {
            let rows = std::mem::replace(&mut self.rows, Rows::new(self.schema.columns.len()));
            self.desk.commit(Batch { rows, moves }).await;
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), client::Error> {
        match event {
            Event::Records(records) => self.on_records(&records).await?,
            Event::Assigned(places) => {
                self.forget_rows();
                self.ledger.assign(places.iter().cloned(), self.rt.now());
                (self.note)(Note::Assigned(places));
            }
            Event::Revoked(_) => {
                self.drain().await;
                self.on_revoked();
            }
            Event::Lost(_) => self.on_revoked(),
            Event::Idle => {
                // Positions pass markers and aborted records too.
                if self.since.is_none() && self.ledger.has_moved(&self.consumer.positions()) {
                    self.since = Some(self.rt.now());
                }
            }
        }
        Ok(())
    }

    fn on_revoked(&mut self) {
        self.ledger.clear();
        self.forget_rows();
        self.done.clear();
        (self.note)(Note::Revoked);
    }

    async fn on_records(&mut self, records: &[Record]) -> Result<(), client::Error> {
        self.since.get_or_insert(self.rt.now());
        let refused = self.transform.apply(records, &mut self.rows);
        let mut bad: BTreeMap<TopicPartition, (Offset, String)> = BTreeMap::new();
        for refused in refused {
            let record = &records[refused.index];
            let place = TopicPartition { topic: record.topic.clone(), partition: record.partition };
            bad.entry(place).or_insert((record.offset, refused.problem));
        }
        for (place, (offset, problem)) in bad {
            // What came before it is written; it and what follows waits.
            self.consumer.seek(&place, Start::At(offset)).await?;
            self.stop(&place, format!("the record at offset {offset} is refused: {problem}"));
        }
        Ok(())
    }

    /// An error about one partition stops that one; any other is the worker's end.
    fn on_error(&mut self, error: client::Error) -> Result<(), client::Error> {
        let place = match &error {
            client::Error::OffsetOutOfRange { topic, partition, .. }
            | client::Error::BadBatch { topic, partition, .. } => {
                TopicPartition { topic: topic.clone(), partition: *partition }
            }
            _ => return Err(error),
        };
        self.stop(&place, error.to_string());
        Ok(())
    }

    fn stop(&mut self, place: &TopicPartition, reason: String) {
        self.consumer.pause(place);
        self.ledger.stop(place);
        (self.note)(Note::Stopped { place: place.clone(), reason });
    }

    async fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Claimed { claims, result: Ok(granted) } => {
                self.on_success();
                for (place, verdict) in self.ledger.on_granted(&claims, granted, self.rt.now()) {
                    match verdict {
                        Verdict::Begin(next) => {
                            // An offset needs no answer from the cluster.
                            drop(self.consumer.seek(&place, Start::At(next)).await);
                            (self.note)(Note::Begun { place, next });
                        }
                        Verdict::Stopped(reason) => (self.note)(Note::Stopped { place, reason }),
                        Verdict::Fenced => {
                            (self.note)(Note::Trouble(format!("{place} was taken by another worker")));
                        }
                    }
                }
            }
            Outcome::Committed { rows, offsets, result: Ok(true) } => {
                self.on_success();
                self.done.extend(offsets.iter().cloned());
                (self.note)(Note::Committed { rows, offsets });
            }
            Outcome::Committed { result: Ok(false), .. } => self.start_over(),
            Outcome::Claimed { result: Err(error), .. } | Outcome::Committed { result: Err(error), .. } => {
                self.on_trouble(error.to_string());
                self.start_over();
            }
        }
    }

    /// Reads everything of ours again from where the database stands (Y2).
    fn start_over(&mut self) {
        self.forget_rows();
        let read: BTreeSet<_> = self.consumer.positions().into_keys().collect();
        read.iter().for_each(|place| self.consumer.pause(place));
        self.ledger.on_doubt(self.rt.now().max(self.retry_at));
    }

    fn forget_rows(&mut self) {
        self.rows = Rows::new(self.schema.columns.len());
        self.since = None;
    }

    fn on_trouble(&mut self, trouble: String) {
        self.retry_at = self.rt.now() + client::retry_delay(&self.rt, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        if self.trouble.as_ref() != Some(&trouble) {
            (self.note)(Note::Trouble(trouble.clone()));
            self.trouble = Some(trouble);
        }
    }

    fn on_success(&mut self) {
        self.attempts = 0;
        if self.trouble.take().is_some() {
            (self.note)(Note::Recovered);
        }
    }

    /// Brings what was read into the table, as far as that goes at the first try, before others have the partitions.
    async fn drain(&mut self) {
        if self.desk.is_busy() {
            let outcome = self.desk.outcome().await;
            self.on_outcome(outcome).await;
        }
        if self.since.is_some() && self.retry_at <= self.rt.now() {
            self.flush().await;
            if self.desk.is_busy() {
                let outcome = self.desk.outcome().await;
                self.on_outcome(outcome).await;
            }
        }
        self.tell_group().await;
    }

    /// Commits to the group what is in the table; nothing depends on it (Y1).
    async fn tell_group(&mut self) {
        self.tell_group_at = self.rt.now() + GROUP_COMMIT_INTERVAL;
        let done = std::mem::take(&mut self.done);
        if let Err(error) = self.consumer.commit_offsets(&done).await {
            tracing::debug!(%error, "the group was not told");
            // It hears of it with what comes next.
            self.done = done;
        }
    }
}

/// Where each partition begins, in which topic; a partition whose topic is not there is not in the answer.
async fn origins(
    client: &Client,
    begin: Begin,
    places: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Origin>, client::Error> {
    let topics: Vec<_> =
        places.iter().map(|place| place.topic.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let snapshot = client.refresh(Some(&topics)).await?;
    let places = places.iter().filter(|place| snapshot.topics.contains_key(&place.topic));
    let of = |query: OffsetQuery| places.clone().map(|place| (place.clone(), query)).collect();
    let isolation = Isolation::ReadCommitted;
    let starts = client.list_offsets_as(isolation, &of(OffsetQuery::Earliest)).await?;
    let begins = match begin {
        Begin::Earliest => starts.clone(),
        Begin::Latest => client.list_offsets_as(isolation, &of(OffsetQuery::Latest)).await?,
    };
    let origin = |place: &TopicPartition| {
        let (begin, log_start) = (begins.get(place).copied()??, starts.get(place).copied()??);
        let topic_id = snapshot.topics.get(&place.topic)?.id.to_string();
        let cluster_id = snapshot.cluster_id.clone().unwrap_or_default();
        Some((place.clone(), Origin { cluster_id, topic_id, begin, log_start }))
    };
    Ok(places.clone().filter_map(origin).collect())
}
