//! Fetch sessions (KIP-227): what a client wants is remembered, so that it sends and gets only changes.
//!
//! - F1 Each answered incremental fetch moves the session's epoch on by one, from `i32::MAX` to 1.
//! - F2 An incremental answer leaves out exactly the partitions about which the client knows everything:
//!   no records, no error, the same high watermark and log start as it was last told.
//! - F3 Partitions that returned records go to the end of the order, so that none starves.
//! - F4 There are never more sessions than slots; a client without one gets id 0 and full fetches.
//!
//! Knows nothing of logs: it is told what was found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use rt::Instant;
use rustc_hash::FxHashMap;

/// A session unused for so long gives its slot to whoever asks (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// How a request names a topic: by id since version 13, by name before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicRef {
    /// By identity.
    Id(TopicId),
    /// By name, as the client wrote it.
    Name(String),
}

/// One partition as a request names it.
pub type FetchKey = (TopicRef, PartitionIndex);

/// What a client wants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of which one.
    pub key: FetchKey,
    /// From where.
    pub fetch_offset: Offset,
    /// The leader epoch the client believes in, or none.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record the client has, or none (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// At most so many bytes.
    pub max_bytes: i32,
}

/// What was found in one partition, as far as sessions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether the answer carries records.
    pub has_records: bool,
    /// Whether the answer is an error or a diverging epoch: always sent, and again.
    pub has_error: bool,
    /// The high watermark told.
    pub high_watermark: Offset,
    /// The log start told.
    pub log_start: Offset,
}

/// The session part of a fetch request.
#[derive(Debug)]
pub struct SessionRequest {
    /// The session, 0 for none.
    pub session_id: i32,
    /// 0: full fetch that would like a session; -1: full fetch without one; else the session's next epoch.
    pub epoch: i32,
    /// Whether topics are named by id (version 13 on).
    pub uses_topic_ids: bool,
    /// All partitions of a full fetch; the new and changed ones of an incremental one.
    pub wanted: Vec<Wanted>,
    /// Partitions to drop from the session.
    pub forgotten: Vec<FetchKey>,
}

/// Why an incremental fetch cannot go on; the client starts over with a full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// No such session: evicted, or the broker restarted.
    NotFound,
    /// Not the epoch that is next.
    WrongEpoch,
    /// The session names topics the other way.
    TopicIdMismatch,
}

/// Epochs with a meaning of their own.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    told_high_watermark: Offset,
    told_log_start: Offset,
    order: u64,
}

#[derive(Debug)]
struct Session {
    id: i32,
    next_epoch: i32,
    uses_topic_ids: bool,
    entries: FxHashMap<FetchKey, Entry>,
    order: BTreeMap<u64, FetchKey>,
    next_order: u64,
    created: Instant,
    last_used: Instant,
}

impl Session {
    fn upsert(&mut self, wanted: Wanted) {
        if let Some(entry) = self.entries.get_mut(&wanted.key) {
            entry.wanted = wanted;
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, wanted.key.clone());
        let unknown = Offset(-1);
        let entry =
            Entry { told_high_watermark: unknown, told_log_start: unknown, order, wanted: wanted.clone() };
        self.entries.insert(wanted.key, entry);
    }

    fn forget(&mut self, key: &FetchKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.order);
        }
    }

    fn wanted_in_order(&self) -> Vec<Wanted> {
        self.order
            .values()
            .filter_map(|key| self.entries.get(key))
            .map(|entry| entry.wanted.clone())
            .collect()
    }

    /// Notes what is told about a partition; whether it has to be told at all (F2, F3).
    fn tell(&mut self, key: &FetchKey, found: &Found) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return true };
        let changed =
            entry.told_high_watermark != found.high_watermark || entry.told_log_start != found.log_start;
        entry.told_high_watermark = if found.has_error { Offset(-1) } else { found.high_watermark };
        entry.told_log_start = found.log_start;
        if found.has_records {
            self.order.remove(&entry.order);
            entry.order = self.next_order;
            self.next_order += 1;
            self.order.insert(entry.order, key.clone());
        }
        found.has_records || found.has_error || changed
    }
}

/// A fetch under way: what to look at, and later what to tell.
#[derive(Debug)]
pub struct Fetching {
    /// The partitions to read, in the order of their turn.
    pub wanted: Vec<Wanted>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    WithoutSession,
    Full { uses_topic_ids: bool, told: Vec<(FetchKey, Found)> },
    Incremental(Arc<Mutex<Session>>),
}

