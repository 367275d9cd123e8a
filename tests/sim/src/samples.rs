//! One well-made request for each API and version, to be spoiled.
//!
//! What orders something asks only whether it could be done: a spoiled number must not create 65,538 partitions.

use bytes::Bytes;
use model::TimestampMs;
use record::{BatchBuilder, BatchOptions};
use wire::*;

/// The topic and group that samples are about; nobody else uses them.
pub const VICTIM: &str = "victim";

/// The epoch of a leader before its first restart: clients of every version must be told that it is over.
const EPOCH_GONE: i32 = 0;

/// The frame of a request, with its size; `None` where the version is not in our tables.
pub fn sample(key: i16, version: i16, topic_id: Uuid) -> Option<Bytes> {
    let key = ApiKey::from_i16(key)?;
    rich(key, version, topic_id).or_else(|| plain(key, version))
}

fn encoded<'a, Q: Request<'a>>(request: &Q, version: i16) -> Option<Bytes> {
    encode_request(7, Some("hostile"), request, version).and_then(Frame::into_bytes).ok()
}

/// A request with something in its arrays, so that spoiling reaches what is inside.
fn rich(key: ApiKey, version: i16, topic_id: Uuid) -> Option<Bytes> {
    match key {
        ApiKey::Produce => encoded(&produce(topic_id), version),
        ApiKey::Fetch => encoded(&fetch(topic_id), version),
        ApiKey::JoinGroup => {
            let metadata = vec![0, 1, 0, 0, 0, 1, 0, 6, b'v', b'i', b'c', b't', b'i', b'm', 0, 0, 0, 0];
            let protocol =
                join_group::JoinGroupRequestProtocol { name: "range".into(), metadata: metadata.into() };
            let request = JoinGroupRequest {
                group_id: VICTIM.into(),
                session_timeout_ms: 6_000,
                rebalance_timeout_ms: 6_000,
                protocol_type: "consumer".into(),
                protocols: vec![protocol],
                ..JoinGroupRequest::default()
            };
            encoded(&request, version)
        }
        ApiKey::OffsetCommit => {
            let partition = offset_commit::OffsetCommitRequestPartition {
                committed_offset: 3,
                committed_metadata: Some("note".into()),
                ..Default::default()
            };
            let topic = offset_commit::OffsetCommitRequestTopic {
                name: VICTIM.into(),
                topic_id,
                partitions: vec![partition],
            };
            let request =
                OffsetCommitRequest { group_id: VICTIM.into(), topics: vec![topic], ..Default::default() };
            encoded(&request, version)
        }
        ApiKey::ListOffsets => {
            let partition = list_offsets::ListOffsetsPartition { timestamp: -1, ..Default::default() };
            let topic = list_offsets::ListOffsetsTopic { name: VICTIM.into(), partitions: vec![partition] };
            encoded(
                &ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() },
                version,
            )
        }
        ApiKey::Metadata => {
            let topic = metadata::MetadataRequestTopic { name: Some(VICTIM.into()), ..Default::default() };
            let request = MetadataRequest {
                topics: Some(vec![topic]),
                allow_auto_topic_creation: true,
                ..Default::default()
            };
            encoded(&request, version)
        }
        ApiKey::CreateTopics => {
            let config =
                create_topics::CreatableTopicConfig { name: "retention.ms".into(), value: Some("1".into()) };
            let topic = create_topics::CreatableTopic {
                name: "made".into(),
                num_partitions: 2,
                replication_factor: 1,
                configs: vec![config],
                ..Default::default()
            };
            encoded(
                &CreateTopicsRequest { topics: vec![topic], validate_only: true, ..Default::default() },
                version,
            )
        }
        ApiKey::CreatePartitions => {
            let topic =
                create_partitions::CreatePartitionsTopic { name: VICTIM.into(), count: 2, assignments: None };
            let request =
                CreatePartitionsRequest { topics: vec![topic], validate_only: true, ..Default::default() };
            encoded(&request, version)
        }
        ApiKey::DescribeConfigs => {
            let resource = describe_configs::DescribeConfigsResource {
                resource_type: 2,
                resource_name: VICTIM.into(),
                configuration_keys: None,
            };
            encoded(&DescribeConfigsRequest { resources: vec![resource], ..Default::default() }, version)
        }
        ApiKey::FindCoordinator => {
            let request =
                FindCoordinatorRequest { coordinator_keys: vec![VICTIM.into()], ..Default::default() };
            encoded(&request, version)
        }
        ApiKey::AddPartitionsToTxn => encoded(&add_partitions_to_txn(version), version),
        ApiKey::TxnOffsetCommit => {
            let partition = txn_offset_commit::TxnOffsetCommitRequestPartition {
                committed_offset: 3,
                committed_metadata: Some("note".into()),
                ..Default::default()
            };
            let topic = txn_offset_commit::TxnOffsetCommitRequestTopic {
                name: VICTIM.into(),
                partitions: vec![partition],
            };
            let request = TxnOffsetCommitRequest {
                transactional_id: VICTIM.into(),
                group_id: VICTIM.into(),
                topics: vec![topic],
                ..Default::default()
            };
            encoded(&request, version)
        }
        ApiKey::ElectLeaders => {
            let topic = elect_leaders::TopicPartitions { topic: VICTIM.into(), partitions: vec![0, 1] };
            encoded(
                &ElectLeadersRequest { topic_partitions: Some(vec![topic]), ..Default::default() },
                version,
            )
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = alter_partition_reassignments::ReassignablePartition {
                partition_index: 0,
                replicas: Some(vec![1]),
            };
            let topic = alter_partition_reassignments::ReassignableTopic {
                name: VICTIM.into(),
                partitions: vec![partition],
            };
            encoded(
                &AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() },
                version,
            )
        }
        ApiKey::DescribeClientQuotas => {
            let component = describe_client_quotas::ComponentData {
                entity_type: "user".into(),
                match_type: 0,
                r#match: Some("victim".into()),
            };
            encoded(
                &DescribeClientQuotasRequest { components: vec![component], ..Default::default() },
                version,
            )
        }
        ApiKey::DescribeQuorum => {
            let topic = describe_quorum::TopicData {
                topic_name: "__cluster_metadata".into(),
                partitions: vec![describe_quorum::PartitionData { partition_index: 0 }],
            };
            encoded(&DescribeQuorumRequest { topics: vec![topic] }, version)
        }
        other => plain(other, version),
    }
}

