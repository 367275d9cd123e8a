//! The keys of brokers that have a meaning here: Kafka 4.3's, and ours. `kafka_keys` has the rest of Kafka's.
//!
//! Sorted by name; the test of the table says so. Topic defaults take check and default from the topic's row.

use crate::key::Check::{
    Any, AtLeast, HostCounts, Listeners, MinusOneOrBetween, OneFolder, OneOf, ProtocolMap,
};
use crate::key::Kind::{Boolean, Double, Int, List, Long, Short, String};
use crate::key::{Check, Key, Kind, Update};
use crate::topic_keys;

/// A broker key that is the default of a topic key in the same unit.
const fn default_of(name: &'static str, topic_key: &'static str) -> Key {
    let mut row = 0;
    loop {
        let topic = topic_keys::KEYS[row];
        if same_text(topic.name, topic_key) {
            let key = Key::broker(name, topic.kind, topic.default, topic.check, topic.documentation);
            return Key { effect: topic.effect, ..key }.cluster_wide();
        }
        row += 1;
    }
}

/// The same, but null until set: another key speaks first or last.
const fn quiet_default_of(name: &'static str, topic_key: &'static str) -> Key {
    Key { default: None, ..default_of(name, topic_key) }
}

/// `==` for texts, at compile time.
const fn same_text(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    check: Check,
    documentation: &'static str,
) -> Key {
    Key::broker(name, kind, Some(default), check, documentation)
}

const AS_MANY_AS_THERE_ARE: &str = "a new cluster has one node, a grown one should not lose records with one: \
     -1 takes as many replicas as there are brokers, up to three";

