//! Heartbeat (12), versions 0-4: a member is alive, and hears whether it has to join again.

use group::{Event, HeartbeatRequest as Heartbeat, Reply};
use wire::{HeartbeatRequest, HeartbeatResponse};

use crate::call::Call;

pub async fn handle(call: &Call<'_>, request: HeartbeatRequest<'_>, _: i16) -> HeartbeatResponse {
    let heartbeat = Heartbeat {
        group_id: request.group_id.as_ref().into(),
        generation: request.generation_id,
        member_id: request.member_id.as_ref().into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
    };
    let error = match call.node.ask_group(&request.group_id, move |ticket| Event::Heartbeat(ticket, heartbeat)).await {
        Ok(Reply::Heartbeat(error)) => error,
        Ok(other) => unreachable!("a heartbeat was answered with {other:?}"),
        Err(error) => error,
    };
    HeartbeatResponse { error_code: error.code(), ..Default::default() }
}
