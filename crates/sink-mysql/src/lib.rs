//! Sinks into MySQL and MariaDB: rows by statements of many rows, offsets in a table `ottla_offsets` beside them.
//!
//! - M1 A connection is kept only while it is known what it stands at: an error, or a call that was given up, ends it.
//! - M2 A COMMIT whose answer was lost is decided by the next claim: it waits for the lock that the old transaction holds on
//!   the offset's row, and then reads what that transaction left there.
//! - M3 Tables are made once, before the first batch, and never because they are gone: an empty table of offsets would begin
//!   anew. Nothing is made or changed in a transaction, as the database would commit it then.
//! - M4 A session whose peer vanished ends by itself, and its locks with it.
//! - M5 A value is written as it is or refused: sessions are strict, and what a strict session still rounds or pads is refused
//!   here (see [`table::Room`]).
//!
//! Timestamps are kept as `DATETIME(6)` in UTC, which is also the time zone of the session.
//!
//! The driver opens its sockets itself: it takes no stream from elsewhere, so this crate runs on the operating system only.

mod fault;
mod literal;
mod offsets;
mod table;
mod write;

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use rt::{Instant, Rt};
use sink::{Batch, Claim, Granted, Schema, Target, TargetError};

use fault::{Failure, failed};
use table::{Statement, Table};

/// Longest wait for a connection, and for a database to do one thing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that rested for so long is asked whether it is still there; the server ends it at three times that (M4).
const REST: Duration = Duration::from_secs(10);

/// How every session is set up: locks are waited for shorter than an answer, and a session that says nothing for half a minute
/// ends (M4). A failed statement is no reason to keep locks: the whole transaction is rolled back with its connection.
const SESSION: &str = "\
SET time_zone = '+00:00',
  sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
  innodb_lock_wait_timeout = 20, lock_wait_timeout = 20, wait_timeout = 30, net_read_timeout = 30, autocommit = 1";

/// Claims and offsets are read as they are, not as they were when the transaction began.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// The lock under which tables are made, so that workers that start together do not make one twice.
const TAKE_DDL_LOCK: &str = "SELECT COALESCE(GET_LOCK('ottla_offsets', 20), 0)";
const DROP_DDL_LOCK: &str = "DO RELEASE_LOCK('ottla_offsets')";

/// A database.
pub struct Mysql {
    rt: Rt,
    opts: Opts,
    connection: Option<Connection>,
    /// What was learned of the table, from the first [`Target::prepare`] on.
    table: Option<Table>,
}

/// A session.
pub(crate) struct Connection {
    conn: Conn,
    /// Most bytes of a statement.
    packet_bytes: usize,
    used_at: Instant,
}

impl Mysql {
    /// The database at `url`; nothing is asked of it yet.
    ///
    /// # Errors
    /// The address cannot be read, or asks for what cannot be had.
    pub fn new(rt: &Rt, url: &str, password: Option<&str>) -> Result<Mysql, TargetError> {
        // Not shown while it may have a password in it.
        let opts = Opts::from_url(url)
            .map_err(|error| TargetError::lasting(format!("the url is no address of MySQL: {error}")))?;
        if opts.pass().is_some() {
            return Err(TargetError::lasting(
                "a password does not belong in the url: name it by password_env or password_file",
            ));
        }
        if opts.ssl_opts().is_some() {
            return Err(TargetError::lasting(format!("'{url}' asks for TLS, which sinks do not speak yet")));
        }
        if opts.db_name().is_none_or(str::is_empty) || opts.user().is_none_or(str::is_empty) {
            return Err(TargetError::lasting(format!(
                "'{url}' names too little: mysql://USER@HOST:PORT/DATABASE is expected"
            )));
        }
        let opts = OptsBuilder::from_opts(opts)
            .pass(password)
            .prefer_socket(false)
            .tcp_keepalive(Some(REST))
            .client_found_rows(true)
            .into();
        Ok(Mysql { rt: rt.clone(), opts, connection: None, table: None })
    }

