//! The headers in front of requests and responses.
//!
//! - H1 The key, version and correlation id of a request are read whatever follows them, so that a broker can say what
//!   it does not understand.

use crate::error::{DecodeError, EncodeError};
use crate::generated::{ApiKey, RequestHeader, ResponseHeader};
use crate::message::{Message, Request, Response};
use crate::reader::Reader;
use crate::records::Str;
use crate::writer::Writer;

/// The header version of requests.
pub fn request_header_version(key: ApiKey, version: i16) -> i16 {
    if key.is_flexible(version) { 2 } else { 1 }
}

/// The header version of responses. ApiVersions stays at 0: its reader does not know yet what the broker speaks (KIP-511).
pub fn response_header_version(key: ApiKey, version: i16) -> i16 {
    if key != ApiKey::ApiVersions && key.is_flexible(version) { 1 } else { 0 }
}

impl<'a> RequestHeader<'a> {
    /// Reads the header in front of a request and leaves `reader` at the request.
    ///
    /// Where the API is unknown or the version is none of ours, only key, version and correlation id are read, and the
    /// reader is left behind those: nobody can tell what follows.
    ///
    /// # Errors
    /// The frame ends within the header, or the client id is malformed.
    pub fn read(reader: &mut Reader<'a>) -> Result<RequestHeader<'a>, DecodeError> {
        let request_api_key = reader.i16("request_api_key")?;
        let request_api_version = reader.i16("request_api_version")?;
        let correlation_id = reader.i32("correlation_id")?;
        let mut header =
            RequestHeader { request_api_key, request_api_version, correlation_id, client_id: None };
        if let Some(key) = header.api() {
            // The client id has its plain form in all versions, for the sake of just this code.
            header.client_id = reader.nullable_string(crate::writer::Form::Plain, "client_id")?;
            if request_header_version(key, request_api_version) >= 2 {
                reader.skip_tags()?;
            }
        }
        Ok(header)
    }

    /// The API, if it is known in the version asked for.
    pub fn api(&self) -> Option<ApiKey> {
        ApiKey::from_i16(self.request_api_key).filter(|key| key.versions().contains(self.request_api_version))
    }
}

/// Writes the header of a request.
pub(crate) fn write_request_header<'a, Q: Request<'a>>(
    writer: &mut Writer,
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
) -> Result<(), EncodeError> {
    let header = RequestHeader {
        request_api_key: Q::KEY.as_i16(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(Str::Borrowed),
    };
    header.encode(writer, request_header_version(Q::KEY, version))
}

/// Writes the header of a response.
pub(crate) fn write_response_header<'a, R: Response<'a>>(
    writer: &mut Writer,
    correlation_id: i32,
    version: i16,
) -> Result<(), EncodeError> {
    ResponseHeader { correlation_id }.encode(writer, response_header_version(R::KEY, version))
}
