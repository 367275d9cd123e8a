//! Compacting the logs of topics whose `cleanup.policy` has `compact`: which one is next, how fast, and when to let go.
//!
//! - C1 The log with the largest dirty share goes first, of those where it exceeds `min.cleanable.dirty.ratio` or a record
//!   has waited for `max.compaction.lag.ms`.
//! - C2 Reading and writing is done off the lanes, a buffer at a time, all together no faster than
//!   `log.cleaner.io.max.bytes.per.second`; only the lane of a partition puts a new segment in force.
//! - C3 A log that cannot be compacted is said so, once, and left alone until the broker is restarted.
//! - C4 A pass ends at its next step when its partition goes or the broker stops.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use config::{BrokerConfig, CleanerConfig, TopicConfig};
use log::{CleanError, CleanOptions, Cleaning, Dirtiness, Lags, ReadError, Step};
use model::{Offset, TopicPartition};
use rt::channel::mpsc;
use rt::{Instant, Rt};
use rustc_hash::FxHashSet;

use crate::error::PartitionError;
use crate::node::Node;
use crate::partition::{Partition, log_config};

/// Most logs compacted at a time, whatever is configured.
const THREADS_MAX: usize = 64;

/// Least bytes of a buffer, whatever is configured.
const BUFFER_BYTES_MIN: usize = 4096;

/// Compacts for as long as the broker lives.
pub async fn run(node: Arc<Node>) {
    if !node.config().cleaner.is_enabled {
        return;
    }
    let (done, mut finished) = mpsc::channel(THREADS_MAX);
    let pace = Arc::new(Pace::new(node.rt()));
    let (mut busy, mut uncleanable) = (FxHashSet::default(), FxHashSet::default());
    let (mut config, mut resolved_at) = (node.config().cleaner, None);
    let mut applied = node.applied.clone();
    loop {
        applied.borrow_and_update();
        let has_work = node.partitions.all().iter().any(|one| one.config().cleanup_policy.compact);
        let image = node.image();
        if resolved_at.replace(image.next_index()) != Some(image.next_index()) {
            let resolved = BrokerConfig::resolve(&node.layers(&image));
            config = resolved.map_or(config, |resolved| resolved.cleaner);
            pace.set(config.io_bytes_per_second_max);
        }
        while busy.len() < config.threads.min(THREADS_MAX) {
            let is_taken = |id: &TopicPartition| busy.contains(id) || uncleanable.contains(id);
            let Some((partition, dirtiness)) = dirtiest(&node, is_taken).await else { break };
            busy.insert(partition.id);
            let (node, pace, done) = (Arc::clone(&node), Arc::clone(&pace), done.clone());
            node.rt().clone().spawn("log compaction", async move {
                let ended = compact(&node, &partition, dirtiness, &config, &pace).await;
                let is_lasting = rest_after(&node, &partition, &config, ended).await;
                // Nobody waits any more once the broker has stopped.
                let _ = done.send((partition.id, is_lasting)).await;
            });
        }
        rt::select! {
            ended = finished.recv() => {
                let Some((id, is_lasting)) = ended else { return };
                busy.remove(&id);
                if is_lasting {
                    uncleanable.insert(id);
                }
            }
            () = node.rt().sleep(Duration::from_millis(config.backoff_ms.max(1))), if has_work => {}
            // Nothing is there to be compacted before the metadata changes.
            changed = applied.changed(), if !has_work => if changed.is_err() { return },
        }
        if is_stopping(&node) {
            return;
        }
    }
}

fn is_stopping(node: &Node) -> bool {
    *node.stopping.borrow()
}

/// The log that most deserves it (C1).
async fn dirtiest(
    node: &Node,
    is_taken: impl Fn(&TopicPartition) -> bool,
) -> Option<(Arc<Partition>, Dirtiness)> {
    let all = node.partitions.all().into_iter();
    let compacted: Vec<Arc<Partition>> =
        all.filter(|one| one.config().cleanup_policy.compact && !is_taken(&one.id)).collect();
    if compacted.is_empty() {
        return None;
    }
    let now_ms = node.rt().wall_clock_ms();
    let look = move || {
        let candidates = compacted.into_iter().filter_map(|partition| {
            let dirtiness = dirtiness(&partition, now_ms)?;
            Some((partition, dirtiness))
        });
        candidates.max_by(|(_, one), (_, other)| one.ratio().total_cmp(&other.ratio()))
    };
    node.rt().blocking(look).await
}

/// What compaction would find in a log; `None` when that is not worth it yet.
fn dirtiness(partition: &Partition, now_ms: i64) -> Option<Dirtiness> {
    let config = partition.config();
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let lags = Lags {
        min_ms: signed(config.min_compaction_lag_ms),
        max_ms: Some(signed(config.max_compaction_lag_ms)).filter(|&lag| lag < i64::MAX),
    };
    let decided_to = partition.last_stable_offset();
    // One that cannot be looked at is gone, or fails when it is compacted or read.
    let found = partition.reader.dirtiness(partition.cleaned_to(), decided_to, lags, now_ms).ok()?;
    let is_due = found.is_overdue && 0 < found.dirty_bytes;
    (is_due || config.min_cleanable_dirty_ratio < found.ratio()).then_some(found)
}

/// Why a pass over a log ended early.
enum Ended {
    /// The partition went, or the broker stops.
    Gone,
    Failed(CleanError),
}

