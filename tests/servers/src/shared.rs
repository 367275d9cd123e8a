//! A server that several tests of one process have together, each with a database of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A server that is there while anybody has it.
pub(crate) struct Shared<S>(Mutex<Weak<S>>);

impl<S> Shared<S> {
    pub(crate) const fn new() -> Shared<S> {
        Shared(Mutex::new(Weak::new()))
    }

    /// The one that is there, or a new one.
    pub(crate) fn get(&self, start: impl FnOnce() -> Option<S>) -> Option<Arc<S>> {
        // Where somebody's start failed there is none, and the next one says why.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = known.upgrade() {
            return Some(server);
        }
        let server = Arc::new(start()?);
        *known = Arc::downgrade(&server);
        Some(server)
    }
}
