//! SyncGroup and Heartbeat: the leader's assignment is stored and handed out; members stay alive.
//!
//! - Y1 A member gets what the leader of its generation sent for it, and not before the log holds it (I8).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{ErrorCode, Ticket};

use crate::action::{Reply, SyncReply};
use crate::event::{HeartbeatRequest, SyncRequest};
use crate::group::{Group, Phase, fits};
use crate::id::MemberId;
use crate::timers::Timer;
use crate::turn::Turn;

impl SyncReply {
    /// The answer of an error.
    pub(crate) fn failed(error: ErrorCode) -> SyncReply {
        SyncReply { error, protocol_type: None, protocol_name: None, assignment: Arc::from([]) }
    }
}

impl Group {
    /// SyncGroup to a group that exists.
    pub fn on_sync(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: SyncRequest) {
        let id = request.member_id.clone();
        if let Err(error) = self.check_sync(&request) {
            turn.refuse_sync(ticket, error);
            return;
        }
        match &mut self.phase {
            // A member that exists is in no empty group, so this is for a match without holes.
            Phase::Empty => turn.refuse_sync(ticket, ErrorCode::UnknownMemberId),
            Phase::Joining { .. } => turn.refuse_sync(ticket, ErrorCode::RebalanceInProgress),
            Phase::Syncing { unsynced } => {
                unsynced.remove(&id);
                if let Some(before) = self.members.replace_sync(&id, Some(ticket)) {
                    turn.refuse_sync(before, ErrorCode::RebalanceInProgress);
                }
                if self.members.is_leader(&id) {
                    self.store_assignment(turn, request.assignments);
                }
                self.stop_waiting_for_syncs(turn);
            }
            Phase::Stable { unsynced } => {
                unsynced.remove(&id);
                self.stop_waiting_for_syncs(turn);
                let reply = self.assigned(&id);
                turn.reply_durable(ticket, Reply::Sync(reply));
            }
        }
    }

    fn check_sync(&self, request: &SyncRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_ref())?;
        let differs = |theirs: &Option<Arc<str>>, ours: &Option<Arc<str>>| {
            theirs.as_ref().zip(ours.as_ref()).is_some_and(|(theirs, ours)| theirs != ours)
        };
        if request.generation != self.generation {
            Err(ErrorCode::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol)
        {
            Err(ErrorCode::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    fn stop_waiting_for_syncs(&mut self, turn: &mut Turn<'_>) {
        if let Phase::Syncing { unsynced } | Phase::Stable { unsynced } = &self.phase
            && unsynced.is_empty()
        {
            turn.timers.cancel(&Timer::Sync(self.id.clone()));
        }
    }

    /// The leader has assigned: the generation is written down, and who waited gets its part.
    fn store_assignment(&mut self, turn: &mut Turn<'_>, assignments: Vec<(MemberId, Arc<[u8]>)>) {
        let assignments: BTreeMap<MemberId, Arc<[u8]>> = assignments.into_iter().collect();
        let record = self.to_record(&assignments);
        if !fits(turn, std::slice::from_ref(&record)) {
            // What the reference broker makes of a record too large for the log.
            self.fail_syncs(turn, ErrorCode::UnknownServerError);
            self.prepare_rebalance(turn);
            return;
        }
        self.append(turn, vec![record]);
        let unsynced = match &mut self.phase {
            Phase::Syncing { unsynced } => std::mem::take(unsynced),
            Phase::Empty | Phase::Joining { .. } | Phase::Stable { .. } => BTreeSet::new(),
        };
        self.enter(turn, Phase::Stable { unsynced });
        for id in self.members.ids() {
            if let Some(ticket) = self.members.replace_sync(&id, None) {
                let reply = self.assigned(&id);
                turn.reply_durable(ticket, Reply::Sync(reply));
                self.keep_alive(turn, &id);
            }
        }
    }

    /// What the stored generation gives a member (Y1).
    fn assigned(&self, id: &MemberId) -> SyncReply {
        let stored = self.stored().and_then(|stored| stored.members.get(id));
        SyncReply {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: stored.map_or_else(|| Arc::from([]), |member| member.assignment.clone()),
        }
    }

    /// Heartbeat to a group that exists.
    pub fn on_heartbeat(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: &HeartbeatRequest) {
        let error = match self.check_member(&request.member_id, request.group_instance_id.as_ref()) {
            Err(error) => error,
            Ok(()) if request.generation != self.generation => ErrorCode::IllegalGeneration,
            Ok(()) => {
                self.keep_alive(turn, &request.member_id);
                match self.phase {
                    Phase::Joining { .. } => ErrorCode::RebalanceInProgress,
                    Phase::Empty | Phase::Syncing { .. } | Phase::Stable { .. } => ErrorCode::None,
                }
            }
        };
        turn.reply(ticket, Reply::Heartbeat(error));
    }
}
