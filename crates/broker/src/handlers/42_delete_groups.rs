//! DeleteGroups (42), versions 0-2: groups without members go, with all they committed.

use group::{Event, Reply};
use model::ErrorCode;
use wire::delete_groups::DeletableGroupResult;
use wire::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::call::Call;

pub async fn handle(call: &Call<'_>, request: DeleteGroupsRequest<'_>, _: i16) -> DeleteGroupsResponse<'static> {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in &request.groups_names {
        let error = delete(call, group_id).await;
        results.push(DeletableGroupResult { group_id: group_id.to_string().into(), error_code: error.code() });
    }
    DeleteGroupsResponse { throttle_time_ms: 0, results }
}

async fn delete(call: &Call<'_>, group_id: &str) -> ErrorCode {
    let groups = vec![group_id.into()];
    match call.node.ask_group(group_id, move |ticket| Event::Delete(ticket, groups)).await {
        Ok(Reply::Delete(deleted)) => deleted.first().map_or(ErrorCode::GroupIdNotFound, |(_, error)| *error),
        Ok(other) => unreachable!("a delete was answered with {other:?}"),
        Err(error) => error,
    }
}
