//! One request being served: the broker it came to, the connection it came by, and who sent it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::node::Node;

/// What a handler may look at.
pub struct Call<'a> {
    /// The broker.
    pub node: &'a Node,
    /// The connection.
    pub connection: &'a Connection,
    /// What the client calls itself; empty if it does not.
    pub client_id: &'a str,
}

/// One client's connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it came to.
    pub local: SocketAddr,
    /// The name of the listener there.
    pub listener: Arc<str>,
}
