//! A topic's configuration in types: what partitions, logs and the produce path read.

use crate::error::{ConfigError, nearest};
use crate::key::{Key, list};
use crate::layers::{Layers, Overrides};
use crate::{broker_key, broker_keys, topic_key, topic_keys};

/// What happens to old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Whole segments go by age and size.
    pub delete: bool,
    /// The last record of each key stays.
    pub compact: bool,
}

/// The codec batches are stored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they came.
    Producer,
    /// None.
    Uncompressed,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// Whose timestamp a record keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

/// What an acknowledgement means (D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The record is synced.
    Disk,
    /// The record is in the page cache: Kafka's contract.
    Memory,
}

/// How closely a produced batch is read (D2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProduceValidation {
    /// Lengths, checksum and counts; uncompressed records are walked.
    Header,
    /// Compressed records too.
    Records,
}

/// Everything a topic can be told, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`.
    pub compression: Compression,
    /// `compression.gzip.level`; -1 is the codec's own.
    pub compression_gzip_level: i32,
    /// `compression.lz4.level`.
    pub compression_lz4_level: i32,
    /// `compression.zstd.level`.
    pub compression_zstd_level: i32,
    /// `delete.retention.ms`.
    pub delete_retention_ms: u64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: u64,
    /// `flush.messages`.
    pub flush_messages: u64,
    /// `flush.ms`.
    pub flush_ms: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// `max.message.bytes`: of a batch.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: u64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: u64,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: u64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: u64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
    /// `ottla.durability`.
    pub durability: Durability,
    /// `ottla.produce.validation`; a compacted topic always reads records (D2).
    pub produce_validation: ProduceValidation,
    /// `preallocate`.
    pub preallocate: bool,
    /// `producer.id.expiration.ms`: the broker's, which its partitions go by.
    pub producer_id_expiration_ms: u64,
    /// `retention.bytes`; `None` is unlimited.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`; `None` is unlimited.
    pub retention_ms: Option<u64>,
    /// `segment.bytes`, or `internal.segment.bytes` where a test sets it.
    pub segment_bytes: u64,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: u64,
    /// `segment.ms`.
    pub segment_ms: u64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
}

impl TopicConfig {
    /// What holds for a topic with these settings of its own.
    pub fn resolve(layers: &Layers<'_>, own: Option<&Overrides>) -> TopicConfig {
        let values = Values { layers, own };
        let cleanup_policy = values.cleanup_policy();
        let internal_segment_bytes = values.unsigned("internal.segment.bytes");
        TopicConfig {
            cleanup_policy,
            compression: values.compression(),
            compression_gzip_level: values.level("compression.gzip.level"),
            compression_lz4_level: values.level("compression.lz4.level"),
            compression_zstd_level: values.level("compression.zstd.level"),
            delete_retention_ms: values.unsigned("delete.retention.ms"),
            file_delete_delay_ms: values.unsigned("file.delete.delay.ms"),
            flush_messages: values.unsigned("flush.messages"),
            flush_ms: values.unsigned("flush.ms"),
            index_interval_bytes: values.unsigned("index.interval.bytes"),
            max_message_bytes: usize::try_from(values.unsigned("max.message.bytes")).unwrap_or(usize::MAX),
            timestamp_type: match values.text("message.timestamp.type").as_ref() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: values.unsigned("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: values.unsigned("message.timestamp.after.max.ms"),
            min_cleanable_dirty_ratio: values.text("min.cleanable.dirty.ratio").parse().unwrap_or(0.5),
            min_compaction_lag_ms: values.unsigned("min.compaction.lag.ms"),
            max_compaction_lag_ms: values.unsigned("max.compaction.lag.ms"),
            min_insync_replicas: usize::try_from(values.unsigned("min.insync.replicas"))
                .unwrap_or(usize::MAX),
            durability: match values.text("ottla.durability").as_ref() {
                "memory" => Durability::Memory,
                _ => Durability::Disk,
            },
            produce_validation: match values.text("ottla.produce.validation").as_ref() {
                "header" if !cleanup_policy.compact => ProduceValidation::Header,
                _ => ProduceValidation::Records,
            },
            preallocate: values.boolean("preallocate"),
            producer_id_expiration_ms: values.of_the_broker("producer.id.expiration.ms"),
            retention_bytes: values.limit("retention.bytes"),
            retention_ms: values.limit("retention.ms"),
            segment_bytes: if internal_segment_bytes == 0 {
                values.unsigned("segment.bytes")
            } else {
                internal_segment_bytes
            },
            segment_index_bytes: values.unsigned("segment.index.bytes"),
            segment_jitter_ms: values.unsigned("segment.jitter.ms"),
            segment_ms: values.unsigned("segment.ms"),
            unclean_leader_election: values.boolean("unclean.leader.election.enable"),
        }
    }
}

/// Typed reads of one topic's keys. Values were checked by their layers (K2), so no read can fail.
struct Values<'a> {
    layers: &'a Layers<'a>,
    own: Option<&'a Overrides>,
}

