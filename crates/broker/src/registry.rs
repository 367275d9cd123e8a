//! The APIs this broker serves: one line each, from which routing and ApiVersions follow.
//!
//! The files in `handlers/` are named by API key, so that the folder reads as the protocol's table. Produce is
//! routed by the service, since its batches are queued before its answer is awaited; Fetch answers with file
//! slices beside its message.

use rt::FileSlice;
use wire::{ApiKey, Frame, Message, Reader};

use crate::call::Call;
use crate::error::Refused;

#[path = "handlers/18_api_versions.rs"]
pub mod api_versions;
#[path = "handlers/01_fetch.rs"]
mod fetch;
#[path = "handlers/00_produce.rs"]
pub mod produce;

macro_rules! handlers {
    ($($key:ident $module:ident $path:literal,)*) => {
        $(#[path = $path] mod $module;)*

        /// Every API served, in the order of this table.
        pub const SERVED: &[ApiKey] =
            &[ApiKey::Produce, ApiKey::Fetch, ApiKey::ApiVersions, $(ApiKey::$key),*];

        /// Decodes, handles and encodes one request other than Produce and Fetch.
        async fn answer(
            call: &Call<'_>,
            key: ApiKey,
            version: i16,
            correlation_id: i32,
            mut reader: Reader<'_>,
        ) -> Result<Frame, Refused> {
            match key {
                ApiKey::ApiVersions => {
                    let request = Message::decode(&mut reader, version)?;
                    let response = api_versions::handle(call, request, version).await;
                    Ok(wire::encode_response(correlation_id, &response, version)?)
                }
                $(ApiKey::$key => {
                    let request = Message::decode(&mut reader, version)?;
                    let response = $module::handle(call, request, version).await;
                    Ok(wire::encode_response(correlation_id, &response, version)?)
                })*
                other => unreachable!("the service refuses or routes {other} before"),
            }
        }
    };
}

handlers! {
    ListOffsets list_offsets "handlers/02_list_offsets.rs",
    Metadata metadata "handlers/03_metadata.rs",
    OffsetCommit offset_commit "handlers/08_offset_commit.rs",
    OffsetFetch offset_fetch "handlers/09_offset_fetch.rs",
    FindCoordinator find_coordinator "handlers/10_find_coordinator.rs",
    JoinGroup join_group "handlers/11_join_group.rs",
    Heartbeat heartbeat "handlers/12_heartbeat.rs",
    LeaveGroup leave_group "handlers/13_leave_group.rs",
    SyncGroup sync_group "handlers/14_sync_group.rs",
    DescribeGroups describe_groups "handlers/15_describe_groups.rs",
    ListGroups list_groups "handlers/16_list_groups.rs",
    CreateTopics create_topics "handlers/19_create_topics.rs",
    DeleteTopics delete_topics "handlers/20_delete_topics.rs",
    DeleteRecords delete_records "handlers/21_delete_records.rs",
    InitProducerId init_producer_id "handlers/22_init_producer_id.rs",
    OffsetForLeaderEpoch offset_for_leader_epoch "handlers/23_offset_for_leader_epoch.rs",
    AddPartitionsToTxn add_partitions_to_txn "handlers/24_add_partitions_to_txn.rs",
    AddOffsetsToTxn add_offsets_to_txn "handlers/25_add_offsets_to_txn.rs",
    EndTxn end_txn "handlers/26_end_txn.rs",
    WriteTxnMarkers write_txn_markers "handlers/27_write_txn_markers.rs",
    TxnOffsetCommit txn_offset_commit "handlers/28_txn_offset_commit.rs",
    DescribeAcls describe_acls "handlers/29_describe_acls.rs",
    CreateAcls create_acls "handlers/30_create_acls.rs",
    DeleteAcls delete_acls "handlers/31_delete_acls.rs",
    DescribeConfigs describe_configs "handlers/32_describe_configs.rs",
    AlterConfigs alter_configs "handlers/33_alter_configs.rs",
    AlterReplicaLogDirs alter_replica_log_dirs "handlers/34_alter_replica_log_dirs.rs",
    DescribeLogDirs describe_log_dirs "handlers/35_describe_log_dirs.rs",
    CreatePartitions create_partitions "handlers/37_create_partitions.rs",
    CreateDelegationToken create_delegation_token "handlers/38_create_delegation_token.rs",
    RenewDelegationToken renew_delegation_token "handlers/39_renew_delegation_token.rs",
    ExpireDelegationToken expire_delegation_token "handlers/40_expire_delegation_token.rs",
    DescribeDelegationToken describe_delegation_token "handlers/41_describe_delegation_token.rs",
    DeleteGroups delete_groups "handlers/42_delete_groups.rs",
    ElectLeaders elect_leaders "handlers/43_elect_leaders.rs",
    IncrementalAlterConfigs incremental_alter_configs "handlers/44_incremental_alter_configs.rs",
    AlterPartitionReassignments alter_partition_reassignments "handlers/45_alter_partition_reassignments.rs",
    ListPartitionReassignments list_partition_reassignments "handlers/46_list_partition_reassignments.rs",
    OffsetDelete offset_delete "handlers/47_offset_delete.rs",
    DescribeClientQuotas describe_client_quotas "handlers/48_describe_client_quotas.rs",
    AlterClientQuotas alter_client_quotas "handlers/49_alter_client_quotas.rs",
    DescribeUserScramCredentials describe_user_scram_credentials "handlers/50_describe_user_scram_credentials.rs",
    AlterUserScramCredentials alter_user_scram_credentials "handlers/51_alter_user_scram_credentials.rs",
    DescribeQuorum describe_quorum "handlers/55_describe_quorum.rs",
    UpdateFeatures update_features "handlers/57_update_features.rs",
    DescribeCluster describe_cluster "handlers/60_describe_cluster.rs",
    DescribeProducers describe_producers "handlers/61_describe_producers.rs",
    DescribeTransactions describe_transactions "handlers/65_describe_transactions.rs",
    ListTransactions list_transactions "handlers/66_list_transactions.rs",
    ListConfigResources list_config_resources "handlers/74_list_config_resources.rs",
    DescribeTopicPartitions describe_topic_partitions "handlers/75_describe_topic_partitions.rs",
}

/// Serves one request other than Produce: its frame, and the file slices its gaps are filled from.
pub async fn serve(
    call: &Call<'_>,
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    mut reader: Reader<'_>,
) -> Result<(Frame, Vec<FileSlice>), Refused> {
    if key == ApiKey::Fetch {
        let request = Message::decode(&mut reader, version)?;
        let (response, slices) = fetch::handle(call, request, version).await;
        return Ok((wire::encode_response(correlation_id, &response, version)?, slices));
    }
    Ok((answer(call, key, version, correlation_id, reader).await?, Vec::new()))
}
