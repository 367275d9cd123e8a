//! One connection to one broker: requests out in order, answers back in order, any number under way.
//!
//! - C1 A request is queued with its answer's place before its first byte leaves, so answers find their askers by order;
//!   the correlation id only proves it.
//! - C2 A connection that failed once, in any way, is never used again; all who wait on it hear why.
//! - C3 An answer's length is believed only up to [`RESPONSE_BYTES_MAX`], and memory grows with the bytes that arrive.
//!
//! One task writes, one reads. Knows nothing of topics, leaders or retries.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use model::{BrokerId, ErrorCode};
use rt::channel::{mpsc, oneshot};
use rt::{Rt, Stream};
use wire::{ApiKey, ApiVersionsRequest, Message, VersionRange};

use crate::error::Error;
use crate::question::Ask;

/// Largest answer accepted, bytes: twice the largest fetch a broker gives, for one batch that is larger than asked.
pub const RESPONSE_BYTES_MAX: usize = 2 * model::limits::FETCH_BYTES_MAX;

/// Requests that may wait to be written; whoever comes later waits with theirs.
const OUTGOING_MAX: usize = 64;

/// Least room made before a read, bytes.
const READ_BYTES: usize = 64 * 1024;

/// Where to connect, and what to say of ourselves.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Host name or address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// The node advertised there, if the address came from the cluster.
    pub(crate) node: Option<BrokerId>,
    /// Our client id.
    pub(crate) client_id: Arc<str>,
    /// Longest time to connect and negotiate.
    pub(crate) connect_timeout: Duration,
}

impl Peer {
    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A connection; clones share it. It closes when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Connection {
    rt: Rt,
    client_id: Arc<str>,
    outgoing: mpsc::Sender<Outgoing>,
    link: Arc<Link>,
    versions: Arc<BTreeMap<i16, VersionRange>>,
}

struct Outgoing {
    frame: Bytes,
    then: Then,
}

/// What follows once a request is written.
enum Then {
    /// An answer.
    Answer(Pending),
    /// Nothing, Produce with acks=0: whoever waits hears that it has left.
    Silence(oneshot::Sender<()>),
}

struct Pending {
    correlation_id: i32,
    api: ApiKey,
    reply: oneshot::Sender<Result<Bytes, Error>>,
}

/// What the two tasks and the handles share.
struct Link {
    stream: Stream,
    address: String,
    correlation_id: AtomicI32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Pending>,
    closed: bool,
}

/// A request, written down. Sent again, or on another connection to the same node, it is the same bytes.
#[derive(Clone)]
pub(crate) struct Question {
    api: ApiKey,
    correlation_id: i32,
    frame: Bytes,
}

/// An answer that is on its way.
pub(crate) struct Answer {
    rt: Rt,
    link: Arc<Link>,
    api: ApiKey,
    received: oneshot::Receiver<Result<Bytes, Error>>,
}

/// A request that is on its way and will not be answered.
pub(crate) struct Departure {
    link: Arc<Link>,
    api: ApiKey,
    departed: oneshot::Receiver<()>,
}

impl Departure {
    /// Waits until the last byte was handed to the system.
    pub(crate) async fn wait(self) -> Result<(), Error> {
        self.departed.await.map_err(|_| self.link.disconnected(self.api))
    }
}

impl Connection {
    /// Connects and learns what the broker speaks.
    pub(crate) async fn open(rt: &Rt, peer: &Peer) -> Result<Connection, Error> {
        match rt.timeout(peer.connect_timeout, Connection::open_unbounded(rt, peer)).await {
            Ok(opened) => opened,
            Err(_) => Err(unreachable(peer, &io::ErrorKind::TimedOut.into())),
        }
    }

    async fn open_unbounded(rt: &Rt, peer: &Peer) -> Result<Connection, Error> {
        let stream = rt.connect(&peer.host, peer.port).await.map_err(|error| unreachable(peer, &error))?;
        let link = Arc::new(Link {
            stream,
            address: peer.address(),
            correlation_id: AtomicI32::new(0),
            state: Mutex::new(State::default()),
        });
        let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
        rt.spawn("client-write", write_requests(link.clone(), queue));
        rt.spawn("client-read", read_answers(link.clone()));
        let mut connection = Connection {
            rt: rt.clone(),
            client_id: peer.client_id.clone(),
            outgoing,
            link,
            versions: Arc::new(BTreeMap::new()),
        };
        connection.versions = Arc::new(connection.negotiate(peer.connect_timeout).await?);
        Ok(connection)
    }

