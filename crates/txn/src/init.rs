//! InitProducerId: who produces under a transactional id from now on; whoever did before is fenced.
//!
//! - N1 An open transaction is aborted first, under an epoch nobody is given; the producer is told to come back, and gets
//!   the epoch after.
//! - N2 When the epochs of a producer id are used up, the producer gets a new id.

use model::{ErrorCode, ProducerEpoch, ProducerId, Ticket};

use crate::action::{InitReply, Reply};
use crate::event::InitRequest;
use crate::stored::{Partitions, State, Stored, is_exhausted, next_epoch};
use crate::transaction::Transaction;
use crate::turn::Turn;

/// What an id gets that may begin anew, and the epoch its producer had before.
struct Begun {
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    last_epoch: ProducerEpoch,
}

/// Why it does not.
enum Refusal {
    Error(ErrorCode),
    NeedsProducerId,
}

impl Transaction {
    /// InitProducerId of an id that is known, or was just made for it.
    pub fn on_init(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &InitRequest) {
        if !request.expected.is_none_or(|expected| self.may_go_on(expected)) {
            turn.refuse_init(ticket, ErrorCode::ProducerFenced);
            return;
        }
        match self.stored().state {
            State::PrepareCommit | State::PrepareAbort => {
                turn.refuse_init(ticket, ErrorCode::ConcurrentTransactions);
            }
            State::Ongoing => {
                self.fence(turn);
                let reply = InitReply::failed(ErrorCode::ConcurrentTransactions);
                turn.reply_durable(ticket, Reply::Init(reply));
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                match self.next_producer(request) {
                    Ok(begun) => self.begin(turn, ticket, request.timeout_ms, &begun),
                    Err(Refusal::Error(error)) => turn.refuse_init(ticket, error),
                    Err(Refusal::NeedsProducerId) => turn.reply(ticket, Reply::NeedsProducerId),
                }
            }
        }
    }

    /// Whether a producer that says what it has may be the one this id is of.
    fn may_go_on(&self, (producer_id, epoch): (ProducerId, ProducerEpoch)) -> bool {
        let stored = self.stored();
        stored.producer_epoch == ProducerEpoch::NONE
            || producer_id == stored.producer_id
            || producer_id == stored.previous_producer_id && is_exhausted(epoch)
    }

    fn next_producer(&self, request: &InitRequest) -> Result<Begun, Refusal> {
        let Stored { producer_id, producer_epoch: current, .. } = *self.stored();
        let expected = request.expected.map(|(_, epoch)| epoch);
        let is_retry = expected.is_some_and(|epoch| {
            epoch != current && epoch == self.last_epoch && current != ProducerEpoch::NONE
        });
        if is_retry {
            return Ok(Begun { producer_id, epoch: current, last_epoch: self.last_epoch });
        }
        if expected.is_some_and(|epoch| epoch != current && current != ProducerEpoch::NONE) {
            return Err(Refusal::Error(ErrorCode::ProducerFenced));
        }
        let last_epoch = if expected.is_some() { current } else { ProducerEpoch::NONE };
        if self.stored().is_epoch_exhausted() {
            let producer_id = request.fresh.ok_or(Refusal::NeedsProducerId)?;
            return Ok(Begun { producer_id, epoch: ProducerEpoch(0), last_epoch });
        }
        Ok(Begun { producer_id, epoch: next_epoch(current), last_epoch })
    }

    fn begin(&mut self, turn: &mut Turn<'_>, ticket: Ticket, timeout_ms: i32, begun: &Begun) {
        let stored = self.stored();
        let next = Stored {
            producer_id: begun.producer_id,
            previous_producer_id: stored.producer_id,
            next_producer_id: ProducerId::NONE,
            producer_epoch: begun.epoch,
            timeout_ms,
            state: State::Empty,
            partitions: Partitions::new(),
            started_at_ms: None,
            updated_at_ms: turn.now.wall,
            version: stored.version,
        };
        self.last_epoch = begun.last_epoch;
        self.append(turn, next);
        let reply =
            InitReply { error: ErrorCode::None, producer_id: begun.producer_id, producer_epoch: begun.epoch };
        turn.reply_durable(ticket, Reply::Init(reply));
    }
}
