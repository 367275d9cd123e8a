//! Rows into the table.
//!
//! - W1 A row that does not have a column with a DEFAULT goes in a statement without that column; what an upsert then leaves in
//!   it is the DEFAULT too.

use std::collections::BTreeMap;

use rusqlite::types::Null;
use rusqlite::{Statement, Transaction};
use sink::{Rows, Schema, TargetError, Value};

use crate::fault::Failure;
use crate::table::{QUOTE, Table};

/// Writes rows and deletes rows, in a transaction.
pub(crate) fn rows(
    transaction: &Transaction<'_>,
    schema: &Schema,
    table: &Table,
    rows: &Rows,
) -> Result<(), Failure> {
    let changes = rows.changes(&schema.key);
    if !changes.deleted.is_empty() {
        each(transaction, &delete(schema), &schema.key, rows, &changes.deleted)?;
    }
    for (absent, written) in grouped(table, changes.written) {
        let columns: Vec<_> = (0..schema.columns.len()).filter(|index| !absent.contains(index)).collect();
        each(transaction, &insert(schema, &columns), &columns, rows, &written)?;
    }
    Ok(())
}

/// Rows by which of the columns with a DEFAULT they do not have (W1).
fn grouped<'a>(table: &Table, written: Vec<&'a [Value]>) -> BTreeMap<Vec<usize>, Vec<&'a [Value]>> {
    let mut groups = BTreeMap::new();
    if table.with_default.is_empty() {
        groups.insert(Vec::new(), written);
        return groups;
    }
    for row in written {
        let absent = table.with_default.iter().copied().filter(|&column| row[column] == Value::Absent);
        groups.entry(absent.collect()).or_insert_with(Vec::new).push(row);
    }
    groups
}

/// Runs a statement with these columns of each row.
fn each(
    transaction: &Transaction<'_>,
    statement: &str,
    columns: &[usize],
    rows: &Rows,
    changed: &[&[Value]],
) -> Result<(), Failure> {
    let mut statement = transaction.prepare(statement)?;
    for row in changed {
        for (parameter, &column) in (1..).zip(columns) {
            bind(&mut statement, parameter, rows, &row[column])?;
        }
        statement.raw_execute()?;
    }
    Ok(())
}

fn bind(statement: &mut Statement<'_>, parameter: usize, rows: &Rows, value: &Value) -> Result<(), Failure> {
    match value {
        Value::Absent | Value::Null => statement.raw_bind_parameter(parameter, Null)?,
        Value::Boolean(value) => statement.raw_bind_parameter(parameter, i64::from(*value))?,
        Value::Bigint(value) => statement.raw_bind_parameter(parameter, *value)?,
        Value::Double(value) => statement.raw_bind_parameter(parameter, *value)?,
        Value::Text(at) | Value::Json(at) => statement.raw_bind_parameter(parameter, rows.text(at))?,
        Value::Timestamp(us) => {
            let text = model::time::DateTime::from_us(*us);
            let text = text.ok_or_else(|| {
                TargetError::refused(format!("{us} us since 1970 is no time of the years 0 to 9999"))
            })?;
            statement.raw_bind_parameter(parameter, text.as_str())?;
        }
    }
    Ok(())
}

fn insert(schema: &Schema, columns: &[usize]) -> String {
    let table = QUOTE.table(&schema.table);
    if columns.is_empty() {
        return format!("INSERT INTO {table} DEFAULT VALUES");
    }
    let places = vec!["?"; columns.len()].join(", ");
    let mut statement = format!("INSERT INTO {table} ({}) VALUES ({places})", QUOTE.columns(schema, columns));
    if schema.key.is_empty() {
        return statement;
    }
    let set = (0..schema.columns.len()).filter(|index| !schema.key.contains(index)).map(|index| {
        let name = QUOTE.name(&schema.columns[index].name);
        format!("{name} = excluded.{name}")
    });
    let set: Vec<_> = set.collect();
    statement.push_str(&format!(" ON CONFLICT ({}) DO ", QUOTE.columns(schema, &schema.key)));
    match set.is_empty() {
        true => statement.push_str("NOTHING"),
        false => statement.push_str(&format!("UPDATE SET {}", set.join(", "))),
    }
    statement
}

fn delete(schema: &Schema) -> String {
    let is_key = |&index: &usize| format!("{} = ?", QUOTE.name(&schema.columns[index].name));
    let condition: Vec<_> = schema.key.iter().map(is_key).collect();
    format!("DELETE FROM {} WHERE {}", QUOTE.table(&schema.table), condition.join(" AND "))
}
