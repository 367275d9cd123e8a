//! Sinks into PostgreSQL: rows by binary COPY, offsets in a table `ottla_offsets` beside them.
//!
//! - P1 A connection is kept only while it is known what it stands at: an error, or a call that was given up, ends it.
//! - P2 A COMMIT whose answer was lost is decided by the next claim: it waits for the lock that the old transaction holds on
//!   the offset's row, and then reads what that transaction left there.
//! - P3 Tables are made once, before the first batch, and never because they are gone: an empty table of offsets would begin
//!   anew.
//! - P4 A session whose peer vanished ends by itself, and its locks with it.

mod copy;
mod sql;

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use model::Offset;
use rt::{Rt, Task};
use sink::{Batch, Claim, Fault, Granted, Schema, Target, TargetError};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Transaction};

/// Longest wait for a connection, and for a database to do one thing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Port of PostgreSQL.
const DEFAULT_PORT: u16 = 5432;

/// Ends what a vanished peer left within half a minute (P4).
const SESSION: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
                       SET idle_in_transaction_session_timeout = '60s'";

/// The lock under which tables are made, so that workers that start together do not make one twice.
const DDL_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('ottla_offsets'))";

/// A database.
pub struct Postgres {
    rt: Rt,
    config: Config,
    connection: Option<Connection>,
}

struct Connection {
    client: Client,
    task: Task,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Postgres {
    /// The database at `url`; nothing is asked of it yet.
    ///
    /// # Errors
    /// The address cannot be read, or asks for what cannot be had.
    pub fn new(rt: &Rt, url: &str, password: Option<&str>) -> Result<Postgres, TargetError> {
        let mut config: Config =
            url.parse().map_err(|error| lasting(format!("'{url}' is no address of PostgreSQL: {error}")))?;
        if config.get_password().is_some() {
            // Not shown, as it is in there.
            return Err(lasting(
                "a password does not belong in the url: name it by password_env or password_file",
            ));
        }
        if config.get_ssl_mode() == SslMode::Require {
            return Err(lasting(format!("'{url}' asks for TLS, which sinks do not speak yet")));
        }
        if !config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_))) {
            return Err(lasting(format!(
                "'{url}' names no host: postgres://USER@HOST:PORT/DATABASE is expected"
            )));
        }
        config.ssl_mode(SslMode::Disable).application_name("ottla");
        if let Some(password) = password {
            config.password(password);
        }
        Ok(Postgres { rt: rt.clone(), config, connection: None })
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
            None => self.connect().await?,
        };
        match self.rt.timeout(CALL_TIMEOUT, call(&mut connection)).await {
            Ok(Ok(done)) => {
                self.connection = Some(connection);
                Ok(done)
            }
            Ok(Err(error)) => Err(failed(what, &error)),
            Err(_) => Err(passing(format!("{what}: no answer within {} s", CALL_TIMEOUT.as_secs()))),
        }
    }

    /// A connection to the first host that answers.
    async fn connect(&self) -> Result<Connection, TargetError> {
        let mut failure = None;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let Host::Tcp(host) = host else { continue };
            let ports = self.config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
            match self.rt.timeout(CONNECT_TIMEOUT, self.connect_to(host, port)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => failure = Some(passing(format!("{host}:{port} does not answer"))),
            }
        }
        Err(failure.unwrap_or_else(|| lasting("the url names no host")))
    }

    async fn connect_to(&self, host: &str, port: u16) -> Result<Connection, TargetError> {
        let stream = self.rt.connect(host, port).await.map_err(|error| passing(error.to_string()))?;
        let transport = stream.into_transport().map_err(|error| lasting(error.to_string()))?;
        let what = format!("connecting to PostgreSQL at {host}:{port}");
        let (client, connection) =
            self.config.connect_raw(transport, NoTls).await.map_err(|error| failed(&what, &error))?;
        let task = self.rt.spawn("postgres-connection", async move {
            // Whoever waits for an answer hears of the error.
            drop(connection.await);
        });
        let connection = Connection { client, task };
        connection.client.batch_execute(SESSION).await.map_err(|error| failed(&what, &error))?;
        Ok(connection)
    }
}

impl Target for Postgres {
    fn create(&self, schema: &Schema) -> Vec<String> {
        vec![sql::create_table(schema), sql::CREATE_OFFSETS.to_owned()]
    }

    async fn plan(&mut self, schema: &Schema) -> Result<Vec<String>, TargetError> {
        let table = sql::quoted_table(&schema.table);
        let (offsets, found) = self
            .on_connection("looking at the tables", async |connection| {
                let transaction = connection.client.transaction().await?;
                Ok((columns(&transaction, "ottla_offsets").await?, columns(&transaction, &table).await?))
            })
            .await?;
        let mut statements = Vec::new();
        if found.is_empty() {
            statements.push(sql::create_table(schema));
        } else if let Some(misfit) = sql::misfit(schema, &found) {
            return Err(lasting(misfit));
        }
        if offsets.is_empty() {
            statements.push(sql::CREATE_OFFSETS.to_owned());
        }
        Ok(statements)
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        if !schema.key.is_empty() {
            return Err(lasting("upserts into PostgreSQL are not possible yet"));
        }
        let columns = self.on_connection("making the tables", async |connection| {
            let transaction = connection.client.transaction().await?;
            transaction.batch_execute(DDL_LOCK).await?;
            // Asked first, as a user who may write into tables may not be allowed to make any.
            if columns(&transaction, "ottla_offsets").await?.is_empty() {
                transaction.batch_execute(sql::CREATE_OFFSETS).await?;
            }
            let table = sql::quoted_table(&schema.table);
            let mut found = columns(&transaction, &table).await?;
            if found.is_empty() {
                transaction.batch_execute(&sql::create_table(schema)).await?;
                found = columns(&transaction, &table).await?;
            }
            transaction.commit().await?;
            Ok(found)
        });
        sql::misfit(schema, &columns.await?).map_or_else(|| Ok(schema.clone()), |misfit| Err(lasting(misfit)))
    }