impl Fetching {
    /// Whether the client has to be told about this partition; to be asked once for each.
    pub fn tell(&mut self, key: &FetchKey, found: &Found) -> bool {
        match &mut self.kind {
            Kind::WithoutSession => true,
            Kind::Full { told, .. } => {
                told.push((key.clone(), *found));
                true
            }
            Kind::Incremental(session) => lock(session).tell(key, found),
        }
    }
}

/// All sessions of this broker.
pub struct FetchSessions {
    slots: usize,
    sessions: Mutex<BTreeMap<i32, Arc<Mutex<Session>>>>,
}

impl FetchSessions {
    /// Room for `slots` sessions; 0 turns them off.
    pub fn new(slots: usize) -> FetchSessions {
        FetchSessions { slots, sessions: Mutex::default() }
    }

    /// Works out what a request wants, from itself and from what its session remembers.
    pub fn begin(&self, request: SessionRequest, now: Instant) -> Result<Fetching, SessionError> {
        if request.epoch == INITIAL_EPOCH || request.epoch == FINAL_EPOCH {
            lock(&self.sessions).remove(&request.session_id);
            let kind = if request.epoch == FINAL_EPOCH {
                Kind::WithoutSession
            } else {
                Kind::Full { uses_topic_ids: request.uses_topic_ids, told: Vec::new() }
            };
            return Ok(Fetching { wanted: request.wanted, kind });
        }
        let shared = lock(&self.sessions).get(&request.session_id).cloned().ok_or(SessionError::NotFound)?;
        let mut session = lock(&shared);
        if session.next_epoch != request.epoch {
            return Err(SessionError::WrongEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(SessionError::TopicIdMismatch);
        }
        for wanted in request.wanted {
            session.upsert(wanted);
        }
        for key in &request.forgotten {
            session.forget(key);
        }
        session.last_used = now;
        session.next_epoch = next_epoch(session.next_epoch);
        let wanted = session.wanted_in_order();
        // Given back before the map is locked: `make_room` takes the two the other way round.
        drop(session);
        if wanted.is_empty() {
            lock(&self.sessions).remove(&request.session_id);
            return Ok(Fetching { wanted, kind: Kind::WithoutSession });
        }
        Ok(Fetching { wanted, kind: Kind::Incremental(shared) })
    }

    /// Ends a fetch; gives the id to answer with, 0 when there is no session.
    ///
    /// `random` draws the id of a new session.
    pub fn finish(&self, fetching: Fetching, now: Instant, mut random: impl FnMut() -> u64) -> i32 {
        match fetching.kind {
            Kind::WithoutSession => 0,
            Kind::Incremental(session) => lock(&session).id,
            Kind::Full { uses_topic_ids, told } => {
                let mut sessions = lock(&self.sessions);
                if fetching.wanted.is_empty() || !self.make_room(&mut sessions, fetching.wanted.len(), now) {
                    return 0;
                }
                let id = loop {
                    let id = i32::try_from(random() >> 33).unwrap_or(1);
                    if id != 0 && !sessions.contains_key(&id) {
                        break id;
                    }
                };
                let mut session = Session {
                    id,
                    next_epoch: next_epoch(INITIAL_EPOCH),
                    uses_topic_ids,
                    entries: FxHashMap::default(),
                    order: BTreeMap::new(),
                    next_order: 0,
                    created: now,
                    last_used: now,
                };
                fetching.wanted.into_iter().for_each(|wanted| session.upsert(wanted));
                for (key, found) in told {
                    session.tell(&key, &found);
                }
                sessions.insert(id, Arc::new(Mutex::new(session)));
                id
            }
        }
    }

    /// Whether a session of `size` partitions may have a slot; takes one from a session that is long
    /// unused, or else from an old one that is smaller, as Kafka does.
    fn make_room(
        &self,
        sessions: &mut BTreeMap<i32, Arc<Mutex<Session>>>,
        size: usize,
        now: Instant,
    ) -> bool {
        if sessions.len() < self.slots {
            return true;
        }
        let evictable = |session: &Session| {
            EVICTION_AGE < now.saturating_since(session.last_used)
                || (EVICTION_AGE < now.saturating_since(session.created) && session.entries.len() < size)
        };
        let victim = sessions
            .iter()
            .map(|(id, session)| (*id, lock(session)))
            .filter(|(_, session)| evictable(session))
            .min_by_key(|(_, session)| (session.last_used, session.entries.len()))
            .map(|(id, _)| id);
        victim.is_some_and(|id| sessions.remove(&id).is_some())
    }
}

fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
