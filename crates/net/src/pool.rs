//! The memory that requests in flight may take together (D8).
//!
//! - Q1 Shares add up to no more than the pool, its reserve and one largest frame: whoever cannot get its share may take
//!   the overdraft, which only one has at a time.
//! - Q2 No deadlock: many half-read frames may hold the pool between them, but the one with the overdraft reads on and
//!   is answered, which needs nothing from the pool.
//! - Q3 Small frames have the reserve to themselves, so heartbeats, commits and acknowledgements, which let others
//!   give memory back, get through while large ones hold the whole pool.

use std::sync::Arc;

use rt::channel::{OwnedSemaphorePermit, Semaphore};

/// The pool; clones share it.
#[derive(Clone)]
pub(crate) struct Pool {
    bytes: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
}

/// Which part of the pool a frame is charged to (Q3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// The reserve.
    Small,
    /// What all large frames share.
    Large,
}

/// What one allocation holds of the pool; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    size: Size,
    bytes: usize,
    granted: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool of so many bytes for large frames, and so many for small ones.
    pub(crate) fn new(bytes: usize, reserve: usize) -> Pool {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Pool { bytes: semaphore(bytes), reserve: semaphore(reserve), overdraft: semaphore(1) }
    }

    /// Waits for a share of `bytes`. Dropping the future loses the place in the queue and nothing else.
    pub(crate) async fn share(&self, size: Size, bytes: usize) -> Share {
        let mut share = Share { size, bytes: 0, granted: None, overdraft: None };
        self.grow(&mut share, bytes).await;
        share
    }

    /// Waits until `share` covers `bytes`; it is dropped half-way as [`Pool::share`] is.
    pub(crate) async fn grow(&self, share: &mut Share, bytes: usize) {
        let missing = bytes.saturating_sub(share.bytes);
        if missing == 0 {
            return;
        }
        if share.overdraft.is_none() {
            let from = match share.size {
                Size::Small => &self.reserve,
                Size::Large => &self.bytes,
            };
            let permits = u32::try_from(missing).expect("a frame's size came as an int32");
            rt::select! {
                granted = from.clone().acquire_many_owned(permits) => {
                    let granted = granted.expect("the pool is never closed");
                    match &mut share.granted {
                        Some(before) => before.merge(granted),
                        none => *none = Some(granted),
                    }
                }
                overdraft = self.overdraft.clone().acquire_owned() => {
                    share.overdraft = Some(overdraft.expect("the pool is never closed"));
                }
            }
        }
        share.bytes = bytes;
    }

    /// Bytes that are free for large frames, and for small ones.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> (usize, usize) {
        (self.bytes.available_permits(), self.reserve.available_permits())
    }
}

impl Share {
    /// Another share with this one's overdraft, if it has that: waiting for it again would be waiting for oneself.
    pub(crate) fn overdrawn(&mut self, size: Size, bytes: usize) -> Option<Share> {
        let overdraft = self.overdraft.take()?;
        Some(Share { size, bytes, granted: None, overdraft: Some(overdraft) })
    }

    /// Which part of the pool it is from.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// How many bytes it covers.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
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
            let pool = Pool::new(100, 10);
            let mut one = pool.share(Size::Large, 30).await;
            pool.grow(&mut one, 60).await;
            pool.grow(&mut one, 20).await;
            assert_eq!((one.bytes(), pool.free_bytes()), (60, (40, 10)));
            let mut two = pool.share(Size::Large, 41).await;
            pool.grow(&mut two, 1_000).await;
            assert!(two.overdraft.is_some() && one.overdraft.is_none());
            let second = Duration::from_secs(1);
            assert!(rt.timeout(second, pool.share(Size::Large, 90)).await.is_err(), "nothing is left");
            let small = pool.share(Size::Small, 10).await;
            assert_eq!(pool.free_bytes(), (40, 0), "small ones have their own");
            assert!(rt.timeout(second, pool.share(Size::Small, 1)).await.is_err(), "and no more than that");
            drop(two);
            let three = pool.share(Size::Large, 90).await;
            drop((one, three, small));
            assert_eq!(pool.free_bytes(), (100, 10));
        });
    }
}
