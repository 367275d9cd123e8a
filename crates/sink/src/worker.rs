//! A worker: a member of a group that carries what the group gives it into a table.
//!
//! - Y1 Offsets come from the database and go there with their rows; the group's are for those who watch its lag.
//! - Y2 Whatever goes wrong, rows that are not in the table yet are dropped and read again from where the database
//!   stands: there is one way back, and it is the way in.
//! - Y3 A database that is slow or away holds up reading, never the membership; at most one batch is on its way to it and
//!   one is being filled, and these two take turns at the same memory.
//! - Y4 The table grows between batches only, and what was read for the narrower one is read again.
//! - Y5 A batch leaves only after the cluster said, later than its last record was read, that its topics are the ones whose
//!   offsets the database has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{
    Client, Consumer, ConsumerConfig, Event, GroupConfig, Isolation, Positions, Record, Reset, Start,
    TopicPartition,
};
use model::Offset;
use rt::channel::watch;
use rt::{Instant, Rt};

use crate::dead_letter::{DeadLetter, DeadLetters, Read, RecordId};
use crate::definition::Definition;
use crate::desk::{Committed, Desk, Outcome};
use crate::gathered::Gathered;
use crate::ledger::{Ledger, Verdict};
use crate::note::Note;
use crate::origins::origins;
use crate::rows::Rows;
use crate::schema::{Column, Schema};
use crate::search::Search;
use crate::target::{Batch, Fault, Target, TargetError};
use crate::transform::Transform;

/// Longest wait for something to happen.
const POLL: Duration = Duration::from_millis(500);

/// Time between commits to the group.
const GROUP_COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Time between signs of life: others hear of a change by their next one.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Of the session timeout, what the others need to hear that a worker is gone, and to claim, read and write.
const TAKEOVER: Duration = Duration::from_secs(1);

/// Brokers let nobody ask for a shorter one, unless they were told to (`group.min.session.timeout.ms`).
const SESSION_TIMEOUT_MIN: Duration = Duration::from_secs(6);

/// Bytes of an answer and of one partition in it: what is fetched ahead is a good part of a worker's memory.
const FETCH_BYTES: usize = 2 * 1024 * 1024;
const PARTITION_BYTES: usize = 512 * 1024;

