//! A handle to a started task.

use crate::sim;

/// A started task. Dropping the handle lets the task run on.
#[derive(Debug, Clone)]
pub struct Task(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Os(tokio::task::AbortHandle),
    Sim(sim::Task),
}

impl Task {
    /// Ends the task at its next suspension point; its future is dropped. Does nothing to a finished task.
    pub fn abort(&self) {
        match &self.0 {
            Kind::Os(handle) => handle.abort(),
            Kind::Sim(task) => task.abort(),
        }
    }

    /// Whether the task ran to its end, was aborted or panicked.
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Kind::Os(handle) => handle.is_finished(),
            Kind::Sim(task) => task.is_finished(),
        }
    }
}
