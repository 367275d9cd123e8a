//! The simulated network: listeners, and connections that carry bytes in order after a drawn latency.
//!
//! - M1 Bytes arrive in the order they were sent, cut at random places.
//! - M2 At most [`WINDOW`] bytes of one direction are on their way or unread: a writer waits for its reader.
//! - M3 A partition holds everything back; what was on its way arrives when it heals.
//! - M4 When an end's node dies its connections break: the other end reads what had arrived, then an error.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::random::Random;
use super::trace::hash_of;
use super::world::{Event, Life, NodeId, State, is_dead};

pub(super) type ConnectionId = u64;

/// See M2; bytes.
const WINDOW: usize = 256 * 1024;

/// How long a message is on its way unless a test says otherwise, nanoseconds.
const LATENCY: RangeInclusive<u64> = 20_000..=1_500_000;

/// Where ports are taken from when none is asked for.
const FIRST_FREE_PORT: u16 = 32_768;

pub(super) struct Network {
    pub(super) latency: RangeInclusive<u64>,
    /// How long a name is looked up.
    pub(super) lookup_latency: Duration,
    listeners: BTreeMap<(NodeId, SocketAddr), Listening>,
    connections: BTreeMap<ConnectionId, Connection>,
    next_connection: ConnectionId,
    next_port: u16,
    partitioned: BTreeSet<(NodeId, NodeId)>,
    heal_watchers: Vec<Waker>,
}

struct Listening {
    life: Life,
    backlog: VecDeque<ConnectionId>,
    waiting: Vec<Waker>,
}

struct Connection {
    ends: [End; 2],
    /// Bytes from end 0 to end 1, and back.
    pipes: [Pipe; 2],
    broken: bool,
}

struct End {
    life: Life,
    address: SocketAddr,
    dropped: bool,
}

#[derive(Default)]
struct Pipe {
    in_flight: VecDeque<(u64, Parcel)>,
    arrived: BytesMut,
    /// Bytes in flight and arrived (M2).
    held: usize,
    last_arrival: u64,
    closed: bool,
    ended: bool,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
}

enum Parcel {
    Bytes(Bytes),
    End,
}

/// Why an end of a connection is of no use.
enum Unusable {
    /// Its own node is dead.
    Dead,
    /// The other node died, or a test broke the connection.
    Broken,
}

impl From<Unusable> for io::Error {
    fn from(why: Unusable) -> io::Error {
        match why {
            Unusable::Dead => is_dead(),
            Unusable::Broken => ErrorKind::ConnectionReset.into(),
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndId {
    pub(super) connection: ConnectionId,
    pub(super) side: usize,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            latency: LATENCY,
            lookup_latency: Duration::ZERO,
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_port: FIRST_FREE_PORT,
            partitioned: BTreeSet::new(),
            heal_watchers: Vec::new(),
        }
    }
}

impl Network {
    pub(super) fn is_partitioned(&self, one: NodeId, other: NodeId) -> bool {
        self.partitioned.contains(&(one.min(other), one.max(other)))
    }

    pub(super) fn watch_heal(&mut self, waker: Waker) {
        self.heal_watchers.push(waker);
    }

    fn take_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
        port
    }
}

impl Connection {
    fn take_all_wakers(&mut self) -> Vec<Waker> {
        self.pipes.iter_mut().flat_map(|pipe| pipe.readers.drain(..).chain(pipe.writers.drain(..))).collect()
    }
}

impl Pipe {
    fn readable(&self) -> bool {
        !self.arrived.is_empty() || self.ended
    }

    /// Puts a parcel on its way, never to overtake an earlier one (M1).
    fn send(&mut self, arrival: u64, parcel: Parcel) {
        self.last_arrival = self.last_arrival.max(arrival);
        self.in_flight.push_back((self.last_arrival, parcel));
    }
}

/// Adds a waker unless it is there: a task that is polled often waits once.
fn wait(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|other| other.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}

