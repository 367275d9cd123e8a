//! A whole frame as segments: bytes of our own, and gaps that the sender fills from elsewhere.
//!
//! - F1 The first segment starts with the size prefix, which counts every segment, gaps included.
//! - F2 Bytes between two gaps are one segment; none is empty.

use bytes::Bytes;

use crate::error::{DecodeError, EncodeError};
use crate::generated::ResponseHeader;
use crate::header::{response_header_version, write_request_header, write_response_header};
use crate::message::{Message, Request, Response};
use crate::reader::Reader;
use crate::writer::Writer;

const SIZE_PREFIX: usize = size_of::<i32>();

/// One frame, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    segments: Vec<Segment>,
    length: u64,
}

/// A piece of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes to send as they are.
    Bytes(Bytes),
    /// What the sender knows by the index that [`Records::External`](crate::Records::External) had.
    External {
        /// Which of the sender's pieces.
        index: u32,
        /// Its length in bytes: exactly so many must be sent.
        len: u32,
    },
}

impl Frame {
    /// Its pieces in the order they are sent.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Its pieces in the order they are sent.
    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Bytes to be sent, size prefix and gaps included.
    pub fn len_bytes(&self) -> u64 {
        self.length
    }

    /// The frame as one piece.
    ///
    /// # Errors
    /// A part of it lies elsewhere.
    pub fn into_bytes(mut self) -> Result<Bytes, EncodeError> {
        match (self.segments.pop(), self.segments.is_empty()) {
            (Some(Segment::Bytes(bytes)), true) => Ok(bytes),
            _ => Err(EncodeError::External),
        }
    }

    fn close(writer: Writer) -> Result<Frame, EncodeError> {
        let (mut bytes, gaps) = writer.into_parts();
        let outside: u64 = gaps.iter().map(|gap| u64::from(gap.len)).sum();
        let length = bytes.len() as u64 + outside;
        let counted = length - SIZE_PREFIX as u64;
        let size = i32::try_from(counted).map_err(|_| EncodeError::FrameTooLong { length: counted })?;
        bytes[..SIZE_PREFIX].copy_from_slice(&size.to_be_bytes());
        let mut rest = Bytes::from(bytes);
        let mut segments = Vec::with_capacity(2 * gaps.len() + 1);
        let mut cut = 0;
        for gap in gaps {
            let before = rest.split_to(gap.position - cut);
            cut = gap.position;
            if !before.is_empty() {
                segments.push(Segment::Bytes(before));
            }
            if gap.len > 0 {
                segments.push(Segment::External { index: gap.index, len: gap.len });
            }
        }
        if !rest.is_empty() {
            segments.push(Segment::Bytes(rest));
        }
        Ok(Frame { segments, length })
    }
}

fn open() -> Writer {
    let mut writer = Writer::with_capacity(256);
    writer.i32(0);
    writer
}

/// The frame of a request: size prefix, header, message.
///
/// # Errors
/// `version` is unknown, or cannot carry this message.
pub fn encode_request<'a, Q: Request<'a>>(
    correlation_id: i32,
    client_id: Option<&str>,
    request: &Q,
    version: i16,
) -> Result<Frame, EncodeError> {
    let mut writer = open();
    write_request_header::<Q>(&mut writer, correlation_id, client_id, version)?;
    request.encode(&mut writer, version)?;
    Frame::close(writer)
}

/// The frame of a response: size prefix, header, message. Records kept elsewhere stay there.
///
/// # Errors
/// `version` is unknown, or cannot carry this message.
pub fn encode_response<'a, R: Response<'a>>(
    correlation_id: i32,
    response: &R,
    version: i16,
) -> Result<Frame, EncodeError> {
    let mut writer = open();
    write_response_header::<R>(&mut writer, correlation_id, version)?;
    response.encode(&mut writer, version)?;
    Frame::close(writer)
}

