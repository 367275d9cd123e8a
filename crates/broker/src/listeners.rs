//! What a broker listens on: from the texts of `listeners` to sockets, at its start and while it runs.
//!
//! - L1 A listener that stays as it is keeps its sockets and its connections.
//! - L2 At a start, what cannot be listened on ends the start; later it is said in the log, and the others are served: the broker
//!   has to stay within reach of whoever mends it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use config::Listener;
use net::{Bound, Server};
use rt::Rt;

use crate::broker::StartError;
use crate::service::BrokerService;

/// The listeners in force.
#[derive(Default)]
pub struct Listeners {
    open: Mutex<Vec<Open>>,
    /// What serves them; it holds the node that holds this.
    server: OnceLock<Weak<Server<BrokerService>>>,
}

/// One of them, and the addresses it has.
#[derive(Clone, Debug)]
pub struct Open {
    /// As it was configured.
    pub listener: Listener,
    /// With the port that was taken.
    pub addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Those that were bound before anything is served.
    pub fn new(open: Vec<Open>) -> Listeners {
        Listeners { open: Mutex::new(open), server: OnceLock::new() }
    }

    /// From now on this serves them.
    pub fn served_by(&self, server: &Arc<Server<BrokerService>>) {
        // It is told once, by the start.
        let _ = self.server.set(Arc::downgrade(server));
    }

    /// All addresses.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.open().iter().flat_map(|one| one.addresses.clone()).collect()
    }

    /// Closes what is no longer wanted and opens what is not there yet (L1, L2).
    pub async fn follow(&self, rt: &Rt, wanted: &[Listener]) {
        let Some(server) = self.server.get().and_then(Weak::upgrade) else { return };
        let mut gone = Vec::new();
        self.open().retain(|one| {
            let stays = wanted.contains(&one.listener);
            if !stays {
                gone.push(one.clone());
            }
            stays
        });
        for Open { listener, addresses } in gone {
            tracing::info!("listens no longer on {listener}");
            server.close(&addresses).await;
        }
        for listener in wanted {
            if self.open().iter().any(|one| one.listener == *listener) {
                continue;
            }
            match bind(rt, listener).await {
                Ok((open, bound)) => {
                    tracing::info!("listens on {listener}");
                    self.open().push(open);
                    server.listen(bound);
                }
                Err(error) => tracing::error!("{error}; the other listeners are served"),
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds every listener, or none.
pub async fn bind_all(rt: &Rt, listeners: &[Listener]) -> Result<(Vec<Open>, Bound), StartError> {
    let (mut open, mut bound) = (Vec::new(), Bound::default());
    for listener in listeners {
        let (one, sockets) = bind(rt, listener).await?;
        open.push(one);
        bound.extend(sockets);
    }
    Ok((open, bound))
}

/// Binds one. `localhost` is both loopback addresses, of which the machine may lack the second.
async fn bind(rt: &Rt, listener: &Listener) -> Result<(Open, Bound), StartError> {
    let on = |ip, port| net::bind(rt, &listener.name, SocketAddr::new(ip, port));
    let ip = match listener.host.as_str() {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        host => {
            address_of(rt, host).await.map_err(|error| StartError::BadListener(listener.clone(), error))?
        }
    };
    let mut bound = on(ip, listener.port).await.map_err(StartError::Listen)?;
    if listener.host == "localhost" {
        let port = bound.addresses().first().map_or(listener.port, SocketAddr::port);
        match on(Ipv6Addr::LOCALHOST.into(), port).await {
            Ok(more) => bound.extend(more),
            Err(error) => tracing::debug!("not listening on [::1]:{port}: {error}"),
        }
    }
    Ok((Open { listener: listener.clone(), addresses: bound.addresses() }, bound))
}

/// The address that a host stands for; of a name with several the first, an IPv4 one before the others, as in Kafka.
async fn address_of(rt: &Rt, host: &str) -> io::Result<IpAddr> {
    if let Ok(ip) = host.parse() {
        return Ok(ip);
    }
    let all = rt.lookup(host).await?;
    let first = all.iter().find(|ip| ip.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}
