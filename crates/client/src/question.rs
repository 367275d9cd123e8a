//! Which requests this client makes, without the lifetimes of their parts.
//!
//! [`wire::Request`] names the frame that a message borrows from. A future that is generic over it cannot be sent to
//! another thread, since the compiler forgets lifetimes inside futures; [`Ask`] has none.

use wire::{ApiKey, DecodeError, EncodeError, Frame, Message, decode_response, encode_request};

/// A request and the answer to it, which owns its parts.
pub(crate) trait Ask: Sync {
    /// Its API.
    const KEY: ApiKey;
    /// What answers it.
    type Answer: Send + 'static;

    /// Writes the request down.
    fn write(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError>;

    /// Takes an answer apart.
    fn read(frame: &[u8], version: i16) -> Result<Self::Answer, DecodeError>;
}

macro_rules! asked {
    ($($api:ident $request:ident$(<$request_lifetime:lifetime>)? $response:ident$(<$response_lifetime:lifetime>)?,)*) => {$(
        impl$(<$request_lifetime>)? Ask for wire::$request$(<$request_lifetime>)? {
            const KEY: ApiKey = ApiKey::$api;
            type Answer = wire::$response$(<$response_lifetime>)?;

            fn write(&self, correlation_id: i32, client_id: &str, version: i16) -> Result<Frame, EncodeError> {
                encode_request(correlation_id, Some(client_id), self, version)
            }

            fn read(frame: &[u8], version: i16) -> Result<Self::Answer, DecodeError> {
                decode_response::<wire::$response>(frame, version).map(|(_, answer)| answer.into_owned())
            }
        }
    )*};
}

asked! {
    Produce ProduceRequest<'a> ProduceResponse<'static>,
    Fetch FetchRequest<'a> FetchResponse<'static>,
    ListOffsets ListOffsetsRequest<'a> ListOffsetsResponse<'static>,
    Metadata MetadataRequest<'a> MetadataResponse<'static>,
    OffsetCommit OffsetCommitRequest<'a> OffsetCommitResponse<'static>,
    OffsetFetch OffsetFetchRequest<'a> OffsetFetchResponse<'static>,
    FindCoordinator FindCoordinatorRequest<'a> FindCoordinatorResponse<'static>,
    JoinGroup JoinGroupRequest<'a> JoinGroupResponse<'static>,
    Heartbeat HeartbeatRequest<'a> HeartbeatResponse,
    LeaveGroup LeaveGroupRequest<'a> LeaveGroupResponse<'static>,
    SyncGroup SyncGroupRequest<'a> SyncGroupResponse<'static>,
    DescribeGroups DescribeGroupsRequest<'a> DescribeGroupsResponse<'static>,
    ListGroups ListGroupsRequest<'a> ListGroupsResponse<'static>,
    ApiVersions ApiVersionsRequest<'a> ApiVersionsResponse<'static>,
    CreateTopics CreateTopicsRequest<'a> CreateTopicsResponse<'static>,
    DeleteTopics DeleteTopicsRequest<'a> DeleteTopicsResponse<'static>,
    InitProducerId InitProducerIdRequest<'a> InitProducerIdResponse,
    WriteTxnMarkers WriteTxnMarkersRequest<'a> WriteTxnMarkersResponse<'static>,
    DescribeProducers DescribeProducersRequest<'a> DescribeProducersResponse<'static>,
    DescribeTransactions DescribeTransactionsRequest<'a> DescribeTransactionsResponse<'static>,
    ListTransactions ListTransactionsRequest<'a> ListTransactionsResponse<'static>,
    DescribeConfigs DescribeConfigsRequest<'a> DescribeConfigsResponse<'static>,
    IncrementalAlterConfigs IncrementalAlterConfigsRequest<'a> IncrementalAlterConfigsResponse<'static>,
    CreatePartitions CreatePartitionsRequest<'a> CreatePartitionsResponse<'static>,
    DeleteGroups DeleteGroupsRequest<'a> DeleteGroupsResponse<'static>,
    DeleteRecords DeleteRecordsRequest<'a> DeleteRecordsResponse<'static>,
    DescribeLogDirs DescribeLogDirsRequest<'a> DescribeLogDirsResponse<'static>,
    DescribeCluster DescribeClusterRequest DescribeClusterResponse<'static>,
}
