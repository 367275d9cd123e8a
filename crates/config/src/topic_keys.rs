//! The keys of topics: Kafka 4.3's `LogConfig`, and ours.
//!
//! Sorted by name; the test of the table says so.

use crate::key::Check::{
    Any, AtLeast, Between, Fraction, ListOf, MinusOneOrBetween, OneOf, ThrottledReplicas,
};
use crate::key::Kind::{Boolean, Double, Int, List, Long, String};
use crate::key::{Key, Synonym};

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

const fn same(key: &'static str) -> Synonym {
    Synonym { key, times: 1 }
}

pub(crate) const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(crate) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
pub(crate) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
pub(crate) const DURABILITIES: &[&str] = &["disk", "memory"];
pub(crate) const VALIDATIONS: &[&str] = &["header", "records"];
pub(crate) const LONG_MAX: &str = "9223372036854775807";

/// All of them.
pub(crate) const KEYS: &[Key] = &[
    Key::topic(
        "cleanup.policy",
        List,
        "delete",
        ListOf(CLEANUP_POLICIES),
        &[same("log.cleanup.policy")],
        "What happens to old records: delete drops whole segments by age and size, compact keeps the last record \
         of each key; both may be given, and an empty value keeps everything.",
    ),
    Key::topic(
        "compression.gzip.level",
        Int,
        "-1",
        MinusOneOrBetween(1, 9),
        &[same("compression.gzip.level")],
        "Effort of gzip where the broker compresses; -1 leaves it to the codec.",
    ),
    Key::topic(
        "compression.lz4.level",
        Int,
        "9",
        Between(1, 17),
        &[same("compression.lz4.level")],
        "Effort of lz4 where the broker compresses.",
    )
    .not_yet()
    .unlike_kafka("the encoder here knows one effort"),
    Key::topic(
        "compression.type",
        String,
        "producer",
        OneOf(COMPRESSION_TYPES),
        &[same("compression.type")],
        "The codec batches are stored with; producer keeps each batch as it came.",
    ),
    Key::topic(
        "compression.zstd.level",
        Int,
        "3",
        Between(-131_072, 22),
        &[same("compression.zstd.level")],
        "Effort of zstd where the broker compresses.",
    ),
    Key::topic(
        "delete.retention.ms",
        Long,
        "86400000",
        AtLeast(0),
        &[same("log.cleaner.delete.retention.ms")],
        "How long a compacted topic keeps the mark of a deleted key, so that slow readers see the deletion.",
    ),
    Key::topic(
        "file.delete.delay.ms",
        Long,
        "60000",
        AtLeast(0),
        &[same("log.segment.delete.delay.ms")],
        "How long a dropped segment stays on disk under another name before its space is freed.",
    ),
    Key::topic(
        "flush.messages",
        Long,
        LONG_MAX,
        AtLeast(1),
        &[same("log.flush.interval.messages")],
        "With ottla.durability=memory, syncs after this many records; with disk every record is synced before it is \
         acknowledged.",
    )
    .unlike_kafka("a record is synced before it is acknowledged, whatever this says, unless ottla.durability is memory"),
    Key::topic(
        "flush.ms",
        Long,
        LONG_MAX,
        AtLeast(0),
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "With ottla.durability=memory, syncs a record after this time, to a second or so; with disk every record is synced \
         before it is acknowledged.",
    )
    .unlike_kafka("a record is synced before it is acknowledged, whatever this says, unless ottla.durability is memory"),
    Key::topic(
        "follower.replication.throttled.replicas",
        List,
        "",
        ThrottledReplicas,
        &[],
        "The replicas whose copying is held to the follower's throttled rate.",
    )
    .not_yet(),
    Key::topic(
        "index.interval.bytes",
        Int,
        "4096",
        AtLeast(0),
        &[same("log.index.interval.bytes")],
        "How many bytes of the log lie between two entries of its offset index.",
    ),
    Key::topic(
        "internal.segment.bytes",
        Int,
        "0",
        AtLeast(0),
        &[],
        "A segment size below the least that segment.bytes allows, for tests; 0 leaves it to segment.bytes.",
    ),
    Key::topic(
        "leader.replication.throttled.replicas",
        List,
        "",
        ThrottledReplicas,
        &[],
        "The replicas whose copying is held to the leader's throttled rate.",
    )
    .not_yet(),
    Key::topic(
        "local.retention.bytes",
        Long,
        "-2",
        AtLeast(-2),
        &[same("log.local.retention.bytes")],
        "How many bytes of a tiered partition stay on local disks; -2 follows retention.bytes.",
    )
    .not_yet(),
    Key::topic(
        "local.retention.ms",
        Long,
        "-2",
        AtLeast(-2),
        &[same("log.local.retention.ms")],
        "How long records of a tiered partition stay on local disks; -2 follows retention.ms.",
    )
    .not_yet(),
    Key::topic(
        "max.compaction.lag.ms",
        Long,
        LONG_MAX,
        AtLeast(1),
        &[same("log.cleaner.max.compaction.lag.ms")],
        "The longest a record of a compacted topic may wait for compaction.",
    ),
    Key::topic(
        "max.message.bytes",
        Int,
        "1048588",
        AtLeast(0),
        &[same("message.max.bytes")],
        "The largest record batch the topic takes, compressed as it is.",
    ),
    Key::topic(
        "message.timestamp.after.max.ms",
        Long,
        "3600000",
        AtLeast(0),
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may lie ahead of the broker's clock.",
    ),
    Key::topic(
        "message.timestamp.before.max.ms",
        Long,
        LONG_MAX,
        AtLeast(0),
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may lie behind the broker's clock.",
    ),
    Key::topic(
        "message.timestamp.type",
        String,
        "CreateTime",
        OneOf(TIMESTAMP_TYPES),
        &[same("log.message.timestamp.type")],
        "Whether records keep the producer's timestamp or get the broker's.",
    ),
    Key::topic(
        "min.cleanable.dirty.ratio",
        Double,
        "0.5",
        Fraction,
        &[same("log.cleaner.min.cleanable.ratio")],
        "The share of a compacted log that must be new before it is compacted again.",
    ),
    Key::topic(
        "min.compaction.lag.ms",
        Long,
        "0",
        AtLeast(0),
        &[same("log.cleaner.min.compaction.lag.ms")],
        "The least time a record of a compacted topic stays as it is.",
    ),
    Key::topic(
        "min.insync.replicas",
        Int,
        "1",
        AtLeast(1),
        &[same("min.insync.replicas")],
        "How many replicas must be in sync for a write with acks=all to be taken.",
    ),
    Key::topic(
        "ottla.durability",
        String,
        "disk",
        OneOf(DURABILITIES),
        &[same("ottla.durability")],
        "What an acknowledgement means: disk has synced the record, memory has it in the page cache, which is \
         what Kafka promises.",
    ),
    Key::topic(
        "ottla.produce.validation",
        String,
        "header",
        OneOf(VALIDATIONS),
        &[same("ottla.produce.validation")],
        "How closely a produced batch is read: header checks lengths, checksum and counts, and walks uncompressed \
         records; records looks into compressed ones too.",
    ),
    Key::topic(
        "preallocate",
        Boolean,
        "false",
        Any,
        &[same("log.preallocate")],
        "Whether a new segment takes its full size on disk at once; here a file is as long as what is in it, which is what \
         a start goes by after a crash, and space is set aside ahead of a log that grows in any case.",
    )
    .not_needed(),
    Key::topic(
        "remote.log.copy.disable",
        Boolean,
        "false",
        Any,
        &[],
        "Stops copying a tiered topic's segments to remote storage.",
    )
    .not_yet(),
    Key::topic(
        "remote.log.delete.on.disable",
        Boolean,
        "false",
        Any,
        &[],
        "Whether remote segments are deleted when tiering is switched off.",
    )
    .not_yet(),
    Key::topic(
        "remote.storage.enable",
        Boolean,
        "false",
        Any,
        &[],
        "Whether the topic's older segments move to remote storage.",
    )
    .not_yet(),
    Key::topic(
        "retention.bytes",
        Long,
        "-1",
        Any,
        &[same("log.retention.bytes")],
        "How large a partition may grow before its oldest segments go; -1 sets no limit.",
    ),
    Key::topic(
        "retention.ms",
        Long,
        "604800000",
        AtLeast(-1),
        &[
            same("log.retention.ms"),
            Synonym { key: "log.retention.minutes", times: MINUTE_MS },
            Synonym { key: "log.retention.hours", times: HOUR_MS },
        ],
        "How old a segment's newest record may grow before the segment goes; -1 sets no limit.",
    ),
    Key::topic(
        "segment.bytes",
        Int,
        "1073741824",
        AtLeast(1024 * 1024),
        &[same("log.segment.bytes")],
        "The size at which a partition starts its next segment; records go segment by segment.",
    ),
    Key::topic(
        "segment.index.bytes",
        Int,
        "10485760",
        AtLeast(4),
        &[same("log.index.size.max.bytes")],
        "The most bytes a segment's offset index may take before the next segment starts.",
    ),
    Key::topic(
        "segment.jitter.ms",
        Long,
        "0",
        AtLeast(0),
        &[same("log.roll.jitter.ms"), Synonym { key: "log.roll.jitter.hours", times: HOUR_MS }],
        "Up to how much earlier than segment.ms a segment may roll, so that many do not roll at once.",
    ),
    Key::topic(
        "segment.ms",
        Long,
        "604800000",
        AtLeast(1),
        &[same("log.roll.ms"), Synonym { key: "log.roll.hours", times: HOUR_MS }],
        "The age at which a partition starts its next segment, full or not.",
    ),
    Key::topic(
        "unclean.leader.election.enable",
        Boolean,
        "false",
        Any,
        &[same("unclean.leader.election.enable")],
        "Whether a replica that lacks acknowledged records may lead when no other is left.",
    )
    .not_yet(),
];
