//! EndTxn: a transaction is decided when the log says so; its markers follow, and then it is complete.
//!
//! - E1 The decision is answered once it is durable, before any marker is written; the next transaction meets
//!   CONCURRENT_TRANSACTIONS until the last marker is.
//! - E2 Under the first protocol a producer keeps its epoch: a repeated end cannot be told from the end of the next
//!   transaction, and is taken where it changes nothing.
//! - E3 Under the second (KIP-890) each end gives the producer a new epoch. One behind is a retry:
//!
//! ```text
//!                  abort                 commit
//!                  retry    current      retry    current
//! Empty            fenced   a new epoch  fenced   invalid
//! CompleteAbort    none     a new epoch  invalid  invalid
//! CompleteCommit   invalid  a new epoch  none     invalid
//! ```

use model::{ErrorCode, ProducerEpoch, ProducerId, Ticket, TransactionResult, TransactionVersion};

use crate::action::{EndReply, Reply};
use crate::event::EndRequest;
use crate::stored::{Partitions, State, Stored, is_exhausted, next_epoch};
use crate::transaction::Transaction;
use crate::turn::Turn;

/// What an EndTxn comes to.
enum Verdict {
    /// The transaction ends.
    End,
    /// It has ended so before.
    Done,
}

impl Transaction {
    /// EndTxn of an id that is known.
    pub fn on_end(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &EndRequest) {
        let verdict = match request.version {
            TransactionVersion::Tv1 => self.judge_v1(request),
            TransactionVersion::Tv2 => self.judge_v2(request),
        };
        match verdict {
            Err(error) => turn.refuse_end(ticket, error),
            Ok(Verdict::Done) => {
                let reply = self.ended(request.version);
                turn.reply_durable(ticket, Reply::End(reply));
            }
            Ok(Verdict::End) => self.end(turn, ticket, request),
        }
    }

    /// E2
    fn judge_v1(&self, request: &EndRequest) -> Result<Verdict, ErrorCode> {
        let stored = self.stored();
        if stored.producer_id != request.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if stored.producer_epoch != request.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        match (stored.state, request.result) {
            (State::Ongoing, _) => Ok(Verdict::End),
            (State::CompleteCommit, TransactionResult::Commit)
            | (State::CompleteAbort, TransactionResult::Abort) => Ok(Verdict::Done),
            (State::PrepareCommit, TransactionResult::Commit)
            | (State::PrepareAbort, TransactionResult::Abort) => Err(ErrorCode::ConcurrentTransactions),
            (State::Empty, _)
            | (State::CompleteCommit | State::PrepareCommit, TransactionResult::Abort)
            | (State::CompleteAbort | State::PrepareAbort, TransactionResult::Commit) => {
                Err(ErrorCode::InvalidTxnState)
            }
        }
    }

