//! One client of one cluster: where everything is, and how to ask whoever should be asked.
//!
//! - L1 A question goes to an address the cluster advertised; the caller's addresses only serve to find those.
//! - L2 Whoever retries waits in between and stops at `ClientConfig::retry_timeout`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{BrokerId, ErrorCode, PartitionIndex, TopicName};
use rt::Rt;
use rt::channel;
use wire::metadata::MetadataRequestTopic;
use wire::{ApiKey, MetadataRequest, VersionRange};

use crate::backoff::Backoff;
use crate::connection::{Connection, Peer};
use crate::error::Error;
use crate::metadata::{Partition, Recreated, Snapshot, Topic, TopicPartition};
use crate::pool::{Lane, Pool};
use crate::question::Ask;

/// How a client finds its cluster and how patient it is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Addresses, `HOST:PORT`, to find the cluster at; the first that answers will do.
    pub bootstrap: Vec<String>,
    /// What brokers call us in their logs and quotas.
    pub client_id: String,
    /// Longest time to connect and to agree on versions.
    pub connect_timeout: Duration,
    /// Longest wait for one answer, beyond what the request itself may wait for.
    pub request_timeout: Duration,
    /// Longest time an operation goes on trying.
    pub retry_timeout: Duration,
}

impl Default for ClientConfig {
    /// 127.0.0.1:9092, with the timeouts of Java's clients.
    fn default() -> ClientConfig {
        ClientConfig {
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            client_id: "ottla".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            retry_timeout: Duration::from_secs(60),
        }
    }
}

/// A client; clones share its connections and what it knows.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    rt: Rt,
    config: ClientConfig,
    client_id: Arc<str>,
    pool: Pool,
    snapshot: Mutex<Arc<Snapshot>>,
    /// Held while a refresh is under way: whoever comes meanwhile asks for its own topics afterwards.
    refreshing: channel::Mutex<()>,
}

/// Whom to ask.
#[derive(Clone, Copy)]
enum Target {
    Any,
    Controller,
}

/// Every version our tables know.
pub(crate) const ANY: VersionRange = VersionRange { first: 0, last: i16::MAX };

impl Client {
    /// Finds the cluster: each bootstrap address is tried once, in order.
    ///
    /// # Errors
    /// What the last address ended with, mostly [`Error::Unreachable`].
    pub async fn connect(rt: &Rt, config: ClientConfig) -> Result<Client, Error> {
        let client = Client {
            inner: Arc::new(Inner {
                rt: rt.clone(),
                client_id: Arc::from(config.client_id.as_str()),
                config,
                pool: Pool::default(),
                snapshot: Mutex::new(Arc::new(Snapshot::default())),
                refreshing: channel::Mutex::new(()),
            }),
        };
        client.refresh(Some(&[])).await?;
        Ok(client)
    }

    /// The handle the client was made with.
    pub fn rt(&self) -> &Rt {
        &self.inner.rt
    }

