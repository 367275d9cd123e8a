//! Group commit: the sync jobs of all partitions of a folder, made durable round by round.
//!
//! - G1 While one round runs, the next one collects: a job waits for one round at the most, then for its own.
//! - G2 Every job hears how it ended, once. A round over the whole file system that fails, fails for all in it.
//! - G3 Nothing that failed is synced again (D1).
//! - G4 After the whole file system failed to sync, every later job fails too. The failure may have taken bytes of logs
//!   that were in no round, and it is told once only: the next sync would succeed without them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rt::channel::{mpsc, oneshot, watch};
use rt::{File, Fs, Rt};

use crate::data_dir::DataDir;
use crate::sync::{SyncJob, SyncTicket, Synced};
use crate::sync_method::{MethodChooser, SyncMethod};

/// Threads that sync files of one round at the same time.
const THREADS_MAX: usize = 4;

/// The group commit of one data folder; cheap to clone. It ends when the last clone is dropped.
#[derive(Clone)]
pub struct GroupCommit {
    // Not bounded: a log has one job under way, so there are never more than partitions.
    jobs: mpsc::UnboundedSender<Vec<Request>>,
    failed: watch::Receiver<Option<Arc<io::Error>>>,
}

struct Request {
    job: SyncJob,
    done: Box<dyn FnOnce(Synced) + Send>,
}

impl GroupCommit {
    /// Starts the rounds for a data folder.
    pub fn start(rt: &Rt, data_dir: &DataDir) -> io::Result<GroupCommit> {
        let anchor = data_dir.anchor().clone();
        let allowed = rt.fs().filesystem_sync_reports_errors(&anchor)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let (failed_to, failed) = watch::channel(None);
        let rounds = Rounds {
            rt: rt.clone(),
            anchor,
            chooser: MethodChooser::new(allowed),
            jobs: receiver,
            failed: failed_to,
        };
        rt.spawn_on_sync_lane("group commit", rounds.run());
        Ok(GroupCommit { jobs: sender, failed })
    }

    /// Hands jobs in that belong into one round; `done` is called with each one's key, on another thread, when it is over.
    /// It must not block.
    pub fn submit<K: Send + 'static>(
        &self,
        jobs: impl IntoIterator<Item = (K, SyncJob)>,
        done: impl Fn(K, Synced) + Clone + Send + 'static,
    ) {
        let request = |(key, job)| {
            let done = done.clone();
            Request { job, done: Box::new(move |synced| done(key, synced)) }
        };
        self.send(jobs.into_iter().map(request).collect());
    }

    fn send(&self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        if let Err(refused) = self.jobs.send(requests) {
            // The rounds end with the runtime only; what was not synced must not look as if it were.
            for Request { job, done } in refused.0 {
                done(Synced { ticket: job.ticket, result: Err(Arc::new(io::ErrorKind::BrokenPipe.into())) });
            }
        }
    }

    /// Waits until the whole file system failed to sync, after which nothing in the folder is written any more (G4).
    pub async fn failed(&self) -> Arc<io::Error> {
        let mut failed = self.failed.clone();
        let error = match failed.wait_for(Option::is_some).await {
            Ok(failed) => failed.clone(),
            Err(_) => None,
        };
        match error {
            Some(error) => error,
            // The rounds ended in good order.
            None => std::future::pending().await,
        }
    }

    /// Hands a job in and waits for it.
    pub async fn sync(&self, job: SyncJob) -> Synced {
        let (sender, receiver) = oneshot::channel();
        let ticket = SyncTicket { durable_to: job.ticket.durable_to };
        let done = Box::new(move |synced| {
            // Whoever waited may be gone, and with it the log.
            let _ = sender.send(synced);
        });
        self.send(vec![Request { job, done }]);
        receiver
            .await
            .unwrap_or_else(|_| Synced { ticket, result: Err(Arc::new(io::ErrorKind::BrokenPipe.into())) })
    }
}

struct Rounds {
    rt: Rt,
    anchor: File,
    chooser: MethodChooser,
    jobs: mpsc::UnboundedReceiver<Vec<Request>>,
    /// How the whole file system failed (G4).
    failed: watch::Sender<Option<Arc<io::Error>>>,
}

impl Rounds {
    async fn run(mut self) {
        while let Some(mut round) = self.jobs.recv().await {
            while let Ok(next) = self.jobs.try_recv() {
                round.extend(next);
            }
            self.round(round).await;
        }
    }

    async fn round(&mut self, round: Vec<Request>) {
        let failed = self.failed.borrow().clone();
        if let Some(error) = failed {
            for Request { job, done } in round {
                done(Synced { ticket: job.ticket, result: Err(Arc::clone(&error)) });
            }
            return;
        }
        let files = round.iter().map(|request| request.job.files.len() + request.job.dirs.len()).sum();
        let method = self.chooser.choose(files);
        let busy = match method {
            SyncMethod::EachFile => self.each_file(round).await,
            SyncMethod::FileSystem => self.file_system(round).await,
        };
        self.chooser.measured(method, files, busy);
    }

    /// Syncs file by file, jobs dealt out to a few threads, each answered by its thread as soon as it is done; yields how
    /// long all threads together were busy.
    async fn each_file(&self, round: Vec<Request>) -> Duration {
        let threads = round.len().clamp(1, THREADS_MAX);
        let mut hands: Vec<Vec<Request>> = (0..threads).map(|_| Vec::new()).collect();
        for (index, request) in round.into_iter().enumerate() {
            hands[index % threads].push(request);
        }
        let own_hand = hands.pop().unwrap_or_default();
        let mut others = Vec::new();
        for hand in hands {
            let (sender, receiver) = oneshot::channel();
            let rt = self.rt.clone();
            self.rt.spawn("group commit thread", async move {
                let (started, fs) = (rt.now(), rt.fs().clone());
                rt.blocking(move || sync_hand(&fs, hand)).await;
                // The round waits for every thread, unless the runtime ends.
                let _ = sender.send(rt.now().saturating_since(started));
            });
            others.push(receiver);
        }
        let started = self.rt.now();
        for Request { job, done } in own_hand {
            self.rt.blocking_here(|| done(job.run(self.rt.fs()))).await;
        }
        let mut busy = self.rt.now().saturating_since(started);
        for other in others {
            // It ends without a word only when the runtime does.
            busy += other.await.unwrap_or_default();
        }
        busy
    }

    /// Syncs everything at once; yields how long that took.
    async fn file_system(&mut self, round: Vec<Request>) -> Duration {
        let started = self.rt.now();
        let sync = || self.rt.fs().sync_filesystem(&self.anchor);
        let result = self.rt.blocking_here(sync).await.map_err(Arc::new);
        let busy = self.rt.now().saturating_since(started);
        if let Err(error) = &result {
            self.failed.send_replace(Some(Arc::clone(error)));
        }
        for Request { job, done } in round {
            done(Synced { ticket: job.ticket, result: result.clone() });
        }
        busy
    }
}

fn sync_hand(fs: &Fs, hand: Vec<Request>) {
    for Request { job, done } in hand {
        done(job.run(fs));
    }
}
