//! What waits to be sent or acknowledged, batch by batch: a machine without I/O or clock.
//!
//! - A1 A partition's unresolved batches are numbered in the order their records came; sent ones before unsent ones.
//! - A2 A batch keeps the sequence it was first sent with until it is certain that it was not written.
//! - A3 While a batch is to be sent again only the first unresolved one of its partition may leave: what comes after it
//!   cannot be accepted before it.
//! - A4 A producer epoch of a partition starts with sequence 0, and only when nothing is under way there.
//!
//! The epoch is counted partition by partition: brokers track a producer's sequences that way, so a partition that lost
//! a batch does not disturb the others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use model::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchBuilder, BatchOptions, Compression, Producer as Numbered, decode};
use rt::Instant;
use rt::channel::oneshot;

use super::{Acks, Delivery, NewRecord, ProducerConfig, Written};
use crate::error::Error;
use crate::metadata::TopicPartition;

/// Who an idempotent producer is.
pub(super) type Identity = (ProducerId, ProducerEpoch);

/// All partitions of one producer.
pub(super) struct Accumulator {
    batch_bytes: usize,
    linger: Duration,
    delivery_timeout: Duration,
    in_flight_max: usize,
    idempotent: bool,
    /// Given by the cluster; idempotent batches wait for it.
    identity: Option<Identity>,
    compression: Compression,
    queues: BTreeMap<TopicPartition, Queue>,
    next_id: u64,
    unresolved: usize,
    /// Batches numbered below this do not linger.
    flush_below: u64,
}

#[derive(Default)]
struct Queue {
    unsent: VecDeque<Batch>,
    sent: BTreeMap<u64, Sent>,
    identity: Option<Identity>,
    next_sequence: i32,
    /// A batch was given up after it may have been numbered: what follows it may be refused as out of order.
    has_gap: bool,
    /// Everything unresolved is known not to be written: it gets new numbers when nothing is under way (A4).
    renumber: bool,
    /// A batch of this epoch was written. Until then only one is under way: a partition that knows nothing of an epoch
    /// may take any of its sequences for the first.
    proven: bool,
}

struct Batch {
    id: u64,
    builder: BatchBuilder,
    waiting: Vec<oneshot::Sender<Result<Written, Error>>>,
    bytes: usize,
    opened: Instant,
    full: bool,
}

struct Sent {
    /// The batch as it was sent; `None` while it is being built.
    built: Option<Bytes>,
    waiting: Vec<oneshot::Sender<Result<Written, Error>>>,
    bytes: usize,
    opened: Instant,
    attempts: u32,
    stage: Stage,
}

enum Stage {
    InFlight,
    /// To be sent again.
    Again {
        at: Instant,
        error: Error,
    },
}

/// A batch to be sent now.
pub(super) struct Sending {
    pub(super) place: TopicPartition,
    pub(super) id: u64,
    pub(super) source: Source,
}

/// What its bytes are made of.
pub(super) enum Source {
    /// Records never sent.
    New(BatchBuilder, BatchOptions),
    /// The same bytes again.
    Again(Bytes),
    /// The same records under new numbers.
    Renumbered(Bytes, BatchOptions),
}

/// What to do next.
pub(super) struct Drained {
    pub(super) sendings: Vec<Sending>,
    pub(super) finished: Vec<Finished>,
    /// When to look again, if nothing happens before.
    pub(super) next: Option<Instant>,
}

/// A batch that is certain, with those who wait to hear.
pub(super) struct Finished {
    place: TopicPartition,
    waiting: Vec<oneshot::Sender<Result<Written, Error>>>,
    bytes: usize,
    result: Result<Option<Offset>, Error>,
}

impl Finished {
    /// Tells everybody; returns the bytes it held.
    pub(super) fn complete(self) -> usize {
        for (index, waiting) in self.waiting.into_iter().enumerate() {
            let partition = self.place.partition;
            let answer = match &self.result {
                Ok(base) => {
                    let offset = base.map(|base| base.plus(i64::try_from(index).unwrap_or(i64::MAX)));
                    Ok(Written { partition, offset })
                }
                Err(error) => Err(error.clone()),
            };
            // Whoever dropped its delivery does not want to know.
            let _ = waiting.send(answer);
        }
        self.bytes
    }
}

