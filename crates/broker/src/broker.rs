//! Starting and stopping a broker: the parts, in the order in which they depend on each other.
//!
//! - B1 Addresses are bound before anything is registered, so that what is registered is what is bound.
//! - B2 No request is taken in before every partition this broker leads is open, or has said why not.
//! - B3 A clean stop answers what waits, closes every log, and only then leaves the mark that lets the next
//!   start trust them.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{BrokerConfig, ConfigError, Layers, Listener, Settings};
use controller::{ControllerError, Registration};
use group::GroupConfig;
use log::GroupCommit;
use meta::{BrokerEpoch, Endpoint, Image};
use net::{Admission, ConnectionLimits, Limits, Server};
use quorum::{Opened, Quorum, QuorumOptions, UpdateError};
use rt::Rt;
use rt::channel::watch;
use txn::TxnConfig;

use crate::admin::draw_uuid;
use crate::checkpointer::{self, Checkpointer};
use crate::cleaner;
use crate::coordinator::{Coordinators, TransactionSettings};
use crate::damage::Damage;
use crate::disk::{self, DiskSpace};
use crate::fetch_sessions::FetchSessions;
use crate::flusher;
use crate::host_limits::{self, HostLimits};
use crate::listeners::{self, Listeners, Open};
use crate::markers;
use crate::node::{Node, descriptors_for_files};
use crate::partition::{Opener, PartitionTable};
use crate::producer_ids::ProducerIds;
use crate::reconciler::Reconciler;
use crate::retention;
use crate::scrubber;
use crate::service::BrokerService;
use crate::storage::Storage;

/// How long a stopping broker lets requests under way finish; long polls end at once.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long the folders of topics that were deleted before the last stop stay; Kafka's `file.delete.delay.ms`.
const PUT_AWAY_DELAY: Duration = Duration::from_secs(60);

/// What a broker is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its keys, from files, variables and flags.
    pub settings: Settings,
}

/// Why a broker does not start.
#[derive(Debug)]
pub enum StartError {
    /// The settings contradict each other or cannot be met.
    Config(ConfigError),
    /// A listener names a host that has no address.
    BadListener(Listener, io::Error),
    /// The data folder: locked, another node's, or unreadable.
    DataDir(log::DataDirError),
    /// An address cannot be had.
    Listen(io::Error),
    /// The metadata log cannot be read.
    OpenQuorum(quorum::OpenError),
    /// The metadata log cannot be written.
    Quorum(quorum::QuorumError),
    /// The cluster refuses this broker.
    Register(ControllerError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(error) => error.fmt(f),
            StartError::BadListener(listener, error) => write!(
                f,
                "cannot listen on '{listener}': '{}' is no address and no name of one ({error}); use one of this \
                 machine's, localhost, or 0.0.0.0 for all",
                listener.host
            ),
            StartError::DataDir(log::DataDirError::Io(error)) => no_folder(f, error),
            StartError::DataDir(error) => error.fmt(f),
            StartError::Listen(error) => write!(
                f,
                "{error}; is another broker running there? --listen HOST:PORT takes another address, port 0 any free one"
            ),
            StartError::OpenQuorum(
                error @ (quorum::OpenError::Io(_) | quorum::OpenError::Log(log::LogError::Io(_))),
            ) => no_folder(f, error),
            StartError::OpenQuorum(error) => error.fmt(f),
            StartError::Quorum(error @ quorum::QuorumError::NotWritten(_)) => no_folder(f, error),
            StartError::Quorum(error) => error.fmt(f),
            StartError::Register(error) => error.fmt(f),
        }
    }
}

/// The file system refuses what every start needs.
fn no_folder(f: &mut fmt::Formatter<'_>, error: &dyn fmt::Display) -> fmt::Result {
    write!(
        f,
        "the data folder cannot be used: {error}; make it writable and give it room, or name another one with --data-dir"
    )
}

impl std::error::Error for StartError {}

/// The name of the listener for who runs beside the broker; in lower case, as no configured one is.
const INSIDE: &str = "inside";

/// A running broker.
pub struct Broker {
    node: Arc<Node>,
    server: Arc<Server<BrokerService>>,
    opener: Arc<Opener>,
    storage: Arc<Storage>,
    commit: GroupCommit,
}

