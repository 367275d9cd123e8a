//! Frames out of a stream's bytes.
//!
//! - F1 Nothing announced is allocated: a buffer begins as large as the frame before it at the most and grows with what
//!   arrived, to at most [`GROWTH`] times that, and only once the pool has granted its share of that size.
//! - F2 A connection that waits for a frame holds no buffer and no share.
//! - F3 Dropping [`Frames::next`] half-way loses nothing: the next call goes on.
//! - F4 A buffer's share goes back when the last frame that was cut from it is dropped: no memory is uncharged.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use rt::{Elapsed, Rt, Stream};

use crate::Limits;
use crate::pool::{Pool, Share, Size};

/// What is read at first, bytes: most requests are smaller, and those that are have a reserve of the pool.
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
    /// What the buffer holds of the pool; shared with the frames that were cut from it (F4).
    share: Option<Arc<Share>>,
    /// Whether a frame was cut from the buffer: it cannot grow where it is.
    is_cut: bool,
    /// Whether a frame ever came.
    has_begun: bool,
    /// How long the last one was: peers send frames of like sizes, and one that is read at once is not copied.
    last: usize,
    /// How long bytes of the next frame were waited for.
    waited: Duration,
}

/// Why there is no next frame.
#[derive(Debug)]
pub(crate) enum NoFrame {
    /// The peer closed between two frames.
    Ended,
    /// Nothing came for as long as a connection may be idle; may be tried again.
    Idle,
    /// A frame began and then nothing came, or too little.
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
    _share: Arc<Share>,
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
            match whole_bytes(&self.buffer, limits)? {
                Some(whole) if whole <= self.buffer.len() => return Ok(self.take(whole)),
                Some(whole) => self.make_room(pool, whole).await,
                None if self.buffer.is_empty() => self.begin(rt, stream, pool, limits).await?,
                None => self.make_room(pool, SIZE_PREFIX).await,
            }
            self.read(rt, stream, limits).await?;
        }
    }

    /// Waits until something comes, and makes room for it: a large frame takes nothing from the small ones' reserve.
    async fn begin(&mut self, rt: &Rt, stream: &Stream, pool: &Pool, limits: &Limits) -> Result<(), NoFrame> {
        (self.buffer, self.share) = (BytesMut::new(), None);
        let patience = if self.has_begun { limits.idle } else { limits.first_request };
        let mut prefix = [0; SIZE_PREFIX];
        let peeked = rt.timeout(patience, stream.peek(&mut prefix)).await;
        let arrived = peeked.map_err(|Elapsed| NoFrame::Idle)?.map_err(NoFrame::Connection)?;
        let whole = whole_bytes(&prefix[..arrived], limits)?.unwrap_or(SIZE_PREFIX);
        let room = whole.min(self.last).max(FIRST_READ);
        self.share = Some(Arc::new(pool.share(size_of_frame(whole), room).await));
        (self.buffer, self.is_cut) = (BytesMut::with_capacity(room), false);
        Ok(())
    }

    /// Reads what there is into the room that was made.
    async fn read(&mut self, rt: &Rt, stream: &Stream, limits: &Limits) -> Result<(), NoFrame> {
        let arrived = self.buffer.len();
        let began = rt.now();
        // A frame that comes byte by byte holds memory too: its time is what its size takes at the slowest rate.
        let in_all = limits.stall + limits.time_for(arrived);
        let patience = limits.stall.min(in_all.saturating_sub(self.waited));
        let read = rt.timeout(patience, stream.read_buf(&mut self.buffer)).await;
        self.waited += rt.now().saturating_since(began);
        match read.map_err(|Elapsed| NoFrame::Stalled { arrived })?.map_err(NoFrame::Connection)? {
            0 if arrived == 0 => Err(NoFrame::Ended),
            0 => Err(NoFrame::Truncated { arrived }),
            _ => Ok(()),
        }
    }

    /// Room for more of a frame of `whole` bytes (F1).
    async fn make_room(&mut self, pool: &Pool, whole: usize) {
        if self.buffer.len() < self.buffer.capacity() {
            return;
        }
        let room = whole.min(self.buffer.len().saturating_mul(GROWTH)).max(FIRST_READ);
        let size = size_of_frame(whole);
        match self.share.as_mut().and_then(Arc::get_mut) {
            Some(share) if !self.is_cut && share.size() == size => pool.grow(share, room).await,
            Some(share) => {
                let share = match share.overdrawn(size, room) {
                    Some(share) => share,
                    None => pool.share(size, room).await,
                };
                self.share = Some(Arc::new(share));
            }
            None => {
                // Frames that wait for disks have the share. What is left here must not keep it while it waits.
                (self.buffer, self.share) = (BytesMut::from(&self.buffer[..]), None);
                self.share = Some(Arc::new(pool.share(size, room).await));
            }
        }
        if self.is_cut || room < 2 * self.buffer.capacity() {
            // Growing where it is would make it larger than its share.
            let mut buffer = BytesMut::with_capacity(room);
            buffer.extend_from_slice(&self.buffer);
            (self.buffer, self.is_cut) = (buffer, false);
        } else {
            self.buffer.reserve(room - self.buffer.len());
        }
        let share = self.share.as_ref().map_or(0, |share| share.bytes());
        assert!(self.buffer.capacity() <= share, "a buffer is charged for (F1)");
    }

    fn take(&mut self, whole: usize) -> Bytes {
        (self.has_begun, self.is_cut, self.waited, self.last) = (true, true, Duration::ZERO, whole);
        let mut bytes = self.buffer.split_to(whole);
        bytes.advance(SIZE_PREFIX);
        let share = self.share.clone().expect("a buffer with bytes has its share (F1)");
        if self.buffer.is_empty() {
            (self.buffer, self.share) = (BytesMut::new(), None);
        }
        Bytes::from_owner(Held { bytes, _share: share })
    }
}