    /// How it was configured.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn new_lane(&self) -> Lane {
        self.inner.pool.new_lane()
    }

    pub(crate) fn close_lane(&self, lane: Lane) {
        self.inner.pool.close_lane(lane);
    }

    /// Attempts until the retry timeout.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.rt(), self.inner.config.retry_timeout)
    }

    /// Asks any node what there is: about `topics`, or about all of them.
    ///
    /// # Errors
    /// Nobody could be asked, or the answer makes no sense.
    pub async fn refresh(&self, topics: Option<&[TopicName]>) -> Result<Arc<Snapshot>, Error> {
        let _turn = self.inner.refreshing.lock().await;
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(by_name).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let connection = self.any().await?;
        // Version 4 is the first that can ask not to create the topic; version 1 the first where no topics are none.
        let version = connection.version(ApiKey::Metadata, VersionRange { first: 4, ..ANY })?;
        let answer = connection.ask(&request, version, self.inner.config.request_timeout).await?;
        let before = self.snapshot();
        let next = Arc::new(before.with(&answer, topics.is_none())?);
        for Recreated { topic, was, is } in next.recreated_since(&before) {
            tracing::warn!(
                "topic '{topic}' was deleted and created again: it had the id {was} and has {is}; what comes next is the new \
                 topic's"
            );
        }
        *self.inner.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
        Ok(next)
    }

    /// What is known of `topic`, asked for if need be.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], or nobody could be asked.
    pub async fn topic(&self, topic: &TopicName) -> Result<Topic, Error> {
        if let Some(known) = self.snapshot().topics.get(topic) {
            return Ok(known.clone());
        }
        let snapshot = self.refresh(Some(std::slice::from_ref(topic))).await?;
        snapshot.topics.get(topic).cloned().ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })
    }

    /// What is known of one partition, asked for if need be.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::UnknownPartition`], or nobody could be asked.
    pub async fn partition(&self, place: &TopicPartition) -> Result<Partition, Error> {
        let topic = self.topic(&place.topic).await?;
        if let Some(partition) = topic.partitions.get(&place.partition) {
            return Ok(partition.clone());
        }
        // Partitions may have been added since.
        let snapshot = self.refresh(Some(std::slice::from_ref(&place.topic))).await?;
        snapshot.partition(place).cloned().ok_or_else(|| unknown_partition(&snapshot, place))
    }

    /// A connection to `node`.
    ///
    /// # Errors
    /// The node is not known, or not reachable.
    pub(crate) async fn node(&self, node: BrokerId, lane: Lane) -> Result<Connection, Error> {
        let peer = self.peer(node)?;
        self.inner.pool.open(self.rt(), node, lane, &peer).await
    }

    /// The connection to `node`, if it is open now.
    pub(crate) fn open_node(&self, node: BrokerId, lane: Lane) -> Option<Connection> {
        self.inner.pool.get(node, lane)
    }

    fn peer(&self, node: BrokerId) -> Result<Peer, Error> {
        match self.snapshot().nodes.get(&node) {
            Some(known) => Ok(self.peer_at(known.host.clone(), known.port, Some(node))),
            None => Err(Error::Unreachable {
                address: "an unknown address".to_owned(),
                node: Some(node),
                cause: "the cluster has not said where it is".to_owned(),
            }),
        }
    }

    fn peer_at(&self, host: String, port: u16, node: Option<BrokerId>) -> Peer {
        let client_id = self.inner.client_id.clone();
        Peer { host, port, node, client_id, connect_timeout: self.inner.config.connect_timeout }
    }

    /// A connection to whoever answers: a node with a connection, any node, or a bootstrap address.
    pub(crate) async fn any(&self) -> Result<Connection, Error> {
        let snapshot = self.snapshot();
        let open = snapshot.nodes.keys().find_map(|&node| self.open_node(node, Lane::SHARED));
        if let Some(connection) = open {
            return Ok(connection);
        }
        let mut failure = None;
        for &node in snapshot.nodes.keys() {
            match self.node(node, Lane::SHARED).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = Some(error),
            }
        }
        for address in &self.inner.config.bootstrap {
            let opened = match parse_address(address) {
                Some((host, port)) => Connection::open(self.rt(), &self.peer_at(host, port, None)).await,
                None => Err(not_an_address(address)),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                // What the cluster advertises and nobody reaches says more than a bootstrap address that failed as well.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| not_an_address("")))
    }

    /// Asks whoever answers, until `accept` takes the answer or time is up.
    pub(crate) async fn ask_any<Q: Ask>(
        &self,
        request: &Q,
        versions: VersionRange,
        accept: impl Fn(&Q::Answer) -> Result<(), Error> + Send + Sync,
    ) -> Result<Q::Answer, Error> {
        self.ask_until(Target::Any, request, versions, accept).await
    }

    /// Asks the controller, or whoever passes it on, until `accept` takes the answer or time is up.
    pub(crate) async fn ask_controller<Q: Ask>(
        &self,
        request: &Q,
        versions: VersionRange,
        accept: impl Fn(&Q::Answer) -> Result<(), Error> + Send + Sync,
    ) -> Result<Q::Answer, Error> {
        self.ask_until(Target::Controller, request, versions, accept).await
    }

    async fn ask_until<Q: Ask>(
        &self,
        target: Target,
        request: &Q,
        versions: VersionRange,
        accept: impl Fn(&Q::Answer) -> Result<(), Error> + Send + Sync,
    ) -> Result<Q::Answer, Error> {
        let mut backoff = self.backoff();
        loop {
            let snapshot = self.snapshot();
            let chosen = match target {
                Target::Any => None,
                Target::Controller => snapshot.controller.filter(|id| snapshot.nodes.contains_key(id)),
            };
            let asked = async {
                let connection = match chosen {
                    Some(node) => self.node(node, Lane::SHARED).await?,
                    None => self.any().await?,
                };
                let answer = self.ask_on(&connection, request, versions).await?;
                accept(&answer)?;
                Ok::<_, Error>(answer)
            };
            match asked.await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_retriable() => {
                    let moved = error.code() == Some(ErrorCode::NotController) || error.is_unreachable();
                    backoff.wait(self.rt(), error).await?;
                    if moved {
                        // Should it fail, so will the next attempt, which counts.
                        let _ = self.refresh(Some(&[])).await;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks on one connection, once.
    pub(crate) async fn ask_on<Q: Ask>(
        &self,
        connection: &Connection,
        request: &Q,
        versions: VersionRange,
    ) -> Result<Q::Answer, Error> {
        let version = connection.version(Q::KEY, versions)?;
        connection.ask(request, version, self.inner.config.request_timeout).await
    }
}

fn by_name(name: &TopicName) -> MetadataRequestTopic<'static> {
    MetadataRequestTopic { name: Some(name.to_string().into()), ..MetadataRequestTopic::default() }
}

/// That a topic lacks a partition, or that there is no such topic.
pub(crate) fn unknown_partition(snapshot: &Snapshot, place: &TopicPartition) -> Error {
    match snapshot.topics.get(&place.topic) {
        None => Error::UnknownTopic { topic: place.topic.clone() },
        Some(topic) => Error::UnknownPartition {
            topic: place.topic.clone(),
            partition: PartitionIndex(place.partition.0),
            count: topic.partitions.len(),
        },
    }
}

/// Host and port of `HOST:PORT`, `[V6]:PORT`, or a host alone with Kafka's port; `None` if it is none of these.
pub fn parse_address(address: &str) -> Option<(String, u16)> {
    const KAFKA_PORT: u16 = 9092;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
        Some(_) | None => (address, KAFKA_PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn not_an_address(address: &str) -> Error {
    Error::Unreachable {
        address: format!("'{address}'"),
        node: None,
        cause: "that is no address: HOST:PORT expected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, parts) in [
            ("localhost:9092", Some(("localhost", 9092))),
            ("kafka", Some(("kafka", 9092))),
            ("[::1]:7000", Some(("::1", 7000))),
            ("::1", Some(("::1", 9092))),
            ("[::1]", Some(("::1", 9092))),
            (":9092", None),
            ("host:port", None),
            ("host:70000", None),
            ("", None),
        ] {
            let read = parse_address(text);
            assert_eq!(read.as_ref().map(|(host, port)| (host.as_str(), *port)), parts, "{text}");
        }
    }
}
