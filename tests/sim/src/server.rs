//! A broker on a node of the simulator whose power may go at any time.

use std::cell::RefCell;
use std::net::SocketAddr;

use broker::{Broker, Options};
use client::{Client, ClientConfig};
use config::Settings;
use rt::Rt;
use rt::channel::oneshot;
use rt::sim::Sim;

/// The node the broker runs on.
pub const NODE: &str = "broker";

/// The port it listens on: every node of the simulator has all ports to itself.
const PORT: u16 = 9092;

/// The broker of a simulation.
pub struct Server<'a> {
    sim: &'a Sim,
    settings: Settings,
    address: SocketAddr,
    /// Tells the broker that runs to stop.
    stop: RefCell<Option<oneshot::Sender<oneshot::Sender<()>>>>,
}

/// The power went before the broker served.
#[derive(Debug)]
pub struct Died;

impl<'a> Server<'a> {
    /// A broker with a few settings that keep runs small, and `more` on top.
    ///
    /// # Panics
    /// A setting is not one.
    pub fn new(sim: &'a Sim, more: &[(&str, &str)]) -> Server<'a> {
        // The address of a node is known once it exists.
        drop(sim.node(NODE));
        let address = SocketAddr::new(sim.ip(NODE), PORT);
        let listeners = format!("PLAINTEXT://{address}");
        let mut settings = Settings::default();
        let few = [
            ("log.dirs", "/data"),
            ("listeners", listeners.as_str()),
            ("group.initial.rebalance.delay.ms", "0"),
            ("offsets.topic.num.partitions", "4"),
            ("transaction.state.log.num.partitions", "4"),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
            ("auto.create.topics.enable", "false"),
        ];
        for (key, value) in few.iter().chain(more) {
            settings.set(key, value).unwrap_or_else(|error| panic!("{key}={value}: {error}"));
        }
        Server { sim, settings, address, stop: RefCell::new(None) }
    }

    /// The same, and it serves.
    ///
    /// # Panics
    /// As there, or it does not start.
    pub async fn started(sim: &'a Sim, more: &[(&str, &str)]) -> Server<'a> {
        let server = Server::new(sim, more);
        server.start().await.expect("a broker that serves");
        server
    }

    /// What it is started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it on what its disk kept, and waits until it serves.
    ///
    /// # Errors
    /// The power went meanwhile.
    ///
    /// # Panics
    /// It refuses to start although its node lives.
    pub async fn start(&self) -> Result<(), Died> {
        let rt = self.sim.node(NODE);
        let (started, is_started) = oneshot::channel();
        let (stop, is_told) = oneshot::channel::<oneshot::Sender<()>>();
        self.stop.replace(Some(stop));
        let options = Options { settings: self.settings.clone() };
        let inside = rt.clone();
        rt.spawn("broker", async move {
            match Broker::start(&inside, options).await {
                Ok(running) => {
                    // Nobody waits any more when the node is about to die.
                    let _ = started.send(Ok(()));
                    match is_told.await {
                        Ok(stopped) => {
                            running.stop().await;
                            let _ = stopped.send(());
                        }
                        Err(_) => std::future::pending().await,
                    }
                }
                Err(error) => drop(started.send(Err(error.to_string()))),
            }
        });
        match is_started.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if self.sim.is_alive(NODE) => panic!("the broker does not start: {error}"),
            Ok(Err(_)) | Err(_) => Err(Died),
        }
    }

    /// Stops it cleanly, unless its power goes meanwhile; its node lives on.
    pub async fn stop(&self) {
        let (stopped, is_stopped) = oneshot::channel();
        let stop = self.stop.take();
        if stop.is_some_and(|stop| stop.send(stopped).is_ok()) {
            // It hears nothing when the power goes.
            let _ = is_stopped.await;
        }
        self.sim.kill(NODE);
    }

    /// A client of it on `rt`, patient enough for every power cut.
    ///
    /// # Panics
    /// It cannot be reached for ten minutes.
    pub async fn client(&self, rt: &Rt) -> Client {
        connect(rt, self.address).await
    }
}

/// A client on `rt` of the broker at `address`, patient enough for every power cut.
///
/// # Panics
/// It cannot be reached for ten minutes.
pub async fn connect(rt: &Rt, address: SocketAddr) -> Client {
    let config = ClientConfig {
        bootstrap: vec![address.to_string()],
        retry_timeout: std::time::Duration::from_secs(600),
        ..ClientConfig::default()
    };
    for _ in 0..1_200 {
        match Client::connect(rt, config.clone()).await {
            Ok(client) => return client,
            Err(error) if error.is_retriable() => rt.sleep(std::time::Duration::from_millis(500)).await,
            Err(error) => panic!("the broker cannot be talked to: {error}"),
        }
    }
    panic!("the broker cannot be reached at {address}")
}
