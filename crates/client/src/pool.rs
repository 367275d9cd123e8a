//! The connections of one client: at most one a node and lane, made when first needed, made again when they break.
//!
//! - O1 Two callers that need the same connection wait for one attempt, they do not make two.
//!
//! A lane is a connection of one's own: fetches that wait for data and joins that wait for members must not hold up
//! what is behind them, since a broker answers a connection in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::BrokerId;
use rt::Rt;
use rt::channel;

use crate::connection::{Connection, Peer};
use crate::error::Error;

/// Which of a node's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u32);

impl Lane {
    /// The lane for short questions that anybody may share.
    pub(crate) const SHARED: Lane = Lane(0);
}

type Slot = Arc<channel::Mutex<Option<Connection>>>;

/// See the module.
#[derive(Default)]
pub(crate) struct Pool {
    slots: Mutex<BTreeMap<(BrokerId, Lane), Slot>>,
    lanes: AtomicU32,
}

impl Pool {
    /// A lane nobody else uses.
    pub(crate) fn new_lane(&self) -> Lane {
        Lane(self.lanes.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The open connection to `node` on `lane`, if there is one.
    pub(crate) fn get(&self, node: BrokerId, lane: Lane) -> Option<Connection> {
        let slot = self.slot(node, lane);
        let connection = slot.try_lock().ok()?.clone();
        connection.filter(Connection::is_open)
    }

    /// The connection to `node` on `lane`, made at `peer` if there is none (O1).
    pub(crate) async fn open(
        &self,
        rt: &Rt,
        node: BrokerId,
        lane: Lane,
        peer: &Peer,
    ) -> Result<Connection, Error> {
        let slot = self.slot(node, lane);
        let mut current = slot.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.is_open()) {
            return Ok(connection.clone());
        }
        *current = None;
        let connection = Connection::open(rt, peer).await?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    /// Gives up the connections of a lane whose owner is gone.
    pub(crate) fn close_lane(&self, lane: Lane) {
        self.slots().retain(|(_, of), _| *of != lane);
    }

    fn slot(&self, node: BrokerId, lane: Lane) -> Slot {
        self.slots().entry((node, lane)).or_default().clone()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, BTreeMap<(BrokerId, Lane), Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
