//! One step in the making: its time, and what it wants done.

use model::{Barrier, ErrorCode, NowMs, Ticket};

use crate::action::{Action, Reply};
use crate::config::GroupConfig;
use crate::id::MemberId;
use crate::timers::{Timer, Timers};
use crate::{JoinReply, SyncReply};

/// What the rules of one step work with, beside the group itself.
pub(crate) struct Turn<'a> {
    pub now: NowMs,
    pub config: &'a GroupConfig,
    pub timers: &'a mut Timers,
    pub actions: Vec<Action>,
}

impl Turn<'_> {
    /// Sets a timer to fire in so many ms.
    pub fn schedule(&mut self, timer: Timer, in_ms: u64) {
        self.timers.schedule(timer, self.now.monotonic.saturating_add(in_ms));
    }

    /// Answers at once.
    pub fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.actions.push(Action::Reply { ticket, reply, after: Barrier::Now });
    }

    /// Answers when the log holds what the answer shows.
    pub fn reply_durable(&mut self, ticket: Ticket, reply: Reply) {
        self.actions.push(Action::Reply { ticket, reply, after: Barrier::Durable });
    }

    /// Answers a JoinGroup with an error.
    pub fn refuse_join(&mut self, ticket: Ticket, error: ErrorCode, member_id: MemberId) {
        self.reply(ticket, Reply::Join(JoinReply::failed(error, member_id)));
    }

    /// Answers a SyncGroup with an error.
    pub fn refuse_sync(&mut self, ticket: Ticket, error: ErrorCode) {
        self.reply(ticket, Reply::Sync(SyncReply::failed(error)));
    }
}
