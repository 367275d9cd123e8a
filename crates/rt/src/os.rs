//! The operating system behind the door.
//!
//! - O1 Tasks run on one thread a core; lanes are threads of their own, so a blocking write stalls only its lane.
//! - O2 Blocking work runs on a pool of at most [`BLOCKING_THREADS_MAX`] threads that end when idle.
//!
//! The one module that calls what clippy forbids elsewhere.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this module is the door that the lint sends everybody else to"
)]

mod files;
mod lanes;
mod sockets;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;

pub(crate) use files::{
    File, create_dir_all, exists, file_len, free_bytes, lock_exclusive, modified_ms, read_dir,
    remove_dir_all, remove_file, rename, sync_dir, total_bytes,
};
use lanes::Lanes;
pub(crate) use sockets::{Listener, More, Stream, connect_local, lookup};

use crate::{Instant, Rt};

/// Threads for blocking work: enough to keep a disk's queue full, few enough to stay small.
const BLOCKING_THREADS_MAX: usize = 64;

/// Free memory that each of the allocator's arenas may keep: as much as a burst of requests takes.
const KEPT_FREE_BYTES: usize = 32 * 1024 * 1024;

/// How long [`run`] waits at its end for blocking work that has begun.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(500);

/// What the operating system's half of [`Rt`] needs.
pub(crate) struct Runtime {
    started: std::time::Instant,
    tasks: tokio::runtime::Handle,
    lanes: Lanes,
}

/// Runs `main` with an [`Rt`] on the operating system and returns what it returns; tasks that are still running end.
///
/// Raises the soft limit of open files to the hard one: a thousand descriptors, the usual soft limit, are few
/// connections and fewer segments, and nothing here calls `select`, for whose sake it is low.
///
/// # Errors
/// When the system refuses the threads or the descriptors to begin with.
pub fn run<T, M, F>(main: M) -> io::Result<T>
where
    M: FnOnce(Rt) -> F,
    F: Future<Output = T>,
{
    raise_open_files_limit();
    keep_freed_memory();
    let cores = thread::available_parallelism()?.get();
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("ottla-task")
        .enable_all()
        .build()?;
    let (lanes, threads) = lanes::start((cores / 2).max(1))?;
    let runtime = Runtime { started: std::time::Instant::now(), tasks: tasks.handle().clone(), lanes };
    let value = tasks.block_on(main(Rt::os(Arc::new(runtime))));
    threads.stop();
    tasks.shutdown_timeout(SHUTDOWN_WAIT);
    Ok(value)
}

fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // A system that refuses leaves the old limit, with which everything works until it is reached.
    let _ = setrlimit(Resource::Nofile, raised);
}

pub(crate) fn descriptors_max() -> u32 {
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(u32::MAX)
}

/// Lets the allocator keep what is freed for what is allocated next.
///
/// glibc gives free memory back beyond twice the largest block it ever unmapped (`mallopt(3)`, "dynamic mmap
/// threshold"), 256 KiB at first: requests of that size then pay for fresh zeroed pages each time. Mapping and unmapping
/// a large block, of which no page is ever touched, raises that. Other allocators do not mind.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_FREE_BYTES / 2)));
}

/// Waits for SIGTERM or SIGINT, from the moment of this call on.
///
/// # Errors
/// When the system refuses the handler.
pub async fn termination_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    crate::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Does work that blocks after the other tasks of this thread have gone to another one.
pub(crate) fn blocking_in_place<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Runtime {
    pub(crate) fn now(&self) -> Instant {
        Instant::START + self.started.elapsed()
    }

    pub(crate) fn wall_clock_ms(&self) -> i64 {
        // A clock set before 1970 reads as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn fill_random(&self, bytes: &mut [u8]) {
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => panic!("the system has no randomness: {errno}"),
            }
        }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.tasks.spawn(future).abort_handle()
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes.count()
    }

    pub(crate) fn spawn_on_lane(
        &self,
        lane: usize,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.lanes.spawn(lane, future)
    }

    pub(crate) fn spawn_on_sync_lane(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.lanes.spawn_syncing(future)
    }

    pub(crate) async fn sleep_until(&self, at: Instant) {
        let since_start = at.since_start();
        match self.started.checked_add(since_start) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            // Beyond what the system's clock can express is never.
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn blocking<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match self.tasks.spawn_blocking(work).await {
            Ok(value) => value,
            Err(err) => match err.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only the end of the runtime cancels work, and it ends the caller too.
                Err(_) => std::future::pending().await,
            },
        }
    }

    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let _context = self.tasks.enter();
        Listener::bind(address)
    }

    pub(crate) async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        Stream::connect(host, port).await
    }
}
