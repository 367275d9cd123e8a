//! A worker from its definition to its end: the columns, the table, and then the work.
//!
//! - Z1 What may pass by itself is tried again; anything else ends the run with its reason, and whoever started it decides.

use std::fmt;

use client::{Client, ClientConfig};
use rt::Rt;
use rt::channel::watch;
use sink::{Begin, Definition, JsonRows, Note, Retried, Schema, Target, TargetError, Worker};

use crate::board::Identity;
use crate::database::{self, Database};
use crate::reporter::Reporter;
use crate::topic;

/// How dead letters are kept: they wait for somebody, however long that takes.
const LETTERS_CONFIGS: [(&str, &str); 1] = [("retention.ms", "-1")];

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

/// Carries records into the database until `stop`; `note` hears how it goes, and so does the board.
///
/// # Errors
/// What trying again does not mend (Z1).
pub async fn run(
    client: &Client,
    definition: Definition,
    stop: impl Future<Output = ()>,
    mut note: impl FnMut(Note),
) -> Result<(), RunError> {
    let reporter = Reporter::start(client, &definition.name, identity(client, &definition)).await;
    let ended = work(client, definition, stop, &reporter, |told| {
        reporter.hear(&told);
        note(told);
    });
    let ended = ended.await;
    reporter.close(ended.as_ref().err().map(ToString::to_string)).await;
    ended
}

async fn work(
    client: &Client,
    definition: Definition,
    stop: impl Future<Output = ()>,
    reporter: &Reporter,
    mut note: impl FnMut(Note),
) -> Result<(), RunError> {
    let mut stop = std::pin::pin!(stop);
    let mut target = database::open(client.rt(), &definition).await?;
    let prepared = rt::select! {
        () = &mut stop => return Ok(()),
        prepared = async {
            reporter.has_listened().await;
            prepare(client, &definition, &mut target, reporter.pause(), &mut note).await
        } => prepared,
    };
    let schema = prepared?;
    let transform = JsonRows::new(&definition, &schema);
    let worker = Worker::start(client, definition, schema, transform, target, note);
    let worker = worker.with_pause(reporter.pause());
    Ok(worker.run(stop).await?)
}

/// Drives a sink's dead letters in again, those that are there now; `note` hears how it goes.
///
/// # Errors
/// What trying again does not mend (Z1).
pub async fn retry(
    client: &Client,
    definition: &Definition,
    stop: impl Future<Output = ()>,
    mut note: impl FnMut(Note),
) -> Result<Retried, RunError> {
    let mut stop = std::pin::pin!(stop);
    let mut target = database::open(client.rt(), definition).await?;
    let prepared = rt::select! {
        () = &mut stop => return Ok(Retried::default()),
        prepared = prepare(client, definition, &mut target, watch::channel(false).1, &mut note) => prepared,
    };
    let schema = prepared?;
    let transform = JsonRows::new(definition, &schema);
    Ok(sink::retry(client, definition, schema, transform, target, stop, note).await?)
}

/// What others need to know of the sink.
fn identity(client: &Client, definition: &Definition) -> Identity {
    let scheme = definition.database.url.split_once(':').map_or("", |(scheme, _)| scheme);
    Identity {
        topics: definition.topics.clone(),
        group: definition.group.clone(),
        table: definition.table.clone(),
        database: scheme.to_owned(),
        begins_at_start: definition.begin == Begin::Earliest,
        at_ms: client.rt().wall_clock_ms(),
    }
}

/// The table, made if need be.
async fn prepare(
    client: &Client,
    definition: &Definition,
    target: &mut Database,
    mut pause: watch::Receiver<bool>,
    note: &mut impl FnMut(Note),
) -> Result<Schema, RunError> {
    let rt = client.rt();
    if let Some(letters) = &definition.dead_letters {
        topic::make(client, letters.clone(), &LETTERS_CONFIGS).await?;
    }
    let (mut wanted, mut attempts) = (None, 0);
    loop {
        wait_while_paused(&mut pause, note).await;
        if wanted.is_none() {
            wanted = schema(client, definition).await?;
        }
        let trouble = match &wanted {
            None => "the topics have no records to tell columns from yet".to_owned(),
            Some(schema) => match target.prepare(schema).await {
                Ok(schema) => {
                    if 0 < attempts {
                        note(Note::Recovered);
                    }
                    return Ok(schema);
                }
                Err(error) if error.may_pass() => error.message,
                Err(error) => return Err(error.into()),
            },
        };
        note(Note::Trouble(trouble));
        rt.sleep(client::retry_delay(rt, attempts)).await;
        attempts += 1;
    }
}

/// Neither the database nor the topics are asked anything meanwhile.
async fn wait_while_paused(pause: &mut watch::Receiver<bool>, note: &mut impl FnMut(Note)) {
    if !*pause.borrow() {
        return;
    }
    note(Note::Paused);
    // Nobody left to say so is nobody who wants a pause.
    drop(pause.wait_for(|is_paused| !is_paused).await);
    note(Note::Resumed);
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
