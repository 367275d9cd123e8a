//! Who may connect: how many connections in all, from one address, and how fast they come.
//!
//! - A1 No more than `total` places are held at a time; whoever wants one more waits, and with it the listener.
//! - A2 No more connections of one address are served than `of_address` has for it, or else `per_address`; one more is closed.
//! - A3 No more than `per_second` connections are taken in a second, after at most as many at once.
//!
//! Limits may change at any time; what is connected stays.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::limits;
use rt::channel::watch;
use rt::{Instant, Rt};

/// How many connections there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// At a time; every listener keeps one place for its next (A1).
    pub total: u32,
    /// At a time from one address (A2).
    pub per_address: u32,
    /// At a time from addresses that have a limit of their own (A2).
    pub of_address: BTreeMap<IpAddr, u32>,
    /// New ones in a second (A3).
    pub per_second: u32,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            total: limits::CONNECTIONS_MAX,
            per_address: u32::MAX,
            of_address: BTreeMap::new(),
            per_second: u32::MAX,
        }
    }
}

/// Counts connections; clones share the counts.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    limits: watch::Sender<ConnectionLimits>,
    counts: Mutex<Counts>,
    /// How many places are held; watched by those who want one, and by the end of a server.
    held: watch::Sender<u32>,
}

struct Counts {
    by_address: BTreeMap<IpAddr, u32>,
    /// Until when the connections that were taken use up what A3 allows.
    paid_until: Instant,
}

/// A place for one connection; dropping it lets the next one come.
pub(crate) struct Place {
    shared: Arc<Shared>,
    address: Option<IpAddr>,
}

impl Admission {
    /// Nobody is connected.
    pub fn new(limits: ConnectionLimits) -> Admission {
        let counts = Counts { by_address: BTreeMap::new(), paid_until: Instant::START };
        Admission(Arc::new(Shared {
            limits: watch::channel(limits).0,
            counts: Mutex::new(counts),
            held: watch::channel(0).0,
        }))
    }

    /// Changes the limits for those who come from now on.
    pub fn change(&self, change: impl FnOnce(&mut ConnectionLimits)) {
        self.0.limits.send_modify(change);
    }

    /// Waits for a place (A1), and until the next connection may be taken (A3).
    pub(crate) async fn place(&self, rt: &Rt) -> Place {
        let (mut held, mut limits) = (self.0.held.subscribe(), self.0.limits.subscribe());
        loop {
            let total = limits.borrow_and_update().total;
            held.mark_unchanged();
            let has_room = |held: &mut u32| {
                let has_room = *held < total;
                *held += u32::from(has_room);
                has_room
            };
            if self.0.held.send_if_modified(has_room) {
                break;
            }
            rt::select! {
                _ = held.changed() => {}
                _ = limits.changed() => {}
            }
        }
        let place = Place { shared: Arc::clone(&self.0), address: None };
        let paid_until = self.0.counts().paid_until;
        rt.sleep_until(paid_until).await;
        place
    }

    /// Waits until nobody is connected.
    pub(crate) async fn nobody(&self) {
        // The sender is in `self`.
        let _ = self.0.held.subscribe().wait_for(|held| *held == 0).await;
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives the place to a connection from `address`; `false` when that has as many as it may (A2).
    pub(crate) fn take(&mut self, address: IpAddr, now: Instant) -> bool {
        let limits = self.shared.limits.borrow();
        let mut counts = self.shared.counts();
        // At most a second's worth comes at once (A3).
        let second = Duration::from_secs(1);
        let unused = counts.paid_until.max(Instant::START + now.since_start().saturating_sub(second));
        counts.paid_until = unused + second / limits.per_second.max(1);
        let from_there = counts.by_address.get(&address).copied().unwrap_or(0);
        let allowed = limits.of_address.get(&address).unwrap_or(&limits.per_address);
        if *allowed <= from_there {
            return false;
        }
        counts.by_address.insert(address, from_there + 1);
        self.address = Some(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            let mut counts = self.shared.counts();
            if let Some(from_there) = counts.by_address.get_mut(&address) {
                *from_there -= 1;
                if *from_there == 0 {
                    counts.by_address.remove(&address);
                }
            }
        }
        self.shared.held.send_modify(|held| *held -= 1);
    }
}