/// Makes the bytes of a batch; slow where it compresses, so nobody holds a lock meanwhile.
pub(super) fn build(source: Source) -> Result<Bytes, Error> {
    let unbuildable = |error: record::BatchError| Error::Unwritable {
        api: wire::ApiKey::Produce,
        problem: error.to_string(),
    };
    let (builder, options) = match source {
        Source::Again(bytes) => return Ok(bytes),
        Source::New(builder, options) => (builder, options),
        Source::Renumbered(bytes, options) => {
            let decoded = decode(&bytes, usize::MAX).map_err(unbuildable)?;
            let mut builder = BatchBuilder::new();
            for record in decoded.records() {
                let record = record.map_err(unbuildable)?;
                let headers: Vec<_> = record.headers().collect();
                builder.push(record.key, record.value, &headers, record.timestamp);
            }
            (builder, options)
        }
    };
    Ok(Bytes::from(builder.build(options).map_err(unbuildable)?.to_vec()))
}

impl Accumulator {
    pub(super) fn new(config: &ProducerConfig, in_flight_max: usize) -> Accumulator {
        Accumulator {
            batch_bytes: config.batch_bytes,
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            in_flight_max,
            idempotent: config.acks == Acks::All,
            identity: None,
            compression: config.compression,
            queues: BTreeMap::new(),
            next_id: 0,
            unresolved: 0,
            flush_below: 0,
        }
    }

    /// Whether nothing waits to be sent or acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.unresolved == 0
    }

    /// Whether batches wait for the producer to be somebody.
    pub(super) fn needs_identity(&self) -> bool {
        self.idempotent && self.identity.is_none() && !self.is_settled()
    }

    /// Who this producer is from now on.
    pub(super) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// Gives up everything that was never sent: `error` will not go away.
    pub(super) fn give_up_unsent(&mut self, error: &Error) -> Vec<Finished> {
        let mut finished = Vec::new();
        for (place, queue) in &mut self.queues {
            for Batch { waiting, bytes, .. } in queue.unsent.drain(..) {
                finished.push(Finished { place: place.clone(), waiting, bytes, result: Err(error.clone()) });
            }
        }
        self.unresolved -= finished.len();
        finished
    }

    /// Lets what is here now leave without lingering.
    pub(super) fn flush(&mut self) {
        self.flush_below = self.next_id;
    }

    /// Adds a record that holds `bytes` of the buffer; says whether the sending task must hear of it: a batch was begun or is full.
    pub(super) fn push(
        &mut self,
        now: Instant,
        place: TopicPartition,
        record: NewRecord<'_>,
        timestamp: TimestampMs,
        bytes: usize,
    ) -> (Delivery, bool) {
        let (sender, receiver) = oneshot::channel();
        let queue = self.queues.entry(place).or_default();
        let room = self.batch_bytes.saturating_sub(bytes);
        let mut wake = false;
        if let Some(last) = queue.unsent.back_mut()
            && room < last.builder.uncompressed_bytes()
        {
            last.full = true;
            wake = true;
        }
        if queue.unsent.back().is_none_or(|last| last.full) {
            let id = self.next_id;
            self.next_id += 1;
            self.unresolved += 1;
            wake = true;
            let (builder, waiting) = (BatchBuilder::new(), Vec::new());
            queue.unsent.push_back(Batch { id, builder, waiting, bytes: 0, opened: now, full: false });
        }
        if let Some(batch) = queue.unsent.back_mut() {
            batch.builder.push(record.key, record.value, record.headers, timestamp);
            batch.waiting.push(sender);
            batch.bytes += bytes;
        }
        (Delivery(receiver), wake)
    }

    /// Partitions with something to send, whoever leads them.
    pub(super) fn places(&self) -> Vec<TopicPartition> {
        (self.queues.iter())
            .filter(|(_, queue)| !queue.unsent.is_empty() || !queue.sent.is_empty())
            .map(|(place, _)| place.clone())
            .collect()
    }

    /// Takes what may leave now: at most one batch a partition, of those that `may_leave` lets through.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        mut may_leave: impl FnMut(&TopicPartition) -> bool,
    ) -> Drained {
        let mut drained = Drained { sendings: Vec::new(), finished: Vec::new(), next: None };
        let rules = Rules {
            linger: self.linger,
            in_flight_max: self.in_flight_max,
            flush_below: self.flush_below,
            compression: self.compression,
            identity: self.identity,
        };
        for (place, queue) in &mut self.queues {
            queue.expire(place, now, self.delivery_timeout, &mut drained);
            if !queue.has_work() || self.idempotent && rules.identity.is_none() || !may_leave(place) {
                continue;
            }
            if let Some((id, source)) = queue.take(now, &rules, &mut drained.next) {
                drained.sendings.push(Sending { place: place.clone(), id, source });
            }
        }
        self.unresolved -= drained.finished.len();
        drained
    }

    /// Keeps the bytes of a batch for another attempt.
    pub(super) fn on_built(&mut self, place: &TopicPartition, id: u64, bytes: Bytes) {
        if let Some(sent) = self.queues.get_mut(place).and_then(|queue| queue.sent.get_mut(&id)) {
            sent.built = Some(bytes);
        }
    }

    /// A batch was written, at `base` if the broker said where.
    pub(super) fn on_written(
        &mut self,
        place: &TopicPartition,
        id: u64,
        base: Option<Offset>,
    ) -> Option<Finished> {
        let queue = self.queues.get_mut(place)?;
        if queue.is_first(id) {
            queue.has_gap = false;
        }
        queue.proven = true;
        self.finish(place, id, Ok(base))
    }

    /// An attempt failed. A batch that may be sent again waits until `retry_at`, the time given its attempts so far.
    pub(super) fn on_failed(
        &mut self,
        place: &TopicPartition,
        id: u64,
        error: Error,
        retry_at: impl FnOnce(u32) -> Instant,
    ) -> Option<Finished> {
        let idempotent = self.idempotent;
        let queue = self.queues.get_mut(place)?;
        let first = queue.is_first(id);
        match judge(&error, idempotent, first, queue.has_gap) {
            Verdict::Written => return self.on_written(place, id, None),
            Verdict::Again => {}
            Verdict::Renumber => {
                queue.has_gap = false;
                queue.renumber = true;
            }
            Verdict::GiveUp => {
                queue.has_gap = idempotent;
                return self.finish(place, id, Err(error));
            }
        }
        let sent = queue.sent.get_mut(&id)?;
        sent.stage = Stage::Again { at: retry_at(sent.attempts), error };
        sent.attempts += 1;
        None
    }

    fn finish(
        &mut self,
        place: &TopicPartition,
        id: u64,
        result: Result<Option<Offset>, Error>,
    ) -> Option<Finished> {
        let queue = self.queues.get_mut(place)?;
        let sent = queue.sent.remove(&id)?;
        queue.renumber_if_quiet();
        self.unresolved -= 1;
        Some(Finished { place: place.clone(), waiting: sent.waiting, bytes: sent.bytes, result })
    }
}