    /// `HOST:PORT` of the peer.
    pub(crate) fn address(&self) -> &str {
        &self.link.address
    }

    /// Whether it can still be used.
    pub(crate) fn is_open(&self) -> bool {
        !self.link.state().closed
    }

    /// The version to ask `api` in: the highest that both sides and `wanted` have.
    pub(crate) fn version(&self, api: ApiKey, wanted: VersionRange) -> Result<i16, Error> {
        let offered = self.versions.get(&api.as_i16()).copied();
        let needed = api.versions().intersect(wanted).unwrap_or(wanted);
        let both = offered.and_then(|range| range.intersect(needed));
        both.map(|range| range.last).ok_or(Error::Unsupported { api, needed, offered })
    }

    /// Asks, waits for `timeout`, and takes the answer apart.
    pub(crate) async fn ask<Q: Ask>(
        &self,
        request: &Q,
        version: i16,
        timeout: Duration,
    ) -> Result<Q::Answer, Error> {
        let question = self.question(request, version)?;
        let frame = self.submit(question).await?.receive(timeout).await?;
        Q::read(&frame, version).map_err(|error| malformed(Q::KEY, error))
    }

    /// Writes a request down.
    pub(crate) fn question<Q: Ask>(&self, request: &Q, version: i16) -> Result<Question, Error> {
        let correlation_id = self.link.correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = request
            .write(correlation_id, &self.client_id, version)
            .and_then(wire::Frame::into_bytes)
            .map_err(|error| Error::Unwritable { api: Q::KEY, problem: error.to_string() })?;
        Ok(Question { api: Q::KEY, correlation_id, frame })
    }

    /// Puts a request in line: everything submitted earlier leaves first. Waits only while the line is full.
    pub(crate) async fn submit(&self, question: Question) -> Result<Answer, Error> {
        let Question { api, correlation_id, frame } = question;
        let (reply, received) = oneshot::channel();
        let pending = Pending { correlation_id, api, reply };
        self.enqueue(api, Outgoing { frame, then: Then::Answer(pending) }).await?;
        Ok(Answer { rt: self.rt.clone(), link: self.link.clone(), api, received })
    }

    /// Puts a request in line that the broker will not answer; what comes back is ready when it has left.
    pub(crate) async fn submit_unanswered(&self, question: Question) -> Result<Departure, Error> {
        let Question { api, frame, .. } = question;
        let (written, departed) = oneshot::channel();
        self.enqueue(api, Outgoing { frame, then: Then::Silence(written) }).await?;
        Ok(Departure { link: self.link.clone(), api, departed })
    }

    async fn enqueue(&self, api: ApiKey, outgoing: Outgoing) -> Result<(), Error> {
        if !self.is_open() || self.outgoing.send(outgoing).await.is_err() {
            return Err(self.link.disconnected(api));
        }
        Ok(())
    }

    /// KIP-511: ask in our highest version; a broker that does not know it says so in version 0.
    async fn negotiate(&self, timeout: Duration) -> Result<BTreeMap<i16, VersionRange>, Error> {
        let request = introduction();
        let mut version = ApiVersionsRequest::VERSIONS.last;
        loop {
            let question = self.question(&request, version)?;
            let frame = self.submit(question).await?.receive(timeout).await?;
            let error_code = frame.get(4..6).map_or(0, |code| i16::from_be_bytes([code[0], code[1]]));
            let too_new = ErrorCode::from_code(error_code) == ErrorCode::UnsupportedVersion;
            let read_as = if too_new { 0 } else { version };
            let answer = ApiVersionsRequest::read(&frame, read_as)
                .map_err(|error| malformed(ApiKey::ApiVersions, error))?;
            let offered: BTreeMap<i16, VersionRange> = (answer.api_keys.iter())
                .map(|api| (api.api_key, VersionRange { first: api.min_version, last: api.max_version }))
                .collect();
            if !too_new || version == 0 {
                Error::check(ApiKey::ApiVersions, answer.error_code, None, self.address())?;
                return Ok(offered);
            }
            let known = offered.get(&ApiKey::ApiVersions.as_i16()).map_or(0, |range| range.last);
            version = known.clamp(0, version - 1);
        }
    }
}

/// The question what a broker offers, with who is asking (KIP-511).
pub(crate) fn introduction() -> ApiVersionsRequest<'static> {
    ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    }
}

