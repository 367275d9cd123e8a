//! A member of a group, as a task that may be asked to go or be killed.

use rt::channel::oneshot;
use rt::{Rt, Task};

/// A member; dropping it kills it.
pub(crate) struct Member {
    stop: Option<oneshot::Sender<()>>,
    done: Option<oneshot::Receiver<()>>,
    task: Task,
}

impl Member {
    /// Starts `work`, which is to end soon after what it is given.
    pub(crate) fn start<F>(rt: &Rt, work: impl FnOnce(oneshot::Receiver<()>) -> F) -> Member
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, told) = oneshot::channel();
        let (ended, done) = oneshot::channel();
        let work = work(told);
        let task = rt.spawn("demo-member", async move {
            work.await;
            // Whoever killed it does not wait.
            let _ = ended.send(());
        });
        Member { stop: Some(stop), done: Some(done), task }
    }

    /// Lets it finish what it does and leave its group.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(done) = self.done.take() {
            // It may have ended before.
            let _ = done.await;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}
