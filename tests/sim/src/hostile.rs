//! Frames that no client should send, made from those that clients do send.

use std::net::SocketAddr;

use rt::Rt;
use wire::{ApiVersionsRequest, ApiVersionsResponse, Uuid};

use crate::draw::Draw;
use crate::raw::{self, Raw};
use crate::samples::sample;

/// Bit flips and overwritten counts for each API and version.
const SPOILED: u64 = 6;

/// A frame to send, and what must come of it.
pub struct Hostile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What must come of it.
    pub expected: Expected,
}

/// What may come of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// An answer: there is nothing wrong with it.
    Answer,
    /// The end of the connection without an answer, once nothing more comes.
    End,
    /// Either.
    Any,
}

/// What the broker says it serves.
///
/// # Panics
/// It does not answer.
pub async fn served(rt: &Rt, address: SocketAddr) -> Vec<(i16, i16, i16)> {
    let mut connection = Raw::connect(rt, address).await.expect("the broker answers");
    connection.send(&raw::frame(1, &ApiVersionsRequest::default(), 0)).await.expect("the broker answers");
    let answer = connection.receive().await.expect("the broker answers");
    let (_, answer) =
        wire::decode_response::<ApiVersionsResponse<'_>>(&answer, 0).expect("the broker answers");
    answer.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect()
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&i32::try_from(body.len()).expect("a small number").to_be_bytes()[..], body].concat()
}

fn with_size(size: i32, body: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes()[..], body].concat()
}

/// Frames made of one well-made request of an API and version, most of them spoiled.
///
/// # Panics
/// A frame is longer than any frame may be.
pub fn frames(key: i16, version: i16, topic_id: Uuid, is_served: bool, draw: &mut Draw) -> Vec<Hostile> {
    let header = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0xff, 0xff, 0]].concat();
    let whole = sample(key, version, topic_id);
    // Produce is advertised in versions that nobody serves any more.
    let is_well_made = is_served && whole.is_some();
    let body = whole.map_or_else(|| header.clone(), |frame| frame[4..].to_vec());
    let length = i32::try_from(body.len()).expect("a small number");
    let below = |draw: &mut Draw, end: usize| {
        usize::try_from(draw.within(0..=u64::try_from(end).expect("a small number") - 1))
            .expect("a small number")
    };
    let any = |bytes: Vec<u8>| Hostile { bytes, expected: Expected::Any };
    let ends = |bytes: Vec<u8>| Hostile { bytes, expected: Expected::End };
    let as_it_is = if is_well_made { Expected::Answer } else { Expected::Any };
    let mut frames = vec![
        Hostile { bytes: framed(&body), expected: as_it_is },
        any(framed(&[&body[..], &[0; 9]].concat())),
        ends(with_size(-length, &body)),
        ends(with_size(i32::MIN, &body)),
        ends(with_size(i32::MAX, &body)),
        ends(with_size(length + 1, &body)),
        ends(framed(&[])),
    ];
    for _ in 0..3 {
        let cut = below(draw, body.len());
        frames.push(any(framed(&body[..cut])));
        frames.push(ends(framed(&body)[..4 + cut].to_vec()));
    }
    for _ in 0..SPOILED {
        let mut flipped = body.clone();
        flipped[below(draw, body.len())] ^= 1 << draw.within(0..=7);
        frames.push(any(framed(&flipped)));
        let mut counted = body.clone();
        let at = below(draw, body.len());
        let end = body.len().min(at + 4);
        counted[at..end]
            .copy_from_slice(&draw.pick(&[[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0; 4]])[..end - at]);
        frames.push(any(framed(&counted)));
        let noise: Vec<u8> = (0..draw.within(0..=60)).map(|_| draw.number().to_le_bytes()[0]).collect();
        frames.push(any(framed(&[&header[..], &noise].concat())));
        frames.push(any(framed(&noise)));
    }
    frames
}
