//! Opening and closing partitions: from a state in the image to a handle that requests find, and back.
//!
//! - O1 A partition is found by requests only after its lane has adopted it.
//! - O2 A log that cannot be opened stops its own partition, with one line that says why; the others serve on.
//! - O3 A deleted partition's folder is renamed at once, so that the same name can be made again; it is removed later.

use std::sync::Arc;
use std::time::Duration;

use config::{Durability, TimestampType, TopicConfig};
use log::{GroupCommit, Log, LogConfig, LogError, PartitionName};
use model::{BrokerId, LeaderEpoch, TopicName, TopicPartition};
use replica::{Contract, Leader};
use rt::Rt;
use rt::channel::oneshot;

use crate::admin::draw_uuid;
use crate::disk::DiskRoom;
use crate::storage::Storage;

use super::handle::Partition;
use super::inbox::LaneSender;
use super::lane::{Command, Lane, NewPartition};

/// What opening needs to know of a partition.
pub struct Opening {
    /// Its identity.
    pub id: TopicPartition,
    /// Its topic's name.
    pub topic: TopicName,
    /// The epoch in which it is led here.
    pub leader_epoch: LeaderEpoch,
    /// How many replicas it has.
    pub replicas: usize,
    /// Its topic's settings.
    pub config: Arc<TopicConfig>,
}

/// How the opening of one partition ended.
pub type Opened = (TopicName, TopicPartition, Result<Arc<Partition>, LogError>);

/// Opens partitions of one data folder onto the lanes, and closes them.
pub struct Opener {
    rt: Rt,
    broker: BrokerId,
    storage: Arc<Storage>,
    lanes: Vec<LaneSender>,
    commit: GroupCommit,
    room: Arc<DiskRoom>,
}

impl Opener {
    /// Starts as many lanes as the runtime has.
    pub fn new(
        rt: &Rt,
        broker: BrokerId,
        storage: Arc<Storage>,
        commit: &GroupCommit,
        room: &Arc<DiskRoom>,
    ) -> Opener {
        let lane = |index| Lane::start(rt, index, commit.clone(), Arc::clone(room));
        let lanes = (0..rt.lanes()).map(lane).collect();
        Opener { rt: rt.clone(), broker, storage, lanes, commit: commit.clone(), room: Arc::clone(room) }
    }

    /// Opens partitions' logs, recovering those that need it, and gives them to their lanes; says how each one ended.
    pub async fn open(&self, hand: Vec<Opening>) -> Vec<Opened> {
        let storage = Arc::clone(&self.storage);
        let with_configs: Vec<(Opening, LogConfig)> = hand
            .into_iter()
            .map(|opening| {
                let log_config = log_config(&opening.config);
                (opening, log_config)
            })
            .collect();
        let open_all = move || {
            let open_one = |(opening, log_config)| {
                let log = open_log(&storage, &opening, log_config);
                (opening, log)
            };
            with_configs.into_iter().map(open_one).collect::<Vec<_>>()
        };
        let mut adoptions = Vec::new();
        for (opening, log) in self.rt.blocking(open_all).await {
            let (topic, id) = (opening.topic.clone(), opening.id);
            let handed_over = match log {
                Ok(log) => Ok(self.hand_over(opening, log).await),
                Err(error) => Err(error),
            };
            adoptions.push((topic, id, handed_over));
        }
        let mut all = Vec::with_capacity(adoptions.len());
        for (topic, id, handed_over) in adoptions {
            let opened = match handed_over {
                Ok((handle, adopted)) => match adopted.await {
                    Ok(()) => Ok(handle),
                    Err(_) => Err(LogError::Fenced { reason: Arc::from("the broker is stopping") }),
                },
                Err(error) => Err(error),
            };
            all.push((topic, id, opened));
        }
        all
    }

    /// Makes a log's handle and sends both to its lane, which answers once it has adopted them (O1), or never.
    async fn hand_over(&self, opening: Opening, log: Log) -> (Arc<Partition>, oneshot::Receiver<()>) {
        let Opening { id, topic, leader_epoch, replicas, config } = opening;
        let (start, end) = (log.log_start(), log.log_end());
        let leader = Leader::new(self.broker, leader_epoch, replicas, contract(&config), end, start);
        let lane = self.lane_of(id).clone();
        let name = PartitionName { topic: topic.clone(), partition: id.partition };
        let handle = Arc::new(Partition::new(id, topic, leader_epoch, log.reader(), lane.clone(), config));
        if let Some(cleaned_to) = self.storage.cleaned_to(&name) {
            handle.set_cleaned_to(cleaned_to);
        }
        let new = NewPartition { handle: Arc::clone(&handle), log, leader };
        let (done, adopted) = oneshot::channel();
        // A lane that has ended drops the command, and with it who would answer.
        drop(lane.send(Command::Adopt(Box::new(new), done)).await);
        (handle, adopted)
    }

