//! One connection, and what the database keeps for it: prepared statements, and the stage.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rt::{Rt, Task, Transport};
use sink::TargetError;
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, Error, NoTls, Statement, Transaction};

use crate::fault::failed;
use crate::newness::Newness;
use crate::sql::Statements;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Port of PostgreSQL.
const DEFAULT_PORT: u16 = 5432;

/// Prepared statements that are kept; there are more where rows lack ever other columns.
const PREPARED_MAX: usize = 64;

/// Ends what a vanished peer left within half a minute (P4), and has dates and moments look one way.
const SESSION: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
                       SET idle_in_transaction_session_timeout = '60s'; SET DateStyle = 'ISO'; SET TimeZone = 'UTC'";

pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) prepared: Prepared,
    pub(crate) newness: Newness,
    /// The statement that made the stage, if there is one.
    stage: Option<String>,
    task: Task,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// One to the first host that answers.
    pub(crate) async fn open(rt: &Rt, config: &Config) -> Result<Connection, TargetError> {
        let mut failure = None;
        for (index, host) in config.get_hosts().iter().enumerate() {
            let ports = config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
            let name = match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                Host::Unix(folder) => folder.display().to_string(),
            };
            match rt.timeout(CONNECT_TIMEOUT, Connection::open_to(rt, config, host, port, &name)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failure = Some(error),
                Err(_) => {
                    failure = Some(TargetError::passing(format!("PostgreSQL at {name} does not answer")))
                }
            }
        }
        Err(failure.unwrap_or_else(|| TargetError::lasting("the url names no host")))
    }

    async fn open_to(
        rt: &Rt,
        config: &Config,
        host: &Host,
        port: u16,
        name: &str,
    ) -> Result<Connection, TargetError> {
        let what = format!("connecting to PostgreSQL at {name}");
        let unreachable = |error: std::io::Error| TargetError::passing(format!("{what}: {error}"));
        match host {
            Host::Tcp(host) => {
                let stream = rt.connect(host, port).await.map_err(unreachable)?;
                Connection::begin(rt, config, stream.into_transport().map_err(unreachable)?, &what).await
            }
            Host::Unix(folder) => {
                let transport = rt.connect_local(&socket(folder, port)).await.map_err(unreachable)?;
                Connection::begin(rt, config, transport, &what).await
            }
        }
    }

    async fn begin(
        rt: &Rt,
        config: &Config,
        transport: impl Transport,
        what: &str,
    ) -> Result<Connection, TargetError> {
        let (client, connection) =
            config.connect_raw(transport, NoTls).await.map_err(|error| failed(what, &error))?;
        let task = rt.spawn("postgres-connection", async move {
            // Whoever waits for an answer hears of the error.
            drop(connection.await);
        });
        let connection = Connection {
            client,
            prepared: Prepared::default(),
            newness: Newness::default(),
            stage: None,
            task,
        };
        connection.client.batch_execute(SESSION).await.map_err(|error| failed(what, &error))?;
        Ok(connection)
    }

    /// Makes the stage for rows of these columns, unless it is there. Not in a transaction: it outlives each.
    pub(crate) async fn make_stage(&mut self, statements: &Statements) -> Result<(), Error> {
        let create = statements.create_stage();
        if self.stage.as_ref() == Some(&create) {
            return Ok(());
        }
        if self.stage.take().is_some() {
            self.client.batch_execute(Statements::DROP_STAGE).await?;
            self.prepared = Prepared::default();
        }
        self.client.batch_execute(&create).await?;
        self.stage = Some(create);
        Ok(())
    }
}

/// Where a server listens below a folder ("unix_socket_directories", in its manual).
fn socket(folder: &Path, port: u16) -> std::path::PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// Statements by their text.
#[derive(Default)]
pub(crate) struct Prepared(BTreeMap<String, Statement>);

impl Prepared {
    pub(crate) async fn get(
        &mut self,
        transaction: &Transaction<'_>,
        statement: &str,
    ) -> Result<Statement, Error> {
        if let Some(known) = self.0.get(statement) {
            return Ok(known.clone());
        }
        let prepared = transaction.prepare(statement).await?;
        if PREPARED_MAX <= self.0.len() {
            self.0.clear();
        }
        self.0.insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}
