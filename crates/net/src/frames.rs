//! Cutting a byte stream into frames: an int32 size, then so many bytes.
//!
//! - N3 and N6 are kept here: the buffer at most doubles with each read and is given up when it is empty.
//! - `next` may be dropped at any await and called again: what was read stays in the buffer.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rt::Stream;
use rt::channel::{OwnedSemaphorePermit, Semaphore};

/// Bytes of the size prefix.
const PREFIX_BYTES: usize = 4;
/// What a read makes room for at least, and what a frame may hold before it needs room in the pool.
const CHUNK_BYTES: usize = 16 * 1024;

/// A large frame's bytes and the room they take in the pool, given back when the last slice of them is dropped.
struct Pooled {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The size is negative or above the limit.
    BadSize { size: i32, max: usize },
    /// The peer closed within a frame.
    Cut { have: usize },
    /// The socket failed.
    Io(io::Error),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::BadSize { size, max } => {
                write!(f, "it announced a request of {size} bytes, the most is {max}; is it a Kafka client?")
            }
            FrameError::Cut { have } => write!(f, "it closed within a request, after {have} bytes"),
            FrameError::Io(error) => error.fmt(f),
        }
    }
}

/// The reading end of one connection.
pub(crate) struct Frames {
    buffer: BytesMut,
    bytes_max: usize,
    pool: Arc<Semaphore>,
    room: Option<OwnedSemaphorePermit>,
}

impl Frames {
    pub fn new(bytes_max: usize, pool: Arc<Semaphore>) -> Frames {
        Frames { buffer: BytesMut::new(), bytes_max, pool, room: None }
    }

    /// Whether part of a frame has arrived.
    pub fn is_within_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame; `None` when the peer closed between two.
    pub async fn next(&mut self, stream: &Stream) -> Result<Option<Bytes>, FrameError> {
        loop {
            let size = self.size()?;
            if let Some(size) = size
                && PREFIX_BYTES + size <= self.buffer.len()
            {
                return Ok(Some(self.cut(size)));
            }
            self.make_room_in_pool(size).await;
            if self.buffer.is_empty() {
                stream.readable().await.map_err(FrameError::Io)?;
            }
            let missing = size.map_or(CHUNK_BYTES, |size| PREFIX_BYTES + size - self.buffer.len());
            let grow = missing.clamp(1, CHUNK_BYTES.max(self.buffer.len()));
            self.buffer.reserve(grow);
            if stream.read_buf(&mut self.buffer).await.map_err(FrameError::Io)? == 0 {
                return match self.buffer.len() {
                    0 => Ok(None),
                    have => Err(FrameError::Cut { have }),
                };
            }
        }
    }

    /// The size of the frame that has begun, once its prefix is there.
    fn size(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let size = i32::from_be_bytes(*prefix);
        match usize::try_from(size) {
            Ok(bytes) if bytes <= self.bytes_max => Ok(Some(bytes)),
            _ => Err(FrameError::BadSize { size, max: self.bytes_max }),
        }
    }

    /// Waits for room for a large frame, once its first bytes show that it is really coming.
    async fn make_room_in_pool(&mut self, size: Option<usize>) {
        let Some(size) = size.filter(|&size| CHUNK_BYTES < size && CHUNK_BYTES <= self.buffer.len()) else {
            return;
        };
        if self.room.is_none() {
            let bytes = u32::try_from(size).expect("a frame's size is an i32");
            // The pool is never closed; without room the frame simply waits in the kernel (N4).
            self.room = Arc::clone(&self.pool).acquire_many_owned(bytes).await.ok();
        }
    }

    fn cut(&mut self, size: usize) -> Bytes {
        let mut frame = self.buffer.split_to(PREFIX_BYTES + size);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let bytes = frame.split_off(PREFIX_BYTES).freeze();
        match self.room.take() {
            None => bytes,
            Some(room) => Bytes::from_owner(Pooled { bytes, _room: room }),
        }
    }
}
