//! Kafka 4.3's broker keys that change nothing here: those whose feature is still to come, and those that Ottla does
//! without. Their values are checked, kept and shown all the same.
//!
//! Sorted by name; the test of the table says so. A key that gets an effect moves to `broker_keys`.

use crate::key::Check::{self, Any, AtLeast, Between, ListOf, OneOf};
use crate::key::Effect::{self, NotNeeded, NotYet};
use crate::key::Key;
use crate::key::Kind::{self, Boolean, Class, Int, List, Long, Short, String};
use crate::key::Update::{self, ClusterWide, ReadOnly};

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    check: Check,
    update: Update,
    effect: Effect,
    documentation: &'static str,
) -> Key {
    Key { update, effect, ..Key::broker(name, kind, default, check, documentation) }
}

/// A row in two lines: name, type, default (`null` where Kafka has none), check, how it may change, effect, and what
/// it is for.
macro_rules! table {
    ($($name:literal, $kind:ident, $default:tt, $check:expr, $update:ident, $effect:ident, $text:literal;)*) => {
        &[$(key($name, $kind, table!(@$default), $check, $update, $effect, $text)),*]
    };
    (@null) => { None };
    (@$default:literal) => { Some($default) };
}

/// All of them.
pub(crate) const KEYS: &[Key] = table! {
    "alter.config.policy.class.name", Class, null, Any, ReadOnly, NotNeeded,
        "A Java class that may veto changes of configuration; there is no Java here to run it.";
    "alter.log.dirs.replication.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotNeeded,
        "Windows that the rate of moves between folders is measured over.";
    "alter.log.dirs.replication.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotNeeded,
        "Length of each of those windows.";
    "auto.leader.rebalance.enable", Boolean, "true", Any, ReadOnly, NotNeeded,
        "Whether leadership goes back to preferred replicas by itself; one node always leads.";
    "background.threads", Int, "10", AtLeast(1), ClusterWide, NotNeeded,
        "Threads for background work; the runtime here has its own.";
    "broker.heartbeat.interval.ms", Int, "2000", Any, ReadOnly, NotYet,
        "How often a broker tells the controller that it lives.";
    "broker.session.timeout.ms", Int, "9000", Any, ReadOnly, NotYet,
        "How long a broker may be silent before its partitions get other leaders.";
    "client.quota.callback.class", Class, null, Any, ReadOnly, NotNeeded,
        "A Java class that decides quotas; there is no Java here to run it.";
    "config.providers", List, "", Any, ClusterWide, NotNeeded,
        "Java classes that look up values outside the file; name the values themselves.";
    "connection.failed.authentication.delay.ms", Int, "100", AtLeast(0), ReadOnly, NotNeeded,
        "How long a failed login waits for its refusal.";
    "connections.max.reauth.ms", Long, "0", Any, ReadOnly, NotNeeded,
        "How long a login lasts before it must be renewed.";
    "controlled.shutdown.enable", Boolean, "true", Any, ReadOnly, NotNeeded,
        "Whether a stopping broker hands over its partitions first; one node has nobody to hand them to.";
    "controller.quorum.append.linger.ms", Int, "25", AtLeast(0), ReadOnly, NotNeeded,
        "How long a controller gathers metadata records before it writes them.";
    "controller.quorum.auto.join.enable", Boolean, "false", Any, ReadOnly, NotNeeded,
        "Whether a new controller joins the voters by itself.";
    "controller.quorum.bootstrap.servers", List, "", Any, ReadOnly, NotNeeded,
        "Where to look for controllers; the controller is part of this process.";
    "controller.quorum.election.backoff.max.ms", Int, "1000", AtLeast(0), ReadOnly, NotNeeded,
        "The longest random wait after a lost election of controllers.";
    "controller.quorum.election.timeout.ms", Int, "1000", AtLeast(0), ReadOnly, NotNeeded,
        "How long without a leader before controllers elect one.";
    "controller.quorum.fetch.max.bytes", Int, "1048576", AtLeast(1), ReadOnly, NotNeeded,
        "The most bytes one fetch of the metadata log carries.";
    "controller.quorum.fetch.snapshot.max.bytes", Int, "1048576", AtLeast(1), ReadOnly, NotNeeded,
        "The most bytes one fetch of a metadata snapshot carries.";
    "controller.quorum.fetch.timeout.ms", Int, "2000", AtLeast(0), ReadOnly, NotNeeded,
        "How long without a fetch before a controller takes its leader for dead.";
    "controller.quorum.request.timeout.ms", Int, "2000", AtLeast(0), ReadOnly, NotNeeded,
        "How long a controller waits for an answer from another.";
    "controller.quorum.retry.backoff.ms", Int, "20", AtLeast(0), ReadOnly, NotNeeded,
        "How long a controller waits before it repeats a request.";
    "controller.quorum.voters", List, "", Any, ReadOnly, NotNeeded,
        "The controllers and their addresses; the controller is part of this process.";
    "controller.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the rate of changes to topics is measured over.";
    "controller.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Length of each of those windows.";
    "controller.socket.timeout.ms", Int, "30000", Any, ReadOnly, NotNeeded,
        "How long a request between controllers may take.";
    "cordoned.log.dirs", List, "", Any, ReadOnly, NotNeeded,
        "Folders that get no new partitions; there is one folder.";
    "create.topic.policy.class.name", Class, null, Any, ReadOnly, NotNeeded,
        "A Java class that may veto new topics; there is no Java here to run it.";
    "delegation.token.expiry.check.interval.ms", Long, "3600000", AtLeast(1), ReadOnly, NotNeeded,
        "How often expired delegation tokens are looked for.";
    "delegation.token.expiry.time.ms", Long, "86400000", AtLeast(1), ReadOnly, NotNeeded,
        "How long a delegation token is valid before it must be renewed.";
    "delegation.token.max.lifetime.ms", Long, "604800000", AtLeast(1), ReadOnly, NotNeeded,
        "How long a delegation token can be renewed.";
    "delete.records.purgatory.purge.interval.requests", Int, "1", Any, ReadOnly, NotNeeded,
        "When finished waits of DeleteRecords are cleared away; here at once.";
    "early.start.listeners", List, null, Any, ReadOnly, NotNeeded,
        "Listeners that open before the metadata is loaded; here all open once it is.";
    "fetch.purgatory.purge.interval.requests", Int, "1000", Any, ReadOnly, NotNeeded,
        "When finished waits of fetches are cleared away; here at once.";
    "follower.fetch.last.tiered.offset.enable", Boolean, "false", Any, ClusterWide, NotYet,
        "Whether an empty follower of a tiered partition begins where the tiered part ends.";
    "follower.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), ClusterWide, NotYet,
        "Bytes a second that throttled replicas of this broker copy at most.";
    "group.consumer.assignment.interval.ms", Int, "1000", AtLeast(0), ClusterWide, NotYet,
        "The least time between two assignments of a group of the new consumer protocol.";
    "group.consumer.assignors", List, "uniform,range", Any, ReadOnly, NotYet,
        "The ways in which brokers assign partitions to groups of the new consumer protocol; the first is the default.";
    "group.consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "How often members of the new consumer protocol send heartbeats.";
    "group.consumer.max.assignment.interval.ms", Int, "15000", AtLeast(0), ReadOnly, NotYet,
        "The longest assignment interval such a group may set.";
    "group.consumer.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), ReadOnly, NotYet,
        "The longest heartbeat interval such a group may set.";
    "group.consumer.max.session.timeout.ms", Int, "60000", AtLeast(1), ReadOnly, NotYet,
        "The longest session timeout such a group may set.";
    "group.consumer.max.size", Int, "2147483647", AtLeast(1), ReadOnly, NotYet,
        "The most members a group of the new consumer protocol may have.";
    "group.consumer.migration.policy", String, "bidirectional", OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]), ReadOnly, NotYet,
        "Whether groups may go from the classic to the new consumer protocol and back.";
    "group.consumer.min.assignment.interval.ms", Int, "0", AtLeast(0), ReadOnly, NotYet,
        "The shortest assignment interval such a group may set.";
    "group.consumer.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "The shortest heartbeat interval such a group may set.";
    "group.consumer.min.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "The shortest session timeout such a group may set.";
    "group.consumer.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "How long a member of the new consumer protocol may be silent before it is out.";
    "group.coordinator.append.linger.ms", Int, "-1", AtLeast(-1), ReadOnly, NotNeeded,
        "How long a coordinator gathers records before it writes them; here as long as the last sync takes.";
    "group.coordinator.background.threads", Int, "2", AtLeast(1), ReadOnly, NotNeeded,
        "Threads for the slow work of group coordinators.";
    "group.coordinator.cached.buffer.max.bytes", Int, "1048588", AtLeast(524288), ClusterWide, NotNeeded,
        "The largest buffer a group coordinator keeps for its next write.";
    "group.coordinator.rebalance.protocols", List, "classic,consumer,streams", ListOf(&["consumer", "classic", "share", "streams"]), ReadOnly, NotYet,
        "The group protocols that are served; this version serves classic.";
    "group.coordinator.threads", Int, "4", AtLeast(1), ReadOnly, NotNeeded,
        "Threads of the group coordinators; each coordinator here is a task of its own.";
    "group.share.assignment.interval.ms", Int, "1000", AtLeast(0), ClusterWide, NotYet,
        "The least time between two assignments of a share group.";
    "group.share.assignors", List, "simple", Any, ReadOnly, NotYet,
        "The ways in which brokers assign partitions to share groups.";
    "group.share.delivery.count.limit", Int, "5", Between(2, 10), ReadOnly, NotYet,
        "How often a share group is given a record before it counts as undeliverable.";
    "group.share.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "How often members of share groups send heartbeats.";
    "group.share.max.assignment.interval.ms", Int, "15000", AtLeast(0), ReadOnly, NotYet,
        "The longest assignment interval a share group may set.";
    "group.share.max.delivery.count.limit", Int, "10", Between(5, 25), ReadOnly, NotYet,
        "The highest delivery count a share group may set.";
    "group.share.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), ReadOnly, NotYet,
        "The longest heartbeat interval a share group may set.";
    "group.share.max.partition.max.record.locks", Int, "4000", Between(2000, 10000), ReadOnly, NotYet,
        "The most locked records a share group may allow itself in a partition.";
    "group.share.max.record.lock.duration.ms", Int, "60000", Between(30000, 3600000), ReadOnly, NotYet,
        "The longest record lock a share group may set.";
    "group.share.max.session.timeout.ms", Int, "60000", AtLeast(1), ReadOnly, NotYet,
        "The longest session timeout a share group may set.";
    "group.share.max.share.sessions", Int, "2000", AtLeast(1), ReadOnly, NotYet,
        "How many share sessions a broker remembers.";
    "group.share.max.size", Int, "200", Between(1, 1000), ReadOnly, NotYet,
        "The most members a share group may have.";
    "group.share.min.assignment.interval.ms", Int, "0", AtLeast(0), ReadOnly, NotYet,
        "The shortest assignment interval a share group may set.";
    "group.share.min.delivery.count.limit", Int, "2", Between(2, 5), ReadOnly, NotYet,
        "The lowest delivery count a share group may set.";
    "group.share.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "The shortest heartbeat interval a share group may set.";
    "group.share.min.partition.max.record.locks", Int, "100", Between(100, 2000), ReadOnly, NotYet,
        "The fewest locked records a share group may allow itself in a partition.";
    "group.share.min.record.lock.duration.ms", Int, "15000", Between(1000, 30000), ReadOnly, NotYet,
        "The shortest record lock a share group may set.";
    "group.share.min.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "The shortest session timeout a share group may set.";
    "group.share.partition.max.record.locks", Int, "2000", Between(100, 10000), ReadOnly, NotYet,
        "How many records of a partition a share group may have locked.";
    "group.share.record.lock.duration.ms", Int, "30000", Between(1000, 3600000), ReadOnly, NotYet,
        "How long a share group's member keeps a record to itself.";
    "group.share.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "How long a member of a share group may be silent before it is out.";
    "group.streams.assignment.interval.ms", Int, "1000", AtLeast(0), ClusterWide, NotYet,
        "The least time between two assignments of a streams group.";
    "group.streams.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "How often members of streams groups send heartbeats.";
    "group.streams.initial.rebalance.delay.ms", Int, "3000", AtLeast(0), ReadOnly, NotYet,
        "How long an empty streams group waits for more members.";
    "group.streams.max.assignment.interval.ms", Int, "15000", AtLeast(0), ReadOnly, NotYet,
        "The longest assignment interval a streams group may set.";
    "group.streams.max.heartbeat.interval.ms", Int, "15000", AtLeast(1), ReadOnly, NotYet,
        "The longest heartbeat interval a streams group may set.";
    "group.streams.max.session.timeout.ms", Int, "60000", AtLeast(1), ReadOnly, NotYet,
        "The longest session timeout a streams group may set.";
    "group.streams.max.size", Int, "2147483647", AtLeast(1), ReadOnly, NotYet,
        "The most members a streams group may have.";
    "group.streams.max.standby.replicas", Int, "2", AtLeast(0), ReadOnly, NotYet,
        "The most standby copies of a task a streams group may ask for.";
    "group.streams.min.assignment.interval.ms", Int, "0", AtLeast(0), ReadOnly, NotYet,
        "The shortest assignment interval a streams group may set.";
    "group.streams.min.heartbeat.interval.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "The shortest heartbeat interval a streams group may set.";
    "group.streams.min.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "The shortest session timeout a streams group may set.";
    "group.streams.num.standby.replicas", Int, "0", AtLeast(0), ReadOnly, NotYet,
        "Standby copies of each task of a streams group.";
    "group.streams.session.timeout.ms", Int, "45000", AtLeast(1), ReadOnly, NotYet,
        "How long a member of a streams group may be silent before it is out.";
    "initial.broker.registration.timeout.ms", Int, "60000", Any, ReadOnly, NotNeeded,
        "How long a starting broker may take to register; it registers with itself here.";
    "inter.broker.listener.name", String, null, Any, ReadOnly, NotNeeded,
        "The listener that brokers reach each other on; one node talks to nobody.";
    "kafka.metrics.polling.interval.secs", Int, "10", AtLeast(1), ReadOnly, NotNeeded,
        "How often Java reporters of metrics are asked.";
    "kafka.metrics.reporters", List, "", Any, ReadOnly, NotNeeded,
        "Java classes that report metrics; there is no Java here to run them.";
    "leader.imbalance.check.interval.seconds", Long, "300", AtLeast(1), ReadOnly, NotNeeded,
        "How often leadership is compared with the preferred replicas.";
    "leader.replication.throttled.rate", Long, "9223372036854775807", AtLeast(0), ClusterWide, NotYet,
        "Bytes a second that this broker sends to throttled replicas at most.";
    "log.dir.failure.timeout.ms", Long, "30000", AtLeast(1), ReadOnly, NotNeeded,
        "How long a broker whose folder failed tries to tell the controller; the controller is in this process.";
    "log.flush.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), ReadOnly, NotNeeded,
        "How often recovery points are written down; here after a bounded number of bytes, so that recovery is bounded too.";
    "log.flush.start.offset.checkpoint.interval.ms", Int, "60000", AtLeast(0), ReadOnly, NotNeeded,
        "How often log starts are written down; here before any record goes.";
    "max.request.partition.size.limit", Int, "2000", AtLeast(1), ReadOnly, NotNeeded,
        "The most partitions one answer of DescribeTopicPartitions lists; here always 2000.";
    "metadata.log.dir", String, null, Any, ReadOnly, NotNeeded,
        "A folder of its own for the metadata log, which lies in log.dirs here.";
    "metadata.log.max.record.bytes.between.snapshots", Long, "20971520", AtLeast(1), ReadOnly, NotNeeded,
        "Bytes of metadata records after which a snapshot is taken.";
    "metadata.log.max.snapshot.interval.ms", Long, "3600000", AtLeast(0), ReadOnly, NotNeeded,
        "Time after which a snapshot of the metadata is taken.";
    "metadata.log.segment.bytes", Int, "1073741824", AtLeast(8388608), ReadOnly, NotNeeded,
        "The size of a segment of the metadata log.";
    "metadata.log.segment.ms", Long, "604800000", Any, ReadOnly, NotNeeded,
        "The age of a segment of the metadata log.";
    "metadata.max.idle.interval.ms", Int, "500", AtLeast(0), ReadOnly, NotNeeded,
        "How often a controller writes an empty metadata record to show that it lives.";
    "metadata.max.retention.bytes", Long, "104857600", Any, ReadOnly, NotNeeded,
        "Bytes of the metadata log that are kept behind its snapshot.";
    "metadata.max.retention.ms", Long, "604800000", Any, ReadOnly, NotNeeded,
        "How long the metadata log is kept behind its snapshot.";
    "metric.reporters", List, "org.apache.kafka.common.metrics.JmxReporter", Any, ClusterWide, NotNeeded,
        "Java classes that report metrics; there is no Java here to run them.";
    "metrics.num.samples", Int, "2", AtLeast(1), ReadOnly, NotNeeded,
        "Samples a metric is computed from.";
    "metrics.recording.level", String, "INFO", Any, ReadOnly, NotNeeded,
        "How many metrics are recorded.";
    "metrics.sample.window.ms", Long, "30000", AtLeast(1), ReadOnly, NotNeeded,
        "The time one sample of a metric covers.";
    "num.io.threads", Int, "8", AtLeast(1), ClusterWide, NotNeeded,
        "Threads that work on requests; the runtime here has one per processor.";
    "num.network.threads", Int, "3", AtLeast(1), ClusterWide, NotNeeded,
        "Threads that read and write sockets; the runtime here has one per processor.";
    "num.recovery.threads.per.data.dir", Int, "2", AtLeast(1), ClusterWide, NotNeeded,
        "Threads that open logs at the start; here a few per processor.";
    "num.replica.alter.log.dirs.threads", Int, null, Any, ReadOnly, NotNeeded,
        "Threads that move partitions between folders.";
    "num.replica.fetchers", Int, "1", AtLeast(1), ClusterWide, NotYet,
        "Connections over which a follower copies from each leader.";
    "offsets.commit.timeout.ms", Int, "5000", AtLeast(1), ReadOnly, NotNeeded,
        "How long a commit of offsets waits for its replicas.";
    "offsets.load.buffer.size", Int, "5242880", AtLeast(1), ReadOnly, NotNeeded,
        "Bytes a coordinator reads at a time when it loads its groups.";
    "offsets.topic.compression.codec", Int, "0", Any, ReadOnly, NotNeeded,
        "The codec of the records in __consumer_offsets; here none.";
    "process.roles", List, null, ListOf(&["broker", "controller"]), ReadOnly, NotNeeded,
        "Whether a process is a broker, a controller or both; this one is both.";
    "producer.purgatory.purge.interval.requests", Int, "1000", Any, ReadOnly, NotNeeded,
        "When finished waits of produces are cleared away; here at once.";
    "queued.max.request.bytes", Long, "-1", Any, ReadOnly, NotNeeded,
        "Bytes of requests that wait for threads; here one pool of a fixed size holds all requests.";
    "queued.max.requests", Int, "500", AtLeast(1), ReadOnly, NotNeeded,
        "Requests that wait for threads; there is no such queue here.";
    "quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the rates of clients are measured over.";
    "quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Length of each of those windows.";
    "remote.fetch.max.wait.ms", Int, "500", AtLeast(1), ClusterWide, NotYet,
        "How long a fetch waits for remote storage.";
    "remote.list.offsets.request.timeout.ms", Long, "30000", AtLeast(1), ClusterWide, NotYet,
        "How long a search by time waits for remote storage.";
    "remote.log.index.file.cache.total.size.bytes", Long, "1073741824", AtLeast(1), ClusterWide, NotYet,
        "Local space for the indexes of remote segments.";
    "remote.log.manager.copier.thread.pool.size", Int, "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that copy segments to remote storage.";
    "remote.log.manager.copy.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), ClusterWide, NotYet,
        "Bytes a second that go to remote storage at most.";
    "remote.log.manager.copy.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that this rate is measured over.";
    "remote.log.manager.copy.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Length of each of those windows.";
    "remote.log.manager.expiration.thread.pool.size", Int, "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that remove what expired in remote storage.";
    "remote.log.manager.fetch.max.bytes.per.second", Long, "9223372036854775807", AtLeast(1), ClusterWide, NotYet,
        "Bytes a second that come from remote storage at most.";
    "remote.log.manager.fetch.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that this rate is measured over.";
    "remote.log.manager.fetch.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Length of each of those windows.";
    "remote.log.manager.follower.thread.pool.size", Int, "2", AtLeast(1), ClusterWide, NotYet,
        "Threads of followers of tiered partitions.";
    "remote.log.manager.task.interval.ms", Long, "30000", AtLeast(1), ReadOnly, NotYet,
        "How often segments to copy or to remove are looked for.";
    "remote.log.manager.thread.pool.size", Int, "2", AtLeast(1), ReadOnly, NotYet,
        "Threads for all work on remote storage, before there were pools for each.";
    "remote.log.metadata.custom.metadata.max.bytes", Int, "128", AtLeast(0), ReadOnly, NotYet,
        "The most bytes a plugin may note with a remote segment.";
    "remote.log.metadata.manager.class.name", String, "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", Any, ReadOnly, NotNeeded,
        "The Java class that remembers remote segments; there is no Java here to run it.";
    "remote.log.metadata.manager.class.path", String, null, Any, ReadOnly, NotNeeded,
        "Where that class lies.";
    "remote.log.metadata.manager.impl.prefix", String, "rlmm.config.", Any, ReadOnly, NotNeeded,
        "What the keys handed to that class begin with.";
    "remote.log.metadata.manager.listener.name", String, null, Any, ReadOnly, NotNeeded,
        "The listener that class connects to.";
    "remote.log.reader.max.pending.tasks", Int, "100", AtLeast(1), ReadOnly, NotYet,
        "Fetches that may wait for remote storage.";
    "remote.log.reader.threads", Int, "10", AtLeast(1), ClusterWide, NotYet,
        "Threads that read from remote storage.";
    "remote.log.storage.manager.class.name", String, null, Any, ReadOnly, NotNeeded,
        "The Java class that is the remote storage; there is no Java here to run it.";
    "remote.log.storage.manager.class.path", String, null, Any, ReadOnly, NotNeeded,
        "Where that class lies.";
    "remote.log.storage.manager.impl.prefix", String, "rsm.config.", Any, ReadOnly, NotNeeded,
        "What the keys handed to that class begin with.";
    "remote.log.storage.system.enable", Boolean, "false", Any, ReadOnly, NotYet,
        "Whether topics may keep older segments in remote storage.";
    "replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807", AtLeast(0), ClusterWide, NotYet,
        "Bytes a second that moves between folders copy at most.";
    "replica.fetch.backoff.ms", Int, "1000", AtLeast(0), ReadOnly, NotYet,
        "How long a follower rests after a failed fetch.";
    "replica.fetch.max.bytes", Int, "1048576", AtLeast(0), ReadOnly, NotYet,
        "Bytes of one partition that a follower asks for at a time.";
    "replica.fetch.min.bytes", Int, "1", Any, ReadOnly, NotYet,
        "Bytes a follower's fetch waits for.";
    "replica.fetch.response.max.bytes", Int, "10485760", AtLeast(0), ReadOnly, NotYet,
        "Bytes of all partitions that a follower asks for at a time.";
    "replica.fetch.wait.max.ms", Int, "500", Any, ReadOnly, NotYet,
        "How long a follower's fetch waits for records.";
    "replica.high.watermark.checkpoint.interval.ms", Long, "5000", Any, ReadOnly, NotNeeded,
        "How often high watermarks are written down; here with every checkpoint.";
    "replica.selector.class", String, null, Any, ReadOnly, NotNeeded,
        "The Java class that picks the replica a consumer reads from; there is no Java here to run it.";
    "replica.socket.receive.buffer.bytes", Int, "65536", Any, ReadOnly, NotNeeded,
        "The receive buffer of a follower's sockets; the system chooses here.";
    "replica.socket.timeout.ms", Int, "30000", Any, ReadOnly, NotYet,
        "How long a follower's request may take.";
    "replication.quota.window.num", Int, "11", AtLeast(1), ReadOnly, NotYet,
        "Windows that the rate of throttled copying is measured over.";
    "replication.quota.window.size.seconds", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Length of each of those windows.";
    "request.timeout.ms", Int, "30000", Any, ReadOnly, NotNeeded,
        "How long a broker's own request to another may take.";
    "security.inter.broker.protocol", String, "PLAINTEXT", OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), ReadOnly, NotNeeded,
        "The protocol that brokers speak with each other; one node talks to nobody.";
    "security.providers", String, null, Any, ReadOnly, NotNeeded,
        "Java classes that implement cryptography.";
    "share.coordinator.append.linger.ms", Int, "-1", AtLeast(-1), ReadOnly, NotYet,
        "How long a share coordinator gathers records before it writes them.";
    "share.coordinator.cached.buffer.max.bytes", Int, "1048588", AtLeast(524288), ClusterWide, NotYet,
        "The largest buffer a share coordinator keeps for its next write.";
    "share.coordinator.load.buffer.size", Int, "5242880", AtLeast(1), ReadOnly, NotYet,
        "Bytes a share coordinator reads at a time when it loads.";
    "share.coordinator.snapshot.update.records.per.snapshot", Int, "500", Between(0, 500), ReadOnly, NotYet,
        "Updates of a share partition between two snapshots of it.";
    "share.coordinator.state.topic.compression.codec", Int, "0", Any, ReadOnly, NotYet,
        "The codec of the records in __share_group_state.";
    "share.coordinator.state.topic.min.isr", Short, "2", AtLeast(1), ReadOnly, NotYet,
        "min.insync.replicas of __share_group_state.";
    "share.coordinator.state.topic.num.partitions", Int, "50", AtLeast(1), ReadOnly, NotYet,
        "Partitions of __share_group_state.";
    "share.coordinator.state.topic.replication.factor", Short, "3", AtLeast(1), ReadOnly, NotYet,
        "Copies of each partition of __share_group_state.";
    "share.coordinator.state.topic.segment.bytes", Int, "104857600", AtLeast(1), ReadOnly, NotYet,
        "segment.bytes of __share_group_state.";
    "share.coordinator.threads", Int, "1", AtLeast(1), ReadOnly, NotYet,
        "Threads of the share coordinators.";
    "share.coordinator.write.timeout.ms", Int, "5000", AtLeast(1), ReadOnly, NotYet,
        "How long a share coordinator waits for its replicas.";
    "share.fetch.purgatory.purge.interval.requests", Int, "1000", Any, ReadOnly, NotYet,
        "When finished waits of share fetches are cleared away.";
    "socket.connection.setup.timeout.max.ms", Long, "30000", Any, ReadOnly, NotNeeded,
        "The longest a broker waits for its own connections to others.";
    "socket.connection.setup.timeout.ms", Long, "10000", Any, ReadOnly, NotNeeded,
        "How long a broker waits for its own connections to others.";
    "socket.listen.backlog.size", Int, "50", AtLeast(1), ReadOnly, NotNeeded,
        "Connections that wait to be accepted; here 1024.";
    "socket.receive.buffer.bytes", Int, "102400", Any, ReadOnly, NotNeeded,
        "The receive buffer of sockets; the system chooses here.";
    "socket.send.buffer.bytes", Int, "102400", Any, ReadOnly, NotNeeded,
        "The send buffer of sockets; the system chooses here.";
    "telemetry.max.bytes", Int, "1048576", AtLeast(1), ReadOnly, NotYet,
        "The largest report of metrics a client may push.";
    "transaction.state.log.load.buffer.size", Int, "5242880", AtLeast(1), ReadOnly, NotYet,
        "Bytes a transaction coordinator reads at a time when it loads.";
    "transaction.two.phase.commit.enable", Boolean, "false", Any, ReadOnly, NotYet,
        "Whether transactions may wait for a coordinator outside.";
    "unstable.api.versions.enable", Boolean, "false", Any, ReadOnly, NotNeeded,
        "Whether versions under development are served.";
    "unstable.feature.versions.enable", Boolean, "false", Any, ReadOnly, NotNeeded,
        "Whether features under development can be switched on.";
};