    /// E3
    fn judge_v2(&self, request: &EndRequest) -> Result<Verdict, ErrorCode> {
        let stored = self.stored();
        let is_current = stored.producer_epoch == request.producer_epoch;
        let is_epoch_behind = stored.producer_epoch.0.checked_sub(1) == Some(request.producer_epoch.0);
        // The end that used up the last epoch gave the producer a new id.
        let is_id_behind = stored.previous_producer_id == request.producer_id
            && is_exhausted(request.producer_epoch)
            && stored.producer_epoch == ProducerEpoch(0);
        if stored.producer_id != request.producer_id && !is_id_behind {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let is_retry = is_epoch_behind || is_id_behind;
        let is_known = match stored.state {
            State::Empty | State::Ongoing => is_current,
            State::PrepareCommit | State::PrepareAbort => is_epoch_behind,
            State::CompleteCommit | State::CompleteAbort => is_current || is_retry,
        };
        if !is_known {
            return Err(ErrorCode::ProducerFenced);
        }
        match (stored.state, request.result) {
            (State::Ongoing, _) | (State::Empty, TransactionResult::Abort) => Ok(Verdict::End),
            (State::PrepareCommit, TransactionResult::Commit)
            | (State::PrepareAbort, TransactionResult::Abort) => Err(ErrorCode::ConcurrentTransactions),
            (State::CompleteCommit, TransactionResult::Commit)
            | (State::CompleteAbort, TransactionResult::Abort)
                if is_retry =>
            {
                Ok(Verdict::Done)
            }
            (State::CompleteCommit | State::CompleteAbort, TransactionResult::Abort) if !is_retry => {
                Ok(Verdict::End)
            }
            (State::Empty | State::CompleteCommit | State::CompleteAbort, _)
            | (State::PrepareCommit, TransactionResult::Abort)
            | (State::PrepareAbort, TransactionResult::Commit) => Err(ErrorCode::InvalidTxnState),
        }
    }

    fn end(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &EndRequest) {
        let is_last_epoch = request.version == TransactionVersion::Tv2 && self.stored().is_epoch_exhausted();
        let next_producer_id = match (is_last_epoch, request.fresh) {
            (true, None) => {
                turn.reply(ticket, Reply::NeedsProducerId);
                return;
            }
            (true, Some(fresh)) => fresh,
            (false, _) => ProducerId::NONE,
        };
        let (version, result) = (request.version, request.result);
        let epoch = match version {
            TransactionVersion::Tv1 => self.stored().producer_epoch,
            TransactionVersion::Tv2 => next_epoch(self.stored().producer_epoch),
        };
        self.prepare(turn, result, version, (next_producer_id, epoch));
        let reply = self.ended(version);
        self.write_markers(turn);
        turn.reply_durable(ticket, Reply::End(reply));
    }

    /// Aborts an ongoing transaction and fences its producer, who is no longer heard, with a new epoch in either protocol.
    pub fn fence(&mut self, turn: &mut Turn<'_>) {
        let epoch = next_epoch(self.stored().producer_epoch);
        let version = turn.config.level.protocol();
        self.prepare(turn, TransactionResult::Abort, version, (ProducerId::NONE, epoch));
        self.write_markers(turn);
    }

    fn prepare(
        &mut self,
        turn: &mut Turn<'_>,
        result: TransactionResult,
        version: TransactionVersion,
        (next_producer_id, producer_epoch): (ProducerId, ProducerEpoch),
    ) {
        let stored = self.stored();
        let next = Stored {
            previous_producer_id: stored.producer_id,
            next_producer_id,
            producer_epoch,
            state: match result {
                TransactionResult::Commit => State::PrepareCommit,
                TransactionResult::Abort => State::PrepareAbort,
            },
            // An abort of nothing begins and ends at once.
            started_at_ms: stored.started_at_ms.filter(|_| !stored.state.is_idle()).or(Some(turn.now.wall)),
            updated_at_ms: turn.now.wall,
            version,
            ..stored.clone()
        };
        if version == TransactionVersion::Tv2 {
            self.last_epoch = stored.producer_epoch;
        }
        self.append(turn, next);
    }

    /// The last marker is written.
    pub(crate) fn complete(&mut self, turn: &mut Turn<'_>) {
        let stored = self.stored();
        let (producer_id, producer_epoch) = self.goes_on_with();
        let next = Stored {
            producer_id,
            previous_producer_id: stored.producer_id,
            next_producer_id: ProducerId::NONE,
            producer_epoch,
            state: match stored.state {
                State::PrepareCommit => State::CompleteCommit,
                _ => State::CompleteAbort,
            },
            partitions: Partitions::new(),
            updated_at_ms: turn.now.wall,
            ..stored.clone()
        };
        self.append(turn, next);
    }

    /// What the producer has once the transaction is complete.
    fn goes_on_with(&self) -> (ProducerId, ProducerEpoch) {
        let stored = self.stored();
        match stored.next_producer_id {
            ProducerId::NONE => (stored.producer_id, stored.producer_epoch),
            next => (next, ProducerEpoch(0)),
        }
    }

    fn ended(&self, version: TransactionVersion) -> EndReply {
        let (producer_id, producer_epoch) = match version {
            TransactionVersion::Tv1 => (ProducerId::NONE, ProducerEpoch::NONE),
            TransactionVersion::Tv2 => self.goes_on_with(),
        };
        EndReply { error: ErrorCode::None, producer_id, producer_epoch }
    }
}