/// Reads the frame of a response, without its size prefix: the correlation id and the message.
///
/// # Errors
/// The bytes are not this response in this version.
pub fn decode_response<'a, R: Response<'a>>(frame: &'a [u8], version: i16) -> Result<(i32, R), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, response_header_version(R::KEY, version))?;
    Ok((header.correlation_id, R::decode(&mut reader, version)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::{HeartbeatRequest, Records};

    fn partition(records: Records<'static>) -> PartitionData<'static> {
        PartitionData { records, ..PartitionData::default() }
    }

    fn fetched(partitions: Vec<PartitionData<'static>>) -> FetchResponse<'static> {
        let topic = FetchableTopicResponse { partitions, ..FetchableTopicResponse::default() };
        FetchResponse { responses: vec![topic], ..FetchResponse::default() }
    }

    /// What a sender puts on the socket, with `fill` for every byte of a gap.
    fn sent(frame: &Frame, fill: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        for segment in frame.segments() {
            match segment {
                Segment::Bytes(own) => bytes.extend_from_slice(own),
                Segment::External { len, .. } => bytes.resize(bytes.len() + *len as usize, fill),
            }
        }
        bytes
    }

    #[test]
    fn a_frame_with_gaps_reads_like_the_frame_with_bytes() {
        for version in FetchResponse::VERSIONS.first..=FetchResponse::VERSIONS.last {
            let gaps = fetched(vec![
                partition(Records::External { index: 7, len: 300 }),
                partition(Records::External { index: 8, len: 0 }),
                partition(Records::Null),
                partition(Records::External { index: 9, len: 5 }),
            ]);
            let bytes = fetched(vec![
                partition(Records::Bytes(vec![9; 300].into())),
                partition(Records::Bytes(vec![].into())),
                partition(Records::Null),
                partition(Records::Bytes(vec![9; 5].into())),
            ]);
            let gaps = encode_response(5, &gaps, version).unwrap();
            let whole = encode_response(5, &bytes, version).unwrap();
            let externals: Vec<u32> = gaps.segments().iter().filter_map(external_index).collect();
            assert_eq!(externals, [7, 9], "version {version}");
            assert_eq!(gaps.len_bytes(), whole.len_bytes());
            let whole = whole.into_bytes().unwrap();
            assert_eq!(sent(&gaps, 9), whole);
            assert_eq!(gaps.into_bytes(), Err(EncodeError::External));
            assert_eq!(whole[..4], i32::try_from(whole.len() - 4).unwrap().to_be_bytes());
            let (correlation_id, read) = decode_response::<FetchResponse<'_>>(&whole[4..], version).unwrap();
            assert_eq!((correlation_id, read), (5, bytes));
        }
    }

    fn external_index(segment: &Segment) -> Option<u32> {
        match segment {
            Segment::Bytes(_) => None,
            Segment::External { index, .. } => Some(*index),
        }
    }

    #[test]
    fn a_frame_too_long_for_its_prefix_is_refused() {
        let half = Records::External { index: 0, len: 1 << 30 };
        let response = fetched(vec![partition(half.clone()), partition(half)]);
        let error = encode_response(0, &response, 12).unwrap_err();
        assert!(matches!(error, EncodeError::FrameTooLong { length } if length > 1 << 31), "{error}");
    }

    #[test]
    fn what_a_version_lacks_is_refused_unless_ignorable() {
        let request =
            HeartbeatRequest { group_instance_id: Some("static".into()), ..HeartbeatRequest::default() };
        let field = "group_instance_id";
        assert_eq!(
            encode_request(0, None, &request, 2).unwrap_err(),
            EncodeError::NotInVersion { field, version: 2 }
        );
        assert!(encode_request(0, None, &request, 3).is_ok());
        let response = FetchResponse { error_code: 3, ..FetchResponse::default() };
        assert!(encode_response(0, &response, 6).is_ok(), "the error code is ignorable before version 7");
    }

    #[test]
    fn null_is_refused_where_the_version_has_none() {
        let request = crate::MetadataRequest { topics: None, ..Default::default() };
        let field = "topics";
        assert_eq!(
            encode_request(0, None, &request, 0).unwrap_err(),
            EncodeError::Null { field, version: 0 }
        );
        assert!(encode_request(0, None, &request, 1).is_ok());
    }
}
