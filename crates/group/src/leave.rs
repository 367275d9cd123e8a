//! LeaveGroup: members go at their own wish, or at an administrator's by instance.

use model::{ErrorCode, Ticket};

use crate::action::{LeaveReply, LeftMember, Reply};
use crate::event::{LeaveRequest, LeavingMember};
use crate::group::{Group, Phase};
use crate::turn::Turn;

/// LeaveGroup's answer for a group that does not exist: nobody in it is known.
pub(crate) fn unknown_group(request: LeaveRequest) -> LeaveReply {
    let unknown = |LeavingMember { member_id, group_instance_id }| LeftMember {
        member_id,
        group_instance_id,
        error: ErrorCode::UnknownMemberId,
    };
    let members = request.members.into_iter().map(unknown).collect();
    LeaveReply { error: ErrorCode::None, members }
}

impl Group {
    /// LeaveGroup to a group that exists. One rebalance follows, however many leave.
    pub fn on_leave(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: LeaveRequest) {
        let mut members = Vec::with_capacity(request.members.len());
        for leaving in request.members {
            let error = self.leave(turn, &leaving).err().unwrap_or(ErrorCode::None);
            let LeavingMember { member_id, group_instance_id } = leaving;
            members.push(LeftMember { member_id, group_instance_id, error });
        }
        if members.iter().any(|left| left.error == ErrorCode::None) {
            match self.phase {
                Phase::Empty => {}
                Phase::Joining { .. } => self.complete_join_if_ready(turn),
                Phase::Syncing { .. } | Phase::Stable { .. } => self.prepare_rebalance(turn),
            }
        }
        turn.reply_durable(ticket, Reply::Leave(LeaveReply { error: ErrorCode::None, members }));
    }

    fn leave(&mut self, turn: &mut Turn<'_>, leaving: &LeavingMember) -> Result<(), ErrorCode> {
        let instance = leaving.group_instance_id.as_ref();
        let mut id = leaving.member_id.clone();
        if id.is_empty() {
            let current = instance.and_then(|instance| self.members.instance(instance));
            id = current.ok_or(ErrorCode::UnknownMemberId)?.clone();
        } else if self.pending.contains(&id) {
            self.remove_pending(turn, &id);
            return Ok(());
        } else {
            self.check_member(&id, instance)?;
        }
        self.remove_member(turn, &id);
        Ok(())
    }
}
