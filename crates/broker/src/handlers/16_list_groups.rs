//! ListGroups (16), versions 0-5: every group coordinated here, by state and type if asked.

use group::{Event, ListRequest, Reply};
use model::ErrorCode;
use wire::list_groups::ListedGroup;
use wire::{ListGroupsRequest, ListGroupsResponse};

use crate::call::Call;

/// The only kind of group there is yet.
const GROUP_TYPE: &str = "classic";

pub async fn handle(call: &Call<'_>, request: ListGroupsRequest<'_>, _: i16) -> ListGroupsResponse<'static> {
    let texts = |list: &[wire::Str<'_>]| list.iter().map(|text| text.to_string()).collect();
    let list = ListRequest { states: texts(&request.states_filter), types: texts(&request.types_filter) };
    let coordinators = call.node.coordinators();
    let mut groups = Vec::new();
    for partition in coordinators.partitions() {
        let list = list.clone();
        match coordinators.ask(partition, move |ticket| Event::List(ticket, list)).await {
            Ok(Reply::List(listed)) => groups.extend(listed.into_iter().map(|group| ListedGroup {
                group_id: group.group_id.to_string().into(),
                protocol_type: group.protocol_type.to_string().into(),
                group_state: group.state.name().into(),
                group_type: GROUP_TYPE.into(),
            })),
            Ok(other) => unreachable!("a list was answered with {other:?}"),
            Err(error) => return ListGroupsResponse { error_code: error.code().code(), ..Default::default() },
        }
    }
    ListGroupsResponse { throttle_time_ms: 0, error_code: ErrorCode::None.code(), groups }
}
