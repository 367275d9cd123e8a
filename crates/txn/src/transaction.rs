//! One transactional id: what the log says of it, and what it waits for.
//!
//! - T1 `stored` changes in `apply` only, whether a record comes from a step or from the log.
//! - T2 While it is ending its markers are being written, under one ticket; otherwise there is no ticket.
//! - T3 While it is ongoing it has a deadline, otherwise none.
//!
//! The rules are in the files beside: `init`, `partitions`, `end`, `expire`, `describe`.

use model::{ErrorCode, NowMs, ProducerEpoch, TransactionResult};

use crate::action::{Action, Markers, TransactionRecord};
use crate::config::VersionLevel;
use crate::event::MarkersTicket;
use crate::record::Record;
use crate::stored::{State, Stored, TransactionalId};
use crate::turn::Turn;

/// What a record costs in a batch beside its key and value, and the batch itself, and what the end of the transaction may
/// add to it, bytes, at the most.
const OVERHEAD_BYTES: usize = 61 + 32 + 16;

/// One transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) id: TransactionalId,
    stored: Stored,
    /// The epoch the producer had before it got the current one: its retry is told from a stranger's. Not in the log, as
    /// in Kafka: an InitProducerId that is tried again across a restart of the coordinator is fenced.
    pub(crate) last_epoch: ProducerEpoch,
    markers: Option<MarkersTicket>,
    /// When it has been open for too long, monotonic ms.
    pub(crate) deadline_ms: Option<u64>,
}

impl Transaction {
    /// A transactional id as the log has it, or is about to.
    pub fn new(id: TransactionalId, stored: Stored) -> Transaction {
        Transaction { id, stored, last_epoch: ProducerEpoch::NONE, markers: None, deadline_ms: None }
    }

    /// What the log says.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Takes over what a record says (T1).
    pub fn apply(&mut self, stored: Stored) {
        self.stored = stored;
    }

    /// Appends what is so from now on and takes it over.
    pub fn append(&mut self, turn: &mut Turn<'_>, next: Stored) {
        let record = encode(&self.id, next.clone(), turn.config.level);
        self.append_encoded(turn, next, record);
    }

    /// The same, unless the record is larger than the log takes: Kafka's answer to that is the unknown error.
    pub fn append_if_it_fits(&mut self, turn: &mut Turn<'_>, next: Stored) -> Result<(), ErrorCode> {
        let record = encode(&self.id, next.clone(), turn.config.level);
        let bytes = OVERHEAD_BYTES + record.key.len() + record.value.as_ref().map_or(0, Vec::len);
        if turn.config.append_bytes_max < bytes {
            return Err(ErrorCode::UnknownServerError);
        }
        self.append_encoded(turn, next, record);
        Ok(())
    }

    fn append_encoded(&mut self, turn: &mut Turn<'_>, next: Stored, record: TransactionRecord) {
        turn.actions.push(Action::Append(vec![record]));
        self.apply(next);
        self.set_deadline(turn.now);
    }

    /// Has the markers of a transaction that is ending written (T2); one without partitions is complete at once.
    pub fn write_markers(&mut self, turn: &mut Turn<'_>) {
        let result = match self.stored.state {
            State::PrepareCommit => TransactionResult::Commit,
            State::PrepareAbort => TransactionResult::Abort,
            State::Empty | State::Ongoing | State::CompleteCommit | State::CompleteAbort => return,
        };
        if self.stored.partitions.is_empty() {
            self.complete(turn);
            return;
        }
        let ticket = turn.markers_ticket();
        self.markers = Some(ticket);
        turn.actions.push(Action::WriteMarkers(Markers {
            ticket,
            transactional_id: self.id.clone(),
            producer_id: self.stored.producer_id,
            producer_epoch: self.stored.producer_epoch,
            result,
            version: self.stored.version,
            partitions: self.stored.partitions.clone(),
        }));
    }

    /// Every partition has its marker.
    pub fn on_markers_written(&mut self, turn: &mut Turn<'_>, ticket: MarkersTicket) {
        if self.markers == Some(ticket) {
            self.markers = None;
            self.complete(turn);
        }
    }

    /// Takes up what was under way after all records have been replayed.
    pub fn restore(&mut self, turn: &mut Turn<'_>) {
        self.set_deadline(turn.now);
        self.write_markers(turn);
    }

    /// T3. The time that passed on the wall clock while nobody coordinated counts, at most the timeout.
    fn set_deadline(&mut self, now: NowMs) {
        if self.stored.state != State::Ongoing {
            self.deadline_ms = None;
        } else if self.deadline_ms.is_none() {
            let timeout = u64::try_from(self.stored.timeout_ms).unwrap_or(0);
            let open = now.wall.saturating_sub(self.stored.started_at_ms.unwrap_or(now.wall));
            let open = u64::try_from(open).unwrap_or(0);
            self.deadline_ms = Some(now.monotonic.saturating_add(timeout.saturating_sub(open)));
        }
    }
}

fn encode(id: &TransactionalId, value: Stored, level: VersionLevel) -> TransactionRecord {
    Record { transactional_id: id.clone(), value: Some(value) }.encode(level)
}

#[cfg(test)]
impl Transaction {
    pub(crate) fn assert_invariants(&self) {
        assert_eq!(self.stored.state.is_ending(), self.markers.is_some(), "T2");
        assert_eq!(self.stored.state == State::Ongoing, self.deadline_ms.is_some(), "T3");
    }
}
