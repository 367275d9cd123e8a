//! A broker's configuration in types: what the process, the group coordinators and the request paths read.

use crate::broker_key;
use crate::error::ConfigError;
use crate::key::{host_counts, list};
use crate::layers::{Layers, Source};
use crate::listener::{self, Listener};
use model::BrokerId;

/// What happens when the disk has no room above its reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFullPolicy {
    /// Records are refused.
    Refuse,
    /// The oldest records go.
    DeleteOldest,
}

/// Everything a broker can be told, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs`.
    pub data_dirs: Vec<String>,
    /// `listeners`, without those of controllers.
    pub listeners: Vec<Listener>,
    /// `advertised.listeners`, without those of controllers; a listener without one is told as it was reached.
    pub advertised_listeners: Vec<Listener>,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`; `None` takes as many as there are brokers, up to three.
    pub default_replication_factor: Option<i16>,
    /// `connections.max.idle.ms`; `None` never closes a silent connection.
    pub connections_max_idle_ms: Option<u64>,
    /// `max.connections`.
    pub connections_max: u32,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: u32,
    /// `max.connections.per.ip.overrides`.
    pub connections_per_ip_overrides: Vec<(String, u32)>,
    /// `max.connection.creation.rate`.
    pub connections_per_second_max: u32,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay_ms: u64,
    /// `group.min.session.timeout.ms`.
    pub group_session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub group_session_timeout_ms_max: i32,
    /// `group.max.size`.
    pub group_members_max: usize,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`, in ms.
    pub offsets_retention_ms: u64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: u64,
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.replication.factor`; `None` takes as many as there are brokers, up to three.
    pub offsets_topic_replication_factor: Option<i16>,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: u64,
    /// `transaction.partition.verification.enable`.
    pub transaction_verification: bool,
    /// `transaction.state.log.min.isr`.
    pub transactions_topic_min_insync_replicas: i32,
    /// `transaction.state.log.num.partitions`.
    pub transactions_topic_partitions: i32,
    /// `transaction.state.log.replication.factor`; `None` takes as many as there are brokers, up to three.
    pub transactions_topic_replication_factor: Option<i16>,
    /// `transaction.state.log.segment.bytes`.
    pub transactions_topic_segment_bytes: u64,
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout_ms_max: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
    pub transaction_abort_interval_ms: u64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`.
    pub transaction_remove_interval_ms: u64,
    /// `transactional.id.expiration.ms`.
    pub transactional_id_expiration_ms: u64,
    /// `add.partitions.to.txn.retry.backoff.ms`.
    pub add_partitions_backoff_ms: u64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`.
    pub add_partitions_patience_ms: u64,
    /// `log.retention.check.interval.ms`.
    pub log_retention_check_interval_ms: u64,
    /// `ottla.disk.reserve.bytes`; `None` goes by the size of the disk.
    pub disk_reserve_bytes: Option<u64>,
    /// `ottla.scrub.bytes.per.second`.
    pub scrub_bytes_per_second: u64,
    /// `ottla.disk.full.policy`.
    pub disk_full_policy: DiskFullPolicy,
    /// The `log.cleaner` keys.
    pub cleaner: CleanerConfig,
}

/// How logs are compacted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub is_enabled: bool,
    /// `log.cleaner.threads`.
    pub threads: usize,
    /// `log.cleaner.backoff.ms`.
    pub backoff_ms: u64,
    /// `log.cleaner.dedupe.buffer.size`.
    pub key_map_bytes: u64,
    /// `log.cleaner.io.buffer.load.factor`.
    pub key_map_load: f64,
    /// `log.cleaner.io.buffer.size`.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`.
    pub io_bytes_per_second_max: f64,
}

