//! Listeners and connections: frames in, pieces out.
//!
//! - N1 Answers leave a connection in the order of its requests.
//! - N2 Pipelined requests are started in the order in which they arrived, while earlier ones still wait (D4);
//!   any other request starts only when everything before it was answered.
//! - N3 Nothing a peer announces sizes an allocation: a buffer grows with the bytes that are really there.
//! - N4 All frames together hold no more than one pool allows; beyond it sockets are not read (D8).
//! - N5 A peer that does not read its answers stalls itself only: one answer at a time waits for it.
//! - N6 An idle connection holds no buffer.
//!
//! Knows nothing of what a request means.

mod connection;
mod frames;
mod server;
mod service;

pub use server::{Bound, Limits, Server};
pub use service::{Class, Outcome, Piece, Response, Service, Started};
