//! What a coordinator is told about its limits and delays; every duration in ms.

use model::limits;

/// Settings of one coordinator. `Default` is Kafka's default, bounded by `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for more members.
    pub initial_rebalance_delay_ms: u32,
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.max.size`, at most `limits::GROUP_MEMBERS_MAX`.
    pub members_max: usize,
    /// Groups of one coordinator; a new one beyond that is COORDINATOR_NOT_AVAILABLE, which clients try again.
    pub groups_max: usize,
    /// How long a new member may wait for its first rebalance; Kafka's `group.new.member.join.timeout.ms`.
    ///
    /// It cannot send heartbeats before it knows its id, and one that gave up and came back would otherwise stay.
    pub new_member_join_timeout_ms: u32,
    /// `offset.metadata.max.bytes`; Kafka counts UTF-16 code units.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: u64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// Bytes one `Action::Append` may take in the log, `max.message.bytes` of `__consumer_offsets`.
    pub append_bytes_max: usize,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            initial_rebalance_delay_ms: 3_000,
            session_timeout_ms_min: limits::GROUP_SESSION_TIMEOUT_MS_MIN,
            session_timeout_ms_max: limits::GROUP_SESSION_TIMEOUT_MS_MAX,
            members_max: limits::GROUP_MEMBERS_MAX,
            groups_max: limits::GROUPS_PER_COORDINATOR_MAX,
            new_member_join_timeout_ms: 5 * 60 * 1000,
            offset_metadata_max: limits::OFFSET_METADATA_BYTES_MAX,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1000,
            offsets_retention_check_interval_ms: 600_000,
            append_bytes_max: limits::BATCH_BYTES_MAX,
        }
    }
}
