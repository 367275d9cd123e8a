//! What tests of targets write: tables of columns named like their fields, one partition that begins at offset 5, and rows.

use std::ops::Range;

use client::TopicPartition;
use model::{Offset, TopicName};
use sink::{
    Batch, Claim, Column, ColumnType, Move, Origin, Rows, Schema, Source, Target, TargetError, Value,
};

/// A table of these columns.
///
/// # Panics
/// It is none that a sink may have.
pub fn schema(table: &str, columns: &[(&str, ColumnType)], key: &[&str], is_inferred: bool) -> Schema {
    let column = |(name, kind): &(&str, ColumnType)| Column {
        name: (*name).to_owned(),
        source: Source::Field(vec![(*name).to_owned()]),
        kind: *kind,
        required: false,
    };
    let key: Vec<_> = key.iter().map(|name| (*name).to_owned()).collect();
    Schema::new(table, columns.iter().map(column).collect(), &key, is_inferred).expect("a table")
}

/// The partition.
pub fn place() -> TopicPartition {
    TopicPartition::new(TopicName::parse("a").expect("a name"), 0)
}

/// Takes it; `held` is the epoch in which the taker had it until now.
pub fn claim(held: Option<i64>) -> Claim {
    let (cluster_id, topic_id) = ("c".to_owned(), "i".to_owned());
    let origin = Origin { cluster_id, topic_id, begin: Offset(5), log_start: Offset(0) };
    Claim { place: place(), held, origin }
}

/// Moves its offset.
pub fn moved(epoch: i64, expected: i64, next: i64) -> Vec<Move> {
    vec![Move { place: place(), epoch, expected: Offset(expected), next: Offset(next) }]
}

/// Rows of these numbers in the first of so many columns.
pub fn numbers(values: Range<i64>, width: usize) -> Rows {
    let mut rows = Rows::new(width);
    values.for_each(|value| rows.begin().set(0, Value::Bigint(value)));
    rows
}

/// Takes the partition for a sink that is called like the table, and writes rows.
///
/// # Errors
/// Those of the database.
pub async fn write(target: &mut impl Target, schema: &Schema, rows: Rows) -> Result<bool, TargetError> {
    let granted = target.claim(&schema.table, &[claim(None)]).await?.remove(0);
    let next = granted.next_offset.0;
    let moves = moved(granted.epoch, next, next + 1);
    target.commit(&schema.table, schema, &Batch { rows, moves }).await
}
