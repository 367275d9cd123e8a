//! Listeners and the connections they accept.
//!
//! - L1 Connections are accepted only while there are fewer than `connections_max`; the others wait in the kernel.
//! - L2 A stop closes the listeners first, lets calls that were started finish, and then closes what is left.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::limits;
use rt::channel::{OwnedSemaphorePermit, Semaphore, watch};
use rt::{Listener, Rt, Stream};

use crate::connection::{Connection, Shared};
use crate::pool::Pool;
use crate::service::Service;

/// How long a listener waits after a failed accept: descriptors may have run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What a server allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request, bytes.
    pub request_bytes_max: usize,
    /// Bytes of all requests in flight.
    pub pool_bytes: usize,
    /// Pipelined calls of one connection that may wait at a time.
    pub pipelined_max: usize,
    /// Bytes of them; one more frame is read while there are fewer.
    pub pipelined_bytes_max: usize,
    /// Connections at a time; every listener keeps one place for its next.
    pub connections_max: u32,
    /// How long a connection may be silent between requests, or leave an answer unread.
    pub idle: Duration,
    /// How long a half-sent request may make no progress; it holds memory.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            pool_bytes: limits::REQUEST_POOL_BYTES,
            pipelined_max: limits::PIPELINED_PRODUCES_MAX,
            pipelined_bytes_max: limits::PIPELINED_PRODUCE_BYTES_MAX,
            connections_max: limits::CONNECTIONS_MAX,
            // Kafka's connections.max.idle.ms.
            idle: Duration::from_secs(600),
            stall: Duration::from_millis(limits::REQUEST_STALL_MS),
        }
    }
}

/// How far the end of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not at all.
    Serving,
    /// What was started is finished, nothing new is read.
    Stopping,
    /// Whatever is left ends now.
    Over,
}

/// Listeners that do not accept yet, so that addresses can be told before anything is served.
#[derive(Default)]
pub struct Bound {
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// The addresses listened on, in the order they were given, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Adds the listeners of another binding.
    pub fn extend(&mut self, more: Bound) {
        self.listeners.extend(more.listeners);
        self.addresses.extend(more.addresses);
    }
}

/// A running server. Dropping it closes its listeners and connections at once; [`Server::stop`] asks them first.
pub struct Server {
    rt: Rt,
    addresses: Vec<SocketAddr>,
    stage: watch::Sender<Stage>,
    connections: Arc<Semaphore>,
    connections_max: u32,
}

impl Server {
    /// Listens on every address (port 0 takes a free one); nothing is accepted before [`Server::start`].
    ///
    /// # Errors
    /// An address cannot be listened on; the error names it, and none is listened on.
    pub async fn bind(rt: &Rt, addresses: &[SocketAddr]) -> io::Result<Bound> {
        let mut bound = Bound::default();
        for address in addresses {
            let listener = rt.listen(*address).await?;
            bound.addresses.push(listener.local_addr()?);
            bound.listeners.push(listener);
        }
        Ok(bound)
    }

    /// Serves what connects.
    pub fn start<S: Service>(rt: &Rt, bound: Bound, limits: Limits, service: S) -> Server {
        let (stage, _) = watch::channel(Stage::Serving);
        let connections_max = limits.connections_max;
        let connections = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(usize::MAX)));
        let pool = Pool::new(limits.pool_bytes);
        let shared = Arc::new(Shared { rt: rt.clone(), service, limits, pool });
        for listener in bound.listeners {
            let accepting = accept(shared.clone(), listener, connections.clone(), stage.subscribe());
            rt.spawn("listener", accepting);
        }
        Server { rt: rt.clone(), addresses: bound.addresses, stage, connections, connections_max }
    }

    /// The addresses listened on, in the order they were given, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops: no more connections and requests are taken, started calls have until `within` to be answered, then
    /// everything closes. Returns whether all calls were answered.
    pub async fn stop(self, within: Duration) -> bool {
        self.stage.send_replace(Stage::Stopping);
        let all_closed = self.connections.acquire_many(self.connections_max);
        let in_time = self.rt.timeout(within, all_closed).await.is_ok();
        self.stage.send_replace(Stage::Over);
        // Aborted connections drop what they hold at their next suspension point.
        let _ = self.connections.acquire_many(self.connections_max).await;
        in_time
    }
}

/// Accepts connections until the server stops.
async fn accept<S: Service>(
    shared: Arc<Shared<S>>,
    listener: Listener,
    connections: Arc<Semaphore>,
    mut stage: watch::Receiver<Stage>,
) {
    loop {
        let accepted = rt::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
            accepted = accept_one(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let serving = serve(shared.clone(), stream, permit, stage.clone());
                shared.rt.spawn("connection", serving);
            }
            Err(err) => {
                tracing::warn!("cannot accept a connection: {err}");
                shared.rt.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn accept_one(
    listener: &Listener,
    connections: &Arc<Semaphore>,
) -> io::Result<(Stream, OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?, permit))
}

/// Serves one connection until it ends or the server is over.
async fn serve<S: Service>(
    shared: Arc<Shared<S>>,
    stream: Stream,
    permit: OwnedSemaphorePermit,
    mut stage: watch::Receiver<Stage>,
) {
    // A connection that is already gone has no addresses; nothing needs to be said of it.
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let state = shared.service.connected(peer, local);
    let connection = Connection::new(shared, stream, state);
    let serving = connection.serve(stage.clone());
    rt::select! {
        end = serving => {
            if end.is_ordinary() {
                tracing::debug!("closed the connection of {peer}: {end}");
            } else {
                tracing::warn!("closed the connection of {peer}: {end}");
            }
        }
        _ = stage.wait_for(|stage| *stage == Stage::Over) => {}
    }
    drop(permit);
}
