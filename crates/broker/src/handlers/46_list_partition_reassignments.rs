//! ListPartitionReassignments (46), version 0: the moves under way. Replicas do not move yet, so there are none.

use wire::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    _: ListPartitionReassignmentsRequest<'_>,
    _: i16,
) -> ListPartitionReassignmentsResponse<'static> {
    ListPartitionReassignmentsResponse { error_message: None, ..Default::default() }
}
