//! A batch on its way into the table, in one transaction with the offsets behind it.
//!
//! - M1 Rows lie where they belong in one of three ways: many are copied there; many that are cast, or are to replace what is
//!   there, are copied to the stage and go on from it; few go as arrays, which takes fewer steps.
//! - M2 A row says nothing about a column that it does not have and that has a DEFAULT: rows that lack the same columns go
//!   together.
//! - M3 Rows that are to replace what is there may find nothing there: where this is likely, they are copied as well, which
//!   costs the database half as much. A savepoint takes back what it refuses, for whatever reason, and the way by the stage
//!   decides.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::SinkExt;
use sink::{Batch, Rows, Schema, Value};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement, Transaction};

use crate::connection::{Connection, Prepared};
use crate::copy::{Target, chunks};
use crate::newness::Newness;
use crate::sql::{From, Statements};
use crate::{arrays, offsets, sql};

/// Up to so many rows go as arrays.
const FEW_ROWS: usize = 100;

/// Rows that have the same columns.
struct Group<'a> {
    columns: Vec<usize>,
    rows: Vec<&'a [Value]>,
}

/// Writes a batch; `false` says that nothing was changed, as a partition is not ours at the offset that was expected.
pub(crate) async fn write(
    connection: &mut Connection,
    statements: &Statements,
    schema: &Schema,
    sink: &str,
    batch: &Batch,
) -> Result<bool, Error> {
    let changes = batch.rows.changes(&schema.key);
    let groups = groups(statements, changes.written);
    if groups.iter().any(|group| group.way(statements) == Way::Stage) {
        connection.make_stage(statements).await?;
    }
    let Connection { client, prepared, newness, .. } = connection;
    let transaction = client.transaction().await?;
    let mut writing = Writing { transaction, prepared, newness, statements, schema, rows: &batch.rows };
    writing.delete(&changes.deleted).await?;
    for (index, group) in groups.iter().enumerate() {
        if 0 < index && group.way(statements) == Way::Stage {
            writing.transaction.batch_execute(Statements::CLEAR_STAGE).await?;
        }
        writing.insert(group).await?;
    }
    writing.end(sink, batch).await
}

/// See M2.
fn groups<'a>(statements: &Statements, rows: Vec<&'a [Value]>) -> Vec<Group<'a>> {
    if rows.is_empty() {
        return Vec::new();
    }
    let all = 0..statements.puts.len();
    let defaults: Vec<usize> = all.clone().filter(|&column| statements.puts[column].has_default).collect();
    if defaults.is_empty() {
        return vec![Group { columns: all.collect(), rows }];
    }
    let mut by_absent: BTreeMap<Vec<usize>, Vec<&[Value]>> = BTreeMap::new();
    for row in rows {
        let absent = defaults.iter().copied().filter(|&column| row[column] == Value::Absent).collect();
        by_absent.entry(absent).or_default().push(row);
    }
    let group = |(absent, rows): (Vec<usize>, _)| Group {
        columns: all.clone().filter(|column| !absent.contains(column)).collect(),
        rows,
    };
    by_absent.into_iter().map(group).collect()
}

/// See M1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Copy,
    Stage,
    Arrays,
    /// No row has any column.
    Defaults,
}

impl Group<'_> {
    fn way(&self, statements: &Statements) -> Way {
        if self.columns.is_empty() {
            Way::Defaults
        } else if self.rows.len() <= FEW_ROWS {
            Way::Arrays
        } else if statements.is_plain(&self.columns) && !statements.has_key() {
            Way::Copy
        } else {
            Way::Stage
        }
    }
}

struct Writing<'a> {
    transaction: Transaction<'a>,
    prepared: &'a mut Prepared,
    newness: &'a mut Newness,
    statements: &'a Statements,
    schema: &'a Schema,
    rows: &'a Rows,
}

impl Writing<'_> {
    async fn delete(&mut self, deleted: &[&[Value]]) -> Result<(), Error> {
        if deleted.is_empty() {
            return Ok(());
        }
        self.execute(&self.statements.delete(), &self.schema.key, deleted).await
    }

    async fn insert(&mut self, group: &Group<'_>) -> Result<(), Error> {
        let (statements, columns) = (self.statements, &group.columns);
        match group.way(statements) {
            Way::Copy => self.copy(&statements.copy(columns), group).await,
            Way::Stage => {
                let may_be_new = statements.has_key() && statements.is_plain(columns);
                if may_be_new && self.newness.is_likely() && self.copy_new(group).await? {
                    return Ok(());
                }
                self.copy(&statements.copy_to_stage(columns), group).await?;
                self.execute(&statements.insert(columns, From::Stage), &[], &[]).await
            }
            Way::Arrays => {
                self.execute(&statements.insert(columns, From::Arrays), columns, &group.rows).await
            }
            Way::Defaults => {
                let insert = statements.insert_defaults();
                for _ in &group.rows {
                    self.execute(&insert, &[], &[]).await?;
                }
                Ok(())
            }
        }
    }

    async fn copy(&mut self, copy: &str, group: &Group<'_>) -> Result<(), Error> {
        let copy = self.prepared.get(&self.transaction, copy).await?;
        self.send(&copy, group).await
    }

    /// Copies rows of an upsert into the table itself (M3); `false` says that nothing was changed, as they are not all new.
    async fn copy_new(&mut self, group: &Group<'_>) -> Result<bool, Error> {
        let copy = self.prepared.get(&self.transaction, &self.statements.copy(&group.columns)).await?;
        self.transaction.batch_execute("SAVEPOINT all_new").await?;
        match self.send(&copy, group).await {
            Ok(()) => {
                self.newness.on_right();
                self.transaction.batch_execute("RELEASE SAVEPOINT all_new").await?;
                Ok(true)
            }
            Err(error) if error.as_db_error().is_some() => {
                self.newness.on_wrong();
                self.transaction.batch_execute("ROLLBACK TO SAVEPOINT all_new").await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends the rows of a COPY.
    async fn send(&self, copy: &Statement, group: &Group<'_>) -> Result<(), Error> {
        let target =
            |&column: &usize| Target { column, is_jsonb: self.statements.puts[column].staged == "jsonb" };
        let targets: Vec<_> = group.columns.iter().map(target).collect();
        let mut writer = std::pin::pin!(self.transaction.copy_in::<_, Bytes>(copy).await?);
        for chunk in chunks(self.rows, &group.rows, &targets) {
            writer.send(chunk).await?;
        }
        writer.finish().await.map(drop)
    }

    /// Runs a statement whose parameters are these columns of these rows.
    async fn execute(&mut self, statement: &str, columns: &[usize], rows: &[&[Value]]) -> Result<(), Error> {
        let statement = self.prepared.get(&self.transaction, statement).await?;
        let arrays: Vec<_> = columns
            .iter()
            .map(|&column| arrays::array(self.rows, rows, column, self.schema.columns[column].kind))
            .collect();
        let parameters: Vec<&(dyn ToSql + Sync)> =
            arrays.iter().map(|array| array.as_ref() as &(dyn ToSql + Sync)).collect();
        self.transaction.execute(&statement, &parameters).await.map(drop)
    }

    /// Moves the offsets: last, as the lock on their rows is what the next owner waits for.
    async fn end(self, sink: &str, batch: &Batch) -> Result<bool, Error> {
        let statement = self.prepared.get(&self.transaction, sql::MOVE).await?;
        if offsets::advance(&self.transaction, &statement, sink, batch).await? != batch.moves.len() {
            self.transaction.rollback().await?;
            return Ok(false);
        }
        self.transaction.commit().await?;
        Ok(true)
    }
}
