//! [`Rt`]: the handle from which everything else takes its time, randomness, tasks, files and sockets.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::{Fs, Instant, Listener, Stream, Task, Transport, os, sim, socket, task};

/// The door to the outside world: cheap to clone, given to everything that needs time, randomness, tasks, files or
/// sockets. Behind it is the operating system or the simulator.
#[derive(Clone)]
pub struct Rt {
    kind: Kind,
    fs: Fs,
}

#[derive(Clone)]
enum Kind {
    Os(Arc<os::Runtime>),
    Sim(sim::Handle),
}

/// The time given to [`Rt::timeout`] passed before the future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time for it passed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

impl Rt {
    pub(crate) fn os(runtime: Arc<os::Runtime>) -> Rt {
        Rt { kind: Kind::Os(runtime), fs: Fs::os() }
    }

    pub(crate) fn sim(node: sim::Handle) -> Rt {
        Rt { fs: Fs::sim(node.clone()), kind: Kind::Sim(node) }
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::Os(runtime) => runtime.now(),
            Kind::Sim(node) => node.now(),
        }
    }

    /// Milliseconds since the Unix epoch. May jump; for timestamps, never for waiting.
    pub fn wall_clock_ms(&self) -> i64 {
        match &self.kind {
            Kind::Os(runtime) => runtime.wall_clock_ms(),
            Kind::Sim(node) => node.wall_clock_ms(),
        }
    }

    /// `N` random bytes, good enough for identifiers that must be unique.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.kind {
            Kind::Os(runtime) => runtime.fill_random(&mut bytes),
            Kind::Sim(node) => node.fill_random(&mut bytes),
        }
        bytes
    }

    /// A random number over the whole range.
    pub fn random_u64(&self) -> u64 {
        u64::from_le_bytes(self.random_bytes())
    }

    /// Starts a task on any thread. Dropping the handle lets the task run on.
    /// The simulator's trace and its deadlock report call it `name`.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.kind {
            Kind::Os(runtime) => Task(task::Kind::Os(runtime.spawn(future))),
            Kind::Sim(node) => Task(task::Kind::Sim(node.spawn(name, future))),
        }
    }

    /// How many lanes there are: threads on which blocking file writes are fine. At least one.
    pub fn lanes(&self) -> usize {
        match &self.kind {
            Kind::Os(runtime) => runtime.lanes(),
            Kind::Sim(node) => node.lanes(),
        }
    }

    /// Starts a task on lane `lane` modulo [`Rt::lanes`]; all tasks of a lane share one thread.
    pub fn spawn_on_lane<F>(&self, lane: usize, name: &'static str, future: F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.kind {
            Kind::Os(runtime) => Task(task::Kind::Os(runtime.spawn_on_lane(lane, future))),
            Kind::Sim(node) => Task(task::Kind::Sim(node.spawn(name, future))),
        }
    }

    /// Starts a task on the one thread for tasks that wait for syncs with [`Rt::blocking_here`].
    pub fn spawn_on_sync_lane<F>(&self, name: &'static str, future: F) -> Task
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match &self.kind {
            Kind::Os(runtime) => Task(task::Kind::Os(runtime.spawn_on_sync_lane(future))),
            Kind::Sim(node) => Task(task::Kind::Sim(node.spawn(name, future))),
        }
    }

    /// How many files and sockets the process may have open at a time.
    pub fn descriptors_max(&self) -> u32 {
        match &self.kind {
            Kind::Os(_) => os::descriptors_max(),
            Kind::Sim(_) => u32::MAX,
        }
    }

    /// Waits for `duration`; the system's timers are exact to a millisecond.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Waits until the clock reaches `at`; returns at once when it already did.
    pub async fn sleep_until(&self, at: Instant) {
        match &self.kind {
            Kind::Os(runtime) => runtime.sleep_until(at).await,
            Kind::Sim(node) => node.sleep_until(at).await,
        }
    }

    /// Waits for `future`, but not longer than `duration`. When both are ready the future wins.
    pub async fn timeout<T>(
        &self,
        duration: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        crate::select! {
            value = future => Ok(value),
            () = self.sleep(duration) => Err(Elapsed),
        }
    }

    /// Runs `work` where it may block. Dropping the returned future does not stop work that has begun.
    /// A panic in `work` goes on in the caller.
    pub async fn blocking<T, W>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match &self.kind {
            Kind::Os(runtime) => runtime.blocking(work).await,
            Kind::Sim(node) => node.blocking(work).await,
        }
    }

    /// Does blocking work that borrows, on the thread of this task, whose other tasks go on elsewhere meanwhile: for any task
    /// but those of lanes. It is done to its end even if the task is aborted.
    pub async fn blocking_in_place<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.kind {
            Kind::Os(_) => os::blocking_in_place(work),
            Kind::Sim(node) => node.blocking(work).await,
        }
    }

    /// Does blocking work on the thread of this task, which other tasks of the thread wait for: for lanes only. It takes
    /// what [`Rt::blocking`] takes less two hand-overs between threads.
    pub async fn blocking_here<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.kind {
            Kind::Os(_) => work(),
            Kind::Sim(node) => node.blocking(work).await,
        }
    }

    /// The file system. Its calls block: make them on a lane or inside [`Rt::blocking`].
    pub fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Listens on `address`; port 0 takes a free one. An address in the process's own TIME_WAIT can be taken again.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        match &self.kind {
            Kind::Os(runtime) => Ok(Listener(socket::ListenerKind::Os(runtime.listen(address)?))),
            Kind::Sim(node) => Ok(Listener(socket::ListenerKind::Sim(node.listen(address)?))),
        }
    }

    /// The addresses that a host name, or an address literal, stands for.
    pub async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match &self.kind {
            Kind::Os(_) => os::lookup(host).await,
            Kind::Sim(node) => node.lookup(host).await,
        }
    }

    /// A connection to a socket of this machine's, for a driver that brings its own protocol ([`Stream::into_transport`]).
    pub async fn connect_local(&self, path: &Path) -> io::Result<impl Transport> {
        match &self.kind {
            Kind::Os(_) => os::connect_local(path).await,
            Kind::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Connects to a host name or address literal, trying each address it resolves to.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        match &self.kind {
            Kind::Os(runtime) => Ok(Stream(socket::StreamKind::Os(runtime.connect(host, port).await?))),
            Kind::Sim(node) => Ok(Stream(socket::StreamKind::Sim(node.connect(host, port).await?))),
        }
    }
}
