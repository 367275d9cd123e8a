//! Connections: frames in, segments out.
//!
//! - N1 What a peer sends, or does not, costs at most what `Limits` say, and only itself its time.
//! - N2 Answers leave in the order of the requests, each whole or the connection ends.
//!
//! Knows frames, not what a request means: that is the [`Service`]'s.

mod admission;
mod connection;
mod frames;
mod pool;
mod server;
mod service;

pub use admission::{Admission, ConnectionLimits};
pub use server::{Bound, Limits, Server, bind};
pub use service::{Class, Outcome, Piece, Response, Service, Started};
