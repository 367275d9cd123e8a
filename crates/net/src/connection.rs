//! One connection: frames in, calls started in order, answers out in order (D4).
//!
//! - C1 At most `pipelined_max` calls and `pipelined_bytes_max` bytes of them wait; beyond, the socket is not read.
//! - C2 One answer is held at a time: a peer that does not read its answers stops its own requests and nobody else.
//! - C3 An answer that cannot be sent whole ends the connection: nothing is sent after a part.
//! - C4 A peer that goes while its patient call waits ends that call with the connection; other calls run to their end.
//! - C5 Answers that are there together leave together: the kernel keeps one back while the next follows at once.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rt::channel::watch;
use rt::{Elapsed, Rt, Stream};

use crate::Limits;
use crate::frames::{Frames, NoFrame};
use crate::pool::Pool;
use crate::server::Stage;
use crate::service::{Class, Outcome, Piece, Response, Service, Started};

/// What all connections share.
pub(crate) struct Shared<S> {
    pub(crate) rt: Rt,
    pub(crate) service: S,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
}

pub(crate) struct Connection<S: Service> {
    shared: Arc<Shared<S>>,
    stream: Stream,
    state: S::Connection,
    frames: Frames,
    waiting: Waiting,
    /// A frame that waits until no other does.
    barrier: Option<(Class, Bytes)>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// There is no next frame.
    Input(NoFrame),
    /// The peer went while its patient call waited.
    Gone,
    /// An answer could not be sent.
    Output(io::Error),
    /// The peer did not take an answer for as long as a connection may be idle.
    Unread,
    /// The service said so.
    Service(Cow<'static, str>),
    /// The server stops.
    Stopped,
}

impl End {
    /// Whether somebody should hear of it: nobody did anything wrong when a peer goes, or stays silent.
    pub(crate) fn is_ordinary(&self) -> bool {
        match self {
            End::Input(NoFrame::Ended | NoFrame::Idle | NoFrame::Connection(_))
            | End::Gone
            | End::Output(_)
            | End::Stopped => true,
            End::Input(NoFrame::Stalled { .. } | NoFrame::Truncated { .. } | NoFrame::Size { .. })
            | End::Unread
            | End::Service(_) => false,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Input(no_frame) => write!(f, "{no_frame}"),
            End::Gone => f.write_str("the peer went before it was answered"),
            End::Output(err) => write!(f, "an answer could not be sent: {err}"),
            End::Unread => f.write_str("the peer does not read its answers"),
            End::Service(reason) => f.write_str(reason),
            End::Stopped => f.write_str("the server stops"),
        }
    }
}

/// Calls that were started and not yet answered, in the order of their requests.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<(Started, usize)>,
    bytes: usize,
}

impl Waiting {
    fn push(&mut self, started: Started, bytes: usize) {
        self.calls.push_back((started, bytes));
        self.bytes += bytes;
    }

    /// The outcome of the first call; never, when there is none. Dropping the future loses nothing.
    async fn first(&mut self) -> Outcome {
        let outcome = match self.calls.front_mut() {
            Some((Started::Waiting(outcome), _)) => Some(outcome.await),
            Some((Started::Done(_), _)) => None,
            None => std::future::pending().await,
        };
        let (started, bytes) = self.calls.pop_front().expect("its front was just seen");
        self.bytes -= bytes;
        match (outcome, started) {
            (Some(outcome), _) | (None, Started::Done(outcome)) => outcome,
            (None, Started::Waiting(_)) => unreachable!("a waiting call has its outcome"),
        }
    }

    /// Whether the first call has its answer by now.
    fn has_answer(&mut self) -> bool {
        let Some((first, _)) = self.calls.front_mut() else { return false };
        if let Started::Waiting(outcome) = first
            && let Poll::Ready(outcome) = outcome.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            *first = Started::Done(outcome);
        }
        matches!(first, Started::Done(Outcome::Reply(_)))
    }
}

/// What a connection waits for.
enum Event {
    Outcome(Outcome),
    Frame(Result<Bytes, NoFrame>),
    Stop,
}

