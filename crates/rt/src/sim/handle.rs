//! One life of one node, as [`crate::Rt`] and [`crate::Fs`] see it.

use std::future::{Future, poll_fn};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::disk::{InodeId, Removed};
use super::files::{File, Lock};
use super::sockets::{Listener, Stream};
use super::world::{DiskCall, Event, EventKey, Life, TaskId, World, is_dead};
use crate::{Entry, Instant, Open};

/// What the wall clock says at the start of every simulation, ms: 2023-11-14T22:13:20Z.
const WALL_CLOCK_START_MS: i64 = 1_700_000_000_000;

/// Lanes of a simulated node: more than one, so that what must not depend on sharing a lane is seen.
const LANES: usize = 2;

/// What the simulator's half of `Rt` needs.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(super) world: Arc<World>,
    pub(super) life: Life,
}

/// A started task.
#[derive(Clone)]
pub(crate) struct Task {
    world: Arc<World>,
    id: TaskId,
}

impl Task {
    pub(crate) fn abort(&self) {
        self.world.abort(self.id);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.world.is_finished(self.id)
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Task").field(&self.id).finish()
    }
}

impl Handle {
    pub(crate) fn now(&self) -> Instant {
        self.world.lock().instant()
    }

    pub(crate) fn wall_clock_ms(&self) -> i64 {
        WALL_CLOCK_START_MS
            + i64::try_from(self.now().as_millis()).expect("a simulation is shorter than an age")
    }

    pub(crate) fn fill_random(&self, bytes: &mut [u8]) {
        self.world.lock().random.fill(bytes);
    }

    pub(crate) fn spawn(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        let id = self.world.spawn(self.life, name, Box::pin(future));
        Task { world: self.world.clone(), id }
    }

    pub(crate) fn lanes(&self) -> usize {
        LANES
    }

    pub(crate) async fn sleep_until(&self, at: Instant) {
        Sleep { world: &self.world, at, key: None }.await;
    }

    pub(crate) async fn blocking<T>(&self, work: impl FnOnce() -> T) -> T {
        // A latency on both sides, so that a node may die before the work, or after it and before its answer.
        self.blocking_latency().await;
        let value = work();
        self.blocking_latency().await;
        value
    }

    async fn blocking_latency(&self) {
        let at = {
            let mut state = self.world.lock();
            let range = state.node(self.life.node).blocking_latency.clone();
            let latency = state.random.within(range);
            state.instant() + Duration::from_nanos(latency)
        };
        self.sleep_until(at).await;
    }

    pub(crate) fn listen(&self, address: std::net::SocketAddr) -> io::Result<Listener> {
        let bound = self.world.lock().listen(self.life, address);
        let bound =
            bound.map_err(|err| io::Error::new(err.kind(), format!("cannot listen on {address}: {err}")))?;
        Ok(Listener::new(self.clone(), bound))
    }

