//! What a coordinator is told about its limits and delays; every duration in ms.

use model::{TransactionVersion, limits};

/// Settings of one coordinator. `Default` is Kafka's default, bounded by `limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnConfig {
    /// `transaction.max.timeout.ms`.
    pub timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`.
    pub expiration_ms: u64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub abort_interval_ms: u64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub remove_interval_ms: u64,
    /// Transactional ids of one coordinator; a new one beyond that is COORDINATOR_NOT_AVAILABLE, which clients try again.
    pub ids_max: usize,
    /// Bytes one `Action::Append` may take in the log, `max.message.bytes` of `__transaction_state`.
    pub append_bytes_max: usize,
    /// What the cluster's feature `transaction.version` is at.
    pub level: VersionLevel,
}

/// The levels of Kafka's feature `transaction.version`. Producers choose their protocol by it; a coordinator answers
/// either protocol at any level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionLevel {
    /// The first protocol, and records as they were before transactions had a version.
    Tv0,
    /// The first protocol.
    Tv1,
    /// The second protocol (KIP-890).
    Tv2,
}

impl VersionLevel {
    /// The level of a number; a later one than Kafka 4.3 knows is taken for its last.
    pub fn from_number(number: i16) -> VersionLevel {
        match number {
            ..=0 => VersionLevel::Tv0,
            1 => VersionLevel::Tv1,
            2.. => VersionLevel::Tv2,
        }
    }

    /// The protocol in which the coordinator ends what no producer ended.
    pub fn protocol(self) -> TransactionVersion {
        match self {
            VersionLevel::Tv0 | VersionLevel::Tv1 => TransactionVersion::Tv1,
            VersionLevel::Tv2 => TransactionVersion::Tv2,
        }
    }
}

impl Default for TxnConfig {
    fn default() -> TxnConfig {
        TxnConfig {
            timeout_ms_max: 900_000,
            expiration_ms: 7 * 24 * 60 * 60 * 1000,
            abort_interval_ms: 10_000,
            remove_interval_ms: 3_600_000,
            ids_max: limits::TRANSACTIONAL_IDS_PER_COORDINATOR_MAX,
            append_bytes_max: limits::BATCH_BYTES_MAX,
            level: VersionLevel::Tv2,
        }
    }
}
