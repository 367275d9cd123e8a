//! TCP listeners and streams.
//!
//! - N1 Every method takes `&self`, so one task can read and write at once.
//! - N2 A stream holds no buffer: an idle one costs its descriptor and whoever waits in [`Stream::peek`].
//! - N3 A slice of a file is sent whole or the call fails, after which the stream is of no use: how much of it left
//!   is unknown.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::FileSlice;
use crate::{os, sim};

/// A listening socket.
pub struct Listener(pub(crate) ListenerKind);

pub(crate) enum ListenerKind {
    Os(os::Listener),
    Sim(sim::Listener),
}

/// What carries bytes both ways for a driver of its own protocol.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// One TCP connection; dropping it closes it. Sends leave at once (TCP_NODELAY).
pub struct Stream(pub(crate) StreamKind);

pub(crate) enum StreamKind {
    Os(os::Stream),
    Sim(sim::Stream),
}

impl Listener {
    /// The next connection. An error is about one connection or a momentary lack of descriptors: the listener itself
    /// stays good, and the caller waits a moment before it asks again.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.0 {
            ListenerKind::Os(listener) => Ok(Stream(StreamKind::Os(listener.accept().await?))),
            ListenerKind::Sim(listener) => Ok(Stream(StreamKind::Sim(listener.accept().await?))),
        }
    }

    /// The address listened on, with the port that was taken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            ListenerKind::Os(listener) => listener.local_addr(),
            ListenerKind::Sim(listener) => listener.local_addr(),
        }
    }
}

impl Stream {
    /// Waits until there is something to read and shows its first bytes, which stay there; 0 is the end of the stream.
    /// Needs no buffer worth the name.
    pub async fn peek(&self, first: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Os(stream) => stream.peek(first).await,
            StreamKind::Sim(stream) => stream.peek(first).await,
        }
    }

    /// Waits until the peer has ended its direction or the connection failed, and leaves what it sent before unread.
    pub async fn hung_up(&self) -> io::Result<()> {
        match &self.0 {
            StreamKind::Os(stream) => stream.hung_up().await,
            StreamKind::Sim(stream) => stream.hung_up().await,
        }
    }

    /// Reads what there is, at most `buffer.len()` bytes; 0 is the end of the stream (or an empty buffer).
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Os(stream) => stream.read(buffer).await,
            StreamKind::Sim(stream) => stream.read(buffer).await,
        }
    }

    /// Appends what there is to `buffer`, at most its spare capacity (which it makes, if there is none); 0 is the end
    /// of the stream.
    pub async fn read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match &self.0 {
            StreamKind::Os(stream) => stream.read_buf(buffer).await,
            StreamKind::Sim(stream) => stream.read_buf(buffer).await,
        }
    }

    /// Sends all of `bytes`. When the future is dropped half-way a prefix has left.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            StreamKind::Os(stream) => stream.write_all(bytes, os::More::No).await,
            StreamKind::Sim(stream) => stream.write_all(bytes).await,
        }
    }

    /// Sends all of `bytes`, which may wait in the kernel for what is sent next (MSG_MORE): a header before a file.
    pub async fn write_all_more(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            StreamKind::Os(stream) => stream.write_all(bytes, os::More::Yes).await,
            StreamKind::Sim(stream) => stream.write_all(bytes).await,
        }
    }

    /// Sends a slice of a file, without copying it through this process where the system can.
    ///
    /// A file that ends inside the slice is an error (`UnexpectedEof`), after which the stream must be dropped (N3). The
    /// slice's owner hears of what could not be read.
    pub async fn send_file(&self, slice: &FileSlice) -> io::Result<()> {
        match &self.0 {
            StreamKind::Os(stream) => stream.send_file(slice).await,
            StreamKind::Sim(stream) => stream.send_file(slice).await,
        }
    }

    /// Ends our direction: the peer reads what was sent, then the end of the stream.
    pub fn shutdown(&self) -> io::Result<()> {
        match &self.0 {
            StreamKind::Os(stream) => stream.shutdown(),
            StreamKind::Sim(stream) => stream.shutdown(),
        }
    }

    /// The connection for a driver that brings its own protocol and speaks tokio's traits, as those of databases do. The
    /// simulator has no such peers.
    pub fn into_transport(self) -> io::Result<impl Transport> {
        match self.0 {
            StreamKind::Os(stream) => Ok(stream.into_transport()),
            StreamKind::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            StreamKind::Os(stream) => stream.peer_addr(),
            StreamKind::Sim(stream) => stream.peer_addr(),
        }
    }

    /// This end's address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            StreamKind::Os(stream) => stream.local_addr(),
            StreamKind::Sim(stream) => stream.local_addr(),
        }
    }
}