impl Answer {
    /// Waits for it. Past `timeout` the connection is given up: answers come in order, so none would come after.
    pub(crate) async fn receive(self, timeout: Duration) -> Result<Bytes, Error> {
        let Answer { rt, link, api, received } = self;
        match rt.timeout(timeout, received).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(link.disconnected(api)),
            Err(_) => {
                link.close();
                Err(Error::TimedOut { what: api.name(), whom: link.address.clone(), after: timeout })
            }
        }
    }
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the queue would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disconnected(&self, api: ApiKey) -> Error {
        Error::Disconnected { address: self.address.clone(), api }
    }

    /// Ends it for everybody (C2).
    fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        for pending in waiting {
            // An asker that has gone needs no answer.
            let _ = pending.reply.send(Err(self.disconnected(pending.api)));
        }
        // It may be closed already, which is all we want.
        let _ = self.stream.shutdown();
    }
}

fn unreachable(peer: &Peer, error: &io::Error) -> Error {
    // The kinds that are common have plain words of their own, without a number behind.
    let cause = match error.kind() {
        kind @ (io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut) => kind.to_string(),
        _ => error.to_string(),
    };
    Error::Unreachable { address: peer.address(), node: peer.node, cause }
}

/// What does not decode, as an error of the call.
pub(crate) fn malformed(api: ApiKey, problem: impl std::fmt::Display) -> Error {
    Error::Malformed { api, problem: problem.to_string() }
}

async fn write_requests(link: Arc<Link>, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(Outgoing { frame, then }) = queue.recv().await {
        let silent = match then {
            Then::Answer(pending) => {
                let mut state = link.state();
                if state.closed {
                    break;
                }
                state.waiting.push_back(pending);
                None
            }
            Then::Silence(written) => Some(written),
        };
        if link.stream.write_all(&frame).await.is_err() {
            break;
        }
        if let Some(written) = silent {
            // Whoever gave up waiting does not want to know.
            let _ = written.send(());
        }
    }
    link.close();
}

async fn read_answers(link: Arc<Link>) {
    let mut buffer = BytesMut::new();
    while let Some(frame) = read_frame(&link, &mut buffer).await {
        let Some(pending) = link.state().waiting.pop_front() else { break };
        if correlation_id(&frame) != Some(pending.correlation_id) {
            let problem = "it is the answer to another request";
            let _ = pending.reply.send(Err(malformed(pending.api, problem)));
            break;
        }
        let _ = pending.reply.send(Ok(frame));
    }
    link.close();
}

fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The next frame without its length; `None` at the end of the stream or of our patience with it.
async fn read_frame(link: &Link, buffer: &mut BytesMut) -> Option<Bytes> {
    const PREFIX: usize = size_of::<i32>();
    read_at_least(link, buffer, PREFIX).await?;
    let length = usize::try_from(i32::from_be_bytes(*buffer.first_chunk()?)).ok()?;
    if RESPONSE_BYTES_MAX < length {
        tracing::warn!(address = %link.address, length, "an answer longer than any may be: closing the connection");
        return None;
    }
    let _prefix = buffer.split_to(PREFIX);
    read_at_least(link, buffer, length).await?;
    Some(buffer.split_to(length).freeze())
}

async fn read_at_least(link: &Link, buffer: &mut BytesMut, length: usize) -> Option<()> {
    while buffer.len() < length {
        // Doubling, never more than is missing: a length that lies costs its sender as much as it costs us (C3).
        let missing = length - buffer.len();
        buffer.reserve(missing.min(buffer.len().max(READ_BYTES)).max(READ_BYTES));
        if link.stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(())
}
