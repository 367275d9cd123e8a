//! A checker of histories: what many clients did and heard goes in, what must never have happened comes out.
//!
//! Reading order: [`event`] is one thing that a client did or heard, [`text`] and [`json`] are its two written forms,
//! [`recorder`] gathers events while they happen, [`ledger`] says what follows from them, [`anomaly`] names what may
//! be wrong, and [`check`] looks for it: [`writes`], [`polls`], [`cycles`], [`groups`] and [`topics`] each for theirs.
//!
//! - H1 What is asked for is written down before it is asked for, so that a death in between leaves it open.
//! - H2 A record's name is used once; so are a transaction's and, where topics come and go, a topic's.
//! - H3 An outcome that nobody heard counts as maybe: it allows both.
//!
//! Knows nothing of brokers, and of Kafka only what its contract is.

mod anomaly;
mod check;
mod cycles;
mod event;
mod groups;
mod json;
mod ledger;
mod polls;
mod recorder;
mod text;
mod topics;
mod writes;

pub use anomaly::{Anomaly, Dependency};
pub use check::{Findings, check};
pub use event::{Commit, Ending, Event, Kind, Outcome, Place, Poll, Row, Send, sum_of};
pub use json::{read_lines, write_lines};
pub use recorder::Recorder;
pub use text::parse;
