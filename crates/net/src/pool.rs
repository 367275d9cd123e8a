//! The memory that requests in flight may take together (D8).
//!
//! - Q1 Shares add up to no more than the pool and one largest frame: whoever cannot get its share from the pool may
//!   take the overdraft, which only one has at a time.
//! - Q2 No deadlock: many half-read frames may hold the pool between them, but the one with the overdraft reads on and
//!   is answered, which needs nothing from the pool.

use std::sync::Arc;

use rt::channel::{OwnedSemaphorePermit, Semaphore};

/// The pool; clones share it.
#[derive(Clone)]
pub(crate) struct Pool {
    bytes: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
}

/// What one frame holds of the pool; dropping it gives it back.
#[derive(Default)]
pub(crate) struct Share {
    bytes: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool of so many bytes.
    pub(crate) fn new(bytes: usize) -> Pool {
        Pool { bytes: Arc::new(Semaphore::new(bytes)), overdraft: Arc::new(Semaphore::new(1)) }
    }

    /// Waits until `share` covers `bytes`. Dropping the future loses the place in the queue and nothing else.
    pub(crate) async fn grow(&self, share: &mut Share, bytes: usize) {
        let missing = bytes.saturating_sub(share.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if missing == 0 || share.overdraft.is_some() {
            return;
        }
        let missing = u32::try_from(missing).expect("a frame's size came as an int32");
        rt::select! {
            granted = self.bytes.clone().acquire_many_owned(missing) => {
                let granted = granted.expect("the pool is never closed");
                match &mut share.bytes {
                    Some(bytes) => bytes.merge(granted),
                    none => *none = Some(granted),
                }
            }
            overdraft = self.overdraft.clone().acquire_owned() => {
                share.overdraft = Some(overdraft.expect("the pool is never closed"));
            }
        }
    }

    /// Bytes that are free.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.bytes.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rt::sim::Sim;
    use std::time::Duration;

    #[test]
    fn shares_grow_until_the_pool_is_empty_and_one_may_overdraw() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        sim.run(async {
            let pool = Pool::new(100);
            let (mut one, mut two, mut three) = (Share::default(), Share::default(), Share::default());
            pool.grow(&mut one, 30).await;
            pool.grow(&mut one, 60).await;
            pool.grow(&mut one, 20).await;
            assert_eq!(pool.free_bytes(), 40);
            pool.grow(&mut two, 41).await;
            pool.grow(&mut two, 1_000).await;
            assert!(two.overdraft.is_some() && one.overdraft.is_none());
            let second = Duration::from_secs(1);
            assert!(rt.timeout(second, pool.grow(&mut three, 90)).await.is_err(), "nothing is left");
            drop(two);
            pool.grow(&mut three, 90).await;
            drop((one, three));
            assert_eq!(pool.free_bytes(), 100);
        });
    }
}
