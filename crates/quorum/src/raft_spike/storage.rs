//! openraft's log and vote, kept in the files the quorum of one keeps them in (P1).
//!
//! - G1 One lock around the log: appends, cuts and votes are done one after the other, as openraft asks.
//! - G2 What is acknowledged is synced; a failure fences the log and openraft hears of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use log::{
    Cold, FirstBatch, Log, LogConfig, OpenFiles, OpenOptions, ReadLimits, Recovery, RecoveryPointLowered,
};
use meta::Index;
use model::{BrokerId, Offset, TimestampMs};
use openraft::impls::EmptyNode;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{EntryPayload, LogState, Membership, OptionalSend, RaftLogReader};
use rt::{Fs, Rt};

use super::{LogId, RaftEntry, RaftVote, Records, TypeConfig};
use crate::METADATA_DIR;
use crate::entry::{Entry, Payload, leader_epoch};
use crate::open::batches;
use crate::vote::{Term, VOTE_FILE, Vote};

/// The metadata log of one data folder.
#[derive(Clone)]
pub(super) struct Store {
    rt: Rt,
    dir: PathBuf,
    log: Arc<Mutex<Log>>,
}

const READ_BYTES: u64 = 4 * 1024 * 1024;

impl Store {
    pub(super) async fn open(rt: &Rt, data_dir: PathBuf) -> io::Result<Store> {
        let dir = data_dir.join(METADATA_DIR);
        let (fs, folder) = (rt.fs().clone(), dir.clone());
        let log = rt.blocking(move || open_log(&fs, data_dir, folder)).await?;
        Ok(Store { rt: rt.clone(), dir, log: Arc::new(Mutex::new(log)) })
    }

    /// Runs work on the log where it may block (G1).
    async fn on_log<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Log, &Fs) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (log, fs) = (Arc::clone(&self.log), self.rt.fs().clone());
        self.rt.blocking(move || work(&mut locked(&log), &fs)).await
    }

    async fn vote(&self) -> io::Result<Option<RaftVote>> {
        let (fs, path) = (self.rt.fs().clone(), self.dir.join(VOTE_FILE));
        let stored = self.rt.blocking(move || {
            let there = fs.exists(&path)?;
            if there { fs.read(&path).map(Some) } else { Ok(None) }
        });
        let Some(bytes) = stored.await? else { return Ok(None) };
        let vote = Vote::decode(&bytes).ok_or_else(|| io::Error::other("the vote is damaged"))?;
        let node = node_of(vote.leader);
        Ok(Some(if vote.committed {
            RaftVote::new_committed(vote.term.0, node)
        } else {
            RaftVote::new(vote.term.0, node)
        }))
    }
}

fn open_log(fs: &Fs, data_dir: PathBuf, dir: PathBuf) -> io::Result<Log> {
    fs.create_dir_all(&dir)?;
    fs.sync_dir(&data_dir)?;
    let options = OpenOptions {
        dir,
        topic_id: None,
        config: LogConfig { segment_ms: i64::MAX, ..LogConfig::default() },
        recovery: Recovery::From(Offset::ZERO),
        start_offset: Offset::ZERO,
        files: Arc::new(OpenFiles::new(16)),
    };
    Log::open(fs, options).map(|(log, _)| log).map_err(io::Error::other)
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().expect("no holder of the log panics")
}

fn read(log: &Log, from: u64, until: u64) -> io::Result<Vec<RaftEntry>> {
    let until = until.min(u64::try_from(log.log_end().0).unwrap_or(0));
    let (reader, mut next, mut entries) = (log.reader(), from, Vec::new());
    while next < until {
        let limits = ReadLimits { max_bytes: READ_BYTES, first_batch: FirstBatch::Whole, cold: Cold::Check };
        let bytes = reader.read_bytes(offset(next), offset(until), limits).map_err(io::Error::other)?;
        for batch in batches(&bytes) {
            entries.push(to_raft(Entry::from_batch(batch).map_err(io::Error::other)?));
            next += 1;
        }
    }
    Ok(entries)
}

fn last_log_id(log: &Log) -> io::Result<Option<LogId>> {
    let Some(last) = u64::try_from(log.log_end().0).ok().and_then(|end| end.checked_sub(1)) else {
        return Ok(None);
    };
    Ok(read(log, last, last + 1)?.pop().map(|entry| entry.log_id))
}

