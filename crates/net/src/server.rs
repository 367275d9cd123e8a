//! A server: its listeners, its connections, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use model::limits;
use rt::channel::{Semaphore, mpsc, watch};
use rt::{Listener, Rt, Stream};

use crate::connection::Connection;
use crate::frames::Frames;
use crate::service::Service;

/// How long to rest when no connection can be accepted, for want of descriptors for instance.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What one server allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request, bytes.
    pub request_bytes_max: usize,
    /// Bytes of requests in flight over all connections.
    pub pool_bytes: usize,
    /// Pipelined requests of one connection that may wait for their outcome.
    pub pipelined_max: usize,
    /// Their bytes.
    pub pipelined_bytes_max: usize,
    /// How long a connection may be silent between requests (`connections.max.idle.ms`).
    pub idle_time: Duration,
    /// How long it may be silent within one.
    pub frame_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            pool_bytes: limits::REQUEST_POOL_BYTES,
            pipelined_max: limits::PIPELINED_PRODUCES_MAX,
            pipelined_bytes_max: limits::PIPELINED_PRODUCE_BYTES_MAX,
            idle_time: Duration::from_secs(600),
            frame_time: Duration::from_secs(30),
        }
    }
}

/// Listeners that are bound but do not accept yet, so that addresses are known before anything is served.
pub struct Bound {
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// The addresses bound, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// A running server.
pub struct Server {
    rt: Rt,
    stop: watch::Sender<bool>,
    /// Closed when the last listener and connection has ended.
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// Binds every address; fails with the first that cannot be had, named in the error.
    pub async fn bind(rt: &Rt, addresses: &[SocketAddr]) -> io::Result<Bound> {
        let mut bound = Bound { listeners: Vec::new(), addresses: Vec::new() };
        for address in addresses {
            let listener = rt.listen(*address).await.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
            })?;
            bound.addresses.push(listener.local_addr()?);
            bound.listeners.push(listener);
        }
        Ok(bound)
    }

    /// Starts accepting.
    pub fn start<S: Service>(rt: &Rt, bound: Bound, limits: Limits, service: Arc<S>) -> Server {
        let (stop, stopping) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let acceptor = Acceptor {
            rt: rt.clone(),
            pool: Arc::new(Semaphore::new(limits.pool_bytes)),
            limits,
            service,
            stopping,
            alive,
        };
        for listener in bound.listeners {
            rt.spawn("listener", acceptor.clone().run(listener));
        }
        Server { rt: rt.clone(), stop, ended }
    }

    /// Stops accepting and reading, lets what waits for its outcome be answered for at most `patience`, and ends.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        // What has not ended by then is dropped with the process.
        let _ = self.rt.timeout(patience, self.ended.recv()).await;
    }
}

struct Acceptor<S: Service> {
    rt: Rt,
    limits: Limits,
    pool: Arc<Semaphore>,
    service: Arc<S>,
    stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl<S: Service> Clone for Acceptor<S> {
    fn clone(&self) -> Acceptor<S> {
        Acceptor {
            rt: self.rt.clone(),
            limits: self.limits.clone(),
            pool: Arc::clone(&self.pool),
            service: Arc::clone(&self.service),
            stopping: self.stopping.clone(),
            alive: self.alive.clone(),
        }
    }
}

impl<S: Service> Acceptor<S> {
    async fn run(mut self, listener: Listener) {
        loop {
            let accepted = rt::select! {
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(stream) => self.connect(stream),
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    self.rt.sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn connect(&self, stream: Stream) {
        let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else {
            return; // It is gone already.
        };
        let connection = Connection {
            rt: self.rt.clone(),
            frames: Frames::new(self.limits.request_bytes_max, Arc::clone(&self.pool)),
            state: self.service.connected(peer, local),
            service: Arc::clone(&self.service),
            limits: self.limits.clone(),
            stopping: self.stopping.clone(),
            stream,
        };
        let alive = self.alive.clone();
        self.rt.spawn("connection", async move {
            connection.run().await;
            drop(alive);
        });
    }
}
