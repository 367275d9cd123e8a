//! What tests of targets write: tables of columns named like their fields, one partition that begins at offset 5, and rows.

use std::ops::Range;

use client::TopicPartition;
use model::{Offset, TopicName};
use sink::{
    Batch, Claim, Column, ColumnType, Granted, Move, Origin, Rows, Schema, Source, Target, TargetError, Value,
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

/// Two owners of the partition, one after the other: the newer one's offset moves with its rows and from where it stands,
/// and the older one moves nothing; nor does an offset move whose rows are refused. `ask` answers a statement, with | between
/// columns.
///
/// # Panics
/// It is otherwise.
pub async fn check_owners<T: Target>(one: &mut T, other: &mut T, table: &str, ask: impl Fn(&str) -> String) {
    let schema = schema(table, &[("id", ColumnType::Bigint)], &[], false);
    one.prepare(&schema).await.expect("tables");
    other.prepare(&schema).await.expect("what is there already");
    let granted = one.claim("s", &[claim(None)]).await.expect("nobody has it");
    let (cluster_id, topic_id) = ("c".to_owned(), "i".to_owned());
    assert_eq!(granted, [Granted { place: place(), epoch: 1, next_offset: Offset(5), cluster_id, topic_id }]);
    let there =
        format!("SELECT count(*), sum(id), max(next_offset) FROM {table}, ottla_offsets WHERE sink = 's'");
    let batch = |moves| Batch { rows: numbers(0..10, 1), moves };
    assert_eq!(one.commit("s", &schema, &batch(moved(1, 5, 15))).await, Ok(true));
    assert_eq!(one.commit("s", &schema, &batch(moved(1, 5, 15))).await, Ok(false), "not twice");
    assert_eq!(ask(&there), "10|45|15");

    assert_eq!(other.claim("s", &[claim(None)]).await.expect("it takes it")[0].epoch, 2);
    assert_eq!(one.commit("s", &schema, &batch(moved(1, 15, 25))).await, Ok(false), "it was taken");
    assert_eq!(one.claim("s", &[claim(Some(1))]).await, Ok(vec![]), "it is not taken back");
    assert_eq!(other.claim("s", &[claim(Some(2))]).await.expect("it has it")[0].epoch, 3);
    assert_eq!(other.commit("s", &schema, &batch(moved(3, 15, 25))).await, Ok(true));
    assert_eq!(ask(&there), "20|90|25");

    ask(&format!("ALTER TABLE {table} RENAME COLUMN id TO away"));
    other.commit("s", &schema, &batch(moved(3, 25, 35))).await.expect_err("it has no such column");
    ask(&format!("ALTER TABLE {table} RENAME COLUMN away TO id"));
    assert_eq!(ask(&there), "20|90|25", "nor an offset without its rows");
}
