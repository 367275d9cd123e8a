//! JoinGroup (11), versions 0-9: a member enters a group, and waits for the others.
//!
//! - From version 4 on a member without an id is given one and comes back with it (MEMBER_ID_REQUIRED).
//! - Version 0 has one timeout for both purposes.
//! - An empty group id is INVALID_GROUP_ID: only plain offset storage may use it.

use group::{Event, JoinReply, JoinRequest, MemberId, Protocol, Reply};
use wire::join_group::JoinGroupResponseMember;
use wire::{JoinGroupRequest, JoinGroupResponse};

use crate::call::Call;

/// First version whose members must know their id before they are counted (KIP-394).
const KNOWN_MEMBER_ID_SINCE: i16 = 4;
/// First version in which a returning static leader can be told not to assign again (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;
/// First version whose protocol name may be null.
const NULL_PROTOCOL_SINCE: i16 = 7;

pub async fn handle(call: &Call<'_>, request: JoinGroupRequest<'_>, version: i16) -> JoinGroupResponse<'static> {
    let member_id = MemberId::from(request.member_id.as_ref());
    let join = JoinRequest {
        group_id: request.group_id.as_ref().into(),
        member_id: member_id.clone(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        client_id: call.client_id.into(),
        client_host: format!("/{}", call.connection.peer.ip().to_canonical()).into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms },
        protocol_type: request.protocol_type.as_ref().into(),
        protocols: request
            .protocols
            .iter()
            .map(|protocol| Protocol {
                name: protocol.name.as_ref().into(),
                metadata: protocol.metadata.as_ref().into(),
            })
            .collect(),
        requires_known_member_id: KNOWN_MEMBER_ID_SINCE <= version,
        supports_skip_assignment: SKIP_ASSIGNMENT_SINCE <= version,
        random: call.node.rt().random_bytes(),
    };
    match call.node.ask_group(&request.group_id, move |ticket| Event::Join(ticket, join)).await {
        Ok(Reply::Join(reply)) => answer(reply, version),
        Ok(other) => unreachable!("a join was answered with {other:?}"),
        Err(error) => answer(JoinReply::failed(error, member_id), version),
    }
}

fn answer(reply: JoinReply, version: i16) -> JoinGroupResponse<'static> {
    let protocol_name = reply.protocol_name.map(|name| name.to_string().into());
    JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: reply.error.code(),
        generation_id: reply.generation,
        protocol_type: reply.protocol_type.map(|name| name.to_string().into()),
        protocol_name: if version < NULL_PROTOCOL_SINCE {
            Some(protocol_name.unwrap_or_default())
        } else {
            protocol_name
        },
        leader: reply.leader.to_string().into(),
        skip_assignment: reply.skip_assignment,
        member_id: reply.member_id.to_string().into(),
        members: reply
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: member.member_id.to_string().into(),
                group_instance_id: member.group_instance_id.map(|id| id.to_string().into()),
                metadata: member.metadata.to_vec().into(),
            })
            .collect(),
    }
}
