//! SyncGroup (14), versions 0-5: the leader hands out partitions, everybody learns theirs.
//!
//! - The assignment is on the disk before anybody hears of it (I8).

use group::{Event, Reply, SyncReply, SyncRequest};
use wire::{SyncGroupRequest, SyncGroupResponse};

use crate::call::Call;

/// First version that names the protocol, so that a member of another kind is noticed.
const PROTOCOL_SINCE: i16 = 5;

pub async fn handle(call: &Call<'_>, request: SyncGroupRequest<'_>, version: i16) -> SyncGroupResponse<'static> {
    let sync = SyncRequest {
        group_id: request.group_id.as_ref().into(),
        generation: request.generation_id,
        member_id: request.member_id.as_ref().into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        protocol_type: request.protocol_type.as_deref().map(Into::into),
        protocol_name: request.protocol_name.as_deref().map(Into::into),
        requires_protocol: PROTOCOL_SINCE <= version,
        assignments: request
            .assignments
            .iter()
            .map(|member| (member.member_id.as_ref().into(), member.assignment.as_ref().into()))
            .collect(),
    };
    match call.node.ask_group(&request.group_id, move |ticket| Event::Sync(ticket, sync)).await {
        Ok(Reply::Sync(reply)) => answer(&reply),
        Ok(other) => unreachable!("a sync was answered with {other:?}"),
        Err(error) => SyncGroupResponse { error_code: error.code(), ..Default::default() },
    }
}

fn answer(reply: &SyncReply) -> SyncGroupResponse<'static> {
    SyncGroupResponse {
        throttle_time_ms: 0,
        error_code: reply.error.code(),
        protocol_type: reply.protocol_type.as_ref().map(|name| name.to_string().into()),
        protocol_name: reply.protocol_name.as_ref().map(|name| name.to_string().into()),
        assignment: reply.assignment.to_vec().into(),
    }
}
