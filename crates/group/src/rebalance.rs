//! From one generation to the next: the join phase begins, waits, ends.
//!
//! - B1 A generation's number is given once: it grows whenever a join phase ends.
//! - B2 A dynamic member that has not joined when the phase ends is no member; a static one stays until its session ends.
//! - B3 A group that was empty waits for more members before its first generation; nothing but the last member's
//!   disappearance cuts that short.

use std::collections::{BTreeMap, BTreeSet};

use model::ErrorCode;

use crate::action::Reply;
use crate::group::{Group, InitialDelay, Phase};
use crate::id::MemberId;
use crate::timers::Timer;
use crate::turn::Turn;

impl Group {
    /// Starts the join phase, or ends it if it is on and everybody has joined.
    pub fn rebalance_or_complete(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Empty | Phase::Syncing { .. } | Phase::Stable { .. } => self.prepare_rebalance(turn),
            Phase::Joining { .. } => self.complete_join_if_ready(turn),
        }
    }

    /// Starts the join phase.
    pub fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Syncing { .. }) {
            self.fail_syncs(turn, ErrorCode::RebalanceInProgress);
        }
        turn.timers.cancel(&Timer::Sync(self.id.clone()));
        if matches!(self.phase, Phase::Empty) {
            let running_ms = u64::from(turn.config.initial_rebalance_delay_ms);
            let remaining_ms = self.members.rebalance_timeout_ms().saturating_sub(running_ms);
            let initial = InitialDelay { running_ms, remaining_ms, grew: false };
            self.enter(turn, Phase::Joining { initial: Some(initial) });
            turn.schedule(Timer::Join(self.id.clone()), running_ms);
            return;
        }
        self.enter(turn, Phase::Joining { initial: None });
        if self.everybody_joined() {
            self.complete_join(turn);
        } else {
            turn.schedule(Timer::Join(self.id.clone()), self.members.rebalance_timeout_ms());
        }
    }

    /// Ends the join phase if everybody has joined, unless the group was empty before (B3).
    pub fn complete_join_if_ready(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Joining { initial: None }) && self.everybody_joined() {
            self.complete_join(turn);
        }
    }

    /// Every member waits, and every name given out has been used.
    pub fn everybody_joined(&self) -> bool {
        self.members.all_joined() && self.pending.is_empty()
    }

    /// The join phase has lasted as long as it may, or its initial wait is over.
    pub fn on_join_deadline(&mut self, turn: &mut Turn<'_>) {
        if let Phase::Joining { initial: Some(initial) } = &mut self.phase
            && initial.grew
            && initial.remaining_ms != 0
        {
            let delay_ms = u64::from(turn.config.initial_rebalance_delay_ms).min(initial.remaining_ms);
            initial.remaining_ms = initial.remaining_ms.saturating_sub(initial.running_ms);
            initial.running_ms = delay_ms;
            initial.grew = false;
            turn.schedule(Timer::Join(self.id.clone()), delay_ms);
            return;
        }
        self.complete_join(turn);
    }

    /// Ends the join phase: the next generation begins with those that joined.
    pub fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&Timer::Join(self.id.clone()));
        let late = |id: &MemberId| {
            let member = self.members.get(id)?;
            (member.join.is_none() && member.instance_id.is_none()).then(|| id.clone())
        };
        let late: Vec<MemberId> = self.members.ids().iter().filter_map(late).collect();
        for id in &late {
            self.remove_member(turn, id);
        }
        if self.members.is_empty() {
            self.end_empty(turn);
        } else if self.members.elect_joined_leader() {
            self.begin_generation(turn);
        } else {
            // Only static members that have not come back: their sessions decide.
            turn.schedule(Timer::Join(self.id.clone()), self.members.rebalance_timeout_ms());
        }
    }

    fn end_empty(&mut self, turn: &mut Turn<'_>) {
        self.generation = next_generation(self.generation);
        self.protocol = None;
        self.subscribed = self.subscribed_topics();
        self.enter(turn, Phase::Empty);
        let record = self.to_record(&BTreeMap::new());
        self.append(turn, vec![record]);
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.generation = next_generation(self.generation);
        self.protocol = self.members.select_protocol();
        self.subscribed = self.subscribed_topics();
        let ids = self.members.ids();
        let unsynced: BTreeSet<MemberId> = ids.iter().cloned().collect();
        self.enter(turn, Phase::Syncing { unsynced });
        for id in &ids {
            if let Some(ticket) = self.members.take_join(id) {
                let reply = self.joined(id);
                turn.reply(ticket, Reply::Join(reply));
            }
            self.members.mark_known(id);
            self.keep_alive(turn, id);
        }
        turn.schedule(Timer::Sync(self.id.clone()), self.members.rebalance_timeout_ms());
    }

    /// Members that have not synced in time are out; the others start anew.
    pub fn on_sync_deadline(&mut self, turn: &mut Turn<'_>) {
        let late = match &mut self.phase {
            Phase::Syncing { unsynced } | Phase::Stable { unsynced } => std::mem::take(unsynced),
            Phase::Empty | Phase::Joining { .. } => return,
        };
        for id in &late {
            self.remove_member(turn, id);
        }
        if !late.is_empty() {
            self.prepare_rebalance(turn);
        }
    }

    /// Answers every SyncGroup that waits, and starts the sessions that waiting has held up.
    pub fn fail_syncs(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        for id in self.members.ids() {
            if let Some(ticket) = self.members.replace_sync(&id, None) {
                turn.refuse_sync(ticket, error);
                self.keep_alive(turn, &id);
            }
        }
    }

    /// A session, or the time to use a name given out, has ended.
    pub fn on_session_deadline(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        let was_member = self.members.get(id).is_some();
        if self.pending.contains(id) {
            self.remove_pending(turn, id);
        } else if self.members.get(id).is_some_and(|member| !member.is_kept_alive_by_waiting()) {
            self.remove_member(turn, id);
        } else {
            return;
        }
        match self.phase {
            Phase::Empty => {}
            // This ends even an initial wait: those that are left have all joined, or nobody is left.
            Phase::Joining { .. } if self.everybody_joined() => self.complete_join(turn),
            Phase::Joining { .. } => {}
            Phase::Syncing { .. } | Phase::Stable { .. } if was_member => self.prepare_rebalance(turn),
            Phase::Syncing { .. } | Phase::Stable { .. } => {}
        }
    }
}

/// The number after `generation`; numbers are never negative, clients take that for "no generation".
fn next_generation(generation: i32) -> i32 {
    generation.checked_add(1).unwrap_or(1)
}
