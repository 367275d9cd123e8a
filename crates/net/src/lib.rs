//! Connections: frames in, segments out. Knows frames, not what a request means.

mod service;

pub use service::{Class, Outcome, Piece, Response, Service, Started};