enum Verdict {
    Written,
    Again,
    Renumber,
    GiveUp,
}

/// What a failed attempt means for its batch.
fn judge(error: &Error, idempotent: bool, first: bool, has_gap: bool) -> Verdict {
    match error.code() {
        // The broker has it from an earlier attempt, and forgot where.
        Some(ErrorCode::DuplicateSequenceNumber) => Verdict::Written,
        // What comes before it is not there yet: it was not written, and its turn will come.
        Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId) if idempotent && !first => {
            Verdict::Again
        }
        // What came before it was given up, and never will be there.
        Some(ErrorCode::OutOfOrderSequenceNumber) if idempotent && has_gap => Verdict::Renumber,
        // The partition forgot this producer, with everything it had written: nothing of it can be a duplicate.
        Some(ErrorCode::UnknownProducerId) if idempotent => Verdict::Renumber,
        Some(_) | None if error.is_retriable() => Verdict::Again,
        Some(_) | None => Verdict::GiveUp,
    }
}

/// What all queues of a producer have in common.
struct Rules {
    linger: Duration,
    in_flight_max: usize,
    flush_below: u64,
    compression: Compression,
    identity: Option<Identity>,
}

impl Queue {
    fn has_work(&self) -> bool {
        !self.unsent.is_empty() || self.sent.values().any(|sent| matches!(sent.stage, Stage::Again { .. }))
    }

    fn is_first(&self, id: u64) -> bool {
        self.sent.first_key_value().is_some_and(|(first, _)| *first == id)
    }

