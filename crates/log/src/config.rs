//! What a topic's configuration asks of its logs; keys of Kafka, read anew at every append.

use record::TimestampType;

/// The settings of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is closed before it would grow beyond this, bytes (`segment.bytes`).
    pub segment_bytes: u64,
    /// A segment is closed when a batch is this much newer than its first one, ms (`segment.ms`).
    pub segment_ms: i64,
    /// Up to so much earlier, so that segments of many partitions do not close at once, ms (`segment.jitter.ms`).
    pub segment_jitter_ms: i64,
    /// Bytes of batches between two entries of the indexes (`index.interval.bytes`).
    pub index_interval_bytes: u64,
    /// A segment is closed when one of its indexes has grown to this, bytes (`segment.index.bytes`).
    pub index_bytes_max: u64,
    /// Who sets the timestamps (`message.timestamp.type`).
    pub timestamp_type: TimestampType,
    /// An idempotent producer silent for this long is forgotten, ms (`producer.id.expiration.ms`).
    pub producer_expiration_ms: i64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            index_bytes_max: 10 << 20,
            timestamp_type: TimestampType::CreateTime,
            producer_expiration_ms: 24 * 3600 * 1000,
        }
    }
}