impl State {
    pub(super) fn listen(&mut self, life: Life, address: SocketAddr) -> io::Result<SocketAddr> {
        if !self.is_alive(life) {
            return Err(is_dead());
        }
        let own = self.node(life.node).ip;
        if !(address.ip().is_unspecified() || address.ip().is_loopback() || address.ip() == own) {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        let port = if address.port() == 0 { self.network.take_port() } else { address.port() };
        let address = SocketAddr::new(address.ip(), port);
        let taken = self.network.listeners.keys().any(|(node, other)| {
            let same_ip =
                other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
            *node == life.node && other.port() == port && other.is_ipv4() == address.is_ipv4() && same_ip
        });
        if taken {
            return Err(ErrorKind::AddrInUse.into());
        }
        let listening = Listening { life, backlog: VecDeque::new(), waiting: Vec::new() };
        self.network.listeners.insert((life.node, address), listening);
        let name = self.node_name(life.node).to_owned();
        self.note(format_args!("{name} listen {address}"));
        Ok(address)
    }

    /// Closes a listener, and what it had not accepted; whom to wake.
    pub(super) fn stop_listening(&mut self, life: Life, address: SocketAddr) -> Vec<Waker> {
        let key = (life.node, address);
        if self.network.listeners.get(&key).is_none_or(|listening| listening.life != life) {
            return Vec::new();
        }
        let listening = self.network.listeners.remove(&key);
        let backlog = listening.into_iter().flat_map(|listening| listening.backlog);
        backlog.flat_map(|connection| self.drop_end(EndId { connection, side: 1 })).collect()
    }

    pub(super) fn poll_accept(
        &mut self,
        life: Life,
        address: SocketAddr,
        waker: &Waker,
    ) -> Poll<io::Result<EndId>> {
        let listening = match self.network.listeners.get_mut(&(life.node, address)) {
            Some(listening) if listening.life == life => listening,
            Some(_) | None => return Poll::Ready(Err(is_dead())),
        };
        match listening.backlog.pop_front() {
            Some(connection) => Poll::Ready(Ok(EndId { connection, side: 1 })),
            None => {
                wait(&mut listening.waiting, waker);
                Poll::Pending
            }
        }
    }

    /// The node that `host` names for `from`, and the address it is reached by.
    pub(super) fn resolve(&self, from: NodeId, host: &str) -> io::Result<(NodeId, IpAddr)> {
        if host == "localhost" {
            return Ok((from, IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        if let Some(node) = self.node_named(host) {
            return Ok((node, IpAddr::V4(self.node(node).ip)));
        }
        let unknown = || io::Error::new(ErrorKind::NotFound, format!("no node of the simulation is {host}"));
        let ip: IpAddr = host.parse().map_err(|_| unknown())?;
        match ip {
            ip if ip.is_loopback() => Ok((from, ip)),
            IpAddr::V4(v4) => self.node_at(v4).map(|node| (node, ip)).ok_or_else(unknown),
            IpAddr::V6(_) => Err(unknown()),
        }
    }

    /// A connection from `from` to whoever listens at `target`; its near end, and whom to wake.
    pub(super) fn open_connection(
        &mut self,
        from: Life,
        to: NodeId,
        target: SocketAddr,
    ) -> io::Result<(EndId, Vec<Waker>)> {
        if !self.is_alive(from) {
            return Err(is_dead());
        }
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let places = [target, SocketAddr::new(any, target.port())].map(|address| (to, address));
        let place = places.into_iter().find(|place| self.network.listeners.contains_key(place));
        let place = place.ok_or(ErrorKind::ConnectionRefused)?;
        let near_ip = if target.ip().is_loopback() { target.ip() } else { self.node(from.node).ip.into() };
        let near = SocketAddr::new(near_ip, self.network.take_port());
        let id = self.network.next_connection;
        self.network.next_connection += 1;
        let listening = self.network.listeners.get_mut(&place).ok_or(ErrorKind::ConnectionRefused)?;
        let end = |life, address| End { life, address, dropped: false };
        let ends = [end(from, near), end(listening.life, target)];
        listening.backlog.push_back(id);
        let wakers = std::mem::take(&mut listening.waiting);
        let connection = Connection { ends, pipes: Default::default(), broken: false };
        self.network.connections.insert(id, connection);
        self.note(format_args!("connection {id} from {near} to {target}"));
        Ok((EndId { connection: id, side: 0 }, wakers))
    }

    /// Takes some of `bytes` on their way: how many.
    pub(super) fn poll_send(&mut self, end: EndId, bytes: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        let room = match self.room(end) {
            Ok(room) => room,
            Err(err) => return Poll::Ready(Err(err)),
        };
        let count = some_of(&mut self.random, room.min(bytes.len()));
        let latency = self.random.within(self.network.latency.clone());
        let arrival = self.now + latency;
        let Ok(connection) = self.usable(end) else { return Poll::Ready(Err(is_dead())) };
        let pipe = &mut connection.pipes[end.side];
        if count == 0 && !bytes.is_empty() {
            wait(&mut pipe.writers, waker);
            return Poll::Pending;
        }
        pipe.held += count;
        pipe.send(arrival, Parcel::Bytes(Bytes::copy_from_slice(&bytes[..count])));
        let at = pipe.last_arrival;
        let hash = hash_of(&bytes[..count]);
        self.note(format_args!("connection {} side {} send {count} {hash:016x}", end.connection, end.side));
        self.at(at, Event::Deliver(end.connection));
        Poll::Ready(Ok(count))
    }

    /// How many bytes may be sent now (M2).
    fn room(&mut self, end: EndId) -> io::Result<usize> {
        let connection = self.usable(end)?;
        let pipe = &connection.pipes[end.side];
        if connection.ends[1 - end.side].dropped || pipe.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        Ok(WINDOW.saturating_sub(pipe.held))
    }

    /// Whether a read would not wait.
    fn poll_readable(&mut self, end: EndId, waker: &Waker) -> Poll<io::Result<()>> {
        let usable = self.usable(end).map(|_| ());
        match (self.incoming(end), usable) {
            // What arrived before the connection broke can still be read (M4).
            (Some(pipe), Err(Unusable::Broken)) if !pipe.arrived.is_empty() => Poll::Ready(Ok(())),
            (_, Err(unusable)) => Poll::Ready(Err(unusable.into())),
            (None, Ok(())) => Poll::Ready(Err(Unusable::Dead.into())),
            (Some(pipe), Ok(())) if pipe.readable() => Poll::Ready(Ok(())),
            (Some(pipe), Ok(())) => {
                wait(&mut pipe.readers, waker);
                Poll::Pending
            }
        }
    }

    /// Shows the first bytes of what arrived.
    pub(super) fn poll_peek(
        &mut self,
        end: EndId,
        first: &mut [u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        self.poll_readable(end, waker).map_ok(|()| {
            let arrived = self.incoming(end).map_or(&[][..], |pipe| &pipe.arrived);
            let count = arrived.len().min(first.len());
            first[..count].copy_from_slice(&arrived[..count]);
            count
        })
    }

    /// Whether the other end will send nothing more, whatever of its bytes is unread.
    pub(super) fn poll_hung_up(&mut self, end: EndId, waker: &Waker) -> Poll<io::Result<()>> {
        if let Err(unusable) = self.usable(end) {
            return Poll::Ready(Err(unusable.into()));
        }
        match self.incoming(end) {
            None => Poll::Ready(Err(Unusable::Dead.into())),
            Some(pipe) if pipe.ended => Poll::Ready(Ok(())),
            Some(pipe) => {
                wait(&mut pipe.readers, waker);
                Poll::Pending
            }
        }
    }

    /// Takes some of what arrived; what was taken, and whom to wake.
    pub(super) fn poll_receive(
        &mut self,
        end: EndId,
        buffer: &mut [u8],
        waker: &Waker,
    ) -> Poll<io::Result<(usize, Vec<Waker>)>> {
        match self.poll_readable(end, waker) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(err)) => return Poll::Ready(Err(err)),
            Poll::Ready(Ok(())) => {}
        }
        let available = self.incoming(end).map_or(0, |pipe| pipe.arrived.len()).min(buffer.len());
        let count = some_of(&mut self.random, available);
        let Some(pipe) = self.incoming(end) else { return Poll::Ready(Err(is_dead())) };
        pipe.arrived.copy_to_slice(&mut buffer[..count]);
        pipe.held -= count;
        let wakers = std::mem::take(&mut pipe.writers);
        self.note(format_args!("connection {} side {} receive {count}", end.connection, end.side));
        Poll::Ready(Ok((count, wakers)))
    }

    /// Ends the direction from `end`.
    pub(super) fn close_direction(&mut self, end: EndId) {
        let arrival = self.now + self.random.within(self.network.latency.clone());
        let Some(connection) = self.network.connections.get_mut(&end.connection) else { return };
        let pipe = &mut connection.pipes[end.side];
        if !std::mem::replace(&mut pipe.closed, true) {
            pipe.send(arrival, Parcel::End);
            let at = pipe.last_arrival;
            self.note(format_args!("connection {} side {} close", end.connection, end.side));
            self.at(at, Event::Deliver(end.connection));
        }
    }

    /// One end's handle is gone; whom to wake.
    pub(super) fn drop_end(&mut self, end: EndId) -> Vec<Waker> {
        let Some(connection) = self.network.connections.get(&end.connection) else { return Vec::new() };
        if self.is_alive(connection.ends[end.side].life) {
            self.close_direction(end);
        }
        let Some(connection) = self.network.connections.get_mut(&end.connection) else { return Vec::new() };
        connection.ends[end.side].dropped = true;
        let wakers = connection.take_all_wakers();
        if connection.ends.iter().all(|end| end.dropped) {
            self.network.connections.remove(&end.connection);
        }
        wakers
    }

    pub(super) fn address(&self, end: EndId, side: usize) -> io::Result<SocketAddr> {
        let connection = self.network.connections.get(&end.connection).ok_or(ErrorKind::NotConnected)?;
        Ok(connection.ends[side].address)
    }

    /// What is due arrives, unless a partition holds it (M3); whom to wake.
    pub(super) fn deliver(&mut self, id: ConnectionId) -> Vec<Waker> {
        let Some((one, other)) = self.nodes_of(id) else { return Vec::new() };
        if self.network.is_partitioned(one, other) {
            return Vec::new();
        }
        let now = self.now;
        let Some(connection) = self.network.connections.get_mut(&id) else { return Vec::new() };
        let mut wakers = Vec::new();
        for pipe in &mut connection.pipes {
            while pipe.in_flight.front().is_some_and(|(at, _)| *at <= now) {
                match pipe.in_flight.pop_front() {
                    Some((_, Parcel::Bytes(bytes))) => pipe.arrived.extend_from_slice(&bytes),
                    Some((_, Parcel::End)) => pipe.ended = true,
                    None => {}
                }
                wakers.append(&mut pipe.readers);
            }
        }
        wakers
    }

    /// The connection breaks for whoever still holds an end (M4); whom to wake.
    pub(super) fn break_connection(&mut self, id: ConnectionId) -> Vec<Waker> {
        let Some((one, other)) = self.nodes_of(id) else { return Vec::new() };
        if self.network.is_partitioned(one, other) {
            return Vec::new();
        }
        self.note(format_args!("connection {id} breaks"));
        let Some(connection) = self.network.connections.get_mut(&id) else { return Vec::new() };
        connection.broken = true;
        connection.take_all_wakers()
    }

    /// A life ended: its listeners close, its connections break for the others after a latency (M4).
    pub(super) fn end_connections_of(&mut self, life: Life) {
        self.network.listeners.retain(|_, listening| listening.life != life);
        let touched = |connection: &Connection| connection.ends.iter().any(|end| end.life == life);
        let connections = &self.network.connections;
        let ids: Vec<_> = connections.iter().filter(|(_, c)| touched(c)).map(|(&id, _)| id).collect();
        for id in ids {
            let at = self.now + self.random.within(self.network.latency.clone());
            self.at(at, Event::Break(id));
        }
    }

    pub(super) fn partition(&mut self, one: NodeId, other: NodeId) {
        self.network.partitioned.insert((one.min(other), one.max(other)));
        self.note(format_args!("partition {one} {other}"));
    }

    /// Ends a partition; whom to wake.
    pub(super) fn heal(&mut self, one: NodeId, other: NodeId) -> Vec<Waker> {
        self.network.partitioned.remove(&(one.min(other), one.max(other)));
        self.note(format_args!("heal {one} {other}"));
        for id in self.connections_between(one, other) {
            let connection = &self.network.connections[&id];
            let lives = [connection.ends[0].life, connection.ends[1].life];
            let at = self.now + self.random.within(self.network.latency.clone());
            self.at(at, Event::Deliver(id));
            if lives.into_iter().any(|life| !self.is_alive(life)) {
                self.at(at, Event::Break(id));
            }
        }
        std::mem::take(&mut self.network.heal_watchers)
    }

    pub(super) fn connections_between(&self, one: NodeId, other: NodeId) -> Vec<ConnectionId> {
        let between = |connection: &Connection| {
            let nodes = [connection.ends[0].life.node, connection.ends[1].life.node];
            nodes == [one, other] || nodes == [other, one]
        };
        self.network.connections.iter().filter(|(_, c)| between(c)).map(|(&id, _)| id).collect()
    }

    fn nodes_of(&self, id: ConnectionId) -> Option<(NodeId, NodeId)> {
        let connection = self.network.connections.get(&id)?;
        Some((connection.ends[0].life.node, connection.ends[1].life.node))
    }

    fn incoming(&mut self, end: EndId) -> Option<&mut Pipe> {
        let connection = self.network.connections.get_mut(&end.connection)?;
        Some(&mut connection.pipes[1 - end.side])
    }

    /// The connection, when this end's node lives and nothing broke it.
    fn usable(&mut self, end: EndId) -> Result<&mut Connection, Unusable> {
        let life = self.network.connections.get(&end.connection).map(|c| c.ends[end.side].life);
        if !life.is_some_and(|life| self.is_alive(life)) {
            return Err(Unusable::Dead);
        }
        match self.network.connections.get_mut(&end.connection) {
            Some(connection) if !connection.broken => Ok(connection),
            Some(_) | None => Err(Unusable::Broken),
        }
    }
}

/// How many of `most` bytes a call moves: half of the time all, else any number but none (M1).
fn some_of(random: &mut Random, most: usize) -> usize {
    if most <= 1 || random.once_in(2) { most } else { random.size_within(1..=most) }
}
