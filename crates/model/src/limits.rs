//! Every size limit, with its unit and its reason. A limit is documented here and enforced where it is named.

/// Largest request frame, bytes; Kafka's `socket.request.max.bytes`.
pub const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Produce requests of one connection that may wait for disks while later ones are appended (D4).
/// Java sends 5 at a time, librdkafka far more: beyond this the socket is simply not read.
pub const PIPELINED_PRODUCES_MAX: usize = 64;

/// Bytes of produce requests of one connection that may wait at a time (D4, D8).
pub const PIPELINED_PRODUCE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of client requests in flight over all connections: the memory pool of D8.
pub const REQUEST_POOL_BYTES: usize = 256 * 1024 * 1024;

/// Bytes of small client requests in flight over all connections, of which nothing is ever given to large ones: what
/// lets others go on and memory be given back, such as heartbeats and commits, gets through a pool full of produces.
pub const REQUEST_RESERVE_BYTES: usize = 32 * 1024 * 1024;

/// Largest produced batch, bytes, unless the topic says otherwise; Kafka's `message.max.bytes`.
pub const BATCH_BYTES_MAX: usize = 1_048_588;

/// Largest answer to one fetch, bytes, whatever the client asks; Kafka's `fetch.max.bytes`.
pub const FETCH_BYTES_MAX: usize = 55 * 1024 * 1024;

/// Appends that may queue before one partition's writer.
pub const APPEND_QUEUE_MAX: usize = 1024;

/// Bytes of appends that lie before a lane's writer while a sync is under way; more wake it, to be written meanwhile.
pub const APPEND_QUEUED_BYTES: usize = 1024 * 1024;

/// Bytes one `pwritev` gathers at the most, so that one write never holds up the sync behind it for long.
pub const APPEND_GATHER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that are worth a `pwritev` of their own while a sync is under way: below, a write costs the processor two to
/// three times as much a byte, and nobody is answered before the sync after it.
pub const APPEND_COALESCED_BYTES: u64 = 256 * 1024;

/// `U` of D1: bytes of one partition that may be unsynced at a time. What lies further from the end of
/// the file than this was synced once, so damage there is corruption and never a torn tail.
pub const UNSYNCED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Open files the log keeps for sealed segments before it closes the least recently read (D3).
pub const OPEN_SEGMENTS_MAX: usize = 512;

/// Most bytes that producers leave free on the disk unless they are told otherwise (`ottla.disk.reserve.bytes`).
pub const DISK_RESERVE_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes of a segment that are checked again at a time, while nothing else waits for them.
pub const SCRUB_PIECE_BYTES: u64 = 1024 * 1024;

/// Bytes a file holds back for changes on a disk that is full to the last byte: some thousand entries of the metadata
/// log, or the checkpoints of 30,000 partitions.
pub const DISK_HELD_BYTES: u64 = 4 * 1024 * 1024;

/// Most bytes one record batch may decompress to while it is searched or checked (D2, D8).
pub const DECOMPRESSED_BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest metadata a client may commit with an offset, bytes; Kafka's `offset.metadata.max.bytes`.
pub const OFFSET_METADATA_BYTES_MAX: usize = 4096;

/// Shortest session timeout a group member may ask for, ms; Kafka's `group.min.session.timeout.ms`.
pub const GROUP_SESSION_TIMEOUT_MS_MIN: i32 = 6_000;

/// Longest session timeout a group member may ask for, ms; Kafka's `group.max.session.timeout.ms`.
pub const GROUP_SESSION_TIMEOUT_MS_MAX: i32 = 1_800_000;

/// Members one classic group may have.
pub const GROUP_MEMBERS_MAX: usize = 10_000;

/// Groups one partition of `__consumer_offsets` may have at a time: a client that makes one after another is refused
/// until the empty ones have expired, instead of filling the memory.
pub const GROUPS_PER_COORDINATOR_MAX: usize = 100_000;

/// Transactional ids one partition of `__transaction_state` may have at a time: a client that makes one after another is
/// refused until unused ones have expired, instead of filling the memory.
pub const TRANSACTIONAL_IDS_PER_COORDINATOR_MAX: usize = 100_000;

/// Bytes a client's regular expression may become when it is compiled.
pub const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Longest transactional id, bytes: what a record's key can carry.
pub const TRANSACTIONAL_ID_BYTES_MAX: usize = 32_767;

/// Bytes of protocol metadata and assignments one group may hold in memory.
pub const GROUP_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Partitions one topic may be created with; beyond this a request is a mistake.
pub const TOPIC_PARTITIONS_MAX: i32 = 100_000;

/// Idempotent producers one partition remembers at the most; the longest silent one is forgotten first.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 10_000;

/// Batches a partition remembers of each idempotent producer (KIP-98); clients rely on five.
pub const PRODUCER_BATCHES_REMEMBERED: usize = 5;

/// Events that may queue before one coordinator.
pub const COORDINATOR_QUEUE_MAX: usize = 4096;

/// Connections one server holds at a time; the others wait in the kernel. An idle one costs about 3 KiB.
pub const CONNECTIONS_MAX: u32 = 100_000;

/// Descriptors that connections leave to files, as long as these are not more than half of all.
pub const FILE_DESCRIPTORS_RESERVED: u32 = 4096;

/// How long a new connection may send nothing, ms: clients begin with a request, and who does not takes a place.
pub const FIRST_REQUEST_MS: u64 = 60_000;

/// How long a half-sent request may make no progress, ms: until then it holds memory of the pool.
pub const REQUEST_STALL_MS: u64 = 60_000;

/// The slowest that a request may come after that time, bytes a second: one that trickles holds memory too.
pub const REQUEST_RATE_BYTES_MIN: u32 = 4096;

/// Updates of the metadata that may wait for its one task; more wait in their callers.
pub const METADATA_UPDATES_MAX: usize = 1024;

/// Committed metadata entries that may wait for the broker to act on them; no update is taken meanwhile.
pub const METADATA_COMMITTED_MAX: usize = 1024;
