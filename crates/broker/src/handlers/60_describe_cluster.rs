//! DescribeCluster (60), versions 0-2: the brokers and where to reach them.
//!
//! - Endpoint type 2 (controllers) is answered with MISMATCHED_ENDPOINT_TYPE: this listener is a broker's.

use model::ErrorCode;
use wire::describe_cluster::DescribeClusterBroker;
use wire::{DescribeClusterRequest, DescribeClusterResponse};

use crate::call::Call;
use crate::{endpoint, operations};

const ENDPOINT_TYPE_BROKERS: i8 = 1;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeClusterRequest,
    version: i16,
) -> DescribeClusterResponse<'static> {
    if 1 <= version && request.endpoint_type != ENDPOINT_TYPE_BROKERS {
        return DescribeClusterResponse {
            error_code: ErrorCode::MismatchedEndpointType.code(),
            error_message: Some("this listener belongs to a broker: ask for endpoint type 1".into()),
            endpoint_type: ENDPOINT_TYPE_BROKERS,
            ..Default::default()
        };
    }
    let image = call.node.image();
    let brokers = endpoint::all(call, &image)
        .into_iter()
        .map(|broker| DescribeClusterBroker {
            broker_id: broker.id.0,
            host: broker.host.into(),
            port: broker.port,
            rack: broker.rack.map(Into::into),
            is_fenced: false,
        })
        .collect();
    DescribeClusterResponse {
        endpoint_type: ENDPOINT_TYPE_BROKERS,
        cluster_id: call.node.cluster_id().to_string().into(),
        controller_id: call.node.id().0,
        brokers,
        cluster_authorized_operations: operations::if_asked(
            request.include_cluster_authorized_operations,
            operations::CLUSTER,
        ),
        ..Default::default()
    }
}
