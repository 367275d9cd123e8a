//! One step in the making: its time, and what it wants done.

use model::{Barrier, ErrorCode, NowMs, ProducerEpoch, ProducerId, Ticket};

use crate::action::{Action, EndReply, InitReply, Reply};
use crate::config::TxnConfig;
use crate::event::MarkersTicket;

/// What the rules of one step work with, beside the transaction itself.
pub(crate) struct Turn<'a> {
    pub now: NowMs,
    pub config: &'a TxnConfig,
    pub next_markers: &'a mut u64,
    pub actions: Vec<Action>,
}

impl Turn<'_> {
    /// A mark that no markers of this coordinator had before.
    pub fn markers_ticket(&mut self) -> MarkersTicket {
        *self.next_markers += 1;
        MarkersTicket(*self.next_markers)
    }

    /// Answers at once.
    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.actions.push(Action::Reply { ticket, reply, after: Barrier::Now });
    }

    /// Answers when the log holds what the answer shows.
    pub fn reply_durable(&mut self, ticket: Ticket, reply: Reply) {
        self.actions.push(Action::Reply { ticket, reply, after: Barrier::Durable });
    }

    /// Answers an InitProducerId with an error.
    pub fn refuse_init(&mut self, ticket: Ticket, error: ErrorCode) {
        self.reply(ticket, Reply::Init(InitReply::failed(error)));
    }

    /// Answers an EndTxn with an error.
    pub fn refuse_end(&mut self, ticket: Ticket, error: ErrorCode) {
        self.reply(ticket, Reply::End(EndReply::failed(error)));
    }
}

impl InitReply {
    /// The answer of an error.
    pub(crate) fn failed(error: ErrorCode) -> InitReply {
        InitReply { error, producer_id: ProducerId::NONE, producer_epoch: ProducerEpoch::NONE }
    }
}

impl EndReply {
    /// The answer of an error.
    pub(crate) fn failed(error: ErrorCode) -> EndReply {
        EndReply { error, producer_id: ProducerId::NONE, producer_epoch: ProducerEpoch::NONE }
    }
}