fn append(log: &mut Log, fs: &Fs, entries: Vec<RaftEntry>, now_ms: i64) -> io::Result<()> {
    for entry in entries {
        let entry = from_raft(entry)?;
        let epoch = leader_epoch(entry.term).ok_or_else(|| io::Error::other("out of terms"))?;
        let batch = entry.to_batch(TimestampMs(now_ms)).map_err(io::Error::other)?;
        let appended = log.append(batch, epoch, now_ms).map_err(io::Error::other)?;
        assert_eq!(appended.base_offset, offset(entry.index.0), "openraft leaves no hole");
    }
    log.write().map_err(io::Error::other)?;
    while let Some(job) = log.take_sync() {
        let synced = job.run(fs);
        log.synced(synced).map_err(io::Error::other)?;
    }
    Ok(())
}

impl RaftLogReader<TypeConfig> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let until = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(until) => *until,
            Bound::Unbounded => u64::MAX,
        };
        self.on_log(move |log, _| read(log, from, until)).await
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        self.vote().await
    }
}

impl RaftLogStorage<TypeConfig> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_log_id = self.on_log(|log, _| last_log_id(log)).await?;
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Result<(), io::Error> {
        let leader = broker_of(vote.leader_id.node_id)?;
        let vote = Vote { term: Term(vote.leader_id.term), leader, committed: vote.committed };
        let path = self.dir.join(VOTE_FILE);
        self.on_log(move |_, fs| fs.write_atomically(&path, &vote.encode())).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let (entries, now_ms) = (entries.into_iter().collect(), self.rt.wall_clock_ms());
        let done = self.on_log(move |log, fs| append(log, fs, entries, now_ms)).await;
        callback.io_completed(done);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let end = last.map_or(0, |last| last.index + 1);
        self.on_log(move |log, _| {
            // This log has no recovery point of its own: recovery begins at the newest snapshot, or the start.
            log.truncate_to(RecoveryPointLowered::persisted(offset(end))).map_err(io::Error::other)?;
            Ok(())
        })
        .await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.on_log(move |log, _| {
            log.advance_start(offset(upto.index + 1)).map_err(io::Error::other)?;
            log.remove_before_start().map_err(io::Error::other)?;
            Ok(())
        })
        .await
    }
}

fn offset(index: u64) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}

fn node_of(broker: BrokerId) -> u64 {
    u64::try_from(broker.0).expect("broker ids are not negative")
}

fn broker_of(node: u64) -> io::Result<BrokerId> {
    i32::try_from(node).map(BrokerId).map_err(|_| io::Error::other(format!("node {node} is no broker id")))
}

/// openraft's entry from one of ours.
pub(super) fn to_raft(entry: Entry) -> RaftEntry {
    let leader =
        openraft::impls::leader_id_adv::LeaderId { term: entry.term.0, node_id: node_of(entry.leader) };
    let payload = match entry.payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Records(records) => EntryPayload::Normal(Records(records)),
        Payload::Voters(voters) => {
            let voters: BTreeSet<u64> = voters.into_iter().map(node_of).collect();
            EntryPayload::Membership(Membership::new_with_defaults(vec![voters], []))
        }
    };
    RaftEntry { log_id: LogId::new(leader, entry.index.0), payload }
}

/// One of our entries from openraft's; a joint membership has no place in ours yet.
pub(super) fn from_raft(entry: RaftEntry) -> io::Result<Entry> {
    let RaftEntry { log_id, payload } = entry;
    let payload = match payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(Records(records)) => Payload::Records(records),
        EntryPayload::Membership(membership) => Payload::Voters(voters_of(&membership)?),
    };
    let term = Term(log_id.leader_id.term);
    Ok(Entry { term, leader: broker_of(log_id.leader_id.node_id)?, index: Index(log_id.index), payload })
}

fn voters_of(membership: &Membership<u64, EmptyNode>) -> io::Result<Vec<BrokerId>> {
    let nodes: BTreeMap<_, _> = membership.nodes().collect();
    match membership.get_joint_config().as_slice() {
        [voters] if voters.len() == nodes.len() => voters.iter().map(|node| broker_of(*node)).collect(),
        _ => Err(io::Error::other("the entry format has no joint configuration and no learners")),
    }
}
