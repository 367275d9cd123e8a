//! Producer ids, drawn from blocks that the controller hands out (KIP-730).
//!
//! - An id is given once in the cluster's life: a block that was begun before a restart is never gone back to.

use std::ops::Range;

use model::ProducerId;
use rt::channel::Mutex;

/// What is left of this broker's block.
#[derive(Default)]
pub struct ProducerIds {
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// The next id; `allocate` is asked for a new block when the last one is used up, by one caller at a time.
    pub async fn next<E, F>(&self, allocate: impl FnOnce() -> F) -> Result<ProducerId, E>
    where
        F: Future<Output = Result<Range<i64>, E>>,
    {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            *block = allocate().await?;
        }
        let id = block.start;
        block.start += 1;
        Ok(ProducerId(id))
    }
}