    pub(crate) async fn connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        let connected = self.try_connect(host, port).await;
        connected.map_err(|err| io::Error::new(err.kind(), format!("cannot connect to {host}:{port}: {err}")))
    }

    pub(crate) async fn lookup(&self, host: &str) -> io::Result<Vec<std::net::IpAddr>> {
        let at = {
            let state = self.world.lock();
            state.instant() + state.network.lookup_latency
        };
        self.sleep_until(at).await;
        Ok(vec![self.world.lock().resolve(self.life.node, host)?.1])
    }

    async fn try_connect(&self, host: &str, port: u16) -> io::Result<Stream> {
        let (node, ip) = self.world.lock().resolve(self.life.node, host)?;
        self.network_latency().await;
        poll_fn(|context| {
            let network = &mut self.world.lock().network;
            if network.is_partitioned(self.life.node, node) {
                network.watch_heal(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let opened = self.world.lock().open_connection(self.life, node, (ip, port).into());
        let (end, wakers) = opened?;
        let stream = Stream::new(self.world.clone(), end);
        wakers.into_iter().for_each(std::task::Waker::wake);
        self.network_latency().await;
        Ok(stream)
    }

    async fn network_latency(&self) {
        let at = {
            let mut state = self.world.lock();
            let range = state.network.latency.clone();
            let latency = state.random.within(range);
            state.instant() + Duration::from_nanos(latency)
        };
        self.sleep_until(at).await;
    }

    pub(crate) fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        let inode = self.open_inode(path, how)?;
        Ok(File::new(self.clone(), inode, path.to_owned(), how))
    }

    fn open_inode(&self, path: &Path, how: Open) -> io::Result<InodeId> {
        let changes = match how {
            Open::Read | Open::ReadWrite => false,
            Open::Create | Open::CreateNew => true,
        };
        let call = DiskCall { changes, what: format_args!("open {how:?} {}", path.display()) };
        self.world.disk_call(self.life, call, |disk| disk.open(path, how))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(format_args!("rename {} {}", from.display(), to.display()), |disk| disk.rename(from, to))
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(format_args!("remove {}", path.display()), |disk| disk.remove(path, Removed::File))
    }

    pub(crate) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        for entry in self.read_dir(path)? {
            let inside = path.join(&entry.name);
            if entry.is_dir { self.remove_dir_all(&inside)? } else { self.remove_file(&inside)? }
        }
        self.change(format_args!("remove {}", path.display()), |disk| disk.remove(path, Removed::Directory))
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut above = PathBuf::new();
        for component in path.components() {
            above.push(component);
            if matches!(component, Component::Normal(_)) && !self.is_dir(&above)? {
                let here = above.as_path();
                self.change(format_args!("mkdir {}", here.display()), |disk| disk.create_dir(here))?;
            }
        }
        Ok(())
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match self.read_dir(path) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err),
        }
    }

    pub(crate) fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.look(format_args!("list {}", path.display()), |disk| disk.read_dir(path))
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(format_args!("sync directory {}", path.display()), |disk| disk.sync_dir(path))
    }

    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.look(format_args!("look for {}", path.display()), |disk| disk.find(path)) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err),
        }
    }

    pub(crate) fn file_len(&self, path: &Path) -> io::Result<u64> {
        let what = format_args!("length of {}", path.display());
        self.look(what, |disk| disk.find(path).and_then(|inode| disk.len(inode)))
    }

    pub(crate) fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let what = format_args!("time of {}", path.display());
        self.look(what, |disk| disk.find(path).and_then(|inode| disk.modified_ms(inode)))
    }

    pub(crate) fn lock_exclusive(&self, path: &Path) -> io::Result<Lock> {
        let file = self.open(path, Open::Create)?;
        Lock::take(file)
    }

    pub(crate) fn sync_filesystem(&self) -> io::Result<()> {
        self.change(format_args!("sync everything"), super::disk::Disk::sync_everything)
    }

    pub(crate) fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let what = format_args!("free bytes at {}", path.display());
        self.look(what, |disk| disk.find(path).map(|_| disk.free_bytes()))
    }

    pub(crate) fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        let what = format_args!("size of the file system at {}", path.display());
        self.look(what, |disk| disk.find(path).map(|_| disk.total_bytes()))
    }

    pub(super) fn change<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        work: impl FnOnce(&mut super::disk::Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        self.world.disk_call(self.life, DiskCall { changes: true, what }, work)
    }

    pub(super) fn look<T>(
        &self,
        what: std::fmt::Arguments<'_>,
        work: impl FnOnce(&mut super::disk::Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        self.world.disk_call(self.life, DiskCall { changes: false, what }, work)
    }

    /// The error of whatever the dead ask.
    pub(super) fn check_alive(&self) -> io::Result<()> {
        if self.world.lock().is_alive(self.life) { Ok(()) } else { Err(is_dead()) }
    }
}

/// A timer: registered when it is first polled, withdrawn when it is dropped.
struct Sleep<'a> {
    world: &'a Arc<World>,
    at: Instant,
    key: Option<EventKey>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut state = world.lock();
        if let Some(key) = self.key.take() {
            state.cancel(key);
        }
        if self.at <= state.instant() {
            return Poll::Ready(());
        }
        self.key = Some(state.at(self.at.as_nanos(), Event::Wake(context.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.lock().cancel(key);
        }
    }
}
