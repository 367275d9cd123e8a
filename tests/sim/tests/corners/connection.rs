//! A connection that asks one thing after the other, in the version a script wants.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use model::ErrorCode;
use rt::Rt;
use sim_tests::raw::{self, Raw};
use wire::{Message, Request};

/// Longest wait for an answer, or for what must come about.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what must come about.
const PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub struct Connection {
    pub rt: Rt,
    raw: Raw,
    correlation_id: i32,
}

impl Connection {
    pub async fn open(rt: &Rt, address: SocketAddr) -> Connection {
        let raw = Raw::connect(rt, address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        Connection { rt: rt.clone(), raw, correlation_id: 0 }
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub fn ask<'a, Q: Request<'a>>(
        &mut self,
        request: &Q,
        version: i16,
    ) -> impl Future<Output = Q::Response<'static>> {
        let caller = std::panic::Location::caller();
        let id = self.next_id();
        let frame = raw::frame(id, request, version);
        async move {
            self.send(&frame).await;
            let answer = self.answer().await;
            let answer =
                answer.unwrap_or_else(|| panic!("{caller}: closed instead of an answer to {}", Q::NAME));
            let (correlation_id, answer) = wire::decode_response::<Q::Response<'_>>(&answer, version)
                .unwrap_or_else(|error| panic!("{caller}: the answer to {} {version}: {error}", Q::NAME));
            assert_eq!(correlation_id, id, "{caller}");
            answer.into_owned()
        }
    }

    /// Asks and does not wait; the correlation id that the answer will have.
    pub async fn start<'a, Q: Request<'a>>(&mut self, request: &Q, version: i16) -> i32 {
        let id = self.next_id();
        self.send(&raw::frame(id, request, version)).await;
        id
    }

    fn next_id(&mut self) -> i32 {
        self.correlation_id += 1;
        self.correlation_id
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.raw.send(bytes).await.unwrap();
    }

    /// The next answer, from its header on; `None` when the connection was closed instead.
    pub async fn answer(&mut self) -> Option<Bytes> {
        self.rt
            .timeout(PATIENCE, self.raw.receive())
            .await
            .expect("an answer, or the end of the connection, in time")
    }

    /// The next answer, if it comes within `limit`.
    pub async fn answer_within(&mut self, limit: Duration) -> Option<Bytes> {
        let answer = self.rt.timeout(limit, self.raw.receive()).await.ok()?;
        Some(answer.expect("the connection stays open"))
    }

    /// The next answer, to a request that was started.
    pub async fn finish<'a, Q: Request<'a>>(&mut self, version: i16) -> (i32, Q::Response<'static>) {
        let answer = self.answer().await.expect("an answer instead of the end of the connection");
        let (correlation_id, answer) = wire::decode_response::<Q::Response<'_>>(&answer, version).unwrap();
        (correlation_id, answer.into_owned())
    }

    /// Waits between two looks at what must come about.
    pub async fn pause(&self) {
        self.rt.sleep(PAUSE).await;
    }

    /// How often to look before giving up.
    pub fn looks() -> std::ops::Range<u128> {
        0..PATIENCE.as_millis() / PAUSE.as_millis()
    }
}

/// The error of a number in an answer, so that a failed assertion names both.
pub fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}