impl<S: Service> Connection<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, stream: Stream, state: S::Connection) -> Connection<S> {
        Connection {
            shared,
            stream,
            state,
            frames: Frames::default(),
            waiting: Waiting::default(),
            barrier: None,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn serve(mut self, mut stage: watch::Receiver<Stage>) -> End {
        match self.run(&mut stage).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn run(&mut self, stage: &mut watch::Receiver<Stage>) -> Result<std::convert::Infallible, End> {
        let mut stopping = false;
        loop {
            if self.waiting.calls.is_empty() {
                if let Some((class, frame)) = self.barrier.take() {
                    // Boxed, so that a connection without requests stays small.
                    Box::pin(self.answer_alone(class, frame)).await?;
                    continue;
                }
                if stopping {
                    return Err(End::Stopped);
                }
            }
            match self.next_event(stage, stopping).await {
                Event::Outcome(outcome) => self.finish(outcome).await?,
                Event::Frame(Ok(frame)) => self.on_frame(frame).await,
                Event::Frame(Err(NoFrame::Idle)) if !self.waiting.calls.is_empty() => {}
                Event::Frame(Err(no_frame)) => return Err(End::Input(no_frame)),
                Event::Stop => stopping = true,
            }
        }
    }

    async fn next_event(&mut self, stage: &mut watch::Receiver<Stage>, stopping: bool) -> Event {
        let Connection { shared, stream, frames, waiting, barrier, .. } = self;
        let limits = &shared.limits;
        let has_room =
            waiting.calls.len() < limits.pipelined_max && waiting.bytes < limits.pipelined_bytes_max;
        let may_read = !stopping && barrier.is_none() && has_room;
        rt::select! {
            outcome = waiting.first() => Event::Outcome(outcome),
            _ = stage.wait_for(|stage| *stage != Stage::Serving), if !stopping => Event::Stop,
            frame = frames.next(&shared.rt, stream, &shared.pool, limits), if may_read => Event::Frame(frame),
        }
    }

    async fn on_frame(&mut self, frame: Bytes) {
        match self.shared.service.class(&frame) {
            Class::Pipelined => {
                let bytes = frame.len();
                let started = self.start(frame).await;
                self.waiting.push(started, bytes);
            }
            class @ (Class::Barrier | Class::Patient) => self.barrier = Some((class, frame)),
        }
    }

    async fn answer_alone(&mut self, class: Class, frame: Bytes) -> Result<(), End> {
        let Connection { shared, stream, state, .. } = self;
        let call = async {
            match shared.service.call(state, frame).await {
                Started::Done(outcome) => outcome,
                Started::Waiting(outcome) => outcome.await,
            }
        };
        let outcome = rt::select! {
            outcome = call => outcome,
            _ = stream.hung_up(), if class == Class::Patient => return Err(End::Gone),
        };
        self.finish(outcome).await
    }

    /// Starts a call. Its future is boxed for the same reason as above.
    async fn start(&mut self, frame: Bytes) -> Started {
        Box::pin(self.shared.service.call(&mut self.state, frame)).await
    }

    async fn finish(&mut self, outcome: Outcome) -> Result<(), End> {
        match outcome {
            Outcome::Reply(response) => self.send(response).await,
            Outcome::NoReply => Ok(()),
            Outcome::Close(reason) => Err(End::Service(reason)),
        }
    }

    async fn send(&mut self, response: Response) -> Result<(), End> {
        let pieces = response.pieces();
        let another_follows = self.waiting.has_answer();
        for (index, piece) in pieces.iter().enumerate() {
            let is_last = index + 1 == pieces.len() && !another_follows;
            let send = async {
                match piece {
                    Piece::Bytes(bytes) if is_last => self.stream.write_all(bytes).await,
                    Piece::Bytes(bytes) => self.stream.write_all_more(bytes).await,
                    Piece::File(slice) => self.stream.send_file(slice).await,
                }
            };
            let sent = self.shared.rt.timeout(self.shared.limits.idle, send).await;
            sent.map_err(|Elapsed| End::Unread)?.map_err(End::Output)?;
        }
        Ok(())
    }
}
