//! The one task that decides, appends, syncs and publishes.
//!
//! - L1 `proposed` has every entry appended, the published image every entry synced; both grow in index order.
//! - L2 One sync is under way at a time; what is admitted meanwhile waits for the next (Q2).
//! - L3 Publishing comes before answering: whoever was answered sees his change in the image.
//! - L4 Once fenced, every waiting and every later update hears so, and nothing is published any more (Q4).
//! - L5 What could not be written was never decided: the image goes back to what is in the log, and who waits hears so.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use log::{GroupCommit, Log, LogError, Synced};
use meta::{Image, Index, MetadataRecord};
use model::{BrokerId, TimestampMs};
use record::BatchError;
use rt::channel::{mpsc, oneshot, watch};
use rt::{Fs, Rt};

use crate::entry::{BATCH_BYTES_MAX, Entry, Payload, leader_epoch};
use crate::error::QuorumError;
use crate::open::{Found, QuorumOptions, offset};
use crate::quorum::Committed;
use crate::round::{Admitted, Done};
use crate::snapshot::Snapshot;
use crate::vote::Term;

/// Updates one sync may cover: beyond, callers wait.
const ROUND_MAX: usize = 1024;

/// A decision: records to write, none if there is nothing to.
pub(crate) type Decide = Box<dyn FnOnce(&Image) -> Vec<MetadataRecord> + Send>;

/// An update that was asked for.
pub(crate) struct Request {
    pub(crate) decide: Decide,
    pub(crate) done: Done,
}

/// What handles ask of the task.
pub(crate) enum Message {
    /// Decide, write, answer.
    Update(Request),
    /// Finish and end.
    Close(oneshot::Sender<Result<(), QuorumError>>),
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A sync under way, and what it will make durable.
struct Round {
    admitted: Vec<Admitted>,
    sync: Work<Synced>,
}

/// The task's state.
pub(crate) struct Leader {
    rt: Rt,
    fs: Fs,
    dir: PathBuf,
    log: Log,
    group_commit: GroupCommit,
    leader: BrokerId,
    term: Term,
    proposed: Image,
    gathering: Vec<Admitted>,
    round: Option<Round>,
    snapshot: Option<Work<io::Result<Option<Index>>>>,
    snapshot_at: Index,
    snapshot_every: u64,
    messages: mpsc::Receiver<Message>,
    closing: Option<Vec<oneshot::Sender<Result<(), QuorumError>>>>,
    fenced: Option<Arc<str>>,
}

/// Where the task publishes.
struct Outlets {
    images: watch::Sender<Arc<Image>>,
    committed: mpsc::Sender<Committed>,
    health: watch::Sender<Health>,
}

/// How the task is.
pub(crate) enum Health {
    /// It serves.
    Serving,
    /// It was fenced, and why.
    Failed(Arc<str>),
    /// It was closed in good order.
    Closed,
}

/// A task with its outlets, ready to run.
pub(crate) struct Leading {
    leader: Leader,
    outlets: Outlets,
}

/// What the task wakes up for.
enum Event {
    Synced(Synced),
    Snapshot(io::Result<Option<Index>>),
    Message(Option<Message>),
}

impl Leader {
    pub(crate) fn new(
        rt: Rt,
        found: Found,
        options: QuorumOptions,
        messages: mpsc::Receiver<Message>,
    ) -> Leader {
        let QuorumOptions { node: leader, group_commit, snapshot_every, .. } = options;
        Leader {
            group_commit,
            rt,
            fs: found.fs,
            dir: found.dir,
            log: found.log,
            leader,
            term: found.term,
            proposed: found.image,
            gathering: Vec::new(),
            round: None,
            snapshot: None,
            snapshot_at: found.snapshot_at,
            snapshot_every,
            messages,
            closing: None,
            fenced: None,
        }
    }

    pub(crate) fn publish_to(
        self,
        images: watch::Sender<Arc<Image>>,
        committed: mpsc::Sender<Committed>,
        health: watch::Sender<Health>,
    ) -> Leading {
        Leading { leader: self, outlets: Outlets { images, committed, health } }
    }

    /// Decides an update and appends its entry; the answer waits for the next sync.
    fn admit(&mut self, request: Request) -> Result<(), Arc<str>> {
        if let Some(reason) = &self.fenced {
            drop(request.done.send(Err(QuorumError::Fenced(Arc::clone(reason)))));
            return Ok(());
        }
        let records = (request.decide)(&self.proposed);
        let appended = if records.is_empty() { Ok(None) } else { self.append(records).map(Some) };
        match appended {
            Ok(entry) => {
                self.gathering.push(Admitted { entry, done: request.done });
                Ok(())
            }
            Err(NotAppended::Refused(error)) => {
                drop(request.done.send(Err(error)));
                Ok(())
            }
            Err(NotAppended::Failed(reason)) => {
                drop(request.done.send(Err(self.failure(&reason))));
                Err(reason)
            }
        }
    }

