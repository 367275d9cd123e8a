//! Lanes: threads for tasks that write files, one executor each, and one more for the task that syncs them.
//!
//! - L1 All tasks of a lane run on its one thread, so what one of them blocks for, the others wait for.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Where to start tasks: one executor per lane, at least one, and the one that syncs.
pub(super) struct Lanes {
    writing: Vec<tokio::runtime::Handle>,
    syncing: tokio::runtime::Handle,
}

/// The running threads of the lanes.
pub(super) struct LaneThreads(Vec<(oneshot::Sender<()>, JoinHandle<()>)>);

/// Starts `count` lanes and the one that syncs.
pub(super) fn start(count: usize) -> io::Result<(Lanes, LaneThreads)> {
    let mut threads = LaneThreads(Vec::with_capacity(count + 1));
    let writing =
        (0..count).map(|lane| threads.start(format!("ottla-lane-{lane}"))).collect::<Result<_, _>>()?;
    let syncing = threads.start("ottla-sync".to_owned())?;
    Ok((Lanes { writing, syncing }, threads))
}

impl Lanes {
    pub(super) fn count(&self) -> usize {
        self.writing.len()
    }

    pub(super) fn spawn(
        &self,
        lane: usize,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.writing[lane % self.writing.len()].spawn(future).abort_handle()
    }

    pub(super) fn spawn_syncing(&self, future: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.syncing.spawn(future).abort_handle()
    }
}

impl LaneThreads {
    fn start(&mut self, name: String) -> io::Result<tokio::runtime::Handle> {
        // No sockets here: without them a lane is woken by a futex, which is cheaper than through epoll.
        let executor = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let handle = executor.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(name).spawn(move || {
            // An error means that the sender is gone, which is the end as well.
            let _ = executor.block_on(stopped);
        })?;
        self.0.push((stop, thread));
        Ok(handle)
    }

    /// Ends the lanes at their tasks' next suspension points, dropping what still runs, and waits for the threads.
    pub(super) fn stop(self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        drop(stops);
        for thread in threads {
            // A lane's thread runs nothing that can panic outside a task, and tasks catch their own.
            let _ = thread.join();
        }
    }
}
