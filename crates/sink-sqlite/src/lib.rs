//! Sinks into SQLite: rows by prepared statements, offsets in a table `ottla_offsets` of the same file.
//!
//! - Q1 One transaction writes a batch and moves its offsets. It begins as a writer's, so workers of several processes take
//!   turns at one file, and none finds out late that it may not write.
//! - Q2 A connection is kept only while all is well: an error closes it, which rolls back what it had begun.
//! - Q3 Tables, and the file itself, are made once, before the first batch, and never because they are gone: an empty table of
//!   offsets would begin anew. A file that was moved or removed is not written to any more.
//! - Q4 The file has a write-ahead log and `synchronous` is NORMAL, so a commit waits for no disk. A power cut may take the
//!   last transactions, each with its rows, its offsets and its epochs, never a part of one; the records are in the topic
//!   still, as their broker had them on its disk before it gave them away, and are read again from the offset that is left. An
//!   owner that remembers more than the file does not outlive that: a write-ahead log is shared by processes of one machine
//!   only. The group's offsets, which may be ahead then, decide nothing.
//!
//! Texts and JSON are kept as text, booleans as 0 and 1, timestamps as ISO 8601 in UTC, always as long
//! (`2026-01-31T12:00:00.000001Z`), so that they sort as times do and SQLite's date functions take them.

mod fault;
mod offsets;
mod table;
mod write;

use std::path::Path;
use std::time::Duration;

use rt::Rt;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, OpenFlags, TransactionBehavior};
use sink::{Batch, Claim, Granted, Schema, Target, TargetError};

use fault::{Failure, failed};
use table::Table;

/// Longest wait for another writer; the largest batch takes far less.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pages of the write-ahead log between two copies of it into the file, and of the cache, KiB: what a large batch changes is
/// copied once, and written to the log once.
const SETTINGS: &str =
    "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -8192";

/// A database: a file.
pub struct Sqlite {
    rt: Rt,
    path: String,
    connection: Option<Connection>,
    /// What was learned of the table, from the first [`Target::prepare`] on.
    table: Option<Table>,
}

impl Sqlite {
    /// The database at `url`, `sqlite:PATH`; nothing is asked of it yet.
    ///
    /// # Errors
    /// The address names no file, or there is a password, which SQLite has not.
    pub fn new(rt: &Rt, url: &str, password: Option<&str>) -> Result<Sqlite, TargetError> {
        let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        let path = path.filter(|path| !path.is_empty() && !path.starts_with(':'));
        let path = path
            .ok_or_else(|| TargetError::lasting(format!("'{url}' names no file: sqlite:PATH is expected")))?;
        if password.is_some() {
            return Err(TargetError::lasting(
                "SQLite has no passwords: leave password_env and password_file out",
            ));
        }
        Ok(Sqlite { rt: rt.clone(), path: path.to_owned(), connection: None, table: None })
    }

    /// What the connection says to `call`, which is gone with it unless all is well (Q2).
    async fn on_connection<T>(
        &mut self,
        what: &str,
        call: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, TargetError> {
        let (path, may_create, kept) = (&self.path, self.table.is_none(), &mut self.connection);
        let work = || {
            let mut connection = match kept.take() {
                Some(connection) if !has_moved(&connection)? => connection,
                _ => open(path, may_create)?,
            };
            let done = call(&mut connection)?;
            *kept = Some(connection);
            Ok(done)
        };
        let done = self.rt.blocking_in_place(work).await;
        done.map_err(|failure| failed(&format!("{what} in '{path}'"), failure))
    }
}

impl Sqlite {
    /// Runs a statement that is no sink's, in a transaction of its own; the whole numbers of the first row it answers.
    ///
    /// # Errors
    /// As for those of a sink.
    pub async fn ask(&mut self, statement: &str) -> Result<Vec<i64>, TargetError> {
        self.on_connection("a statement", |connection| {
            let mut prepared = connection.prepare(statement)?;
            let width = prepared.column_count();
            let mut rows = prepared.query([])?;
            let Some(row) = rows.next()? else { return Ok(Vec::new()) };
            Ok((0..width).filter_map(|index| row.get(index).ok()).collect())
        })
        .await
    }
}

fn create(schema: &Schema) -> Vec<String> {
    vec![offsets::CREATE.to_owned(), table::create(schema)]
}

fn open(path: &str, may_create: bool) -> Result<Connection, Failure> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, may_create);
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    strict(&connection)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(TargetError::lasting(format!(
            "its journal stays '{mode}', and is to be a write-ahead log"
        ))
        .into());
    }
    connection.execute_batch(SETTINGS)?;
    Ok(connection)
}

/// A quoted name is a name, and never a text because nothing is called so.
fn strict(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false).map(drop)
}

fn has_moved(connection: &Connection) -> rusqlite::Result<bool> {
    let mut moved = 0;
    connection.file_control(None::<&str>, FileControl::HasMoved(&mut moved))?;
    Ok(moved != 0)
}

impl Target for Sqlite {
    fn create(&self, schema: &Schema) -> Vec<String> {
        create(schema)
    }

    async fn plan(&mut self, schema: &Schema) -> Result<Vec<String>, TargetError> {
        let (fs, path, is_first) = (self.rt.fs().clone(), &self.path, self.table.is_none());
        let work = || {
            if !fs.exists(Path::new(path)).unwrap_or(false) {
                return Ok(create(schema));
            }
            // A connection of its own, as the one of the worker changes how the journal is kept.
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            strict(&connection)?;
            Ok(table::plan(&connection, schema, is_first)?.statements)
        };
        let planned = self.rt.blocking_in_place(work).await;
        planned.map_err(|failure| failed(&format!("looking at the tables in '{path}'"), failure))
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        let is_first = self.table.is_none();
        let prepared = self.on_connection("making the tables", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let plan = table::plan(&transaction, schema, is_first)?;
            for statement in &plan.statements {
                transaction.execute_batch(statement)?;
            }
            let table = Table::read(&transaction, &plan.schema)?;
            transaction.commit()?;
            Ok((plan.schema, table))
        });
        let (schema, table) = prepared.await?;
        self.table = Some(table);
        Ok(schema)
    }

    async fn claim(&mut self, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, TargetError> {
        self.on_connection("taking partitions", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let granted = offsets::claim(&transaction, sink, claims)?;
            transaction.commit()?;
            Ok(granted)
        })
        .await
    }

    async fn commit(&mut self, sink: &str, schema: &Schema, batch: &Batch) -> Result<bool, TargetError> {
        let what = format!("writing {} rows into '{}'", batch.rows.len(), schema.table);
        let table = self.table.clone().unwrap_or_default();
        self.on_connection(&what, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // First, as nobody else writes meanwhile (Q1).
            if !offsets::advance(&transaction, sink, &batch.moves)? {
                return Ok(false);
            }
            write::rows(&transaction, schema, &table, &batch.rows)?;
            transaction.commit()?;
            Ok(true)
        })
        .await
    }
}