    /// Gives up what has waited too long and is not under way.
    fn expire(&mut self, place: &TopicPartition, now: Instant, after: Duration, drained: &mut Drained) {
        let too_old = |opened: Instant| opened + after <= now;
        let due = |opened: Instant, next: &mut Option<Instant>| sooner(next, opened + after);
        while let Some(batch) = self.unsent.pop_front_if(|batch| too_old(batch.opened)) {
            let result = Err(timed_out(place, after));
            let (waiting, bytes) = (batch.waiting, batch.bytes);
            drained.finished.push(Finished { place: place.clone(), waiting, bytes, result });
        }
        let old: Vec<u64> = (self.sent.iter())
            .filter(|(_, sent)| matches!(sent.stage, Stage::Again { .. }) && too_old(sent.opened))
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            let Some(sent) = self.sent.remove(&id) else { continue };
            let result = Err(match sent.stage {
                Stage::Again { error, .. } => error,
                Stage::InFlight => timed_out(place, after),
            });
            self.has_gap = true;
            let (waiting, bytes) = (sent.waiting, sent.bytes);
            drained.finished.push(Finished { place: place.clone(), waiting, bytes, result });
        }
        self.renumber_if_quiet();
        if let Some(batch) = self.unsent.front() {
            due(batch.opened, &mut drained.next);
        }
    }

    /// With nothing sent and unresolved, nobody can mistake new numbers for old ones.
    fn renumber_if_quiet(&mut self) {
        if self.has_gap && self.sent.is_empty() {
            self.has_gap = false;
            self.renumber = true;
        }
    }

    /// The batch that may leave, if any; `next` is brought forward to when one may.
    fn take(&mut self, now: Instant, rules: &Rules, next: &mut Option<Instant>) -> Option<(u64, Source)> {
        let under_way = self.sent.values().filter(|sent| matches!(sent.stage, Stage::InFlight)).count();
        if self.renumber {
            if 0 < under_way {
                return None;
            }
            self.start_epoch();
        }
        if under_way < self.sent.len() {
            return self.take_again(now, rules, next);
        }
        let batch = self.unsent.front()?;
        let leaves_at = batch.opened + rules.linger;
        if !batch.full && batch.id >= rules.flush_below && now < leaves_at {
            sooner(next, leaves_at);
            return None;
        }
        let in_flight_max = if self.proven { rules.in_flight_max } else { 1 };
        if in_flight_max <= under_way {
            return None;
        }
        let batch = self.unsent.pop_front()?;
        let options = self.number(rules, batch.builder.record_count());
        let (waiting, bytes, opened) = (batch.waiting, batch.bytes, batch.opened);
        self.sent.insert(
            batch.id,
            Sent { built: None, waiting, bytes, opened, attempts: 0, stage: Stage::InFlight },
        );
        Some((batch.id, Source::New(batch.builder, options)))
    }

    fn take_again(
        &mut self,
        now: Instant,
        rules: &Rules,
        next: &mut Option<Instant>,
    ) -> Option<(u64, Source)> {
        let (&id, first) = self.sent.first_key_value()?;
        let Stage::Again { at, .. } = &first.stage else { return None };
        if now < *at {
            sooner(next, *at);
            return None;
        }
        let bytes = first.built.clone()?;
        let source = if self.renumbering(&bytes) {
            Source::Renumbered(bytes, self.number(rules, first.waiting.len()))
        } else {
            Source::Again(bytes)
        };
        self.sent.get_mut(&id)?.stage = Stage::InFlight;
        Some((id, source))
    }

    /// Whether a batch carries numbers of an epoch that was left.
    fn renumbering(&self, bytes: &Bytes) -> bool {
        let header = record::BatchHeader::parse(bytes);
        let carried = header.map(|header| (header.producer_id, header.producer_epoch));
        self.identity.is_some_and(|identity| carried != Ok(identity))
    }

    /// The last epoch there is stays: a producer that lost 32,767 batches of one partition has other troubles.
    fn start_epoch(&mut self) {
        self.renumber = false;
        self.proven = false;
        self.next_sequence = 0;
        self.identity =
            self.identity.map(|(id, ProducerEpoch(epoch))| (id, ProducerEpoch(epoch.saturating_add(1))));
    }

    fn number(&mut self, rules: &Rules, records: usize) -> BatchOptions {
        let mut options = BatchOptions { compression: rules.compression, ..BatchOptions::default() };
        if let Some(given) = rules.identity {
            let (id, epoch) = *self.identity.get_or_insert(given);
            options.producer = Some(Numbered { id, epoch, base_sequence: self.next_sequence });
            let next = i64::from(self.next_sequence) + i64::try_from(records).unwrap_or(i64::MAX);
            // Sequences wrap to zero after i32::MAX.
            self.next_sequence = i32::try_from(next & i64::from(i32::MAX)).unwrap_or(0);
        }
        options
    }
}

fn sooner(next: &mut Option<Instant>, at: Instant) {
    *next = Some(next.map_or(at, |known| known.min(at)));
}

fn timed_out(place: &TopicPartition, after: Duration) -> Error {
    Error::TimedOut { what: "acknowledgement", whom: place.to_string(), after }
}

#[cfg(test)]
mod tests;
