//! Lanes: threads for tasks that write files, one executor each.
//!
//! - L1 All tasks of a lane run on its one thread, so what one of them blocks for, the others wait for.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Where to start tasks: one executor per lane, at least one.
pub(super) struct Lanes(Vec<tokio::runtime::Handle>);

/// The running threads of the lanes.
pub(super) struct LaneThreads(Vec<(oneshot::Sender<()>, JoinHandle<()>)>);

/// Starts `count` lanes.
pub(super) fn start(count: usize) -> io::Result<(Lanes, LaneThreads)> {
    let mut handles = Vec::with_capacity(count);
    let mut threads = Vec::with_capacity(count);
    for lane in 0..count {
        // No sockets here: without them a lane is woken by a futex, which is cheaper than through epoll.
        let executor = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        handles.push(executor.handle().clone());
        let thread = thread::Builder::new().name(format!("ottla-lane-{lane}")).spawn(move || {
            // An error means that the sender is gone, which is the end as well.
            let _ = executor.block_on(stopped);
        })?;
        threads.push((stop, thread));
    }
    Ok((Lanes(handles), LaneThreads(threads)))
}

impl Lanes {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn spawn(
        &self,
        lane: usize,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.0[lane % self.0.len()].spawn(future).abort_handle()
    }
}

impl LaneThreads {
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