    /// What a caller hears whose entry could not be appended or written.
    fn failure(&self, reason: &Arc<str>) -> QuorumError {
        match self.log.fenced() {
            Some(_) => QuorumError::Fenced(Arc::clone(reason)),
            None => QuorumError::NotWritten(Arc::clone(reason)),
        }
    }

    /// Undoes what was admitted and is not in the log, and whatever was decided on it (L5).
    fn take_back(&mut self, reason: &Arc<str>, published: &Arc<Image>) {
        let end = self.log.log_end();
        let is_written =
            |admitted: &Admitted| admitted.entry.as_ref().is_none_or(|entry| offset(entry.index) < end);
        let written = self.gathering.iter().position(|admitted| !is_written(admitted));
        for admitted in self.gathering.split_off(written.unwrap_or(self.gathering.len())) {
            admitted.fail(self.failure(reason));
        }
        let under_way = self.round.as_ref().map_or(&[][..], |round| &round.admitted);
        let newest =
            under_way.iter().chain(&self.gathering).rev().find_map(|admitted| admitted.entry.as_ref());
        let newest = newest.map_or(published, |entry| &entry.image);
        self.proposed = Image::clone(newest);
    }

    fn append(&mut self, records: Vec<MetadataRecord>) -> Result<Committed, NotAppended> {
        let index = self.proposed.next_index();
        let mut next = self.proposed.clone();
        let applied = next.apply_entry(index, &records);
        let changes = applied.map_err(|error| NotAppended::Refused(QuorumError::Refused(error)))?;
        let payload = Payload::Records(records);
        let entry = Entry { term: self.term, leader: self.leader, index, payload };
        let now_ms = self.rt.wall_clock_ms();
        let batch = entry.to_batch(TimestampMs(now_ms)).map_err(|error| match error {
            BatchError::TooLarge { size, max } => NotAppended::Refused(QuorumError::TooLarge { size, max }),
            error => NotAppended::Failed(Arc::from(error.to_string())),
        })?;
        let epoch = leader_epoch(self.term).expect("`open` began this term with an epoch");
        let appended = self.log.append(batch, epoch, now_ms).map_err(not_appended)?;
        assert_eq!(appended.base_offset, offset(index), "an entry's offset is its index (E1)");
        self.proposed = next;
        Ok(Committed { index, changes, image: Arc::new(self.proposed.clone()) })
    }

    /// Begins to sync what was admitted; `None` where nothing needs it.
    fn start_sync(&mut self) -> Result<Option<Work<Synced>>, LogError> {
        self.log.write()?;
        let Some(job) = self.log.take_sync() else { return Ok(None) };
        let group_commit = self.group_commit.clone();
        Ok(Some(Box::pin(async move { group_commit.sync(job).await })))
    }

    /// Whether another update may be taken in now.
    fn has_room(&self) -> bool {
        let log_has_room = self.fenced.is_some() || self.log.has_room_for(BATCH_BYTES_MAX);
        self.closing.is_none() && self.gathering.len() < ROUND_MAX && log_has_room
    }

    /// Begins a snapshot of `image` when enough entries came since the last one.
    fn snapshot_if_due(&mut self, image: &Arc<Image>) {
        let since = image.next_index().0.saturating_sub(self.snapshot_at.0);
        if self.snapshot.is_some() || since < self.snapshot_every {
            return;
        }
        self.snapshot_at = image.next_index();
        let snapshot = Snapshot { image: Image::clone(image), term: self.term };
        let (rt, fs, dir) = (self.rt.clone(), self.fs.clone(), self.dir.clone());
        let write = move || snapshot.write(&fs, &dir);
        self.snapshot = Some(Box::pin(async move { rt.blocking(write).await }));
    }

    async fn next_event(&mut self) -> Event {
        let has_room = self.has_room();
        let round = self.round.as_mut().map(|round| &mut round.sync);
        let snapshot = self.snapshot.as_mut();
        rt::select! {
            synced = or_never(round) => Event::Synced(synced),
            written = or_never(snapshot) => Event::Snapshot(written),
            message = self.messages.recv(), if has_room => Event::Message(message),
        }
    }
}

/// Why an entry was not appended.
enum NotAppended {
    /// It cannot be; nothing was written.
    Refused(QuorumError),
    /// The log failed, or refused this entry and those that waited with it.
    Failed(Arc<str>),
}

fn not_appended(error: LogError) -> NotAppended {
    match error {
        LogError::BatchTooLarge { size, max } => {
            let as_usize = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
            NotAppended::Refused(QuorumError::TooLarge { size: as_usize(size), max: as_usize(max) })
        }
        LogError::Io(_)
        | LogError::Corrupt(_)
        | LogError::Fenced { .. }
        | LogError::UnsyncedFull { .. }
        | LogError::NotNext { .. }
        | LogError::OtherTopic { .. }
        | LogError::InsideBatch { .. }
        | LogError::SyncUnderWay
        | LogError::StaleEpoch { .. } => NotAppended::Failed(Arc::from(error.to_string())),
    }
}

/// The work if there is some, else never.
async fn or_never<T>(work: Option<&mut Work<T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

impl Leading {
    /// Serves until it is closed or every handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            self.begin_round().await;
            let leader = &self.leader;
            let is_idle = leader.round.is_none() && leader.snapshot.is_none();
            if leader.closing.is_some() && is_idle {
                break;
            }
            match self.leader.next_event().await {
                Event::Synced(synced) => self.on_synced(synced).await,
                Event::Snapshot(written) => self.on_snapshot(written),
                Event::Message(message) => self.on_message(message),
            }
        }
        self.end();
    }