impl Broker {
    /// Starts a broker; when this returns it serves.
    pub async fn start(rt: &Rt, options: Options) -> Result<Broker, StartError> {
        let Options { settings } = options;
        let config = BrokerConfig::resolve(&Layers::fixed(&settings)).map_err(StartError::Config)?;
        // First what leaves no trace when it fails: opening the folder takes its clean mark away.
        let (open, bound) = listeners::bind_all(rt, &config.listeners).await?;
        let storage = open_storage(rt, &config).await?;
        let disk = DiskSpace::new(rt, storage.data_dir().path());
        // Registering, below, is a change too.
        disk.make_room().await;
        let commit =
            GroupCommit::start(rt, storage.data_dir()).map_err(|error| StartError::DataDir(error.into()))?;
        let data_dir = storage.data_dir().path().to_path_buf();
        let options =
            QuorumOptions::new(data_dir.clone(), config.node_id, storage.open_files(), commit.clone());
        let Opened { quorum, committed, .. } =
            Quorum::open(rt, options).await.map_err(StartError::OpenQuorum)?;
        let (applied_sender, applied) = watch::channel(meta::Index(0));
        let broker_epoch = register(rt, &quorum, &config, &storage, &open).await?;
        let opener = Arc::new(Opener::new(rt, config.node_id, Arc::clone(&storage), &commit, disk.room()));
        let (coordinators, _) = Coordinators::new(rt.clone(), group_config(&config));
        let settings_of_transactions =
            TransactionSettings { config: txn_config(&config), images: quorum.images() };
        let (transactions, ordered_markers) = Coordinators::new(rt.clone(), settings_of_transactions);
        let node = Arc::new(Node {
            rt: rt.clone(),
            cluster_id: storage.meta().cluster_id,
            broker_epoch,
            quorum,
            data_dir: std::path::absolute(&data_dir).unwrap_or(data_dir),
            applied,
            partitions: PartitionTable::default(),
            coordinators,
            transactions,
            fetch_sessions: FetchSessions::new(config.fetch_sessions_max),
            producer_ids: ProducerIds::default(),
            checkpointer: Checkpointer::new(rt, Arc::clone(&storage)),
            disk,
            damage: Damage::default(),
            admission: Admission::new(ConnectionLimits::default()),
            host_limits: HostLimits::default(),
            listeners: Listeners::new(open),
            stopping: watch::channel(false).0,
            config,
            settings,
        });
        let reconciler = Reconciler::new(Arc::clone(&node), Arc::clone(&opener), applied_sender);
        let image = node.image();
        put_away_unknown(rt, &storage, &node.quorum, &image).await?;
        opener.remove_put_away_after(PUT_AWAY_DELAY);
        reconciler.open_all(&image).await;
        node.disk.measure(&node.current_config()).await;
        rt.spawn("disk space", disk::run(Arc::clone(&node)));
        rt.spawn("markers", markers::run(Arc::clone(&node), ordered_markers));
        rt.spawn("scrubber", scrubber::run(rt.clone(), Arc::clone(&node)));
        rt.spawn("retention", retention::run(rt.clone(), Arc::clone(&node)));
        rt.spawn("flusher", flusher::run(Arc::clone(&node)));
        rt.spawn("log cleaner", cleaner::run(Arc::clone(&node)));
        rt.spawn("checkpoints", checkpointer::run(Arc::clone(&node)));
        rt.spawn("host limits", host_limits::run(Arc::clone(&node)));
        let current = node.current_config();
        node.limit_connections(&current);
        let (admission, service) = (node.admission.clone(), BrokerService::new(Arc::clone(&node)));
        let server = Arc::new(Server::start(rt, bound, request_limits(&node.config), admission, service));
        node.listeners.served_by(&server);
        // Those of before the last stop, which nobody could know of before the metadata was read.
        node.listeners.follow(rt, &current.listeners).await;
        rt.spawn("reconciler", reconciler.run(committed));
        Ok(Broker { node, server, opener, storage, commit })
    }

