//! Listeners and the connections they accept.
//!
//! - L1 Connections are accepted only while there is a place for them; the others wait in the kernel.
//! - L2 A stop closes the listeners first, lets calls that were started finish, and then closes what is left.
//! - L3 A listener may come while the others serve; one that goes does so in the manner of L2.
//! - L4 A listener survives whatever accepting fails with, says so once, and asks again at a bounded rate.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::limits;
use rt::channel::watch;
use rt::{Listener, Rt, Stream};

use crate::admission::{Admission, Place};
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
    /// Bytes of all large requests in flight.
    pub pool_bytes: usize,
    /// Bytes of all small requests in flight.
    pub reserve_bytes: usize,
    /// Pipelined calls of one connection that may wait at a time.
    pub pipelined_max: usize,
    /// Bytes of them; one more frame is read while there are fewer.
    pub pipelined_bytes_max: usize,
    /// How long a connection may be silent between requests, or leave an answer unread.
    pub idle: Duration,
    /// How long it may be silent before its first request.
    pub first_request: Duration,
    /// How long a half-sent request may make no progress; it holds memory.
    pub stall: Duration,
    /// The slowest that it may come after that time, bytes a second.
    pub rate_bytes_min: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            request_bytes_max: limits::REQUEST_BYTES_MAX,
            pool_bytes: limits::REQUEST_POOL_BYTES,
            reserve_bytes: limits::REQUEST_RESERVE_BYTES,
            pipelined_max: limits::PIPELINED_PRODUCES_MAX,
            pipelined_bytes_max: limits::PIPELINED_PRODUCE_BYTES_MAX,
            // Kafka's connections.max.idle.ms.
            idle: Duration::from_secs(600),
            first_request: Duration::from_millis(limits::FIRST_REQUEST_MS),
            stall: Duration::from_millis(limits::REQUEST_STALL_MS),
            rate_bytes_min: limits::REQUEST_RATE_BYTES_MIN,
        }
    }
}

impl Limits {
    /// How long so many bytes of a request may take to come, beyond [`Limits::stall`].
    pub(crate) fn time_for(&self, bytes: usize) -> Duration {
        let millis = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1000);
        Duration::from_millis(millis / u64::from(self.rate_bytes_min.max(1)))
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
pub struct Bound(Vec<Socket>);

struct Socket {
    name: Arc<str>,
    address: SocketAddr,
    listener: Listener,
}

impl Bound {
    /// The addresses listened on, in the order they were given, with the ports that were taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|socket| socket.address).collect()
    }

    /// Adds the listeners of another binding.
    pub fn extend(&mut self, more: Bound) {
        self.0.extend(more.0);
    }
}

/// A listener that accepts, or whose last connections go.
struct Listening {
    address: SocketAddr,
    stage: watch::Sender<Stage>,
    /// Ends once the address is free.
    accepting: watch::Receiver<()>,
}

impl Listening {
    fn is_serving(&self) -> bool {
        *self.stage.borrow() == Stage::Serving
    }
}

/// A running server. Dropping it closes its listeners and connections at once; [`Server::stop`] asks them first.
pub struct Server<S> {
    shared: Arc<Shared<S>>,
    listening: Mutex<Vec<Listening>>,
    admission: Admission,
}

/// Listens on an address (port 0 takes a free one), under a name that its connections are told with; nothing is
/// accepted before a server is given it.
///
/// # Errors
/// The address cannot be listened on; the error names it.
pub async fn bind(rt: &Rt, name: &str, address: SocketAddr) -> io::Result<Bound> {
    let listener = rt.listen(address).await?;
    Ok(Bound(vec![Socket { name: name.into(), address: listener.local_addr()?, listener }]))
}

