//! A worker's side of the board: it tells how the worker does, and hears whether it is to pause.
//!
//! - R1 Reports never hold up the work nor end it: they are written beside it, and one that cannot be is left out.
//! - R2 What the topic tells is known before the work begins, as far as it can be had in a while.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Client, Error};
use rt::channel::{Notify, watch};
use rt::{Open, Rt, Task};
use sink::Note;

use crate::account::Account;
use crate::board::{Identity, Key, REPORT_INTERVAL, Report};
use crate::topic::{Reader, Writer};

/// How long changes are gathered for one report.
const GATHER: Duration = Duration::from_millis(100);

/// Longest wait for what the topic tells before the work begins (R2).
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Time between two looks for a topic that is not there, or cannot be read.
const LISTEN_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time that the end of a worker waits for its last report.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the machine says its name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
const HOST_NAME_BYTES_MAX: usize = 256;

/// See the module.
pub(crate) struct Reporter {
    shared: Arc<Shared>,
    /// Whether the worker is to pause; nothing until that is known.
    told: watch::Receiver<Option<bool>>,
    pause: watch::Receiver<bool>,
    tasks: [Task; 2],
}

struct Shared {
    client: Client,
    sink: String,
    id: String,
    account: Mutex<Account>,
    changed: Notify,
    writer: Writer,
}

impl Shared {
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self) -> Key {
        Key::Worker { sink: self.sink.clone(), id: self.id.clone() }
    }

    fn report(&self) -> Report {
        let rt = self.client.rt();
        self.account().report(rt.now(), rt.wall_clock_ms())
    }
}

impl Reporter {
    /// Begins to tell and to listen.
    pub(crate) async fn start(client: &Client, sink: &str, identity: Identity) -> Reporter {
        let rt = client.rt();
        let account = Account::new(host_name(rt).await, rt.now(), rt.wall_clock_ms());
        let shared = Arc::new(Shared {
            client: client.clone(),
            sink: sink.to_owned(),
            id: format!("{:08x}", rt.random_u64() >> 32),
            account: Mutex::new(account),
            changed: Notify::new(),
            writer: Writer::new(client),
        });
        let (tell, told) = watch::channel(None);
        let (pausing, pause) = watch::channel(false);
        let tasks = [
            rt.spawn("sink-reports", report(shared.clone(), identity)),
            rt.spawn("sink-control", listen(shared.clone(), tell, pausing)),
        ];
        Reporter { shared, told, pause, tasks }
    }

    /// Whether the worker is to pause.
    pub(crate) fn pause(&self) -> watch::Receiver<bool> {
        self.pause.clone()
    }

    /// Waits until that is known (R2).
    pub(crate) async fn has_listened(&self) {
        let mut told = self.told.clone();
        let known = self.shared.client.rt().timeout(LISTEN_TIMEOUT, told.wait_for(Option::is_some)).await;
        if known.is_err() {
            tracing::debug!("whether the sink is to pause cannot be read: it begins");
        }
    }

    /// Takes in a note of the worker.
    pub(crate) fn hear(&self, note: &Note) {
        let now_ms = self.shared.client.rt().wall_clock_ms();
        if self.shared.account().hear(note, now_ms) {
            self.shared.changed.notify_one();
        }
    }

    /// Tells of the worker's end: takes its record back, unless it is to be seen why it failed.
    pub(crate) async fn close(self, error: Option<String>) {
        self.tasks.iter().for_each(Task::abort);
        let shared = &self.shared;
        let rt = shared.client.rt();
        let last = error.map(|error| shared.account().failed(&error, rt.now(), rt.wall_clock_ms()).to_json());
        let written = rt.timeout(CLOSE_TIMEOUT, shared.writer.write(&[(shared.key(), last)])).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::debug!("the end of a worker was not told");
        }
    }
}

async fn host_name(rt: &Rt) -> String {
    let fs = rt.fs().clone();
    let read = rt.blocking(move || {
        // Such a file does not tell its length.
        let mut name = vec![0; HOST_NAME_BYTES_MAX];
        let length = fs.open(Path::new(HOST_NAME), Open::Read)?.read_at(&mut name, 0)?;
        name.truncate(length);
        std::io::Result::Ok(name)
    });
    let name = read.await.unwrap_or_default();
    String::from_utf8(name).unwrap_or_default().trim().to_owned()
}

/// Writes how the worker does, every now and then and when something changed.
async fn report(shared: Arc<Shared>, identity: Identity) {
    let rt = shared.client.rt();
    let mut identity = Some(identity.to_json());
    let mut attempts = 0;
    loop {
        let mut records = vec![(shared.key(), Some(shared.report().to_json()))];
        records.extend(identity.clone().map(|identity| (Key::Sink(shared.sink.clone()), Some(identity))));
        match shared.writer.write(&records).await {
            Ok(()) => (identity, attempts) = (None, 0),
            Err(error) => {
                tracing::debug!(%error, "a report was not written");
                rt.sleep(client::retry_delay(rt, attempts)).await;
                attempts += 1;
            }
        }
        rt::select! {
            () = rt.sleep(REPORT_INTERVAL) => {}
            () = shared.changed.notified() => rt.sleep(GATHER).await,
        }
    }
}

/// Follows what the sink is told.
async fn listen(shared: Arc<Shared>, tell: watch::Sender<Option<bool>>, pause: watch::Sender<bool>) {
    loop {
        if let Err(error) = follow(&shared, &tell, &pause).await {
            tracing::debug!(%error, "what the sink is told cannot be read");
            if !error.is_retriable() {
                tell.send_if_modified(|told| told.is_none() && told.replace(false).is_none());
            }
        }
        shared.client.rt().sleep(LISTEN_INTERVAL).await;
    }
}

async fn follow(
    shared: &Shared,
    tell: &watch::Sender<Option<bool>>,
    pause: &watch::Sender<bool>,
) -> Result<(), Error> {
    let Some(mut reader) = Reader::open(&shared.client).await? else {
        tell.send_replace(Some(false));
        return Ok(());
    };
    clean_up(shared, &reader).await;
    loop {
        let is_paused = reader.board().sinks().get(&shared.sink).is_some_and(|entry| entry.is_paused);
        pause.send_if_modified(|pause| std::mem::replace(pause, is_paused) != is_paused);
        tell.send_replace(Some(is_paused));
        reader.read_on().await?;
    }
}

/// Takes back what nobody else will: records of workers that died.
async fn clean_up(shared: &Shared, reader: &Reader) {
    let now_ms = shared.client.rt().wall_clock_ms();
    let forgotten = reader.board().clone().forget(Some(&shared.sink), now_ms);
    let records: Vec<_> = forgotten.into_iter().map(|key| (key, None)).collect();
    if let Err(error) = shared.writer.write(&records).await {
        tracing::debug!(%error, "records of dead workers stay");
    }
}
