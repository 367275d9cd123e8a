//! What nodes say to each other, as bytes: entries travel as the record batches they are stored as.

use std::io;

use model::TimestampMs;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use record::BatchHeader;

use super::storage::{from_raft, to_raft};
use super::{LogId, RaftEntry, RaftVote, TypeConfig};
use crate::entry::{Entry, leader_epoch};

/// A question.
#[derive(Debug)]
pub(super) enum Request {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
}

/// An answer.
#[derive(Debug)]
pub(super) enum Response {
    Append(AppendEntriesResponse<TypeConfig>),
    Vote(VoteResponse<TypeConfig>),
}

const APPEND: u8 = 0;
const VOTE: u8 = 1;
const PRE_VOTE: u8 = 2;

const SUCCESS: u8 = 0;
const PARTIAL_SUCCESS: u8 = 1;
const CONFLICT: u8 = 2;
const HIGHER_VOTE: u8 = 3;

impl Request {
    pub(super) fn encode(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Request::Append(append) => {
                bytes.push(APPEND);
                put_vote(&mut bytes, &append.vote);
                put_log_id(&mut bytes, append.prev_log_id);
                put_log_id(&mut bytes, append.leader_commit);
                append.entries.into_iter().try_for_each(|entry| put_entry(&mut bytes, entry))?;
            }
            Request::Vote(vote) => put_vote_request(&mut bytes, VOTE, &vote),
            Request::PreVote(vote) => put_vote_request(&mut bytes, PRE_VOTE, &vote),
        }
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Request> {
        let mut rest = Rest(bytes);
        match rest.byte()? {
            APPEND => {
                let vote = rest.vote()?;
                let (prev_log_id, leader_commit) = (rest.log_id()?, rest.log_id()?);
                let entries = rest.entries()?;
                Ok(Request::Append(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }))
            }
            VOTE => rest.vote_request().map(Request::Vote),
            PRE_VOTE => rest.vote_request().map(Request::PreVote),
            other => Err(strange(&format!("question {other}"))),
        }
    }
}

impl Response {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Response::Append(append) => {
                bytes.push(APPEND);
                match append {
                    AppendEntriesResponse::Success => bytes.push(SUCCESS),
                    AppendEntriesResponse::PartialSuccess(up_to) => {
                        bytes.push(PARTIAL_SUCCESS);
                        put_log_id(&mut bytes, *up_to);
                    }
                    AppendEntriesResponse::Conflict => bytes.push(CONFLICT),
                    AppendEntriesResponse::HigherVote(vote) => {
                        bytes.push(HIGHER_VOTE);
                        put_vote(&mut bytes, vote);
                    }
                }
            }
            Response::Vote(vote) => {
                bytes.extend([VOTE, u8::from(vote.vote_granted)]);
                put_vote(&mut bytes, &vote.vote);
                put_log_id(&mut bytes, vote.last_log_id);
            }
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Response> {
        let mut rest = Rest(bytes);
        match rest.byte()? {
            APPEND => rest.append_response().map(Response::Append),
            VOTE => {
                let vote_granted = rest.byte()? == 1;
                let (vote, last_log_id) = (rest.vote()?, rest.log_id()?);
                Ok(Response::Vote(VoteResponse { vote, vote_granted, last_log_id }))
            }
            other => Err(strange(&format!("answer {other}"))),
        }
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is not of this protocol"))
}

fn put_vote_request(bytes: &mut Vec<u8>, kind: u8, request: &VoteRequest<TypeConfig>) {
    bytes.extend([kind, u8::from(request.leadership_transfer)]);
    put_vote(bytes, &request.vote);
    put_log_id(bytes, request.last_log_id);
}

fn put_vote(bytes: &mut Vec<u8>, vote: &RaftVote) {
    bytes.extend(vote.leader_id.term.to_be_bytes());
    bytes.extend(vote.leader_id.node_id.to_be_bytes());
    bytes.push(u8::from(vote.committed));
}

fn put_log_id(bytes: &mut Vec<u8>, id: Option<LogId>) {
    bytes.push(u8::from(id.is_some()));
    if let Some(id) = id {
        bytes.extend(id.leader_id.term.to_be_bytes());
        bytes.extend(id.leader_id.node_id.to_be_bytes());
        bytes.extend(id.index.to_be_bytes());
    }
}

fn put_entry(bytes: &mut Vec<u8>, entry: RaftEntry) -> io::Result<()> {
    let entry = from_raft(entry)?;
    let epoch = leader_epoch(entry.term).ok_or_else(|| io::Error::other("out of terms"))?;
    let mut batch = entry.to_batch(TimestampMs(0)).map_err(io::Error::other)?;
    batch.set_base_offset(crate::open::offset(entry.index));
    batch.set_partition_leader_epoch(epoch);
    bytes.extend(batch.to_vec());
    Ok(())
}

/// What is left to decode.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(|| strange("a message so short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take::<1>()?[0])
    }

    fn number(&mut self) -> io::Result<u64> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    fn leader(&mut self) -> io::Result<LeaderId<u64, u64>> {
        Ok(LeaderId { term: self.number()?, node_id: self.number()? })
    }

    fn vote(&mut self) -> io::Result<RaftVote> {
        Ok(RaftVote { leader_id: self.leader()?, committed: self.byte()? == 1 })
    }

    fn log_id(&mut self) -> io::Result<Option<LogId>> {
        if self.byte()? == 0 {
            return Ok(None);
        }
        Ok(Some(LogId::new(self.leader()?, self.number()?)))
    }

    fn vote_request(&mut self) -> io::Result<VoteRequest<TypeConfig>> {
        let leadership_transfer = self.byte()? == 1;
        let (vote, last_log_id) = (self.vote()?, self.log_id()?);
        Ok(VoteRequest { vote, last_log_id, leadership_transfer })
    }

    fn append_response(&mut self) -> io::Result<AppendEntriesResponse<TypeConfig>> {
        Ok(match self.byte()? {
            SUCCESS => AppendEntriesResponse::Success,
            PARTIAL_SUCCESS => AppendEntriesResponse::PartialSuccess(self.log_id()?),
            CONFLICT => AppendEntriesResponse::Conflict,
            HIGHER_VOTE => AppendEntriesResponse::HigherVote(self.vote()?),
            other => return Err(strange(&format!("outcome {other}"))),
        })
    }

    fn entries(&mut self) -> io::Result<Vec<RaftEntry>> {
        let mut entries = Vec::new();
        while !self.0.is_empty() {
            let header = BatchHeader::parse(self.0).map_err(io::Error::other)?;
            let split = self.0.split_at_checked(header.size_in_bytes());
            let (batch, rest) = split.ok_or_else(|| strange("half a batch"))?;
            entries.push(to_raft(Entry::from_batch(batch).map_err(io::Error::other)?));
            self.0 = rest;
        }
        Ok(entries)
    }
}
