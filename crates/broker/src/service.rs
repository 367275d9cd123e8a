//! What the network asks of a broker: look at a frame, take it in, answer it.
//!
//! - S1 A frame that cannot be understood ends its connection with one line in the log; it never panics and
//!   never disturbs another connection (D9). ApiVersions in a version not served is the one exception: it is
//!   answered, so that the client can ask again (KIP-511).
//! - S2 A produce resolves once its batches are queued; everything else once it is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use net::{Class, Outcome, Response, Service, Started};
use wire::{ApiKey, Message, Reader, RequestHeader};

use crate::call::{Call, Connection};
use crate::error::Refused;
use crate::node::Node;
use crate::registry::{self, api_versions, produce};

/// The broker behind the sockets.
pub struct BrokerService {
    node: Arc<Node>,
}

impl BrokerService {
    /// Serves this broker.
    pub fn new(node: Arc<Node>) -> BrokerService {
        BrokerService { node }
    }

    async fn take_in(&self, connection: &Connection, frame: Bytes) -> Result<Started, Refused> {
        let bytes = frame.clone();
        let mut reader = Reader::new(&bytes);
        let header = RequestHeader::read(&mut reader)?;
        let version = header.request_api_version;
        let Some(key) = header.api().filter(|key| registry::SERVED.contains(key)) else {
            return unserved(&header);
        };
        let client_id = header.client_id.as_deref().unwrap_or_default();
        let call = Call { node: &self.node, connection, client_id };
        if key != ApiKey::Produce {
            drop(frame);
            let (frame, slices) = registry::serve(&call, key, version, header.correlation_id, reader).await?;
            return Ok(Started::Done(Outcome::Reply(Response::new(frame, &slices))));
        }
        let request = Message::decode(&mut reader, version)?;
        let started = produce::start(&call, request, &frame, version).await;
        let (node, correlation_id) = (Arc::clone(&self.node), header.correlation_id);
        Ok(Started::Waiting(Box::pin(async move {
            match started.finish(&node, version).await {
                produce::Outcome::Silence => Outcome::NoReply,
                produce::Outcome::Close => Outcome::Close("a produce with acks=0 failed".into()),
                produce::Outcome::Reply(response) => {
                    match wire::encode_response(correlation_id, &response, version) {
                        Ok(frame) => Outcome::Reply(Response::new(frame, &[])),
                        Err(error) => Outcome::Close(Refused::from(error).to_string().into()),
                    }
                }
            }
        })))
    }
}

/// An API or version that is not served: ApiVersions is answered, everything else ends the connection.
fn unserved(header: &RequestHeader<'_>) -> Result<Started, Refused> {
    if header.request_api_key == ApiKey::ApiVersions.as_i16() {
        let frame = wire::encode_response(header.correlation_id, &api_versions::unsupported_version(), 0)?;
        return Ok(Started::Done(Outcome::Reply(Response::new(frame, &[]))));
    }
    Err(Refused::NotServed { key: header.request_api_key, version: header.request_api_version })
}

impl Service for BrokerService {
    type Connection = Connection;

    fn connected(&self, peer: SocketAddr, local: SocketAddr, listener: &Arc<str>) -> Connection {
        Connection { peer, local, listener: Arc::clone(listener) }
    }

    fn class(&self, frame: &[u8]) -> Class {
        let key = frame.first_chunk().copied().map(i16::from_be_bytes);
        match key.and_then(ApiKey::from_i16) {
            Some(ApiKey::Produce) => Class::Pipelined,
            Some(ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup) => Class::Patient,
            Some(_) | None => Class::Barrier,
        }
    }

    async fn call(&self, connection: &mut Connection, frame: Bytes) -> Started {
        match self.take_in(connection, frame).await {
            Ok(started) => started,
            Err(refused) => Started::Done(Outcome::Close(refused.to_string().into())),
        }
    }
}