    /// Puts changed settings in force.
    pub async fn reconfigure(&self, partition: &Partition, config: Arc<TopicConfig>) {
        let command = Command::Reconfigure(partition.id, contract(&config), log_config(&config));
        partition.set_config(config);
        // A lane that has ended has nothing to reconfigure.
        let _ = self.lane_of(partition.id).send(command).await;
    }

    /// Takes a deleted partition from its lane and its folder out of the way; the bytes go after the topic's
    /// `file.delete.delay.ms`, off everybody's path.
    pub async fn delete(&self, partition: &Partition) {
        let (done, released) = oneshot::channel();
        let command = Command::Release(partition.id, done);
        if self.lane_of(partition.id).send(command).await.is_err() {
            return;
        }
        let Ok(Some(log)) = released.await else { return };
        log.delete();
        let name = PartitionName { topic: partition.topic.clone(), partition: partition.id.partition };
        let (storage, unique) = (Arc::clone(&self.storage), draw_uuid(&self.rt));
        if let Err(error) = self.rt.blocking(move || storage.put_away(&name, unique)).await {
            tracing::error!(
                "the folder of deleted {}-{} stays: {error}",
                partition.topic,
                partition.id.partition
            );
        }
    }

    /// Removes what deleted partitions left behind, after a while, or as soon as its space is needed: who began to
    /// read it goes on reading.
    pub fn remove_put_away_after(&self, delay: Duration) {
        let (rt, storage, room) = (self.rt.clone(), Arc::clone(&self.storage), Arc::clone(&self.room));
        self.rt.spawn("partition removal", async move {
            let _ = rt.timeout(delay, room.short()).await;
            if let Err(error) = rt.blocking(move || storage.remove_put_away()).await {
                tracing::warn!("the folders of deleted partitions could not be removed: {error}");
            }
        });
    }

    /// Closes every log cleanly; whether all of them could be.
    pub async fn close_all(&self) -> bool {
        let mut logs = Vec::new();
        for lane in &self.lanes {
            let (done, released) = oneshot::channel();
            if lane.send(Command::ReleaseAll(done)).await.is_ok() {
                logs.extend(released.await.unwrap_or_default());
            }
        }
        let (ids, logs): (Vec<TopicPartition>, Vec<Log>) = logs.into_iter().unzip();
        let mut all_closed = true;
        for (id, ended) in ids.into_iter().zip(log::close_all(&self.rt, &self.commit, logs).await) {
            if let Err(error) = ended {
                tracing::error!(
                    "partition {} of topic {} was not closed cleanly: {error}",
                    id.partition,
                    id.topic_id
                );
                all_closed = false;
            }
        }
        all_closed
    }

    fn lane_of(&self, id: TopicPartition) -> &LaneSender {
        let [.., high, low] = id.topic_id.0.0;
        let topic = usize::from(u16::from_be_bytes([high, low]));
        let partition = usize::try_from(id.partition.0).unwrap_or(0);
        &self.lanes[topic.wrapping_add(partition) % self.lanes.len()]
    }
}

/// The topic's settings in the log's words.
pub fn log_config(config: &TopicConfig) -> LogConfig {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    LogConfig {
        segment_bytes: config.segment_bytes,
        // What waits for compaction does so in a segment that is closed.
        segment_ms: if config.cleanup_policy.compact {
            signed(config.segment_ms.min(config.max_compaction_lag_ms))
        } else {
            signed(config.segment_ms)
        },
        segment_jitter_ms: signed(config.segment_jitter_ms),
        index_interval_bytes: config.index_interval_bytes,
        index_bytes_max: config.segment_index_bytes,
        timestamp_type: match config.timestamp_type {
            TimestampType::CreateTime => record::TimestampType::CreateTime,
            TimestampType::LogAppendTime => record::TimestampType::LogAppendTime,
        },
        producer_expiration_ms: signed(config.producer_id_expiration_ms),
    }
}

fn open_log(storage: &Storage, opening: &Opening, config: LogConfig) -> Result<Log, LogError> {
    let name = PartitionName { topic: opening.topic.clone(), partition: opening.id.partition };
    let mut log = storage.open_log(&name, opening.id, config)?;
    log.assign_leader_epoch(opening.leader_epoch)?;
    Ok(log)
}

/// The topic's promise in the replica's words.
fn contract(config: &TopicConfig) -> Contract {
    match config.durability {
        Durability::Disk => Contract::Disk,
        Durability::Memory => Contract::Memory,
    }
}