impl Values<'_> {
    fn text(&self, name: &'static str) -> String {
        let key = topic_key(name).expect("the names in `resolve` are in the table: its test resolves all");
        self.layers.topic_value(key, self.own).trim().to_owned()
    }

    fn signed(&self, name: &'static str) -> i64 {
        self.text(name).parse().expect("layers give checked values only")
    }

    /// A number whose check allows no negative ones.
    fn unsigned(&self, name: &'static str) -> u64 {
        u64::try_from(self.signed(name)).unwrap_or(0)
    }

    /// The same of a broker's key.
    fn of_the_broker(&self, name: &'static str) -> u64 {
        let key = broker_key(name).expect("the names in `resolve` are in the table: its test resolves all");
        let text = self.layers.broker_value(key).expect("every number in `resolve` has a default");
        text.trim().parse().expect("layers give checked values only")
    }

    /// A number whose negative values mean "unlimited".
    fn limit(&self, name: &'static str) -> Option<u64> {
        u64::try_from(self.signed(name)).ok()
    }

    fn level(&self, name: &'static str) -> i32 {
        i32::try_from(self.signed(name)).unwrap_or(-1)
    }

    fn boolean(&self, name: &'static str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    fn cleanup_policy(&self) -> CleanupPolicy {
        let text = self.text("cleanup.policy");
        let has = |policy| list(&text).any(|entry| entry == policy);
        CleanupPolicy { delete: has("delete"), compact: has("compact") }
    }

    fn compression(&self) -> Compression {
        match self.text("compression.type").as_ref() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => Compression::Producer,
        }
    }
}

/// Checks what somebody wants to set on a topic, all of it.
pub fn check_topic(own: &Overrides) -> Result<(), ConfigError> {
    for (name, value) in own {
        let Some(key) = topic_key(name) else {
            return Err(ConfigError::UnknownTopicKey {
                key: name.clone(),
                nearest: nearest(name, topic_keys()),
            });
        };
        check_value(key, value)?;
    }
    let number = |name: &str| -> Option<i64> {
        own.get(name).map(String::as_str).or(topic_key(name)?.default)?.trim().parse().ok()
    };
    if let (Some(min), Some(max)) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"))
        && max < min
    {
        return Err(ConfigError::CompactionLagsCross { min, max });
    }
    if own.get("remote.storage.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Err(ConfigError::TieredStorageDisabled);
    }
    Ok(())
}

/// Checks what somebody wants to set on a running broker; whether the key may change there is another matter.
pub fn check_broker(name: &str, value: &str) -> Result<(), ConfigError> {
    let Some(key) = broker_key(name) else {
        let nearest = nearest(name, broker_keys());
        return Err(ConfigError::UnknownBrokerKey { key: name.to_owned(), nearest });
    };
    check_value(key, value)
}

pub(crate) fn check_value(key: &Key, value: &str) -> Result<(), ConfigError> {
    key.check(value).map_err(|why| ConfigError::InvalidValue {
        key: key.name.to_owned(),
        value: if key.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() },
        why,
    })
}
