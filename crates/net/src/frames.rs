//! Frames out of a stream's bytes.
//!
//! - F1 Nothing announced is allocated: the buffer grows with what arrived, to at most [`GROWTH`] times that.
//! - F2 A connection that waits for a frame holds no buffer.
//! - F3 Dropping [`Frames::next`] half-way loses nothing: the next call goes on.

use std::fmt;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use rt::{Elapsed, Rt, Stream};

use crate::Limits;
use crate::pool::{Pool, Share};

/// What is read at first, bytes: most requests are smaller.
const FIRST_READ: usize = 8 * 1024;

/// See F1: fewer copies than doubling, and still no more than a small multiple of what a peer really sent.
const GROWTH: usize = 4;

/// The size before every frame, bytes.
const SIZE_PREFIX: usize = size_of::<i32>();

/// Reads the frames of one stream.
#[derive(Default)]
pub(crate) struct Frames {
    /// What arrived of the next frames, size prefix first.
    buffer: BytesMut,
    /// What the next frame holds of the pool so far.
    share: Share,
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum NoFrame {
    /// The peer closed between two frames.
    Ended,
    /// Nothing came for as long as a connection may be idle; may be tried again.
    Idle,
    /// A frame began and then nothing came.
    Stalled { arrived: usize },
    /// The peer closed inside a frame.
    Truncated { arrived: usize },
    /// The announced size is negative or above the limit.
    Size { announced: i32 },
    /// The connection failed.
    Connection(io::Error),
}

impl fmt::Display for NoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoFrame::Ended => f.write_str("the peer closed it"),
            NoFrame::Idle => f.write_str("it was idle"),
            NoFrame::Stalled { arrived } => write!(f, "a request stalled after {arrived} bytes"),
            NoFrame::Truncated { arrived } => {
                write!(f, "the peer closed it inside a request, after {arrived} bytes")
            }
            NoFrame::Size { announced } => write!(f, "a request of {announced} bytes was announced"),
            NoFrame::Connection(err) => write!(f, "{err}"),
        }
    }
}

/// A frame's bytes and its share of the pool, which end together.
struct Held {
    bytes: BytesMut,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Frames {
    /// The next frame, without its size prefix. Its share goes back to the pool with its last clone.
    pub(crate) async fn next(
        &mut self,
        rt: &Rt,
        stream: &Stream,
        pool: &Pool,
        limits: &Limits,
    ) -> Result<Bytes, NoFrame> {
        loop {
            let whole = self.whole_bytes(limits)?;
            match whole {
                Some(whole) if whole <= self.buffer.len() => {
                    pool.grow(&mut self.share, whole).await;
                    return Ok(self.take(whole));
                }
                Some(whole) => self.make_room(pool, whole).await,
                None if self.buffer.is_empty() => {
                    self.buffer = BytesMut::new();
                    let readable = rt.timeout(limits.idle, stream.readable()).await;
                    readable.map_err(|Elapsed| NoFrame::Idle)?.map_err(NoFrame::Connection)?;
                    self.buffer.reserve(FIRST_READ);
                }
                None => self.buffer.reserve(SIZE_PREFIX),
            }
            let arrived = self.buffer.len();
            let read = rt.timeout(limits.stall, stream.read_buf(&mut self.buffer)).await;
            match read.map_err(|Elapsed| NoFrame::Stalled { arrived })?.map_err(NoFrame::Connection)? {
                0 if arrived == 0 => return Err(NoFrame::Ended),
                0 => return Err(NoFrame::Truncated { arrived }),
                _ => {}
            }
        }
    }

    /// The length of the next frame with its size prefix, once that arrived.
    fn whole_bytes(&self, limits: &Limits) -> Result<Option<usize>, NoFrame> {
        let Some(prefix) = self.buffer.first_chunk::<SIZE_PREFIX>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Ok(size) if size <= limits.request_bytes_max => Ok(Some(SIZE_PREFIX + size)),
            Ok(_) | Err(_) => Err(NoFrame::Size { announced }),
        }
    }

    /// Room for more of a frame of `whole` bytes (F1).
    async fn make_room(&mut self, pool: &Pool, whole: usize) {
        if self.buffer.len() < self.buffer.capacity() {
            return;
        }
        let room = whole.min(self.buffer.len().saturating_mul(GROWTH));
        pool.grow(&mut self.share, room).await;
        self.buffer.reserve(room - self.buffer.len());
    }

