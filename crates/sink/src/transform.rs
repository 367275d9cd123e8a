//! What makes rows of records.

use client::Record;

use crate::rows::Rows;
use crate::schema::{Column, Schema};

/// Makes rows of records: [`crate::JsonRows`], or a closure.
///
/// What it made and what it was asked about may be forgotten and come again, in other portions: it keeps nothing of the
/// records that counts.
pub trait Transform: Send + 'static {
    /// Appends what `records` come to, in any number of rows. They are written in one transaction with the offsets behind the
    /// records. What is returned is in no row.
    fn apply(&mut self, records: &[Record], rows: &mut Rows) -> Vec<Refused>;

    /// Columns for what the records had and the schema has not, since this was asked last.
    fn new_columns(&mut self) -> Vec<Column> {
        Vec::new()
    }

    /// Rows are made for this schema from now on.
    fn on_schema(&mut self, _schema: &Schema) {}
}

impl<F: FnMut(&[Record], &mut Rows) -> Vec<Refused> + Send + 'static> Transform for F {
    fn apply(&mut self, records: &[Record], rows: &mut Rows) -> Vec<Refused> {
        self(records, rows)
    }
}

/// A record that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which of the records.
    pub index: usize,
    /// Why.
    pub problem: String,
}