    /// The addresses it listens on, with the ports that were taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.node.listeners.addresses()
    }

    /// The address to give to clients: what is advertised, else the first one listened on.
    pub fn bootstrap(&self) -> String {
        match self.node.config.advertised_listeners.first() {
            Some(listener) => format!("{}:{}", listener.host, listener.port),
            None => self.addresses().first().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// Whether clients are told a fixed address instead of the one they came to.
    pub fn is_advertised(&self) -> bool {
        self.node.has_advertised_listeners()
    }

    /// Opens a door on this machine's loopback for who runs beside the broker: they are told the address that they came to,
    /// whatever is advertised to others, and reach it whichever listeners come and go.
    ///
    /// # Errors
    /// The machine has no port left, or no loopback.
    pub async fn listen_inside(&self) -> io::Result<SocketAddr> {
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let bound = net::bind(&self.node.rt, INSIDE, loopback).await?;
        let address = bound.addresses().first().copied();
        self.server.listen(bound);
        address.ok_or_else(|| io::Error::other("nothing was bound"))
    }

    /// Waits until the metadata log or the whole data folder can no longer be trusted to be written, and says why.
    ///
    /// A broker that can change nothing is of no use to anyone: stop it, and let whoever watches over it act.
    pub async fn failed(&self) -> Arc<str> {
        rt::select! {
            error = self.commit.failed() => Arc::from(format!("the file system could not be synced: {error}")),
            reason = self.node.quorum.failed() => reason,
        }
    }

    /// Stops cleanly (B3).
    pub async fn stop(self) {
        self.node.stopping.send_replace(true);
        self.server.stop(STOP_PATIENCE).await;
        self.node.disk.leave().await;
        let mut is_clean = self.opener.close_all().await;
        if let Err(error) = self.node.quorum.close().await {
            tracing::error!("the metadata log was not closed cleanly: {error}");
            is_clean = false;
        }
        let mut left = self.node.checkpointer.write(&self.node.partitions).await;
        if left.is_ok() && is_clean {
            let storage = self.storage;
            left = self.node.rt.blocking(move || storage.close_clean()).await;
        }
        if let Err(error) = left {
            tracing::error!(
                "the data folder was not left clean: {error}; the next start will check the logs"
            );
        }
    }
}

async fn open_storage(rt: &Rt, config: &BrokerConfig) -> Result<Arc<Storage>, StartError> {
    let path = PathBuf::from(config.data_dirs.first().cloned().unwrap_or_default());
    let (rt_inside, node_id) = (rt.clone(), config.node_id);
    let opened = rt.blocking(move || {
        let draw = || draw_uuid(&rt_inside);
        let descriptors = descriptors_for_files(&rt_inside);
        Storage::open(rt_inside.fs(), &path, node_id, descriptors, draw)
    });
    opened.await.map(Arc::new).map_err(StartError::DataDir)
}

/// Takes folders that no topic has any more out of the way. Which topics were deleted is read only when there are any.
async fn put_away_unknown(
    rt: &Rt,
    storage: &Arc<Storage>,
    quorum: &Quorum,
    image: &Arc<Image>,
) -> Result<(), StartError> {
    let no_folder = |error: io::Error| StartError::DataDir(error.into());
    let (looking, image) = (Arc::clone(storage), Arc::clone(image));
    let unknown = rt.blocking(move || looking.unknown_folders(&image)).await.map_err(no_folder)?;
    if unknown.is_empty() {
        return Ok(());
    }
    let deleted = quorum.deleted_topics().await;
    let (rt_inside, storage) = (rt.clone(), Arc::clone(storage));
    let put_away = move || storage.put_away_unknown(&unknown, &deleted, || draw_uuid(&rt_inside));
    rt.blocking(put_away).await.map_err(no_folder)
}

async fn register(
    rt: &Rt,
    quorum: &Quorum,
    config: &BrokerConfig,
    storage: &Storage,
    open: &[Open],
) -> Result<BrokerEpoch, StartError> {
    let endpoint = |name: &str, host: String, port| Endpoint { listener: name.to_owned(), host, port };
    let endpoints = if config.advertised_listeners.is_empty() {
        let listened = |one: &Open| {
            let endpoint = |at: &SocketAddr| endpoint(&one.listener.name, at.ip().to_string(), at.port());
            one.addresses.iter().map(endpoint).collect::<Vec<_>>()
        };
        open.iter().flat_map(listened).collect()
    } else {
        let advertised = config.advertised_listeners.iter();
        advertised.map(|listener| endpoint(&listener.name, listener.host.clone(), listener.port)).collect()
    };
    let registration = Registration {
        cluster_id: storage.meta().cluster_id,
        id: config.node_id,
        incarnation: draw_uuid(rt),
        endpoints,
        directories: vec![storage.meta().directory_id],
        rack: config.rack.clone(),
    };
    let decide = move |image: &Image| {
        let (epoch, records) = controller::register_broker(image, registration)?;
        Ok((records, epoch))
    };
    match quorum.update(decide).await {
        Ok(updated) => Ok(updated.value),
        Err(UpdateError::Decision(error)) => Err(StartError::Register(error)),
        Err(UpdateError::Quorum(error)) => Err(StartError::Quorum(error)),
    }
}

fn group_config(config: &BrokerConfig) -> GroupConfig {
    GroupConfig {
        initial_rebalance_delay_ms: u32::try_from(config.group_initial_rebalance_delay_ms)
            .unwrap_or(u32::MAX),
        session_timeout_ms_min: config.group_session_timeout_ms_min,
        session_timeout_ms_max: config.group_session_timeout_ms_max,
        members_max: config.group_members_max.min(model::limits::GROUP_MEMBERS_MAX),
        offset_metadata_max: config.offset_metadata_bytes_max,
        offsets_retention_ms: config.offsets_retention_ms,
        offsets_retention_check_interval_ms: config.offsets_retention_check_interval_ms,
        ..GroupConfig::default()
    }
}

fn txn_config(config: &BrokerConfig) -> TxnConfig {
    TxnConfig {
        timeout_ms_max: config.transaction_timeout_ms_max,
        expiration_ms: config.transactional_id_expiration_ms,
        abort_interval_ms: config.transaction_abort_interval_ms,
        remove_interval_ms: config.transaction_remove_interval_ms,
        ..TxnConfig::default()
    }
}

fn request_limits(config: &BrokerConfig) -> Limits {
    /// "Never" for a timer: longer than any process lives.
    const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    Limits {
        request_bytes_max: config.request_bytes_max,
        idle: config.connections_max_idle_ms.map_or(FOR_EVER, Duration::from_millis),
        ..Limits::default()
    }
}
