//! Sinks into PostgreSQL: rows by binary COPY, offsets in a table `ottla_offsets` beside them.
//!
//! - P1 A connection is kept only while it is known what it stands at: an error, or a call that was given up, ends it.
//! - P2 A COMMIT whose answer was lost is decided by the next claim: it waits for the lock that the old transaction holds on
//!   the offset's row, and then reads what that transaction left there.
//! - P3 Tables are made once, before the first batch, and never because they are gone: an empty table of offsets would begin
//!   anew.
//! - P4 A session whose peer vanished ends by itself, and its locks with it.

mod arrays;
mod connection;
mod copy;
mod fault;
mod newness;
mod offsets;
mod sql;
mod table;
mod write;

use std::time::Duration;

use rt::Rt;
use sink::{Batch, Claim, ColumnType, Granted, Schema, Target, TargetError};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, Error, Row, SimpleQueryMessage, SimpleQueryRow, Transaction};

use crate::connection::Connection;
use crate::fault::{GONE, failed};
use crate::sql::Statements;
use crate::table::{Found, Table};

/// Longest wait for a database to do one thing.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The lock under which tables are made, so that workers that start together do not make one twice; and how long others
/// who read a table may hold up a change of it, which in turn holds up everybody else.
const DDL_LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtext('ottla_offsets')); SET LOCAL lock_timeout = '10s'";

/// A database.
pub struct Postgres {
    rt: Rt,
    config: Config,
    connection: Option<Connection>,
    /// How rows get into the table, since that was prepared.
    statements: Option<Statements>,
}

/// What is there.
struct Tables {
    has_offsets: bool,
    table: Table,
}

impl Tables {
    /// What is not there.
    fn gone<'a>(&self, schema: &'a Schema) -> Option<&'a str> {
        match self.table.columns.is_empty() {
            true => Some(&schema.table),
            false => (!self.has_offsets).then_some("ottla_offsets"),
        }
    }
}

impl Postgres {
    /// The database at `url`; nothing is asked of it yet.
    ///
    /// # Errors
    /// The address cannot be read, or asks for what cannot be had.
    pub fn new(rt: &Rt, url: &str, password: Option<&str>) -> Result<Postgres, TargetError> {
        let mut config: Config = url
            .parse()
            .map_err(|error| TargetError::lasting(format!("'{url}' is no address of PostgreSQL: {error}")))?;
        if config.get_password().is_some() {
            // Not shown, as it is in there.
            return Err(TargetError::lasting(
                "a password does not belong in the url: name it by password_env or password_file",
            ));
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(TargetError::lasting(format!("'{url}' asks for TLS, which sinks do not speak yet")));
        }
        if config.get_hosts().is_empty() {
            return Err(TargetError::lasting(format!(
                "'{url}' names no host: postgres://USER@HOST:PORT/DATABASE is expected"
            )));
        }
        config.ssl_mode(SslMode::Disable).application_name("ottla");
        if let Some(password) = password {
            config.password(password);
        }
        Ok(Postgres { rt: rt.clone(), config, connection: None, statements: None })
    }

    /// What the connection says to `call`, which is gone with it unless all is well (P1).
    async fn on_connection<T>(
        &mut self,
        what: &str,
        call: impl AsyncFnOnce(&mut Connection) -> Result<T, Error>,
    ) -> Result<T, TargetError> {
        let mut connection = match self.connection.take().filter(|connection| !connection.client.is_closed())
        {
            Some(connection) => connection,
            None => Connection::open(&self.rt, &self.config).await?,
        };
        match self.rt.timeout(CALL_TIMEOUT, call(&mut connection)).await {
            Ok(Ok(done)) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) => Err(failed(what, &error)),
            Err(_) => Err(TargetError::slow(what, CALL_TIMEOUT)),
        }
    }

    /// Runs a statement that is no sink's, in a transaction of its own; the whole numbers of the first row it answers.
    ///
    /// # Errors
    /// As for those of a sink.
    pub async fn ask(&mut self, statement: &str) -> Result<Vec<i64>, TargetError> {
        let answers = self
            .on_connection("a statement", async |connection| connection.client.simple_query(statement).await);
        let number = |row: &SimpleQueryRow, index| row.get(index).and_then(|text: &str| text.parse().ok());
        let row = answers.await?.into_iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(row.map_or_else(Vec::new, |row| (0..row.len()).filter_map(|index| number(&row, index)).collect()))
    }

    /// What is there now.
    async fn look(&mut self, schema: &Schema) -> Result<Tables, TargetError> {
        self.on_connection("looking at the tables", async |connection| {
            look(&connection.client.transaction().await?, schema).await
        })
        .await
    }

    /// An error of a batch, unless the table is another one than it was: then it is to be tried again with what is known now,
    /// as values in the form of the old one are no sign of bad records.
    async fn reconsider(&mut self, error: TargetError, schema: &Schema) -> TargetError {
        if error.may_pass() {
            return error;
        }
        let statements = match self.look(schema).await {
            // It says so itself (P3).
            Ok(tables) if tables.gone(schema).is_some() => return error,
            Ok(tables) => tables.table.puts(schema).map(|puts| Statements::new(schema, puts)),
            Err(error) => return error,
        };
        match statements {
            Ok(statements) if Some(&statements) != self.statements.as_ref() => {
                self.statements = Some(statements);
                TargetError::passing(format!("{} (the table was changed)", error.message))
            }
            Ok(_) => error,
            Err(misfit) => TargetError::lasting(misfit),
        }
    }
}