impl BrokerConfig {
    /// What holds for this broker. Fails only where keys contradict each other: listeners do.
    pub fn resolve(layers: &Layers<'_>) -> Result<BrokerConfig, ConfigError> {
        let values = Values { layers };
        let listeners = values.listeners()?;
        Ok(BrokerConfig {
            node_id: BrokerId(values.int("node.id")),
            rack: values.text("broker.rack").map(str::to_owned),
            data_dirs: list(values.text("log.dirs").unwrap_or_default()).map(str::to_owned).collect(),
            listeners: listeners.listeners,
            advertised_listeners: listeners.advertised,
            auto_create_topics: values.boolean("auto.create.topics.enable"),
            delete_topics: values.boolean("delete.topic.enable"),
            num_partitions: values.int("num.partitions"),
            default_replication_factor: values.replication_factor("default.replication.factor"),
            connections_max_idle_ms: u64::try_from(values.signed("connections.max.idle.ms")).ok(),
            connections_max: values.int("max.connections").unsigned_abs(),
            connections_per_ip_overrides: host_counts(
                values.text("max.connections.per.ip.overrides").unwrap_or_default(),
            )
            .unwrap_or_default(),
            connections_per_ip_max: values.int("max.connections.per.ip").unsigned_abs(),
            connections_per_second_max: values.int("max.connection.creation.rate").unsigned_abs(),
            request_bytes_max: values.size("socket.request.max.bytes"),
            fetch_bytes_max: values.size("fetch.max.bytes"),
            fetch_sessions_max: values.size("max.incremental.fetch.session.cache.slots"),
            group_initial_rebalance_delay_ms: values.unsigned("group.initial.rebalance.delay.ms"),
            group_session_timeout_ms_min: values.int("group.min.session.timeout.ms"),
            group_session_timeout_ms_max: values.int("group.max.session.timeout.ms"),
            group_members_max: values.size("group.max.size"),
            offset_metadata_bytes_max: values.size("offset.metadata.max.bytes"),
            offsets_retention_ms: values.unsigned("offsets.retention.minutes").saturating_mul(60_000),
            offsets_retention_check_interval_ms: values.unsigned("offsets.retention.check.interval.ms"),
            offsets_topic_partitions: values.int("offsets.topic.num.partitions"),
            offsets_topic_replication_factor: values.replication_factor("offsets.topic.replication.factor"),
            offsets_topic_segment_bytes: values.unsigned("offsets.topic.segment.bytes"),
            transaction_verification: values.boolean("transaction.partition.verification.enable"),
            transactions_topic_min_insync_replicas: values.int("transaction.state.log.min.isr"),
            transactions_topic_partitions: values.int("transaction.state.log.num.partitions"),
            transactions_topic_replication_factor: values
                .replication_factor("transaction.state.log.replication.factor"),
            transactions_topic_segment_bytes: values.unsigned("transaction.state.log.segment.bytes"),
            transaction_timeout_ms_max: values.int("transaction.max.timeout.ms"),
            transaction_abort_interval_ms: values
                .unsigned("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            transaction_remove_interval_ms: values
                .unsigned("transaction.remove.expired.transaction.cleanup.interval.ms"),
            transactional_id_expiration_ms: values.unsigned("transactional.id.expiration.ms"),
            add_partitions_backoff_ms: values.unsigned("add.partitions.to.txn.retry.backoff.ms"),
            add_partitions_patience_ms: values.unsigned("add.partitions.to.txn.retry.backoff.max.ms"),
            log_retention_check_interval_ms: values.unsigned("log.retention.check.interval.ms"),
            disk_reserve_bytes: u64::try_from(values.signed("ottla.disk.reserve.bytes")).ok(),
            scrub_bytes_per_second: values.unsigned("ottla.scrub.bytes.per.second"),
            disk_full_policy: match values.text("ottla.disk.full.policy") {
                Some("delete-oldest") => DiskFullPolicy::DeleteOldest,
                Some(_) | None => DiskFullPolicy::Refuse,
            },
            cleaner: CleanerConfig {
                is_enabled: values.boolean("log.cleaner.enable"),
                threads: values.size("log.cleaner.threads"),
                backoff_ms: values.unsigned("log.cleaner.backoff.ms"),
                key_map_bytes: values.unsigned("log.cleaner.dedupe.buffer.size"),
                key_map_load: values.double("log.cleaner.io.buffer.load.factor"),
                io_buffer_bytes: values.size("log.cleaner.io.buffer.size"),
                io_bytes_per_second_max: values.double("log.cleaner.io.max.bytes.per.second"),
            },
        })
    }
}

/// Typed reads of this broker's keys. Values were checked by their layers (K2), so no read can fail.
struct Values<'a> {
    layers: &'a Layers<'a>,
}

impl<'a> Values<'a> {
    fn text(&self, name: &'static str) -> Option<&'a str> {
        let key = broker_key(name).expect("the names in `resolve` are in the table: its test resolves all");
        self.layers.broker_value(key).map(str::trim)
    }

    fn signed(&self, name: &'static str) -> i64 {
        let text = self.text(name).expect("every number in `resolve` has a default");
        text.parse().expect("layers give checked values only")
    }

    fn int(&self, name: &'static str) -> i32 {
        i32::try_from(self.signed(name)).unwrap_or(i32::MAX)
    }

    fn unsigned(&self, name: &'static str) -> u64 {
        u64::try_from(self.signed(name)).unwrap_or(0)
    }

    fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.unsigned(name)).unwrap_or(usize::MAX)
    }

    fn double(&self, name: &'static str) -> f64 {
        let text = self.text(name).expect("every number in `resolve` has a default");
        text.parse().expect("layers give checked values only")
    }

    fn boolean(&self, name: &'static str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    fn replication_factor(&self, name: &'static str) -> Option<i16> {
        i16::try_from(self.signed(name)).ok().filter(|&replicas| 0 < replicas)
    }

    fn listeners(&self) -> Result<listener::Resolved, ConfigError> {
        let key = broker_key("listeners").expect("the table has listeners");
        let described = self.layers.describe_broker();
        let set = described.iter().find(|entry| entry.key.name == key.name);
        let is_set = set.is_some_and(|entry| entry.source != Source::Default);
        let host = self.text("ottla.default.host").unwrap_or_default();
        listener::resolve(
            self.text(key.name).filter(|_| is_set),
            &key.default.unwrap_or_default().replace("localhost", host),
            self.text("advertised.listeners").unwrap_or_default(),
            self.text("listener.security.protocol.map").unwrap_or_default(),
            self.text("controller.listener.names").unwrap_or_default(),
        )
        .map_err(ConfigError::Listeners)
    }
}
