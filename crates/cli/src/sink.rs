//! `ottla sink`: records into databases.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use client::Client;
use rt::{Instant, Rt};
use sink::{Definition, Note, Target as _};
use sinks::RunError;

use crate::args::{DEFAULT_BOOTSTRAP, SinkArgs, SinkCommand, SinkFileArgs};
use crate::failure::Failure;

/// Time between two lines about rows.
const RATE_INTERVAL: Duration = Duration::from_secs(10);

/// Runs the command.
pub(crate) async fn run(rt: &Rt, args: SinkArgs) -> Result<(), Failure> {
    match args.command {
        SinkCommand::Plan { sink } => plan(rt, &sink).await,
        SinkCommand::Run { sink } => work(rt, &sink).await,
    }
}

async fn plan(rt: &Rt, args: &SinkFileArgs) -> Result<(), Failure> {
    let definition = read(rt, &args.file).await?;
    let schema = match sinks::stated(&definition)? {
        Some(schema) => schema,
        None => {
            let client = connect(rt, args, &definition).await?;
            sinks::schema(&client, &definition).await?.ok_or_else(|| {
                Failure::refused("the topics have no records to tell columns from")
                    .next("State them under [columns], or produce a record first.")
            })?
        }
    };
    let database = sinks::open(rt, &definition).await.map_err(RunError::Database)?;
    let text = database.create(&schema).join(";\n\n") + ";\n";
    crate::output::write_out(rt, text.into_bytes()).await.map(drop)
}

async fn work(rt: &Rt, args: &SinkFileArgs) -> Result<(), Failure> {
    let definition = read(rt, &args.file).await?;
    let client = connect(rt, args, &definition).await?;
    let signal = async {
        // A process that hears of no signals ends without one.
        drop(rt::os::termination_signal().await);
    };
    let mut notes = Notes::new(rt, &definition.name);
    Ok(sinks::run(&client, definition, signal, |note| notes.take(note)).await?)
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Cluster(error) => error.into(),
            RunError::Database(error) => Failure::refused(error.message),
            RunError::Schema(problem) => Failure::refused(problem),
        }
    }
}

async fn read(rt: &Rt, file: &Path) -> Result<Definition, Failure> {
    let text = text_of(rt, file).await?;
    Definition::parse(&text).map_err(|error| Failure::input(error.to_string()).after(file.display()))
}

async fn text_of(rt: &Rt, file: &Path) -> Result<String, Failure> {
    let (fs, owned) = (rt.fs().clone(), file.to_owned());
    let bytes =
        rt.blocking(move || fs.read(&owned)).await.map_err(|error| Failure::input(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| Failure::input(format!("{} is no text", file.display())))
}

async fn connect(rt: &Rt, args: &SinkFileArgs, definition: &Definition) -> Result<Client, Failure> {
    let bootstrap = args.bootstrap.clone().or_else(|| definition.bootstrap.clone());
    let bootstrap = bootstrap.unwrap_or_else(|| vec![DEFAULT_BOOTSTRAP.to_owned()]);
    Ok(sinks::connect(rt, bootstrap, &definition.name).await?)
}

/// What the worker says, as lines on standard error.
struct Notes {
    rt: Rt,
    sink: String,
    rows: usize,
    since: Option<Instant>,
    last: Option<Note>,
}

impl Notes {
    fn new(rt: &Rt, sink: &str) -> Notes {
        Notes { rt: rt.clone(), sink: sink.to_owned(), rows: 0, since: None, last: None }
    }

    fn take(&mut self, note: Note) {
        if let Note::Committed { rows, .. } = note {
            return self.count(rows);
        }
        if self.last.as_ref() == Some(&note) {
            return;
        }
        match &note {
            Note::Assigned(places) => self.say(&format!("{} partitions are this worker's", places.len())),
            Note::Stopped { place, reason } => self.say(&format!("{place} waits: {reason}")),
            Note::Trouble(trouble) => self.say(&format!("{trouble}; trying again")),
            Note::Recovered => self.say("all is well again"),
            Note::Paused => self.say("paused"),
            Note::Resumed => self.say("goes on"),
            Note::Committed { .. } | Note::Begun { .. } | Note::Revoked => {}
        }
        self.last = Some(note);
    }

    /// The first rows are worth a line at once, the others one now and then.
    fn count(&mut self, rows: usize) {
        self.rows += rows;
        let now = self.rt.now();
        if self.since.is_none_or(|since| since + RATE_INTERVAL <= now) && 0 < self.rows {
            self.since = Some(now);
            self.say(&format!("{} rows written by this worker", self.rows));
        }
    }

    fn say(&self, line: &str) {
        // Nobody may be listening any more, which is no reason to stop.
        drop(writeln!(std::io::stderr(), "sink {}: {line}", self.sink));
    }
}