impl Target for Postgres {
    fn create(&self, schema: &Schema) -> Vec<String> {
        vec![sql::create_table(schema), sql::CREATE_OFFSETS.to_owned()]
    }

    async fn plan(&mut self, schema: &Schema) -> Result<Vec<String>, TargetError> {
        let tables = self.look(schema).await?;
        let statements = missing(schema, &tables);
        fitting(schema, tables.table.grown(schema))?;
        Ok(statements)
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        let is_first = self.statements.is_none();
        let (tables, gone) = self
            .on_connection("making the tables", async |connection| {
                let transaction = connection.client.transaction().await?;
                transaction.batch_execute(DDL_LOCK).await?;
                // Asked first, as a user who may write into tables may not be allowed to make any.
                let mut tables = look(&transaction, schema).await?;
                let gone = tables.gone(schema).filter(|_| !is_first);
                let statements = missing(schema, &tables);
                if !statements.is_empty() && gone.is_none() {
                    transaction.batch_execute(&statements.join(";\n")).await?;
                    tables = look(&transaction, schema).await?;
                }
                transaction.commit().await?;
                Ok((tables, gone))
            })
            .await?;
        if let Some(table) = gone {
            // P3
            return Err(TargetError::lasting(format!("'{table}': {GONE}")));
        }
        let (adopted, statements) = fitting(schema, tables.table)?;
        self.statements = Some(statements);
        Ok(adopted)
    }

    async fn claim(&mut self, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, TargetError> {
        let granted = self.on_connection("taking partitions", async |connection| {
            let transaction = connection.client.transaction().await?;
            let granted = offsets::take(&transaction, sink, claims).await?;
            transaction.commit().await?;
            Ok(granted)
        });
        let claim_of = |row: &Row| {
            let (topic, partition): (&str, i32) = (row.get(0), row.get(1));
            claims
                .iter()
                .find(|claim| claim.place.topic.as_str() == topic && claim.place.partition.0 == partition)
        };
        let granted = granted.await?;
        Ok(granted.iter().filter_map(|row| Some(offsets::grant(claim_of(row)?, row))).collect())
    }

    async fn commit(&mut self, sink: &str, schema: &Schema, batch: &Batch) -> Result<bool, TargetError> {
        let what = format!("writing {} rows into '{}'", batch.rows.len(), schema.table);
        let statements =
            self.statements.clone().ok_or_else(|| TargetError::lasting("the table was not prepared"))?;
        let written = self.on_connection(&what, async |connection| {
            write::write(connection, &statements, schema, sink, batch).await
        });
        match written.await {
            Ok(is_written) => Ok(is_written),
            Err(error) => Err(self.reconsider(error, schema).await),
        }
    }
}

async fn look(transaction: &Transaction<'_>, schema: &Schema) -> Result<Tables, Error> {
    let name = sql::QUOTE.table(&schema.table);
    let columns = transaction.query(sql::COLUMNS, &[&name]).await?;
    let unique = transaction.query(sql::UNIQUE, &[&name]).await?;
    let offsets = transaction.query_one(sql::HAS_OFFSETS, &[]).await?;
    let column = |row: &Row| Found {
        name: row.get(0),
        internal: row.get(1),
        is_enum: row.get(2),
        declared: row.get(3),
        has_default: row.get(4),
        is_generated: row.get(5),
        is_required: row.get(6),
    };
    Ok(Tables {
        has_offsets: offsets.get(0),
        table: Table {
            columns: columns.iter().map(column).collect(),
            unique: unique.iter().map(|row| row.get(0)).collect(),
        },
    })
}

/// The statements that make what is not there.
fn missing(schema: &Schema, tables: &Tables) -> Vec<String> {
    let mut statements = Vec::new();
    if tables.table.columns.is_empty() {
        statements.push(sql::create_table(schema));
    } else {
        let is_missing = |column: &&sink::Column| tables.table.column(&column.name).is_none();
        let columns: Vec<_> = schema.columns.iter().filter(is_missing).collect();
        if !columns.is_empty() {
            statements.push(sql::add_columns(schema, &columns));
        }
    }
    if !tables.has_offsets {
        statements.push(sql::CREATE_OFFSETS.to_owned());
    }
    statements
}

/// The schema as it fits a table, and the statements that write it there.
fn fitting(schema: &Schema, table: Table) -> Result<(Schema, Statements), TargetError> {
    let adopted = table.adopted(schema);
    let bad_key = adopted
        .key
        .iter()
        .map(|&index| &adopted.columns[index])
        .find(|column| matches!(column.kind, ColumnType::Double | ColumnType::Json));
    if let Some(column) = bad_key {
        let (name, kind) = (&column.name, column.kind);
        return Err(TargetError::lasting(format!(
            "the key's column '{name}' is {kind} in the table: no type to know a row by"
        )));
    }
    let puts = table.puts(&adopted).map_err(TargetError::lasting)?;
    let statements = Statements::new(&adopted, puts);
    Ok((adopted, statements))
}