    async fn claim(&mut self, sink: &str, claims: &[Claim]) -> Result<Vec<Granted>, TargetError> {
        let granted = self.on_connection("taking partitions", async |connection| {
            let transaction = connection.client.transaction().await?;
            let (held, new): (Vec<_>, Vec<_>) = claims.iter().partition(|claim| claim.held.is_some());
            let mut granted = reclaim(&transaction, sink, &held).await?;
            granted.extend(take(&transaction, sink, &new).await?);
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
        Ok(granted.iter().filter_map(|row| Some(grant(claim_of(row)?, row))).collect())
    }

    async fn commit(&mut self, sink: &str, schema: &Schema, batch: &Batch) -> Result<bool, TargetError> {
        let what = format!("writing {} rows into '{}'", batch.rows.len(), schema.table);
        let copy = sql::copy(schema);
        self.on_connection(&what, async |connection| {
            let transaction = connection.client.transaction().await?;
            if !batch.rows.is_empty() {
                let mut writer = std::pin::pin!(transaction.copy_in::<_, Bytes>(&copy).await?);
                for chunk in copy::chunks(&batch.rows) {
                    writer.send(chunk).await?;
                }
                writer.finish().await?;
            }
            // Last, as the lock on these rows is what the next owner waits for.
            let moved = move_offsets(&transaction, sink, batch).await?;
            if moved != batch.moves.len() {
                transaction.rollback().await?;
                return Ok(false);
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

/// A table's columns and their types; none when there is no such table. The name is quoted.
async fn columns(transaction: &Transaction<'_>, table: &str) -> Result<Vec<(String, String)>, Error> {
    let rows = transaction.query(sql::COLUMNS, &[&table]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn take(transaction: &Transaction<'_>, sink: &str, claims: &[&Claim]) -> Result<Vec<Row>, Error> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<&str> = claims.iter().map(|claim| claim.place.topic.as_str()).collect();
    let partitions: Vec<i32> = claims.iter().map(|claim| claim.place.partition.0).collect();
    let begins: Vec<i64> = claims.iter().map(|claim| claim.origin.begin.0).collect();
    let clusters: Vec<&str> = claims.iter().map(|claim| claim.origin.cluster_id.as_str()).collect();
    let ids: Vec<&str> = claims.iter().map(|claim| claim.origin.topic_id.as_str()).collect();
    transaction.query(sql::CLAIM, &[&sink, &topics, &partitions, &begins, &clusters, &ids]).await
}

async fn reclaim(transaction: &Transaction<'_>, sink: &str, claims: &[&Claim]) -> Result<Vec<Row>, Error> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let topics: Vec<&str> = claims.iter().map(|claim| claim.place.topic.as_str()).collect();
    let partitions: Vec<i32> = claims.iter().map(|claim| claim.place.partition.0).collect();
    let epochs: Vec<i64> = claims.iter().filter_map(|claim| claim.held).collect();
    transaction.query(sql::RECLAIM, &[&sink, &topics, &partitions, &epochs]).await
}

fn grant(claim: &Claim, row: &Row) -> Granted {
    Granted {
        place: claim.place.clone(),
        epoch: row.get(2),
        next_offset: Offset(row.get(3)),
        cluster_id: row.get(4),
        topic_id: row.get(5),
    }
}

async fn move_offsets(transaction: &Transaction<'_>, sink: &str, batch: &Batch) -> Result<usize, Error> {
    let moves = &batch.moves;
    let topics: Vec<&str> = moves.iter().map(|moved| moved.place.topic.as_str()).collect();
    let partitions: Vec<i32> = moves.iter().map(|moved| moved.place.partition.0).collect();
    let epochs: Vec<i64> = moves.iter().map(|moved| moved.epoch).collect();
    let expected: Vec<i64> = moves.iter().map(|moved| moved.expected.0).collect();
    let next: Vec<i64> = moves.iter().map(|moved| moved.next.0).collect();
    let moved =
        transaction.execute(sql::MOVE, &[&sink, &topics, &partitions, &epochs, &expected, &next]).await?;
    Ok(usize::try_from(moved).unwrap_or(usize::MAX))
}

fn lasting(message: impl Into<String>) -> TargetError {
    TargetError { message: message.into(), code: None, fault: Fault::Lasting }
}

fn passing(message: impl Into<String>) -> TargetError {
    TargetError { message: message.into(), code: None, fault: Fault::Passing }
}

/// An error in the database's own words, with its SQLSTATE.
fn failed(what: &str, error: &Error) -> TargetError {
    let Some(told) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
        return passing(format!("{what}: {error}{cause}"));
    };
    let detail = told.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
    let place = told.where_().map_or_else(String::new, |place| format!(" [{place}]"));
    let code = told.code().code();
    let message = format!("{what}: {}{detail}{place}, SQLSTATE {code}", told.message());
    TargetError { message, code: Some(code.to_owned()), fault: fault(told.code()) }
}

/// What may help against an error ("PostgreSQL Error Codes", in its manual).
fn fault(state: &SqlState) -> Fault {
    let passing = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::DISK_FULL,
    ];
    match state.code().get(..2) {
        Some("08" | "40") => Fault::Passing,
        // What a value is, and what a table takes.
        Some("22" | "23") => Fault::Refused,
        _ if *state == SqlState::PROGRAM_LIMIT_EXCEEDED => Fault::Refused,
        _ if passing.contains(state) => Fault::Passing,
        _ => Fault::Lasting,
    }
}