/// Records that are decoded between two looks at the database, and their bytes: by so much a batch may be larger than it is
/// to be.
const POLL_RECORDS: usize = 2_000;
const POLL_BYTES: usize = 512 * 1024;

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
    /// What was read and is in no batch yet.
    gathered: Gathered,
    /// Room for the next batch, while none is under way.
    spare: Option<Rows>,
    /// Of the batch under way: how many records it has, and the last one.
    sent: (usize, Option<(TopicPartition, Offset)>),
    search: Search,
    /// The schema that the table is to have next.
    growing: Option<Schema>,
    /// Where it has enough, and how far it came there.
    ends: Option<BTreeMap<TopicPartition, Offset>>,
    reached: BTreeMap<TopicPartition, Offset>,
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
            poll_bytes: POLL_BYTES.min(definition.flush.bytes),
            reset: Reset::Fail,
            isolation: Isolation::ReadCommitted,
            ..ConsumerConfig::default()
        };
        let group = GroupConfig {
            session_timeout: session_in_group(definition.session_timeout),
            heartbeat_interval: HEARTBEAT_INTERVAL,
            auto_commit: None,
            positions: Positions::Caller,
            ..GroupConfig::new(&definition.group)
        };
        let consumer = Consumer::in_group(client, reading, group, definition.topics.clone());
        let dead_letters = definition.dead_letters.clone();
        let dead_letters =
            dead_letters.map(|topic| DeadLetters::new(client, topic, definition.name_in_letters()));
        Worker {
            client: client.clone(),
            consumer,
            transform: Box::new(transform),
            ledger: Ledger::default(),
            desk: Desk::open(&rt, target, dead_letters, definition.name.clone(), schema.clone()),
            gathered: Gathered::new(Rows::with_room(schema.columns.len(), &definition.flush)),
            spare: None,
            sent: (0, None),
            search: Search::default(),
            growing: None,
            ends: None,
            reached: BTreeMap::new(),
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

    /// Reads to these offsets and no further, and ends when all before them is done in the partitions that the group gives
    /// it.
    pub(crate) fn until(self, ends: BTreeMap<TopicPartition, Offset>) -> Worker<F> {
        Worker { ends: Some(ends), ..self }
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
            if self.is_at_its_ends() {
                break Ok(());
            }
            let wait = self.wait();
            let (flush, limit) = (&self.definition.flush, self.search.limit());
            let is_full = self.gathered.is_full(flush, limit);
            let room = limit.saturating_sub(self.gathered.records);
            self.consumer.set_poll_records(POLL_RECORDS.min(flush.rows).min(room.max(1)));
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
        let flush_at = self.gathered.since.map(|since| since + self.definition.flush.age);
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
        if let Some(schema) = &self.growing {
            return self.desk.prepare(schema.clone()).await;
        }
        let unclaimed = self.ledger.unclaimed(now);
        if !unclaimed.is_empty() {
            return self.claim(&unclaimed).await;
        }
        if self.gathered.is_due(&self.definition.flush, self.search.limit(), now) {
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
        // Asked anew each time: whatever was fetched before this answer is of the topics it names (Y5).
        let snapshot = match self.client.refresh(Some(&self.definition.topics)).await {
            Ok(snapshot) => snapshot,
            Err(error) => return self.on_trouble(error.to_string()),
        };
        let topic_id = |place: &TopicPartition| Some(snapshot.topics.get(&place.topic)?.id.to_string());
        if self.ledger.is_recreated(topic_id) {
            return self.start_over();
        }
        let moves = self.ledger.send(&self.consumer.positions());
        let room = self.spare.take().unwrap_or_else(|| self.room());
        let gathered = std::mem::replace(&mut self.gathered, Gathered::new(room));
        if !moves.is_empty() {
            self.sent = (gathered.records, gathered.last);
            self.desk.commit(gathered.letters, Batch { rows: gathered.rows, moves }).await;
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), client::Error> {
        match event {
            Event::Records(records) => self.on_records(records).await?,
            Event::Assigned(places) => {
                self.gathered.clear();
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
                if self.gathered.since.is_none() && self.ledger.has_moved(&self.consumer.positions()) {
                    self.gathered.since = Some(self.rt.now());
                }
            }
        }
        Ok(())
    }

    fn on_revoked(&mut self) {
        self.ledger.clear();
        self.gathered.clear();
        self.done.clear();
        self.reached.clear();
        (self.note)(Note::Revoked);
    }

    async fn on_records(&mut self, mut records: Vec<Record>) -> Result<(), client::Error> {
        self.leave_out_what_is_behind_the_ends(&mut records).await?;
        self.put_back_what_is_too_much(&mut records).await?;
        let Some(last) = records.last() else { return Ok(()) };
        self.gathered.since.get_or_insert(self.rt.now());
        self.gathered.last = Some((last.place(), last.offset));
        self.gathered.records += records.len();
        let mut refused = self.take_condemned(&mut records);
        refused.extend(self.make_rows(&mut records));
        if self.definition.dead_letters.is_some() {
            for refusal in refused {
                if let Some(letter) = self.letter(refusal) {
                    self.gathered.push_letter(letter);
                }
            }
        } else {
            self.stop_at(refused).await?;
        }
        let columns = self.transform.new_columns();
        if !columns.is_empty() {
            self.grow(columns);
        }
        Ok(())
    }

    /// Takes out of `records` what the database refused by itself (B1).
    fn take_condemned(&self, records: &mut Vec<Record>) -> Vec<Refusal> {
        if self.search.is_idle() {
            return Vec::new();
        }
        let mut refused = Vec::new();
        records.retain(|record| {
            let condemned = self.search.condemned(&record.place(), record.offset);
            let refusal = condemned.map(|condemned| Refusal {
                record: record.clone(),
                problem: condemned.error.message.clone(),
                code: condemned.error.code.clone(),
                attempts: condemned.attempts,
            });
            refused.extend(refusal);
            condemned.is_none()
        });
        refused
    }

    /// Appends the rows of `records`, and returns those that are none. Where their partition waits at them, nothing behind
    /// them is in a row.
    fn make_rows(&mut self, records: &mut Vec<Record>) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        loop {
            let mark = self.gathered.rows.mark();
            let refused = self.transform.apply(records, &mut self.gathered.rows);
            let refused = refused.into_iter().map(|refused| Refusal {
                record: records[refused.index].clone(),
                problem: refused.problem,
                code: None,
                attempts: 1,
            });
            let refused: Vec<_> = refused.collect();
            let is_done = refused.is_empty() || self.definition.dead_letters.is_some();
            refusals.extend(refused);
            if is_done {
                return refusals;
            }
            self.gathered.rows.truncate(mark);
            let bad = firsts(&refusals);
            records.retain(|record| {
                bad.get(&record.place()).is_none_or(|refusal| record.offset < refusal.record.offset)
            });
        }
    }

    /// Stops each partition at its first record that is refused: what came before is written, it and what follows waits.
    async fn stop_at(&mut self, refused: Vec<Refusal>) -> Result<(), client::Error> {
        for (place, refusal) in firsts(&refused) {
            let offset = refusal.record.offset;
            self.consumer.seek(&place, Start::At(offset)).await?;
            self.stop(&place, format!("the record at offset {offset} is refused: {}", refusal.problem));
        }
        Ok(())
    }

    /// The letter of a record that is refused; none when its partition is not ours any more.
    fn letter(&self, refusal: Refusal) -> Option<DeadLetter> {
        let Refusal { record, problem, code, attempts } = refusal;
        if let Some(read) = Read::from_record(&record).filter(|_| self.ends.is_some()) {
            // A letter that was driven in again.
            let (record, id, generation) = (read.record, read.id, read.generation + 1);
            return Some(DeadLetter { record, id, generation, problem, code, attempts });
        }
        let topic_id = self.ledger.topic_id(&record.place())?.to_owned();
        let (topic, partition, offset) = (record.topic.clone(), record.partition, record.offset);
        let id = RecordId { topic, topic_id, partition, offset };
        Some(DeadLetter { record, id, generation: 0, problem, code, attempts })
    }

    /// The table is to have more columns; what was read is read again for it (Y4).
    fn grow(&mut self, columns: Vec<Column>) {
        match self.schema.with(columns) {
            Ok(schema) => self.growing = Some(schema),
            Err(problem) => self.on_trouble(problem),
        }
        self.start_over();
    }

    /// A poll returns whole batches of records, which may be more than a batch of ours may have.
    async fn put_back_what_is_too_much(&mut self, records: &mut Vec<Record>) -> Result<(), client::Error> {
        let room = self.search.limit().saturating_sub(self.gathered.records);
        let mut firsts = BTreeMap::new();
        for record in records.get(room..).unwrap_or_default() {
            firsts.entry(record.place()).or_insert(record.offset);
        }
        records.truncate(room);
        for (place, offset) in firsts {
            self.consumer.seek(&place, Start::At(offset)).await?;
        }
        Ok(())
    }

    /// Leaves a partition at its end, where it has one.
    async fn leave_out_what_is_behind_the_ends(
        &mut self,
        records: &mut Vec<Record>,
    ) -> Result<(), client::Error> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let end = |record: &Record| ends.get(&record.place()).copied().unwrap_or(Offset(0));
        let left: BTreeSet<_> =
            records.iter().filter(|record| end(record) <= record.offset).map(Record::place).collect();
        records.retain(|record| record.offset < end(record));
        for place in left {
            let end = ends.get(&place).copied().unwrap_or(Offset(0));
            self.consumer.seek(&place, Start::At(end)).await?;
            self.consumer.pause(&place);
        }
        Ok(())
    }

    /// Whether all that is to be done is done.
    fn is_at_its_ends(&self) -> bool {
        self.ends.as_ref().is_some_and(|ends| {
            let is_there =
                |(place, next): (&TopicPartition, &Offset)| ends.get(place).is_none_or(|end| end <= next);
            !self.reached.is_empty()
                && self.ledger.are_all_in(&self.reached)
                && self.reached.iter().all(is_there)
        })
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
                            self.reached.insert(place.clone(), next);
                            (self.note)(Note::Begun { place, next });
                        }
                        Verdict::Stopped(reason) => (self.note)(Note::Stopped { place, reason }),
                        Verdict::Fenced => {
                            (self.note)(Note::Trouble(format!("{place} was taken by another worker")));
                        }
                    }
                }
            }
            Outcome::Claimed { result: Err(error), .. } => {
                self.on_trouble(error.to_string());
                self.start_over();
            }
            Outcome::Prepared(Ok(schema)) => self.on_grown(schema),
            Outcome::Prepared(Err(error)) => self.on_trouble(error.to_string()),
            Outcome::Committed(committed) => self.on_committed(committed),
        }
    }

    fn on_grown(&mut self, schema: Schema) {
        self.on_success();
        self.growing = None;
        self.transform.on_schema(&schema);
        let is_new = |column: &&Column| !self.schema.columns.iter().any(|known| known.name == column.name);
        let new = schema.columns.iter().filter(is_new).map(|column| column.name.clone()).collect();
        self.schema = schema;
        self.spare = None;
        self.gathered = Gathered::new(self.room());
        (self.note)(Note::Grown(new));
    }

    fn on_committed(&mut self, committed: Committed) {
        let Committed { mut rows, letters, offsets, result } = committed;
        let (records, last) = std::mem::take(&mut self.sent);
        let count = rows.len();
        rows.clear();
        self.spare = (rows.width() == self.schema.columns.len()).then_some(rows);
        match result {
            Ok(true) => {
                self.on_success();
                self.search.on_passed(records, &offsets);
                self.done.extend(offsets.iter().cloned());
                self.reached.extend(offsets.iter().cloned());
                (self.note)(Note::Committed { rows: count, letters, offsets });
            }
            Ok(false) => self.start_over(),
            // Without rows it is nothing that a record says.
            Err(error @ TargetError { fault: Fault::Refused, .. }) if 0 < count => {
                self.search.on_refused(records, last, error);
                self.start_over();
            }
            Err(error) => {
                if error.fault == Fault::Slow {
                    self.search.on_slow(records);
                }
                self.on_trouble(error.to_string());
                self.start_over();
            }
        }
    }

    /// Reads everything of ours again from where the database stands (Y2).
    fn start_over(&mut self) {
        self.gathered.clear();
        let read: BTreeSet<_> = self.consumer.positions().into_keys().collect();
        read.iter().for_each(|place| self.consumer.pause(place));
        self.ledger.on_doubt(self.rt.now().max(self.retry_at));
    }

    /// Room for rows as they are now.
    fn room(&self) -> Rows {
        Rows::with_room(self.schema.columns.len(), &self.definition.flush)
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
        if self.gathered.since.is_some() && self.growing.is_none() && self.retry_at <= self.rt.now() {
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

/// For how long the group is not to hear of a worker before it gives its partitions to the others, so that these write within
/// the session timeout; where that is short for a broker, it is the group's, and the takeover comes on top.
fn session_in_group(session_timeout: Duration) -> Duration {
    session_timeout.saturating_sub(TAKEOVER).max(session_timeout.min(SESSION_TIMEOUT_MIN))
}

/// A record that is not to be in the table.
struct Refusal {
    record: Record,
    problem: String,
    code: Option<String>,
    attempts: u32,
}

/// The first of each partition.
fn firsts(refusals: &[Refusal]) -> BTreeMap<TopicPartition, &Refusal> {
    let mut firsts: BTreeMap<TopicPartition, &Refusal> = BTreeMap::new();
    for refusal in refusals {
        let first = firsts.entry(refusal.record.place()).or_insert(refusal);
        if refusal.record.offset < first.record.offset {
            *first = refusal;
        }
    }
    firsts
}
