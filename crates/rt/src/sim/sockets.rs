//! Listeners and streams of a simulated node.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;

use super::handle::Handle;
use super::network::EndId;
use super::world::World;
use crate::FileSlice;

/// How much of a file is read at a time while it is sent, bytes.
const SEND_FILE_CHUNK: usize = 64 * 1024;

/// How much of a large buffer one read fills at the most, bytes.
const READ_CHUNK: usize = 64 * 1024;

/// Room that one read makes in a full buffer, bytes.
const SPARE_MADE: usize = 64;

pub(crate) struct Listener {
    node: Handle,
    address: SocketAddr,
}

pub(crate) struct Stream {
    world: Arc<World>,
    end: EndId,
}

impl Listener {
    pub(super) fn new(node: Handle, address: SocketAddr) -> Listener {
        Listener { node, address }
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        let node = &self.node;
        let end = poll_fn(|context| node.world.lock().poll_accept(node.life, self.address, context.waker()))
            .await?;
        Ok(Stream::new(node.world.clone(), end))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.node.check_alive().map(|()| self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let wakers = self.node.world.lock().stop_listening(self.node.life, self.address);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Stream {
    pub(super) fn new(world: Arc<World>, end: EndId) -> Stream {
        Stream { world, end }
    }

    pub(crate) async fn peek(&self, first: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| self.world.lock().poll_peek(self.end, first, context.waker())).await
    }

    pub(crate) async fn hung_up(&self) -> io::Result<()> {
        poll_fn(|context| self.world.lock().poll_hung_up(self.end, context.waker())).await
    }

    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, wakers) =
            poll_fn(|context| self.world.lock().poll_receive(self.end, buffer, context.waker())).await?;
        wakers.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    /// Every poll leaves the buffer with nothing but bytes that arrived, so that giving up between two loses none and
    /// adds none.
    pub(crate) async fn read_buf(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let read = poll_fn(|context| {
            let start = buffer.len();
            let spare = match buffer.capacity() - start {
                0 => SPARE_MADE,
                spare => spare.min(READ_CHUNK),
            };
            buffer.resize(start + spare, 0);
            let polled = self.world.lock().poll_receive(self.end, &mut buffer[start..], context.waker());
            let count = match &polled {
                Poll::Ready(Ok((count, _))) => *count,
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            buffer.truncate(start + count);
            polled
        });
        let (count, wakers) = read.await?;
        wakers.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    pub(crate) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = poll_fn(|context| self.poll_write(rest, context.waker())).await?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    fn poll_write(&self, bytes: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        self.world.lock().poll_send(self.end, bytes, waker)
    }

    pub(crate) async fn send_file(&self, slice: &FileSlice) -> io::Result<()> {
        let mut position = slice.position;
        let mut rest = slice.len;
        while 0 < rest {
            let count = usize::try_from(rest).unwrap_or(usize::MAX).min(SEND_FILE_CHUNK);
            let mut chunk = vec![0; count];
            slice.file.read_exact_at(&mut chunk, position).inspect_err(|_| slice.tell_unreadable())?;
            self.write_all(&chunk).await?;
            let count = u64::try_from(count).expect("at most SEND_FILE_CHUNK");
            position += count;
            rest -= count;
        }
        Ok(())
    }

    pub(crate) fn shutdown(&self) -> io::Result<()> {
        self.world.lock().close_direction(self.end);
        Ok(())
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.world.lock().address(self.end, 1 - self.end.side)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.world.lock().address(self.end, self.end.side)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let wakers = self.world.lock().drop_end(self.end);
        wakers.into_iter().for_each(Waker::wake);
    }
}
