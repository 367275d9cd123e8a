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
    each(transaction, &delete(schema), &schema.key, rows, changes.deleted.chunks(1))?;
    for (absent, written) in grouped(table, changes.written) {
        let columns: Vec<_> = (0..schema.columns.len()).filter(|index| !absent.contains(index)).collect();
        insert_all(transaction, schema, &columns, rows, &written)?;
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

/// Rows of one statement: what each statement takes by itself is shared by so many.
const STATEMENT_ROWS_MAX: usize = 64;

/// Variables that a statement may have ("Limits In SQLite", 9).
const VARIABLES_MAX: usize = 32_766;

/// Inserts these columns of each row, many rows with a statement, and those that are left with one each.
fn insert_all(
    transaction: &Transaction<'_>,
    schema: &Schema,
    columns: &[usize],
    rows: &Rows,
    written: &[&[Value]],
) -> Result<(), Failure> {
    // Without columns a statement has one row: all its DEFAULTs.
    let together = VARIABLES_MAX.checked_div(columns.len()).unwrap_or(1).clamp(1, STATEMENT_ROWS_MAX);
    let chunks = written.chunks_exact(together);
    let left = chunks.remainder().chunks(1);
    each(transaction, &insert(schema, columns, together), columns, rows, chunks)?;
    each(transaction, &insert(schema, columns, 1), columns, rows, left)
}

/// Runs a statement with these columns of the rows of each chunk; nothing is asked of SQLite where there is none.
fn each<'a>(
    transaction: &Transaction<'_>,
    statement: &str,
    columns: &[usize],
    rows: &Rows,
    chunks: impl ExactSizeIterator<Item = &'a [&'a [Value]]>,
) -> Result<(), Failure> {
    if chunks.len() == 0 {
        return Ok(());
    }
    let mut statement = transaction.prepare(statement)?;
    for chunk in chunks {
        let values = chunk.iter().flat_map(|row| columns.iter().map(|&column| &row[column]));
        for (parameter, value) in (1..).zip(values) {
            bind(&mut statement, parameter, rows, value)?;
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

fn insert(schema: &Schema, columns: &[usize], rows: usize) -> String {
    let table = QUOTE.table(&schema.table);
    if columns.is_empty() {
        return format!("INSERT INTO {table} DEFAULT VALUES");
    }
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let places = vec![row; rows].join(", ");
    // What fails takes the whole transaction with it, so SQLite need not be able to undo a part of the statement.
    let mut statement =
        format!("INSERT OR FAIL INTO {table} ({}) VALUES {places}", QUOTE.columns(schema, columns));
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
