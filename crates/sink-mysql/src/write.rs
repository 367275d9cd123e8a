//! Rows into the table, in statements of many rows.
//!
//! - W1 A statement fits a packet of the server's. What it comes to is not known before it is made: the row that is too much
//!   for one begins the next.

use mysql_async::prelude::Queryable as _;
use sink::{Rows, Schema, TargetError, Value};

use crate::Connection;
use crate::fault::Failure;
use crate::table::{QUOTE, Table};

/// About how long statements are; longer ones are not faster.
const STATEMENT_BYTES: usize = 1024 * 1024;

/// Most keys of one deletion, well below where the optimiser gives up looking each one up.
const DELETED_MAX: usize = 1_000;

/// What the protocol adds to a statement.
const HEADER_BYTES: usize = 16;

/// Writes rows and deletes rows, in a transaction.
pub(crate) async fn rows(
    connection: &mut Connection,
    schema: &Schema,
    table: &Table,
    rows: &Rows,
) -> Result<(), Failure> {
    let changes = rows.changes(&schema.key);
    let columns: Vec<_> = (0..schema.columns.len()).collect();
    let writing = Many {
        head: format!(
            "INSERT INTO {} ({}) VALUES ",
            QUOTE.table(&schema.table),
            QUOTE.columns(schema, &columns)
        ),
        columns: &columns,
        tail: on_duplicate(schema),
        rows_max: usize::MAX,
    };
    let deleting = Many {
        head: format!(
            "DELETE FROM {} WHERE ({}) IN (",
            QUOTE.table(&schema.table),
            QUOTE.columns(schema, &schema.key)
        ),
        columns: &schema.key,
        tail: ")".to_owned(),
        rows_max: DELETED_MAX,
    };
    deleting.run(connection, table, rows, &changes.deleted).await?;
    writing.run(connection, table, rows, &changes.written).await
}

/// What makes an upsert of an insert. A table of a sink has no other unique index that it could mean.
fn on_duplicate(schema: &Schema) -> String {
    let Some(&first) = schema.key.first() else { return String::new() };
    let set = (0..schema.columns.len()).filter(|index| !schema.key.contains(index)).map(|index| {
        let name = QUOTE.name(&schema.columns[index].name);
        format!("{name} = VALUES({name})")
    });
    let mut set: Vec<_> = set.collect();
    if set.is_empty() {
        let name = QUOTE.name(&schema.columns[first].name);
        set.push(format!("{name} = {name}"));
    }
    format!(" ON DUPLICATE KEY UPDATE {}", set.join(", "))
}

/// A statement about many rows, as often as it takes.
struct Many<'a> {
    head: String,
    /// The columns it says of each.
    columns: &'a [usize],
    tail: String,
    rows_max: usize,
}

impl Many<'_> {
    async fn run(
        &self,
        connection: &mut Connection,
        table: &Table,
        rows: &Rows,
        changed: &[&[Value]],
    ) -> Result<(), Failure> {
        let room = connection.packet_bytes.saturating_sub(HEADER_BYTES + self.tail.len());
        let mut sql = self.head.clone().into_bytes();
        let mut count = 0;
        for row in changed {
            let start = sql.len();
            self.put_row(&mut sql, table, rows, row)?;
            if 0 < count && (room.min(STATEMENT_BYTES) < sql.len() || count == self.rows_max) {
                let row = sql.split_off(start);
                self.send(connection, &mut sql).await?;
                sql.extend(row);
                count = 0;
            }
            if room < sql.len() {
                let (row, packet) = (sql.len() - self.head.len(), connection.packet_bytes);
                return Err(TargetError::refused(format!(
                    "a row is {row} bytes in a statement, and the server's max_allowed_packet {packet}"
                ))
                .into());
            }
            sql.push(b',');
            count += 1;
        }
        if 0 < count {
            self.send(connection, &mut sql).await?;
        }
        Ok(())
    }

    fn put_row(&self, sql: &mut Vec<u8>, table: &Table, rows: &Rows, row: &[Value]) -> Result<(), Failure> {
        for (place, &column) in self.columns.iter().enumerate() {
            sql.push(if place == 0 { b'(' } else { b',' });
            crate::literal::put(sql, rows, &row[column], table.rooms[column]).map_err(|problem| {
                TargetError::refused(format!("column '{}': {problem}", table.names[column]))
            })?;
        }
        sql.push(b')');
        Ok(())
    }

    /// Sends what there is, without the comma at its end, and leaves the head of the next.
    async fn send(&self, connection: &mut Connection, sql: &mut Vec<u8>) -> Result<(), Failure> {
        sql.pop();
        sql.extend(self.tail.as_bytes());
        connection.conn.query_drop(sql.as_slice()).await?;
        sql.truncate(self.head.len());
        Ok(())
    }
}
