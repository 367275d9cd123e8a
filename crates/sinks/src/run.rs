//! A worker from its definition to its end: the columns, the table, and then the work.
//!
//! - Z1 What may pass by itself is tried again; anything else ends the run with its reason, and whoever started it decides.

use std::fmt;
use std::time::Duration;

use client::{Client, ClientConfig};
use rt::Rt;
use sink::{Definition, Fault, JsonRows, Note, Schema, Target, TargetError, Worker};

use crate::database::{self, Database};

/// Time between two looks for the first record.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Why a run ended.
#[derive(Debug)]
pub enum RunError {
    /// The cluster refuses, or is not there.
    Cluster(client::Error),
    /// The database refuses, or is none.
    Database(TargetError),
    /// The table would be none.
    Schema(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Cluster(error) => error.fmt(f),
            RunError::Database(error) => error.fmt(f),
            RunError::Schema(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for RunError {}

impl From<client::Error> for RunError {
    fn from(error: client::Error) -> RunError {
        RunError::Cluster(error)
    }
}

impl From<TargetError> for RunError {
    fn from(error: TargetError) -> RunError {
        RunError::Database(error)
    }
}

/// A client of the cluster at `bootstrap`, by the name of a sink.
///
/// # Errors
/// The cluster is not there.
pub async fn connect(rt: &Rt, bootstrap: Vec<String>, sink: &str) -> Result<Client, client::Error> {
    let client_id = format!("ottla-sink-{sink}");
    Client::connect(rt, ClientConfig { bootstrap, client_id, ..ClientConfig::default() }).await
}

/// Carries records into the database until `stop`; `note` hears how it goes.
///
/// # Errors
/// What trying again does not mend (Z1).
pub async fn run(
    client: &Client,
    definition: Definition,
    stop: impl Future<Output = ()>,
    mut note: impl FnMut(Note),
) -> Result<(), RunError> {
    let mut stop = std::pin::pin!(stop);
    let mut target = database::open(client.rt(), &definition).await?;
    let prepared = rt::select! {
        () = &mut stop => return Ok(()),
        prepared = prepare(client, &definition, &mut target, &mut note) => prepared,
    };
    let schema = prepared?;
    let transform = JsonRows::new(&definition, &schema);
    let worker = Worker::start(client, definition, schema, transform, target, note);
    Ok(worker.run(stop).await?)
}

/// The table, made if need be.
async fn prepare(
    client: &Client,
    definition: &Definition,
    target: &mut Database,
    note: &mut impl FnMut(Note),
) -> Result<Schema, RunError> {
    let rt = client.rt();
    let schema = loop {
        if let Some(schema) = schema(client, definition).await? {
            break schema;
        }
        note(Note::Trouble("the topics have no records to tell columns from yet".to_owned()));
        rt.sleep(SAMPLE_INTERVAL).await;
    };
    let mut attempts = 0;
    loop {
        match target.prepare(&schema).await {
            Ok(schema) => return Ok(schema),
            Err(error) if error.fault == Fault::Passing => {
                note(Note::Trouble(error.message));
                rt.sleep(client::retry_delay(rt, attempts)).await;
                attempts += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The table as the definition states its columns, else as the first records suggest them; none while there are none.
///
/// # Errors
/// The topics cannot be read, or the table would be none.
pub async fn schema(client: &Client, definition: &Definition) -> Result<Option<Schema>, RunError> {
    if let Some(stated) = stated(definition)? {
        return Ok(Some(stated));
    }
    let fields = sink::sample(client, definition).await?;
    if fields.is_empty() {
        return Ok(None);
    }
    definition.schema(fields).map(Some).map_err(RunError::Schema)
}

/// The table as the definition states its columns; none where it leaves them to the first records.
///
/// # Errors
/// The table would be none.
pub fn stated(definition: &Definition) -> Result<Option<Schema>, RunError> {
    if definition.is_inferred() {
        return Ok(None);
    }
    definition.schema(Vec::new()).map(Some).map_err(RunError::Schema)
}
