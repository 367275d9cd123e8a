//! openraft's network over `rt`'s sockets: one connection a peer, one question at a time.

use std::future::Future;
use std::io;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::EmptyNode;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, Raft};
use rt::{Rt, Stream};

use super::machine::Machine;
use super::message::{Request, Response};
use super::{RaftSnapshot, RaftVote, TypeConfig};

/// Where nodes listen for each other.
pub(super) const PORT: u16 = 19092;

/// Bytes a message may have: `max_payload_entries` entries of these tests, many times over.
const MESSAGE_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Makes connections to peers, which are found by the host name of their number.
pub(super) struct Peers(pub(super) Rt);

/// The host name of a node.
pub(super) fn host(node: u64) -> String {
    format!("n{node}")
}

/// The connection to one peer.
pub(super) struct Peer {
    rt: Rt,
    host: String,
    stream: Option<Stream>,
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Peer {
        Peer { rt: self.0.clone(), host: host(target), stream: None }
    }
}

impl Peer {
    async fn ask(&mut self, request: Request, option: RPCOption) -> Result<Response, RPCError<TypeConfig>> {
        let bytes = request.encode().map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let rt = self.rt.clone();
        let exchanged = rt.timeout(option.soft_ttl(), self.exchange(&bytes)).await;
        let exchanged = exchanged.unwrap_or_else(|elapsed| Err(elapsed.into()));
        exchanged.map_err(|error| {
            // What was asked may still be answered: on this connection nothing fits any more.
            self.stream = None;
            RPCError::Unreachable(Unreachable::new(&error))
        })
    }

    async fn exchange(&mut self, bytes: &[u8]) -> io::Result<Response> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.rt.connect(&self.host, PORT).await?,
        };
        send(&stream, bytes).await?;
        let answer = receive(&stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.stream = Some(stream);
        Response::decode(&answer)
    }

    async fn ask_for_vote(
        &mut self,
        request: Request,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(request, option).await? {
            Response::Vote(vote) => Ok(vote),
            Response::Append(_) => Err(RPCError::Network(NetworkError::from_string("not a vote"))),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.ask(Request::Append(rpc), option).await? {
            Response::Append(append) => Ok(append),
            Response::Vote(_) => Err(RPCError::Network(NetworkError::from_string("not an append"))),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(Request::Vote(rpc), option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask_for_vote(Request::PreVote(rpc), option).await
    }

    async fn full_snapshot(
        &mut self,
        _vote: RaftVote,
        _snapshot: RaftSnapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        unreachable!("entries are never purged here, so no peer needs a snapshot")
    }
}

/// Answers peers until the node ends.
pub(super) async fn serve(rt: Rt, raft: Raft<TypeConfig, Machine>) {
    let listener = rt.listen(([0, 0, 0, 0], PORT).into()).await.expect("a node listens once");
    loop {
        let Ok(stream) = listener.accept().await else { return };
        let raft = raft.clone();
        rt.spawn(
            "peer",
            super::runtime::within(&rt, async move {
                // A broken connection is its peer's to mend.
                drop(answer(&stream, &raft).await);
            }),
        );
    }
}

async fn answer(stream: &Stream, raft: &Raft<TypeConfig, Machine>) -> io::Result<()> {
    while let Some(bytes) = receive(stream).await? {
        let response = match Request::decode(&bytes)? {
            Request::Append(append) => {
                Response::Append(raft.append_entries(append).await.map_err(io::Error::other)?)
            }
            Request::Vote(vote) => Response::Vote(raft.vote(vote).await.map_err(io::Error::other)?),
            Request::PreVote(vote) => Response::Vote(raft.pre_vote(vote).await.map_err(io::Error::other)?),
        };
        send(stream, &response.encode()).await?;
    }
    Ok(())
}

async fn send(stream: &Stream, message: &[u8]) -> io::Result<()> {
    let size = u32::try_from(message.len()).ok().filter(|size| *size <= MESSAGE_BYTES_MAX);
    let size = size.ok_or(io::ErrorKind::InvalidInput)?;
    stream.write_all_more(&size.to_be_bytes()).await?;
    stream.write_all(message).await
}

/// The next message; none at the end of the stream.
async fn receive(stream: &Stream) -> io::Result<Option<Vec<u8>>> {
    let mut size = [0; 4];
    if !fill(stream, &mut size).await? {
        return Ok(None);
    }
    let size = u32::from_be_bytes(size);
    if MESSAGE_BYTES_MAX < size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; size as usize];
    if !fill(stream, &mut message).await? && size != 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(message))
}

/// Whether `buffer` was filled; the stream may end before its first byte.
async fn fill(stream: &Stream, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(true)
}