    fn on_message(&mut self, first: Option<Message>) {
        let mut next = first;
        loop {
            match next {
                Some(Message::Update(request)) => {
                    if let Err(reason) = self.leader.admit(request) {
                        self.on_not_written(&reason);
                    }
                }
                Some(Message::Close(done)) => self.leader.closing.get_or_insert_default().push(done),
                None => {
                    self.leader.closing.get_or_insert_default();
                }
            }
            if !self.leader.has_room() {
                return;
            }
            match self.leader.messages.try_recv() {
                Ok(message) => next = Some(message),
                Err(_) => return,
            }
        }
    }

    /// Syncs what was admitted, unless a sync is under way (L2).
    async fn begin_round(&mut self) {
        if self.leader.round.is_some() || self.leader.gathering.is_empty() {
            return;
        }
        match self.leader.start_sync() {
            Ok(Some(sync)) => {
                let admitted = std::mem::take(&mut self.leader.gathering);
                self.leader.round = Some(Round { admitted, sync });
            }
            // Nothing was appended, so all it was decided on is durable already.
            Ok(None) => {
                let admitted = std::mem::take(&mut self.leader.gathering);
                self.publish(admitted).await;
            }
            Err(error) => self.on_not_written(&Arc::from(error.to_string())),
        }
    }

    /// A write failed: the log goes on without what was to be written, unless it is fenced (L5).
    fn on_not_written(&mut self, reason: &Arc<str>) {
        if self.leader.log.fenced().is_some() {
            self.fence(reason);
            return;
        }
        tracing::error!(%reason, "a change of the metadata could not be written and is refused");
        let published = Arc::clone(&self.outlets.images.borrow());
        self.leader.take_back(reason, &published);
    }

    async fn on_synced(&mut self, synced: Synced) {
        let Some(round) = self.leader.round.take() else { return };
        match self.leader.log.synced(synced) {
            Ok(_durable_end) => self.publish(round.admitted).await,
            Err(error) => {
                // What was admitted since then was decided on what failed now: it fails with it.
                self.leader.gathering.splice(0..0, round.admitted);
                self.fence(&error.to_string());
            }
        }
    }

    /// Publishes a round's entries, then answers (L3).
    async fn publish(&mut self, admitted: Vec<Admitted>) {
        let newest = admitted.iter().rev().find_map(|one| one.entry.as_ref());
        if let Some(newest) = newest {
            let image = Arc::clone(&newest.image);
            self.leader.snapshot_if_due(&image);
            self.outlets.images.send_replace(image);
        }
        let image = Arc::clone(&self.outlets.images.borrow());
        for Admitted { entry, done } in admitted {
            let index = entry.as_ref().map(|entry| entry.index);
            if let Some(entry) = entry {
                // Fails only when the broker no longer listens: it ends, and so will this task.
                drop(self.outlets.committed.send(entry).await);
            }
            Admitted::succeed(done, index, &image);
        }
    }

    /// Lets entries go that two snapshots have (Q5). The snapshots' names say where the log starts, so nothing else
    /// needs to be persisted. One that failed costs time at the next start; the next is due as if it had not.
    fn on_snapshot(&mut self, written: io::Result<Option<Index>>) {
        self.leader.snapshot = None;
        match written {
            Ok(Some(needed_from)) => {
                let log = &mut self.leader.log;
                let removed = log.advance_start(offset(needed_from)).and_then(|()| log.remove_before_start());
                if let Err(error) = removed {
                    // Its files stay until the next snapshot, unless the log is fenced.
                    self.on_not_written(&Arc::from(error.to_string()));
                }
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "metadata snapshot failed"),
        }
    }

    fn fence(&mut self, reason: &str) {
        let reason: Arc<str> = Arc::from(reason);
        self.leader.log.fence(&reason);
        tracing::error!(%reason, "metadata log fenced");
        for admitted in self.leader.gathering.drain(..) {
            admitted.fail(QuorumError::Fenced(Arc::clone(&reason)));
        }
        self.leader.fenced = Some(Arc::clone(&reason));
        self.outlets.health.send_replace(Health::Failed(reason));
    }

    fn end(self) {
        let Leader { log, closing, fenced, .. } = self.leader;
        let closed = match fenced {
            Some(reason) => Err(QuorumError::Fenced(reason)),
            None => log.close().map_err(|error| QuorumError::Fenced(Arc::from(error.to_string()))),
        };
        if closed.is_ok() {
            self.outlets.health.send_replace(Health::Closed);
        }
        for done in closing.unwrap_or_default() {
            drop(done.send(closed.clone()));
        }
    }
}