    fn take(&mut self, whole: usize) -> Bytes {
        let mut bytes = self.buffer.split_to(whole);
        bytes.advance(SIZE_PREFIX);
        Bytes::from_owner(Held { bytes, _share: std::mem::take(&mut self.share) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rt::sim::Sim;

    /// Sends `bytes` and returns the frames read, the largest buffer seen and why it ended.
    async fn read_all(rt: &Rt, bytes: &[u8], limits: &Limits) -> (Vec<Bytes>, usize, NoFrame) {
        let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = rt.connect("127.0.0.1", port).await.unwrap();
        let far = listener.accept().await.unwrap();
        let pool = Pool::new(limits.pool_bytes);
        let (mut frames, mut read, mut capacity) = (Frames::default(), Vec::new(), 0);
        let bytes = bytes.to_vec();
        rt.spawn("send", async move {
            // The reader may have closed before the end.
            let _ = near.write_all(&bytes).await;
        });
        loop {
            match frames.next(rt, &far, &pool, limits).await {
                Ok(frame) => read.push(frame),
                Err(end) => {
                    capacity = capacity.max(frames.buffer.capacity());
                    drop(frames);
                    let held: usize = read.iter().map(|frame| SIZE_PREFIX + frame.len()).sum();
                    assert_eq!(pool.free_bytes(), limits.pool_bytes - held);
                    return (read, capacity, end);
                }
            }
            capacity = capacity.max(frames.buffer.capacity());
        }
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let size = i32::try_from(payload.len()).unwrap();
        [&size.to_be_bytes()[..], payload].concat()
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_bytes_are_cut() {
        for seed in 0..30 {
            let sim = Sim::new(seed);
            let rt = sim.node("n1");
            let payloads: Vec<Vec<u8>> =
                [0, 1, 3, 4, 5, 9_000, 0, 300_000, 7].iter().map(|&len| vec![len as u8; len]).collect();
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            let (frames, _, end) = sim.run(read_all(&rt, &bytes, &Limits::default()));
            assert_eq!(frames, payloads, "seed {seed}");
            assert!(matches!(end, NoFrame::Ended), "{end}");
        }
    }

    #[test]
    fn an_idle_connection_holds_no_buffer() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        sim.run(async {
            let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let near = rt.connect("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
            let far = listener.accept().await.unwrap();
            let (pool, limits) = (Pool::new(100_000), Limits::default());
            near.write_all(&framed(&[1; 50_000])).await.unwrap();
            let mut frames = Frames::default();
            let frame = frames.next(&rt, &far, &pool, &limits).await.unwrap();
            assert_eq!(frame.len(), 50_000);
            assert!(matches!(frames.next(&rt, &far, &pool, &limits).await, Err(NoFrame::Idle)));
            assert_eq!(frames.buffer.capacity(), 0);
            drop(frame);
            assert_eq!(pool.free_bytes(), 100_000);
        });
    }

    #[test]
    fn an_announced_size_alone_costs_nothing() {
        let limits = Limits::default();
        let announced = i32::try_from(limits.request_bytes_max).unwrap();
        for sent in [0, 10, 8 * 1024, 100_000] {
            let sim = Sim::new(1);
            let rt = sim.node("n1");
            let bytes = [&announced.to_be_bytes()[..], &vec![1; sent]].concat();
            let (frames, capacity, end) = sim.run(read_all(&rt, &bytes, &limits));
            assert!(frames.is_empty());
            assert!(matches!(end, NoFrame::Truncated { arrived } if arrived == bytes.len()), "{end}");
            assert!(capacity <= FIRST_READ.max(GROWTH * bytes.len()), "{capacity} for {sent}");
        }
    }

    #[test]
    fn a_size_out_of_range_ends_the_stream() {
        let limits = Limits { request_bytes_max: 10, ..Limits::default() };
        for (size, refused) in [(-1, true), (i32::MIN, true), (11, true), (i32::MAX, true), (10, false)] {
            let sim = Sim::new(1);
            let rt = sim.node("n1");
            let bytes = [framed(b"good"), i32::to_be_bytes(size).to_vec()].concat();
            let (frames, _, end) = sim.run(read_all(&rt, &bytes, &limits));
            assert_eq!(frames, [&b"good"[..]]);
            assert_eq!(matches!(end, NoFrame::Size { announced } if announced == size), refused, "{end}");
        }
    }
}
