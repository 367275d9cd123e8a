//! How long to wait before trying again.
//!
//! Exponential with jitter (KIP-580), so that clients that failed together do not come back together.

use std::time::Duration;

use rt::{Instant, Rt};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// The wait after the attempt numbered `attempt` from zero: 50 ms doubling to 1 s, of which a random fifth is taken off.
pub fn delay(rt: &Rt, attempt: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << attempt.min(5)).min(LONGEST);
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis - rt.random_u64() % (millis / 5 + 1))
}

/// The attempts of one operation, until its deadline.
#[derive(Debug)]
pub(crate) struct Backoff {
    attempt: u32,
    deadline: Instant,
}

impl Backoff {
    /// Attempts from now on for `budget`.
    pub(crate) fn new(rt: &Rt, budget: Duration) -> Backoff {
        Backoff { attempt: 0, deadline: rt.now() + budget }
    }

    /// Waits before the next attempt; `error`, what the last one ended with, is the answer when there is no time left.
    pub(crate) async fn wait<E>(&mut self, rt: &Rt, error: E) -> Result<(), E> {
        let delay = delay(rt, self.attempt);
        if self.deadline < rt.now() + delay {
            return Err(error);
        }
        self.attempt += 1;
        rt.sleep(delay).await;
        Ok(())
    }
}
