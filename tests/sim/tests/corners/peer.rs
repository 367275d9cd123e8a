//! The broker that a script asks: ours in the simulator, or any that listens somewhere.

use std::net::{SocketAddr, ToSocketAddrs};

use rt::Rt;
use rt::sim::Sim;
use sim_tests::seeds::seeds;
use sim_tests::server::{NODE, Server};

use crate::connection::Connection;

/// Names a broker to run the scripts against instead: `127.0.0.1:9092`.
const BOOTSTRAP: &str = "OTTLA_CORNERS_BOOTSTRAP";

/// The settings that the scripts count on; whoever starts another broker for them gives it the same.
const SETTINGS: &str = include_str!("broker.properties");

/// A broker, and whom it is asked by.
#[derive(Clone)]
pub struct Peer {
    pub rt: Rt,
    pub address: SocketAddr,
}

/// Runs a script against the broker of `BOOTSTRAP`, or else against ours in the simulator.
pub fn check(script: impl AsyncFn(Peer)) {
    match std::env::var(BOOTSTRAP) {
        Ok(bootstrap) => {
            let address = resolve(&bootstrap);
            rt::os::run(|rt| async { script(Peer { rt, address }).await }).unwrap();
        }
        Err(_) => simulated(&[], async |simulated| script(simulated.peer).await),
    }
}

/// Runs a script that takes more steps than the simulator is for, against the broker of `BOOTSTRAP` only; the step
/// `corners` of `cargo xtask test` names one.
pub fn check_outside(script: impl AsyncFn(Peer)) {
    if std::env::var_os(BOOTSTRAP).is_some() {
        check(script);
    } else {
        println!("skipped: {BOOTSTRAP} names no broker");
    }
}

fn resolve(bootstrap: &str) -> SocketAddr {
    let addresses = bootstrap.to_socket_addrs();
    let mut addresses = addresses.unwrap_or_else(|error| panic!("{BOOTSTRAP}={bootstrap}: {error}"));
    addresses.next().unwrap_or_else(|| panic!("{BOOTSTRAP}={bootstrap} has no address"))
}

/// A broker whose world is the test's to change.
pub struct Simulated<'a> {
    pub sim: &'a Sim,
    pub server: &'a Server<'a>,
    pub peer: Peer,
}

/// Runs a script in the simulator, on a broker with `more` settings.
pub fn simulated(more: &[(&str, &str)], script: impl AsyncFn(Simulated<'_>)) {
    let common = SETTINGS.lines().map(|line| line.split_once('=').unwrap());
    let settings: Vec<_> = common.chain(more.iter().copied()).collect();
    for seed in seeds(1) {
        let sim = Sim::new(seed);
        sim.run(async {
            let server = Server::started(&sim, &settings).await;
            let peer = Peer { rt: sim.node("client"), address: server.address() };
            script(Simulated { sim: &sim, server: &server, peer }).await;
        });
    }
}

impl Simulated<'_> {
    /// Kills the broker, starts it again on the same disk, and connects.
    pub async fn restart(&self) -> Connection {
        self.sim.kill(NODE);
        self.server.start().await.unwrap();
        self.peer.connect().await
    }
}

impl Peer {
    /// A new connection.
    pub async fn connect(&self) -> Connection {
        Connection::open(&self.rt, self.address).await
    }

    /// `name` with something behind it that makes it the only one on a broker that outlives the script.
    pub fn unique(&self, name: &str) -> String {
        format!("{name}-{:016x}", self.rt.random_u64())
    }
}