/// All of them.
pub(crate) const KEYS: &[Key] = &[
    key("add.partitions.to.txn.retry.backoff.max.ms", Int, "100", AtLeast(0),
        "How long a broker tries to add a partition to a transaction while the one before is being ended."),
    key("add.partitions.to.txn.retry.backoff.ms", Int, "20", AtLeast(1),
        "How long it waits between two tries."),
    Key::broker("advertised.listeners", List, None, Listeners,
        "The addresses clients are told to dial, NAME://host:port; without them each client is told the address it \
         came in on.")
        .unlike_kafka("Kafka tells the machine's host name instead; set alone, it also listens on every interface at \
                       its port"),
    key("auto.create.topics.enable", Boolean, "true", Any,
        "Whether asking for a topic that does not exist makes it."),
    Key::broker("broker.rack", String, None, Any,
        "Where the broker stands; replicas of a partition spread over racks."),
    default_of("compression.gzip.level", "compression.gzip.level"),
    default_of("compression.lz4.level", "compression.lz4.level"),
    default_of("compression.type", "compression.type"),
    default_of("compression.zstd.level", "compression.zstd.level"),
    key("connections.max.idle.ms", Long, "600000", AtLeast(-1),
        "How long a connection may be silent before it is closed; -1 never closes one."),
    key("controller.listener.names", List, "", Any,
        "Listeners of Kafka's controllers: entries of these names in listeners are left out, since nothing here \
         listens for them."),
    key("default.replication.factor", Int, "-1", MinusOneOrBetween(1, 32_767),
        "Copies of each partition of a topic that does not say how many it wants.")
        .kafka_has("1", AS_MANY_AS_THERE_ARE),
    key("delete.topic.enable", Boolean, "true", Any, "Whether topics can be deleted."),
    key("fetch.max.bytes", Int, "57671680", AtLeast(1024),
        "The most bytes one answer to a fetch carries, whatever the client asks for."),
    key("group.initial.rebalance.delay.ms", Int, "250", AtLeast(0),
        "How long an empty group waits for more members before its first assignment.")
        .kafka_has("3000", "members started together still meet in one assignment, and a lone consumer gets its \
                    first record at once instead of after three seconds"),
    key("group.max.session.timeout.ms", Int, "1800000", AtLeast(1),
        "The longest session timeout a group member may ask for."),
    key("group.max.size", Int, "10000", AtLeast(1), "The most members a group may have.")
        .kafka_has("2147483647", "every member costs memory, and every queue has a limit here"),
    key("group.min.session.timeout.ms", Int, "6000", AtLeast(1),
        "The shortest session timeout a group member may ask for."),
    key("listener.security.protocol.map", String, "PLAINTEXT:PLAINTEXT", ProtocolMap,
        "Which protocol each listener name stands for.")
        .kafka_has("PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
                   "this version serves PLAINTEXT only")
        .per_broker(),
    key("listeners", List, "PLAINTEXT://localhost:9092", Listeners,
        "The addresses the broker listens on, NAME://host:port; an empty host is every interface, localhost both \
         loopback addresses.")
        .kafka_has("PLAINTEXT://:9092", "a new server is reachable from its own machine until somebody chooses more")
        .per_broker(),
    key("log.cleaner.backoff.ms", Long, "15000", AtLeast(0),
        "How long compaction rests when it finds nothing to do.").cluster_wide(),
    key("log.cleaner.dedupe.buffer.size", Long, "134217728", Any,
        "Memory for the keys of logs under compaction, shared by its threads; a log with more keys takes several \
         passes.").cluster_wide(),
    default_of("log.cleaner.delete.retention.ms", "delete.retention.ms"),
    key("log.cleaner.enable", Boolean, "true", Any, "Whether topics are compacted at all."),
    key("log.cleaner.io.buffer.load.factor", Double, "0.9", Any,
        "How full the table of keys may get.").cluster_wide(),
    key("log.cleaner.io.buffer.size", Int, "524288", AtLeast(0),
        "Memory for the records compaction reads and writes, shared by its threads.").cluster_wide(),
    key("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308", Any,
        "Bytes a second that compaction reads and writes at most.").cluster_wide(),
    default_of("log.cleaner.max.compaction.lag.ms", "max.compaction.lag.ms"),
    default_of("log.cleaner.min.cleanable.ratio", "min.cleanable.dirty.ratio"),
    default_of("log.cleaner.min.compaction.lag.ms", "min.compaction.lag.ms"),
    key("log.cleaner.threads", Int, "1", AtLeast(0), "How many logs are compacted at a time.").cluster_wide(),
    default_of("log.cleanup.policy", "cleanup.policy"),
    key("log.dirs", List, "./ottla-data", OneFolder, "The folder the data lies in.")
        .kafka_has("/tmp/kafka-logs", "a folder for temporary files is emptied by the next restart of the machine; and \
                    there is one folder, not several"),
    default_of("log.flush.interval.messages", "flush.messages"),
    quiet_default_of("log.flush.interval.ms", "flush.ms"),
    Key { update: Update::ReadOnly, ..quiet_default_of("log.flush.scheduler.interval.ms", "flush.ms") },
    default_of("log.index.interval.bytes", "index.interval.bytes"),
    default_of("log.index.size.max.bytes", "segment.index.bytes"),
    default_of("log.local.retention.bytes", "local.retention.bytes"),
    default_of("log.local.retention.ms", "local.retention.ms"),
    default_of("log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms"),
    default_of("log.message.timestamp.before.max.ms", "message.timestamp.before.max.ms"),
    default_of("log.message.timestamp.type", "message.timestamp.type"),
    default_of("log.preallocate", "preallocate"),
    default_of("log.retention.bytes", "retention.bytes"),
    key("log.retention.check.interval.ms", Long, "300000", AtLeast(1),
        "How often partitions are looked at for segments past their retention."),
    key("log.retention.hours", Int, "168", AtLeast(-1),
        "retention.ms of topics that do not set it, in hours; log.retention.minutes and .ms go first."),
    Key::broker("log.retention.minutes", Int, None, AtLeast(-1),
        "retention.ms of topics that do not set it, in minutes; log.retention.ms goes first."),
    quiet_default_of("log.retention.ms", "retention.ms"),
    key("log.roll.hours", Int, "168", AtLeast(1),
        "segment.ms of topics that do not set it, in hours; log.roll.ms goes first."),
    key("log.roll.jitter.hours", Int, "0", AtLeast(0),
        "segment.jitter.ms of topics that do not set it, in hours; log.roll.jitter.ms goes first."),
    quiet_default_of("log.roll.jitter.ms", "segment.jitter.ms"),
    quiet_default_of("log.roll.ms", "segment.ms"),
    default_of("log.segment.bytes", "segment.bytes"),
    default_of("log.segment.delete.delay.ms", "file.delete.delay.ms"),
    key("max.connection.creation.rate", Int, "2147483647", AtLeast(0),
        "How many connections a second the broker takes; more wait.").cluster_wide(),
    key("max.connections", Int, "2147483647", AtLeast(0),
        "How many connections the broker serves at a time; more wait.").cluster_wide(),
    key("max.connections.per.ip", Int, "2147483647", AtLeast(0),
        "How many connections the broker serves at a time from one address; more are closed.").cluster_wide(),
    key("max.connections.per.ip.overrides", String, "", HostCounts,
        "max.connections.per.ip for some hosts: their names or addresses, each with its count.").cluster_wide(),
    key("max.incremental.fetch.session.cache.slots", Int, "1000", AtLeast(0),
        "How many incremental fetch sessions the broker remembers."),
    default_of("message.max.bytes", "max.message.bytes"),
    default_of("min.insync.replicas", "min.insync.replicas"),
    key("node.id", Int, "1", AtLeast(0), "The broker's number, unique in its cluster and kept for ever.")
        .kafka_has("-1", "a first node needs no configuration"),
    key("num.partitions", Int, "1", AtLeast(1),
        "Partitions of a topic that does not say how many it wants."),
    key("offset.metadata.max.bytes", Int, "4096", Any,
        "The most bytes of a client's own a committed offset may carry."),
    key("offsets.retention.check.interval.ms", Long, "600000", AtLeast(1),
        "How often committed offsets past their retention are looked for."),
    key("offsets.retention.minutes", Int, "10080", AtLeast(1),
        "How long offsets of a group without members are kept."),
    key("offsets.topic.num.partitions", Int, "50", AtLeast(1),
        "Partitions of __consumer_offsets; read once, when it is made."),
    key("offsets.topic.replication.factor", Short, "-1", MinusOneOrBetween(1, 32_767),
        "Copies of each partition of __consumer_offsets; read once, when it is made.")
        .kafka_has("3", AS_MANY_AS_THERE_ARE),
    key("offsets.topic.segment.bytes", Int, "104857600", AtLeast(1024 * 1024),
        "segment.bytes of __consumer_offsets; read once, when it is made."),
    key("ottla.default.host", String, "localhost", Any,
        "Where the broker listens, on port 9092, while neither listeners nor advertised.listeners is set: a container's \
         image sets 0.0.0.0."),
    key("ottla.disk.full.policy", String, "refuse", OneOf(&["refuse", "delete-oldest"]),
        "What happens when the disk is full but for ottla.disk.reserve.bytes: refuse answers producers with an error that \
         they try again; delete-oldest also drops the oldest closed segments of topics whose cleanup.policy has delete.")
        .cluster_wide(),
    key("ottla.disk.reserve.bytes", Long, "-1", MinusOneOrBetween(0, i64::MAX),
        "Bytes of the disk that producers leave free for everything else: with less, records are refused until there is \
         room. -1 is a twentieth of the disk, at most 1 GiB.").cluster_wide(),
    default_of("ottla.durability", "ottla.durability"),
    default_of("ottla.produce.validation", "ottla.produce.validation"),
    key("ottla.scrub.bytes.per.second", Int, "4194304", AtLeast(0),
        "How fast closed segments are read again to find what the disk has damaged, one pass an hour at most; 0 reads \
         none.").cluster_wide(),
    key("producer.id.expiration.ms", Int, "86400000", AtLeast(1),
        "How long a partition remembers an idempotent producer that is silent.").cluster_wide(),
    key("replica.lag.time.max.ms", Long, "30000", AtLeast(1),
        "How long a follower may lag before it leaves the in-sync set.").not_yet(),
    key("socket.request.max.bytes", Int, "104857600", AtLeast(1), "The largest request the broker reads."),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000", AtLeast(1),
        "How often transactions past their timeout are looked for."),
    key("transaction.max.timeout.ms", Int, "900000", AtLeast(1),
        "The longest timeout a transaction may ask for."),
    key("transaction.partition.verification.enable", Boolean, "true", Any,
        "Whether a partition asks the coordinator before the first record of a transaction whose producer adds its \
         partitions itself (clients before Kafka 4.0): without, a record that comes late can leave one open for ever.")
        .cluster_wide(),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000", AtLeast(1),
        "How often transactional ids past their expiration are looked for."),
    key("transaction.state.log.min.isr", Int, "2", AtLeast(1),
        "min.insync.replicas of __transaction_state, of which never more count than it has copies; read once, when it is \
         made."),
    key("transaction.state.log.num.partitions", Int, "50", AtLeast(1),
        "Partitions of __transaction_state; read once, when it is made."),
    key("transaction.state.log.replication.factor", Short, "-1", MinusOneOrBetween(1, 32_767),
        "Copies of each partition of __transaction_state; read once, when it is made.")
        .kafka_has("3", AS_MANY_AS_THERE_ARE),
    key("transaction.state.log.segment.bytes", Int, "104857600", AtLeast(1024 * 1024),
        "segment.bytes of __transaction_state; read once, when it is made."),
    key("transactional.id.expiration.ms", Int, "604800000", AtLeast(1),
        "How long an idle transactional id is remembered."),
    default_of("unclean.leader.election.enable", "unclean.leader.election.enable"),
];
