//! The system's sockets.
//!
//! - K1 One system call sends at most [`SEND_FILE_BYTES_MAX`] of a file: a task never holds its thread longer than
//!   reading that much takes.
//! - K2 Bytes that stay on this machine are not paced.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::{FileSlice, file};

/// See K1.
const SEND_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 1024;

/// What [`receive_into`] takes at once, bytes.
const RECEIVED_AT_ONCE_MAX: usize = 8 * 1024;

/// Whether more follows at once, so that the kernel may wait for it before it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// Send now.
    No,
    /// Keep a half-full packet back for what follows.
    Yes,
}

pub(crate) struct Listener(TcpListener);

pub(crate) struct Stream {
    socket: TcpStream,
    /// Whether the kernel may have bytes that no readiness tells of: [`Stream::hung_up`] took it and read nothing.
    unannounced: AtomicBool,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Listener> {
        let named = |err: io::Error| io::Error::new(err.kind(), format!("cannot listen on {address}: {err}"));
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(named)?;
        socket.set_reuse_address(true).map_err(named)?;
        if address.is_ipv6() {
            // So that the same port can be taken on [::] and 0.0.0.0 beside each other.
            socket.set_only_v6(true).map_err(named)?;
        }
        socket.set_nonblocking(true).map_err(named)?;
        socket.bind(&address.into()).map_err(named)?;
        socket.listen(BACKLOG).map_err(named)?;
        Ok(Listener(TcpListener::from_std(socket.into()).map_err(named)?))
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        do_not_pace(&stream, peer);
        Ok(Stream::new(stream))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection to a socket that has a name in the file system.
pub(crate) async fn connect_local(path: &Path) -> io::Result<UnixStream> {
    let named =
        |err: io::Error| io::Error::new(err.kind(), format!("cannot connect to {}: {err}", path.display()));
    UnixStream::connect(path).await.map_err(named)
}

/// The addresses of a host, each once.
pub(crate) async fn lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in tokio::net::lookup_host((host, 0)).await? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

/// Takes a congestion control that sends what the window holds at once, for a peer on this machine (K2).
///
/// A system whose default is BBR arms a timer for every few packets, also where no packet can meet congestion; on a
/// virtual machine that timer costs more than sending.
fn do_not_pace(stream: &TcpStream, peer: SocketAddr) {
    if peer.ip().to_canonical().is_loopback() {
        // Every Linux has it and lets everybody use it. Elsewhere, and where it is refused, bytes go out as they did.
        let _ = SockRef::from(stream).set_tcp_congestion(b"reno");
    }
}

impl Stream {
    fn new(socket: TcpStream) -> Stream {
        Stream { socket, unannounced: AtomicBool::new(false) }
    }

    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Stream> {
        let named =
            |err: io::Error| io::Error::new(err.kind(), format!("cannot connect to {host}:{port}: {err}"));
        let stream = TcpStream::connect((host, port)).await.map_err(named)?;
        stream.set_nodelay(true).map_err(named)?;
        if let Ok(peer) = stream.peer_addr() {
            do_not_pace(&stream, peer);
        }
        Ok(Stream::new(stream))
    }

    pub(crate) async fn peek(&self, first: &mut [u8]) -> io::Result<usize> {
        // Readiness may be stale: only a byte or the end, seen without taking it, is an answer.
        self.when_readable(|| receive(&self.socket, first, RecvFlags::PEEK)).await
    }

    pub(crate) async fn hung_up(&self) -> io::Result<()> {
        loop {
            if self.socket.ready(Interest::READABLE).await?.is_read_closed() {
                return Ok(());
            }
            // Bytes came, which stay where they are: only the next event may be the one that is waited for.
            self.unannounced.store(true, Ordering::Relaxed);
            let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = self.socket.try_io(Interest::READABLE, nothing);
        }
    }

    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.when_readable(|| receive(&self.socket, buffer, RecvFlags::empty())).await
    }

    pub(crate) async fn read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        if let Some(result) = self.when_unannounced(|| receive_into(&self.socket, buffer)) {
            return result;
        }
        loop {
            self.socket.readable().await?;
            match self.socket.try_read_buf(buffer) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
    /// Makes `call` when bytes or the end of the stream are there, again while it turns out that they are not.
    async fn when_readable<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        if let Some(result) = self.when_unannounced(&mut call) {
            return result;
        }
        loop {
            self.socket.readable().await?;
            match self.socket.try_io(Interest::READABLE, &mut call) {
                Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
    }

    /// Makes `call` where bytes may be there without readiness; nothing when they are not, as readiness will tell.
    fn when_unannounced<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> Option<io::Result<T>> {
        while self.unannounced.load(Ordering::Relaxed) {
            match call() {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    self.unannounced.store(false, Ordering::Relaxed);
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                result => return Some(result),
            }
        }
        None
    }

    pub(crate) async fn write_all(&self, bytes: &[u8], more: More) -> io::Result<()> {
        let flags = match more {
            More::No => SendFlags::NOSIGNAL,
            More::Yes => SendFlags::NOSIGNAL | SendFlags::MORE,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = self.when_writable(|| Ok(rustix::net::send(&self.socket, rest, flags)?)).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    pub(crate) async fn send_file(&self, slice: &FileSlice) -> io::Result<()> {
        let file = match &slice.file.0 {
            file::Kind::Os(file) => file,
            file::Kind::Sim(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut position = slice.position;
        let mut rest = slice.len;
        while 0 < rest {
            let count = usize::try_from(rest.min(SEND_FILE_BYTES_MAX)).expect("at most SEND_FILE_BYTES_MAX");
            let sent = self
                .when_writable(|| {
                    Ok(rustix::fs::sendfile(&self.socket, file.descriptor(), Some(&mut position), count)?)
                })
                .await
                .inspect_err(|error| {
                    // No socket fails like that.
                    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
                        slice.tell_unreadable();
                    }
                })?;
            if sent == 0 {
                slice.tell_unreadable();
                let what = format!("{} ends {rest} bytes before the slice does", file.path().display());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
            rest -= u64::try_from(sent).expect("at most SEND_FILE_BYTES_MAX");
        }
        Ok(())
    }

    /// Makes `call` when the socket takes bytes, again while it turns out not to or a signal came between.
    async fn when_writable(&self, mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            self.socket.writable().await?;
            match self.socket.try_io(Interest::WRITABLE, &mut call) {
                Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        SockRef::from(&self.socket).shutdown(Shutdown::Write)
    }

    pub(crate) fn into_transport(self) -> TcpStream {
        self.socket
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

fn receive(stream: &TcpStream, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    let (received, _) = rustix::net::recv(stream, buffer, flags)?;
    Ok(received)
}

/// Appends what there is, at most the spare capacity and [`RECEIVED_AT_ONCE_MAX`].
fn receive_into(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    let mut chunk = [0; RECEIVED_AT_ONCE_MAX];
    if buffer.len() == buffer.capacity() {
        buffer.reserve(chunk.len());
    }
    let spare = (buffer.capacity() - buffer.len()).min(chunk.len());
    let received = receive(stream, &mut chunk[..spare], RecvFlags::empty())?;
    buffer.extend_from_slice(&chunk[..received]);
    Ok(received)
}
