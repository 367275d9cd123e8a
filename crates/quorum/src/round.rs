//! What is on its way to be durable: the entries of one sync, and who waits for it.

use std::sync::Arc;

use meta::{Image, Index};
use rt::channel::oneshot;

use crate::error::QuorumError;
use crate::quorum::Committed;

/// What a caller hears of his update.
pub(crate) struct Written {
    pub(crate) index: Option<Index>,
    pub(crate) image: Arc<Image>,
}

/// Who waits.
pub(crate) type Done = oneshot::Sender<Result<Written, QuorumError>>;

/// An update that was decided and, where it has an entry, appended.
pub(crate) struct Admitted {
    pub(crate) entry: Option<Committed>,
    pub(crate) done: Done,
}

impl Admitted {
    /// Tells the caller that all he was decided on is durable.
    pub(crate) fn succeed(done: Done, index: Option<Index>, image: &Arc<Image>) {
        // A caller that gave up hears nothing; its change stands.
        drop(done.send(Ok(Written { index, image: Arc::clone(image) })));
    }

    /// Tells the caller that nobody knows.
    pub(crate) fn fail(self, error: QuorumError) {
        drop(self.done.send(Err(error)));
    }
}