impl From<CleanError> for Ended {
    fn from(error: CleanError) -> Ended {
        Ended::Failed(error)
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Ended {
        match error {
            ReadError::Closed => Ended::Gone,
            error => Ended::Failed(error.into()),
        }
    }
}

impl From<PartitionError> for Ended {
    /// A lane that does not answer gave the partition up, or its log failed, which was said when it did.
    fn from(_: PartitionError) -> Ended {
        Ended::Gone
    }
}

/// One pass over one log.
async fn compact(
    node: &Node,
    partition: &Partition,
    dirtiness: Dirtiness,
    config: &CleanerConfig,
    pace: &Pace,
) -> Result<(), Ended> {
    let options = options(node, partition, dirtiness, config).await?;
    let reader = partition.reader.clone();
    let mut cleaning = node.rt().blocking(move || reader.clean(options)).await?;
    let (mut before, mut after) = (0, 0);
    loop {
        if is_stopping(node) || partition.is_closed() {
            abandon(node.rt(), cleaning).await;
            return Err(Ended::Gone);
        }
        let (stepped, going_on) = node.rt().blocking(move || (cleaning.step(), cleaning)).await;
        cleaning = going_on;
        match stepped {
            Ok(Step::Worked(bytes)) => pace.keep(bytes).await,
            Ok(Step::Swap(cleaned, bytes)) => {
                let sizes = cleaned.sizes();
                (before, after) = (before + sizes.0, after + sizes.1);
                partition.swap_in(cleaned).await?;
                pace.keep(bytes).await;
            }
            Ok(Step::Done(to)) => return done(node, partition, to, before, after).await,
            Err(error) => {
                abandon(node.rt(), cleaning).await;
                return Err(error.into());
            }
        }
    }
}

async fn options(
    node: &Node,
    partition: &Partition,
    dirtiness: Dirtiness,
    config: &CleanerConfig,
) -> Result<CleanOptions, PartitionError> {
    let topic: Arc<TopicConfig> = partition.config();
    let log_config = log_config(&topic);
    let threads = config.threads.max(1);
    Ok(CleanOptions {
        first_dirty: dirtiness.first_dirty,
        bound: dirtiness.bound,
        now_ms: node.rt().wall_clock_ms(),
        delete_retention_ms: i64::try_from(topic.delete_retention_ms).unwrap_or(i64::MAX),
        segment_bytes: log_config.segment_bytes,
        index_bytes_max: log_config.index_bytes_max,
        index_interval_bytes: log_config.index_interval_bytes,
        key_map_bytes: config.key_map_bytes / u64::try_from(threads).unwrap_or(1),
        key_map_load: config.key_map_load,
        // Half of a thread's share for what is read, half for what is written.
        buffer_bytes: (config.io_buffer_bytes / threads / 2).max(BUFFER_BYTES_MIN),
        seed: node.rt().random_u64(),
        last_batches: partition.last_batches().await?,
    })
}

async fn abandon(rt: &Rt, cleaning: Cleaning) {
    if let Err(error) = rt.blocking(move || cleaning.abandon()).await {
        tracing::debug!(
            "what compaction wrote stays until it is overwritten or the broker restarted: {error}"
        );
    }
}

async fn done(node: &Node, partition: &Partition, to: Offset, before: u64, after: u64) -> Result<(), Ended> {
    partition.set_cleaned_to(to);
    let name = Named(partition);
    tracing::info!("{name}: compacted up to {to}; segments of {before} bytes became {after} bytes");
    if let Err(error) = node.checkpointer.write_cleaner_offsets(&node.partitions).await {
        tracing::warn!("how far logs are compacted could not be written down: {error}");
    }
    Ok(())
}

/// Says why a pass ended early; whether the log is to be left alone from now on (C3).
async fn rest_after(
    node: &Node,
    partition: &Partition,
    config: &CleanerConfig,
    ended: Result<(), Ended>,
) -> bool {
    let Err(Ended::Failed(error)) = ended else { return false };
    let name = Named(partition);
    if error.is_lasting() {
        tracing::error!("{name} is not compacted any more until the broker is restarted: {error}");
        return true;
    }
    tracing::warn!("{name} was not compacted, and will be tried again: {error}");
    node.rt().sleep(Duration::from_millis(config.backoff_ms)).await;
    false
}

struct Named<'a>(&'a Partition);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.topic, self.0.id.partition)
    }
}

/// Holds all passes together to a rate (C2).
struct Pace {
    rt: Rt,
    state: Mutex<PaceState>,
}

struct PaceState {
    bytes_per_second: f64,
    /// When what was done so far is paid for.
    free_at: Instant,
}

impl Pace {
    fn new(rt: &Rt) -> Pace {
        let state = PaceState { bytes_per_second: f64::MAX, free_at: rt.now() };
        Pace { rt: rt.clone(), state: Mutex::new(state) }
    }

    fn set(&self, bytes_per_second: f64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes_per_second =
            bytes_per_second.max(1.0);
    }

    /// Waits until so many bytes more are within the rate.
    async fn keep(&self, bytes: u64) {
        let until = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = u32::try_from(bytes).map_or(f64::MAX, f64::from);
            let cost = Duration::try_from_secs_f64(bytes / state.bytes_per_second).unwrap_or(Duration::MAX);
            state.free_at = state.free_at.max(self.rt.now()) + cost.min(COST_MAX);
            state.free_at
        };
        self.rt.sleep_until(until).await;
    }
}

/// Longest wait after a step: a rate of next to nothing may be changed to another.
const COST_MAX: Duration = Duration::from_secs(3600);
