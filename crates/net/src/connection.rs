//! One connection: reads requests, starts them, writes their answers in order (N1, N2, N5).

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use rt::channel::watch;
use rt::{Instant, Rt, Stream};

use crate::frames::{FrameError, Frames};
use crate::server::Limits;
use crate::service::{Class, Outcome, Piece, Response, Service, Started};

type Waiting = Pin<Box<dyn Future<Output = Outcome> + Send>>;

struct Pipelined {
    outcome: Waiting,
    bytes: usize,
}

pub(crate) struct Connection<S: Service> {
    pub rt: Rt,
    pub stream: Stream,
    pub service: Arc<S>,
    pub state: S::Connection,
    pub frames: Frames,
    pub limits: Limits,
    pub stopping: watch::Receiver<bool>,
}

/// Why a connection ended.
enum End {
    /// The peer left, or nothing came for long, or the server stops.
    Quiet,
    /// Worth a line in the log.
    Reason(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => End::Quiet,
            _ => End::Reason(error.to_string()),
        }
    }
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> End {
        match error {
            FrameError::Io(error) => error.into(),
            FrameError::BadSize { .. } | FrameError::Cut { .. } => End::Reason(error.to_string()),
        }
    }
}

impl<S: Service> Connection<S> {
    pub async fn run(mut self) {
        let peer = self.stream.peer_addr();
        if let Err(End::Reason(reason)) = self.serve().await {
            match peer {
                Ok(peer) => tracing::info!("connection from {peer} closed: {reason}"),
                Err(_) => tracing::info!("connection closed: {reason}"),
            }
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        let mut waiting: VecDeque<Pipelined> = VecDeque::new();
        let mut waiting_bytes = 0;
        let mut deferred: Option<Bytes> = None;
        let mut last_active = self.rt.now();
        loop {
            if waiting.is_empty()
                && let Some(frame) = deferred.take()
            {
                self.serve_barrier(frame).await?;
                last_active = self.rt.now();
                continue;
            }
            let may_read = deferred.is_none()
                && waiting.len() < self.limits.pipelined_max
                && waiting_bytes < self.limits.pipelined_bytes_max;
            let idle = waiting.is_empty();
            let give_up_at = self.give_up_at(last_active);
            rt::select! {
                outcome = front(&mut waiting), if !waiting.is_empty() => {
                    waiting_bytes -= waiting.pop_front().map_or(0, |done| done.bytes);
                    write(&self.stream, outcome).await?;
                    last_active = self.rt.now();
                }
                () = stopped(&mut self.stopping) => {
                    return self.drain(waiting).await;
                }
                frame = self.frames.next(&self.stream), if may_read => {
                    let Some(frame) = frame? else { return self.drain(waiting).await };
                    last_active = self.rt.now();
                    match self.service.class(&frame) {
                        Class::Barrier => deferred = Some(frame),
                        Class::Pipelined => {
                            let bytes = frame.len();
                            let outcome = match self.service.call(&mut self.state, frame).await {
                                Started::Waiting(outcome) => outcome,
                                Started::Done(outcome) => Box::pin(std::future::ready(outcome)),
                            };
                            waiting_bytes += bytes;
                            waiting.push_back(Pipelined { outcome, bytes });
                        }
                    }
                }
                () = self.rt.sleep_until(give_up_at), if idle => {
                    return Err(self.idle_end());
                }
            }
        }
    }

    /// A silent peer may stay longer than one that stopped within a request, which holds memory.
    fn give_up_at(&self, last_active: Instant) -> Instant {
        last_active
            + if self.frames.is_within_frame() { self.limits.frame_time } else { self.limits.idle_time }
    }

    fn idle_end(&self) -> End {
        if self.frames.is_within_frame() {
            End::Reason("it stopped within a request".to_owned())
        } else {
            End::Quiet
        }
    }

    async fn serve_barrier(&mut self, frame: Bytes) -> Result<(), End> {
        let mut stopping = self.stopping.clone();
        let started = rt::select! {
            started = self.service.call(&mut self.state, frame) => started,
            // Reads and long polls end with the server; the client asks again elsewhere or later.
            () = stopped(&mut stopping) => return Err(End::Quiet),
        };
        let outcome = match started {
            Started::Done(outcome) => outcome,
            Started::Waiting(outcome) => outcome.await,
        };
        write(&self.stream, outcome).await
    }

    /// Writes what is still owed, then ends.
    async fn drain(&mut self, waiting: VecDeque<Pipelined>) -> Result<(), End> {
        for pipelined in waiting {
            let outcome = pipelined.outcome.await;
            write(&self.stream, outcome).await?;
        }
        Ok(())
    }
}

/// Sends an answer; bytes before a file slice wait in the kernel for it, so that they leave together (D3).
async fn write(stream: &Stream, outcome: Outcome) -> Result<(), End> {
    let response: Response = match outcome {
        Outcome::NoReply => return Ok(()),
        Outcome::Close(reason) => return Err(End::Reason(reason.into_owned())),
        Outcome::Reply(response) => response,
    };
    let pieces = response.pieces();
    for (position, piece) in pieces.iter().enumerate() {
        let is_last = position + 1 == pieces.len();
        match piece {
            Piece::Bytes(bytes) if is_last => stream.write_all(bytes).await?,
            Piece::Bytes(bytes) => stream.write_all_more(bytes).await?,
            Piece::File(slice) => stream.send_file(slice).await?,
        }
    }
    Ok(())
}

async fn front(waiting: &mut VecDeque<Pipelined>) -> Outcome {
    match waiting.front_mut() {
        Some(pipelined) => pipelined.outcome.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the server stops, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
