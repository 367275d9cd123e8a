//! Scenarios that show what streams and a database do together, each with its own check at the end.
//!
//! - M1 A demo counts at four places that know nothing of each other: what producers had acknowledged, what lies in the log,
//!   how far each group came, and what the database answers. It succeeds only if they agree.
//! - M2 A demo ends by itself: what is not in the tables in time fails it.
//! - M3 Nothing is printed here: [`Board`] is what somebody may draw.
//!
//! Reading order: [`Scenario`] is which there are, [`run`] one from its start to its [`Summary`]; `stage` is what all of them
//! stand on, `feed` writes messages, `crew` is a group that carries them into a table, `reader` one that only reads.

mod analytics;
mod board;
mod chat;
mod crew;
mod delivery;
mod dice;
mod direct;
mod error;
mod feed;
mod group;
mod member;
mod orders;
mod reader;
mod rides;
mod scenario;
mod stage;
mod summary;

pub use board::{Board, Fact, Figure, GroupView, TopicView, View};
pub use error::DemoError;
pub use scenario::{Scenario, run};
pub use stage::Plan;
pub use summary::{Claim, GroupSum, Summary, TopicSum};