/// The length of the frame that `bytes` begin, with its size prefix, once that arrived.
fn whole_bytes(bytes: &[u8], limits: &Limits) -> Result<Option<usize>, NoFrame> {
    let Some(prefix) = bytes.first_chunk::<SIZE_PREFIX>() else { return Ok(None) };
    let announced = i32::from_be_bytes(*prefix);
    match usize::try_from(announced) {
        Ok(size) if size <= limits.request_bytes_max => Ok(Some(SIZE_PREFIX + size)),
        Ok(_) | Err(_) => Err(NoFrame::Size { announced }),
    }
}

fn size_of_frame(whole: usize) -> Size {
    if whole <= FIRST_READ { Size::Small } else { Size::Large }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rt::sim::Sim;

    /// The two ends of a connection.
    async fn connected(rt: &Rt) -> (Stream, Stream) {
        let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let near = rt.connect("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
        (near, listener.accept().await.unwrap())
    }

    /// Sends `bytes` and returns the frames read, the largest buffer seen and why it ended.
    async fn read_all(rt: &Rt, bytes: &[u8], limits: &Limits) -> (Vec<Vec<u8>>, usize, NoFrame) {
        let (near, far) = connected(rt).await;
        let pool = Pool::new(limits.pool_bytes, limits.reserve_bytes);
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
                    let read: Vec<_> = read.iter().map(|frame: &Bytes| frame.to_vec()).collect();
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
            let (near, far) = connected(&rt).await;
            let (pool, limits) = (Pool::new(100_000, FIRST_READ), Limits::default());
            near.write_all(&framed(&[1; 50_000])).await.unwrap();
            let mut frames = Frames::default();
            let frame = frames.next(&rt, &far, &pool, &limits).await.unwrap();
            assert_eq!(frame.len(), 50_000);
            assert!(matches!(frames.next(&rt, &far, &pool, &limits).await, Err(NoFrame::Idle)));
            assert_eq!(frames.buffer.capacity(), 0);
            assert!(pool.free_bytes().0 <= 50_000, "the frame is charged");
            drop(frame);
            assert_eq!(pool.free_bytes(), (100_000, FIRST_READ));
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
    fn a_frame_as_long_as_the_one_before_it_is_read_without_a_copy_and_no_more_is_believed() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        sim.run(async {
            let (near, far) = connected(&rt).await;
            let (pool, limits) = (Pool::new(1_000_000, FIRST_READ), Limits::default());
            let mut frames = Frames::default();
            near.write_all(&framed(&[1; 50_000])).await.unwrap();
            drop(frames.next(&rt, &far, &pool, &limits).await.unwrap());
            for announced in [50_000, 1_000_000_i32] {
                let begun = [&announced.to_be_bytes()[..], &[2; 100]].concat();
                near.write_all(&begun).await.unwrap();
                assert!(rt.timeout(limits.stall / 2, frames.next(&rt, &far, &pool, &limits)).await.is_err());
                assert_eq!(frames.buffer.capacity(), SIZE_PREFIX + 50_000, "{announced} announced");
                if announced == 50_000 {
                    near.write_all(&[2; 49_900]).await.unwrap();
                    drop(frames.next(&rt, &far, &pool, &limits).await.unwrap());
                }
            }
        });
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

    /// One connection's work: frames in, each held for a while, as requests are that wait for disks.
    async fn hold_frames(rt: Rt, stream: Stream, pool: Pool, limits: Limits) {
        let mut frames = Frames::default();
        while let Ok(frame) = frames.next(&rt, &stream, &pool, &limits).await {
            let inside = rt.clone();
            rt.spawn("hold", async move {
                inside.sleep(Duration::from_millis(u64::from(frame.first().copied().unwrap_or(0)))).await;
                drop(frame);
            });
        }
    }

    #[test]
    fn many_connections_never_hold_more_than_the_pool_and_all_get_through() {
        for seed in 0..10 {
            let sim = Sim::new(seed);
            let rt = sim.node("n1");
            // Where shares leak or wait for each other, connections end by their timeouts only.
            let limits = Limits {
                pool_bytes: 100_000,
                reserve_bytes: 2 * FIRST_READ,
                request_bytes_max: 60_000,
                ..Limits::default()
            };
            sim.run(async {
                let listener = rt.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let pool = Pool::new(limits.pool_bytes, limits.reserve_bytes);
                let mut tasks = Vec::new();
                for number in 0..20_u8 {
                    let near = rt.connect("127.0.0.1", port).await.unwrap();
                    let far = listener.accept().await.unwrap();
                    let holding = hold_frames(rt.clone(), far, pool.clone(), limits.clone());
                    tasks.push(rt.spawn("hold", holding));
                    let inside = rt.clone();
                    tasks.push(rt.spawn("send", async move {
                        for _ in 0..20 {
                            let size = match inside.random_u64() % 4 {
                                0 | 1 => inside.random_u64() % 100,
                                2 => inside.random_u64() % 20_000,
                                _ => inside.random_u64() % 60_000,
                            };
                            let size = usize::try_from(size).unwrap() + 1;
                            near.write_all(&framed(&vec![10 * number; size])).await.unwrap();
                        }
                    }));
                }
                while tasks.iter().any(|task| !task.is_finished()) {
                    rt.sleep(Duration::from_millis(10)).await;
                }
                rt.sleep(Duration::from_secs(1)).await;
                assert_eq!(pool.free_bytes(), (limits.pool_bytes, limits.reserve_bytes), "seed {seed}");
                assert!(rt.now().since_start() < limits.stall, "seed {seed}: somebody waited for a timeout");
            });
        }
    }
}
