//! Sinks: records of topics into the table of a database, exactly once.
//!
//! - S1 A record is in the table once: its row and the offset behind it are written in one transaction, which only the
//!   owner of the partition's epoch can commit, and only from the offset it is expected at.
//! - S2 Nothing is passed over: what cannot be written stops its partition with a message.
//!
//! Reading order: [`Definition`] is what the user says, [`Schema`] the table; a [`Transform`] turns records into [`Rows`], [`JsonRows`]
//! where they are JSON;
//! [`Target`] is what a database does, [`Worker`] what carries one to the other, with [`Ledger`] as its memory of what is
//! whose. Knows no particular database.

mod condition;
mod dead_letter;
mod decode;
mod definition;
mod desk;
mod flush;
mod gathered;
mod infer;
mod json;
mod json_rows;
mod ledger;
mod note;
mod origins;
mod quote;
mod retry;
mod rows;
mod schema;
mod search;
mod target;
mod transform;
mod worker;

pub use condition::{Condition, ConditionError};
pub use dead_letter::RecordId;
pub use definition::{Begin, Database, Definition, DefinitionError, Listed, Password, Tombstones};
pub use flush::Flush;
pub use infer::sample;
pub use json_rows::JsonRows;
pub use ledger::{Ledger, Verdict};
pub use note::Note;
pub use quote::Quote;
pub use retry::{Retried, mend, retry};
pub use rows::{Changes, NewRow, Rows, Value};
pub use schema::{Column, ColumnType, MAX_COLUMNS, Schema, Source};
pub use target::{Batch, Claim, Fault, Granted, Move, Origin, Target, TargetError};
pub use transform::{Refused, Transform};
pub use worker::Worker;
