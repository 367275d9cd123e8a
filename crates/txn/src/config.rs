//! What a coordinator is told about its limits and delays; every duration in ms.

use model::limits;

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
        }
    }
}
