//! DescribeGroups (15), versions 0-6: what a group is doing, who is in it, what each has.
//!
//! - A group that does not exist is `Dead` without an error up to version 5, GROUP_ID_NOT_FOUND from 6 on.

use group::{DescribeRequest, DescribedGroup, Event, Reply};
use model::ErrorCode;
use wire::describe_groups::{DescribedGroup as Described, DescribedGroupMember};
use wire::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::call::Call;
use crate::operations;

const NOT_FOUND_SINCE: i16 = 6;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeGroupsRequest<'_>,
    version: i16,
) -> DescribeGroupsResponse<'static> {
    let operations = operations::if_asked(request.include_authorized_operations, operations::GROUP);
    let mut groups = Vec::with_capacity(request.groups.len());
    for group_id in &request.groups {
        groups.push(Described {
            authorized_operations: operations,
            ..describe(call, group_id, version).await
        });
    }
    DescribeGroupsResponse { throttle_time_ms: 0, groups }
}

async fn describe(call: &Call<'_>, group_id: &str, version: i16) -> Described<'static> {
    let describe = DescribeRequest {
        group_ids: vec![group_id.into()],
        knows_group_id_not_found: NOT_FOUND_SINCE <= version,
    };
    let failed = |error: ErrorCode| Described {
        error_code: error.code(),
        group_id: group_id.to_owned().into(),
        ..Default::default()
    };
    match call.node.ask_group(group_id, move |ticket| Event::Describe(ticket, describe)).await {
        Ok(Reply::Describe(mut described)) => {
            let described = described.pop().map(|group| answer(group, version));
            described.unwrap_or_else(|| failed(ErrorCode::UnknownServerError))
        }
        Ok(other) => unreachable!("a describe was answered with {other:?}"),
        Err(error) => failed(error),
    }
}

fn answer(group: DescribedGroup, version: i16) -> Described<'static> {
    let members = group
        .members
        .into_iter()
        .map(|member| DescribedGroupMember {
            member_id: member.member_id.to_string().into(),
            group_instance_id: member.group_instance_id.map(|id| id.to_string().into()),
            client_id: member.client_id.to_string().into(),
            client_host: member.client_host.to_string().into(),
            member_metadata: member.metadata.to_vec().into(),
            member_assignment: member.assignment.to_vec().into(),
        })
        .collect();
    Described {
        error_code: group.error.code(),
        error_message: group.error_message.filter(|_| NOT_FOUND_SINCE <= version).map(Into::into),
        group_id: group.group_id.to_string().into(),
        group_state: group.state.name().into(),
        protocol_type: group.protocol_type.to_string().into(),
        protocol_data: group.protocol.to_string().into(),
        members,
        ..Default::default()
    }
}