impl<S: Service> Server<S> {
    /// Serves what connects and `admission` lets in, which counts for this server alone.
    pub fn start(rt: &Rt, bound: Bound, limits: Limits, admission: Admission, service: S) -> Server<S> {
        let pool = Pool::new(limits.pool_bytes, limits.reserve_bytes);
        let shared = Arc::new(Shared { rt: rt.clone(), service, limits, pool });
        let server = Server { shared, listening: Mutex::default(), admission };
        server.listen(bound);
        server
    }

    /// Serves what connects to these, too.
    pub fn listen(&self, bound: Bound) {
        let mut listening = self.listening();
        // Those that went, and whose last connection did.
        listening.retain(|one| one.is_serving() || 0 < one.stage.receiver_count());
        for Socket { name, address, listener } in bound.0 {
            let (stage, watched) = watch::channel(Stage::Serving);
            let (accepts, accepting) = watch::channel(());
            let accept = accept(self.shared.clone(), name, listener, self.admission.clone(), watched);
            self.shared.rt.spawn("listener", async move {
                accept.await;
                drop(accepts);
            });
            listening.push(Listening { address, stage, accepting });
        }
    }

    /// Listens on these addresses no longer (L3). When this returns they are free; calls that were started go on.
    pub async fn close(&self, addresses: &[SocketAddr]) {
        let mut closed = Vec::new();
        for one in self.listening().iter().filter(|one| addresses.contains(&one.address)) {
            one.stage.send_replace(Stage::Stopping);
            closed.push(one.accepting.clone());
        }
        for mut accepting in closed {
            while accepting.changed().await.is_ok() {}
        }
    }

    /// The addresses listened on, in the order they were given, with the ports that were taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening().iter().filter(|one| one.is_serving()).map(|one| one.address).collect()
    }

    fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: Stage) {
        for one in self.listening().iter() {
            one.stage.send_replace(stage);
        }
    }

    /// Stops: no more connections and requests are taken, started calls have until `within` to be answered, then
    /// everything closes. Returns whether all calls were answered.
    pub async fn stop(&self, within: Duration) -> bool {
        self.enter(Stage::Stopping);
        let in_time = self.shared.rt.timeout(within, self.admission.nobody()).await.is_ok();
        self.enter(Stage::Over);
        // Aborted connections drop what they hold at their next suspension point.
        self.admission.nobody().await;
        in_time
    }
}

/// Accepts connections until the listener goes (L4).
async fn accept<S: Service>(
    shared: Arc<Shared<S>>,
    name: Arc<str>,
    listener: Listener,
    admission: Admission,
    mut stage: watch::Receiver<Stage>,
) {
    let mut is_failing = false;
    loop {
        let accepted = rt::select! {
            _ = stage.wait_for(|stage| *stage != Stage::Serving) => return,
            accepted = accept_one(&shared.rt, &listener, &admission) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("connections are accepted again");
                }
                let serving = serve(shared.clone(), name.clone(), stream, place, stage.clone());
                shared.rt.spawn("connection", serving);
            }
            // One peer went before its turn.
            Err(err) if err.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(err) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(
                        "cannot accept a connection: {err}; those that are there are served, and the next one is \
                         tried again every {} ms",
                        ACCEPT_RETRY.as_millis()
                    );
                }
                shared.rt.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn accept_one(rt: &Rt, listener: &Listener, admission: &Admission) -> io::Result<(Stream, Place)> {
    let place = admission.place(rt).await;
    Ok((listener.accept().await?, place))
}

/// Serves one connection until it ends or the server is over.
async fn serve<S: Service>(
    shared: Arc<Shared<S>>,
    name: Arc<str>,
    stream: Stream,
    mut place: Place,
    mut stage: watch::Receiver<Stage>,
) {
    // A connection that is already gone has no addresses; nothing needs to be said of it.
    let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    if !place.take(peer.ip(), shared.rt.now()) {
        tracing::debug!("closed the connection of {peer}: its address has as many as it may");
        return;
    }
    let state = shared.service.connected(peer, local, &name);
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
    drop(place);
}
