//! What the network asks of whoever answers requests.
//!
//! - V1 Calls of one connection are started in the order their frames arrived, one at a time.
//! - V2 A [`Class::Pipelined`] frame is started while earlier ones still wait for their outcomes; a
//!   [`Class::Barrier`] or [`Class::Patient`] frame only after every earlier answer was handed to the socket.
//! - V3 Answers leave in the order of the requests, whatever order their outcomes come in.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use rt::FileSlice;
use wire::{Frame, Segment};

/// Answers the requests of all connections.
pub trait Service: Send + Sync + 'static {
    /// What is remembered of one connection; dropped when it ends.
    type Connection: Send + 'static;

    /// A connection was accepted: `peer` is its other end, `local` the address it came in by, `listener` the name of
    /// what listens there.
    fn connected(&self, peer: SocketAddr, local: SocketAddr, listener: &Arc<str>) -> Self::Connection;

    /// How a frame (without its size prefix) goes with those around it. Must be cheap and take any bytes.
    fn class(&self, frame: &[u8]) -> Class;

    /// Starts to answer a frame (without its size prefix).
    ///
    /// For a pipelined frame the future is done when the work is enqueued, in an order that later calls cannot
    /// overtake, and the outcome is [`Started::Waiting`]; for a barrier frame it usually is the whole work.
    /// The frame's share of the memory pool comes back when the last clone of `frame` is dropped, so a call that waits
    /// long drops what it no longer needs.
    fn call(&self, connection: &mut Self::Connection, frame: Bytes) -> impl Future<Output = Started> + Send;
}

/// How a frame goes with those around it (V2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May be started while earlier pipelined frames wait: produce.
    Pipelined,
    /// Starts alone: everything else.
    Barrier,
    /// Starts alone and may wait for others to do something: a long poll, a rebalance. Dropped when its peer goes.
    Patient,
}

/// A call that was started.
pub enum Started {
    /// It is done.
    Done(Outcome),
    /// It waits for disks or replicas. Dropped when the connection ends first.
    Waiting(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Reply(Response),
    /// No answer is owed: produce with `acks=0`.
    NoReply,
    /// The connection ends after the answers before this one, with this one line in the log.
    Close(Cow<'static, str>),
}

/// An answer, size prefix included, as pieces in the order they are sent.
#[derive(Clone, Debug)]
pub struct Response(Vec<Piece>);

/// A piece of an answer.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes to send as they are.
    Bytes(Bytes),
    /// A part of a file, sent without a copy where the system can.
    File(FileSlice),
}

impl Response {
    /// An answer from its encoded frame and the file slices that stand for its external segments, by their index.
    ///
    /// # Panics
    /// When a segment has no slice, or one of another length: the frame would not be what its size prefix says.
    pub fn new(frame: Frame, slices: &[FileSlice]) -> Response {
        let pieces = frame.into_segments().into_iter().map(|segment| match segment {
            Segment::Bytes(bytes) => Piece::Bytes(bytes),
            Segment::External { index, len } => {
                let slice = usize::try_from(index).ok().and_then(|index| slices.get(index));
                let slice = slice.expect("every external segment has its slice");
                assert_eq!(slice.len, u64::from(len), "a slice is as long as its segment");
                Piece::File(slice.clone())
            }
        });
        Response(pieces.collect())
    }

    /// The pieces, in the order they are sent.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

impl FromIterator<Piece> for Response {
    /// An answer from its pieces in order, size prefix included.
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Response {
        Response(pieces.into_iter().collect())
    }
}

impl From<Bytes> for Response {
    /// An answer that was encoded whole, size prefix included.
    fn from(frame: Bytes) -> Response {
        Response(vec![Piece::Bytes(frame)])
    }
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Started::Done(outcome) => f.debug_tuple("Done").field(outcome).finish(),
            Started::Waiting(_) => f.write_str("Waiting"),
        }
    }
}