    /// What the connection says to `call`, which is gone with it unless all is well (M1).
    async fn on_connection<T>(
        &mut self,
        what: &str,
        call: impl AsyncFnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, TargetError> {
        let mut connection = match self.rested().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        match self.rt.timeout(CALL_TIMEOUT, call(&mut connection)).await {
            Ok(Ok(done)) => {
                connection.used_at = self.rt.now();
                self.connection = Some(connection);
                Ok(done)
            }
            Ok(Err(failure)) => Err(failed(what, failure)),
            Err(_) => Err(TargetError::slow(what, CALL_TIMEOUT)),
        }
    }

    /// Runs a statement that is no sink's, in a transaction of its own; the whole numbers of the first row it answers.
    ///
    /// # Errors
    /// As for those of a sink.
    pub async fn ask(&mut self, statement: &str) -> Result<Vec<i64>, TargetError> {
        let answer = self.on_connection("a statement", async |connection| {
            Ok(connection.conn.query_first::<Row, _>(statement).await?)
        });
        let numbers = |row: Row| (0..row.len()).filter_map(|index| row.get_opt(index)?.ok()).collect();
        Ok(answer.await?.map_or_else(Vec::new, numbers))
    }

    /// The connection of the last call, if it is there and did not end meanwhile.
    async fn rested(&mut self) -> Option<Connection> {
        let mut connection = self.connection.take()?;
        if self.rt.now().saturating_since(connection.used_at) < REST {
            return Some(connection);
        }
        let answer = self.rt.timeout(CONNECT_TIMEOUT, connection.conn.ping()).await;
        matches!(answer, Ok(Ok(()))).then_some(connection)
    }

    async fn connect(&self) -> Result<Connection, TargetError> {
        let (host, port) = (self.opts.ip_or_hostname(), self.opts.tcp_port());
        let what = format!("connecting to MySQL at {host}:{port}");
        let connected = self.rt.timeout(CONNECT_TIMEOUT, async {
            let mut conn = Conn::new(self.opts.clone()).await?;
            conn.query_drop(SESSION).await?;
            conn.query_drop(ISOLATION).await?;
            let packet_bytes: Option<usize> = conn.query_first("SELECT @@max_allowed_packet").await?;
            Ok((conn, packet_bytes.unwrap_or_default()))
        });
        match connected.await {
            Ok(Ok((conn, packet_bytes))) => Ok(Connection { conn, packet_bytes, used_at: self.rt.now() }),
            Ok(Err(error)) => Err(failed(&what, Failure::Mysql(error))),
            Err(_) => {
                Err(TargetError::passing(format!("{what}: no answer within {} s", CONNECT_TIMEOUT.as_secs())))
            }
        }
    }
}

impl Target for Mysql {
    fn create(&self, schema: &Schema) -> Vec<String> {
        vec![offsets::CREATE.to_owned(), table::create(schema)]
    }

    async fn plan(&mut self, schema: &Schema) -> Result<Vec<String>, TargetError> {
        let is_first = self.table.is_none();
        self.on_connection("looking at the tables", async |connection| {
            let plan = table::plan(&mut connection.conn, schema, is_first).await?;
            Ok(plan.statements.into_iter().map(Statement::into_text).collect())
        })
        .await
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        let is_first = self.table.is_none();
        let prepared = self.on_connection("making the tables", async |connection| {
            let conn = &mut connection.conn;
            let locked: Option<i64> = conn.query_first(TAKE_DDL_LOCK).await?;
            if locked != Some(1) {
                return Err(TargetError::passing("another worker is making tables for long").into());
            }
            for statement in table::plan(conn, schema, is_first).await?.statements {
                conn.query_drop(statement.into_text()).await?;
            }
            let plan = table::plan(conn, schema, false).await?;
            conn.query_drop(DROP_DDL_LOCK).await?;
            Ok(plan)
        });
        let plan = prepared.await?;
        self.table = Some(plan.table);
        Ok(plan.schema)
    }

    async fn claim(&mut self, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, TargetError> {
        self.on_connection("taking partitions", async |connection| {
            let conn = &mut connection.conn;
            conn.query_drop("START TRANSACTION").await?;
            let granted = offsets::claim(conn, sink, claims).await?;
            conn.query_drop("COMMIT").await?;
            Ok(granted)
        })
        .await
    }

    async fn commit(&mut self, sink: &str, schema: &Schema, batch: &Batch) -> Result<bool, TargetError> {
        let what = format!("writing {} rows into '{}'", batch.rows.len(), schema.table);
        let table = self.table.clone().ok_or_else(|| TargetError::lasting("the tables were not prepared"))?;
        self.on_connection(&what, async |connection| {
            connection.conn.query_drop("START TRANSACTION").await?;
            write::rows(connection, schema, &table, &batch.rows).await?;
            // Last, as the lock on these rows is what the next owner waits for.
            if !offsets::advance(&mut connection.conn, sink, &batch.moves).await? {
                connection.conn.query_drop("ROLLBACK").await?;
                return Ok(false);
            }
            connection.conn.query_drop("COMMIT").await?;
            Ok(true)
        })
        .await
    }
}
