//! LeaveGroup (13), versions 0-5: members go, one by one or, from version 3 on, several at once (KIP-345).
//!
//! - Below version 3 the one member's error is the answer's error.

use group::{Event, LeaveReply, LeaveRequest, LeavingMember, Reply};
use model::ErrorCode;
use wire::leave_group::MemberResponse;
use wire::{LeaveGroupRequest, LeaveGroupResponse};

use crate::call::Call;

const BATCHED_SINCE: i16 = 3;

pub async fn handle(call: &Call<'_>, request: LeaveGroupRequest<'_>, version: i16) -> LeaveGroupResponse<'static> {
    let members = if version < BATCHED_SINCE {
        vec![LeavingMember { member_id: request.member_id.as_ref().into(), group_instance_id: None }]
    } else {
        request
            .members
            .iter()
            .map(|member| LeavingMember {
                member_id: member.member_id.as_ref().into(),
                group_instance_id: member.group_instance_id.as_deref().map(Into::into),
            })
            .collect()
    };
    let leave = LeaveRequest { group_id: request.group_id.as_ref().into(), members };
    match call.node.ask_group(&request.group_id, move |ticket| Event::Leave(ticket, leave)).await {
        Ok(Reply::Leave(reply)) => answer(reply, version),
        Ok(other) => unreachable!("a leave was answered with {other:?}"),
        Err(error) => LeaveGroupResponse { error_code: error.code(), ..Default::default() },
    }
}

fn answer(reply: LeaveReply, version: i16) -> LeaveGroupResponse<'static> {
    if version < BATCHED_SINCE {
        let only = reply.members.first().map_or(ErrorCode::None, |member| member.error);
        let error = if reply.error == ErrorCode::None { only } else { reply.error };
        return LeaveGroupResponse { error_code: error.code(), ..Default::default() };
    }
    let members = reply
        .members
        .into_iter()
        .map(|member| MemberResponse {
            member_id: member.member_id.to_string().into(),
            group_instance_id: member.group_instance_id.map(|id| id.to_string().into()),
            error_code: member.error.code(),
        })
        .collect();
    LeaveGroupResponse { throttle_time_ms: 0, error_code: reply.error.code(), members }
}