fn add_partitions_to_txn(version: i16) -> AddPartitionsToTxnRequest<'static> {
    const BATCHED_SINCE: i16 = 4;
    let topics =
        vec![add_partitions_to_txn::AddPartitionsToTxnTopic { name: VICTIM.into(), partitions: vec![0, 1] }];
    if version < BATCHED_SINCE {
        return AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: VICTIM.into(),
            v3_and_below_topics: topics,
            ..Default::default()
        };
    }
    let transaction = add_partitions_to_txn::AddPartitionsToTxnTransaction {
        transactional_id: VICTIM.into(),
        topics,
        ..Default::default()
    };
    AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() }
}

fn produce(topic_id: Uuid) -> ProduceRequest<'static> {
    let mut builder = BatchBuilder::new();
    for value in [&b"one"[..], b"two"] {
        builder.push(Some(b"key"), Some(value), &[], TimestampMs(1_700_000_000_000));
    }
    let batch = builder.build(BatchOptions::default()).expect("a batch of small records").to_vec();
    let data = produce::PartitionProduceData { index: 0, records: Records::Bytes(batch.into()) };
    let name = VICTIM.into();
    let topic = produce::TopicProduceData { name, topic_id, partition_data: vec![data] };
    ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

fn fetch(topic_id: Uuid) -> FetchRequest<'static> {
    let partition = fetch::FetchPartition {
        partition_max_bytes: 1_000,
        current_leader_epoch: EPOCH_GONE,
        ..Default::default()
    };
    let topic = fetch::FetchTopic { topic: VICTIM.into(), topic_id, partitions: vec![partition] };
    FetchRequest {
        max_wait_ms: 10,
        max_bytes: 10_000,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

macro_rules! plain {
    ($($api:ident $request:ident,)*) => {
        /// A request of nothing but defaults; `None` for what this list lacks.
        fn plain(key: ApiKey, version: i16) -> Option<Bytes> {
            $(if key == ApiKey::$api {
                return encoded(&$request::default(), version);
            })*
            None
        }
    };
}

plain! {
    Produce ProduceRequest,
    Fetch FetchRequest,
    ListOffsets ListOffsetsRequest,
    Metadata MetadataRequest,
    OffsetCommit OffsetCommitRequest,
    OffsetFetch OffsetFetchRequest,
    FindCoordinator FindCoordinatorRequest,
    JoinGroup JoinGroupRequest,
    Heartbeat HeartbeatRequest,
    LeaveGroup LeaveGroupRequest,
    SyncGroup SyncGroupRequest,
    DescribeGroups DescribeGroupsRequest,
    ListGroups ListGroupsRequest,
    ApiVersions ApiVersionsRequest,
    CreateTopics CreateTopicsRequest,
    DeleteTopics DeleteTopicsRequest,
    DeleteRecords DeleteRecordsRequest,
    InitProducerId InitProducerIdRequest,
    OffsetForLeaderEpoch OffsetForLeaderEpochRequest,
    DescribeConfigs DescribeConfigsRequest,
    AlterConfigs AlterConfigsRequest,
    DescribeLogDirs DescribeLogDirsRequest,
    CreatePartitions CreatePartitionsRequest,
    DeleteGroups DeleteGroupsRequest,
    IncrementalAlterConfigs IncrementalAlterConfigsRequest,
    OffsetDelete OffsetDeleteRequest,
    DescribeCluster DescribeClusterRequest,
    DescribeProducers DescribeProducersRequest,
    ListConfigResources ListConfigResourcesRequest,
    DescribeTopicPartitions DescribeTopicPartitionsRequest,
    DescribeAcls DescribeAclsRequest,
    CreateAcls CreateAclsRequest,
    DeleteAcls DeleteAclsRequest,
    AlterReplicaLogDirs AlterReplicaLogDirsRequest,
    CreateDelegationToken CreateDelegationTokenRequest,
    RenewDelegationToken RenewDelegationTokenRequest,
    ExpireDelegationToken ExpireDelegationTokenRequest,
    DescribeDelegationToken DescribeDelegationTokenRequest,
    ElectLeaders ElectLeadersRequest,
    AlterPartitionReassignments AlterPartitionReassignmentsRequest,
    ListPartitionReassignments ListPartitionReassignmentsRequest,
    DescribeClientQuotas DescribeClientQuotasRequest,
    AlterClientQuotas AlterClientQuotasRequest,
    DescribeUserScramCredentials DescribeUserScramCredentialsRequest,
    AlterUserScramCredentials AlterUserScramCredentialsRequest,
    DescribeQuorum DescribeQuorumRequest,
    UpdateFeatures UpdateFeaturesRequest,
    WriteTxnMarkers WriteTxnMarkersRequest,
    AddPartitionsToTxn AddPartitionsToTxnRequest,
    AddOffsetsToTxn AddOffsetsToTxnRequest,
    EndTxn EndTxnRequest,
    TxnOffsetCommit TxnOffsetCommitRequest,
    DescribeTransactions DescribeTransactionsRequest,
    ListTransactions ListTransactionsRequest,
}
