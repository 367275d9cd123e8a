//! `ottla sink …`

mod control;
mod retry;
mod status;

use std::io::Write as _;
use std::path::Path;

use client::Client;
use rt::Rt;
use sink::{Definition, Note, Target as _};
use sinks::{Board, RunError, Teller};

use crate::args::{ConnectArgs, DEFAULT_BOOTSTRAP, SinkArgs, SinkCommand};
use crate::failure::{Failure, listed};
use crate::output::Output;

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: SinkArgs) -> Result<(), Failure> {
    let mut output = Output::new(args.output.output);
    let done = match args.command {
        SinkCommand::Run { file } => return work(rt, &file, args.bootstrap).await,
        SinkCommand::Plan { file } => return plan(rt, &file, args.bootstrap).await,
        SinkCommand::Retry(retried) => retry::run(rt, retried, args.bootstrap, &mut output).await,
        SinkCommand::List => {
            let client = connect(rt, args.bootstrap, None).await?;
            status::list(&client, &mut output).await
        }
        SinkCommand::Status { sink } => {
            let chosen = Chosen::find(rt, &sink, args.bootstrap).await?;
            status::run(&chosen, &mut output).await
        }
        SinkCommand::Pause { sink } => {
            let chosen = Chosen::find(rt, &sink, args.bootstrap).await?;
            control::run(&chosen, true, &mut output).await
        }
        SinkCommand::Resume { sink } => {
            let chosen = Chosen::find(rt, &sink, args.bootstrap).await?;
            control::run(&chosen, false, &mut output).await
        }
    };
    // What was found out before something failed is told all the same.
    output.finish(rt).await?;
    done
}

/// A sink by its name or its file, and its cluster.
struct Chosen {
    client: Client,
    name: String,
    /// Whether a file says that there is such a sink.
    is_defined: bool,
}

impl Chosen {
    async fn find(rt: &Rt, sink: &str, asked: Option<Vec<String>>) -> Result<Chosen, Failure> {
        let looks_like_a_file = sink.contains('/') || sink.ends_with(".toml");
        let definition = match read(rt, Path::new(sink)).await {
            Ok(definition) => Some(definition),
            Err(failure) if looks_like_a_file => return Err(failure),
            // Whatever else lies there is no sink, and it is the name that is meant.
            Err(_) => None,
        };
        let client = connect(rt, asked, definition.as_ref()).await?;
        let is_defined = definition.is_some();
        let name = definition.map_or_else(|| sink.to_owned(), |definition| definition.name);
        Ok(Chosen { client, name, is_defined })
    }

    /// That the cluster has no such sink, with those that may have been meant.
    fn unknown(&self, board: &Board) -> Failure {
        let failure = Failure::refused(format!("the cluster has no sink '{}'", self.name));
        let names = board.sinks().keys().map(String::as_str);
        match crate::suggest::nearest(&self.name, names).as_slice() {
            [] => failure.next("`ottla sink list` shows those there are, `ottla sink run FILE` starts one."),
            near => failure.next(format!("Did you mean {}?", listed(near))),
        }
    }
}

async fn plan(rt: &Rt, file: &Path, asked: Option<Vec<String>>) -> Result<(), Failure> {
    let definition = read(rt, file).await?;
    let schema = match sinks::stated(&definition)? {
        Some(schema) => schema,
        None => {
            let client = connect(rt, asked, Some(&definition)).await?;
            sinks::schema(&client, &definition).await?.ok_or_else(|| {
                Failure::refused("the topics have no records to tell columns from")
                    .next("State them under [columns], or produce a record first.")
            })?
        }
    };
    let mut database = sinks::open(rt, &definition).await.map_err(RunError::Database)?;
    let statements = match database.plan(&schema).await {
        Ok(statements) => statements,
        Err(error) if error.may_pass() => {
            eprintln!("The database cannot be asked what is there: {error}. From nothing it would be:");
            database.create(&schema)
        }
        Err(error) => return Err(RunError::Database(error).into()),
    };
    if statements.is_empty() {
        eprintln!("Everything is there: nothing would be made.");
    }
    let text: String = statements.iter().map(|statement| format!("{statement};\n")).collect();
    crate::output::write_out(rt, text.into_bytes()).await.map(drop)
}

async fn work(rt: &Rt, file: &Path, asked: Option<Vec<String>>) -> Result<(), Failure> {
    let definition = read(rt, file).await?;
    let bootstrap = bootstrap(asked, Some(&definition));
    let client = sinks::connect(rt, bootstrap, &definition.name).await?;
    let signal = async {
        // A process that hears of no signals ends without one.
        drop(rt::os::termination_signal().await);
    };
    let say = lines_on_stderr(rt, &definition.name);
    Ok(sinks::run(&client, definition, signal, say).await?)
}

/// What a worker says, as lines on standard error.
fn lines_on_stderr(rt: &Rt, sink: &str) -> impl FnMut(Note) + Send + use<> {
    let (rt, sink, mut teller) = (rt.clone(), sink.to_owned(), Teller::default());
    move |note| {
        if let Some(line) = teller.line(note, rt.now()) {
            // Nobody may be listening any more, which is no reason to stop.
            drop(writeln!(std::io::stderr(), "sink {sink}: {}", line.text));
        }
    }
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
    let (fs, owned) = (rt.fs().clone(), file.to_owned());
    let bytes = rt.blocking(move || fs.read(&owned)).await;
    let bytes = bytes.map_err(|error| Failure::input(error.to_string()))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::input(format!("{} is no text", file.display())))?;
    Definition::parse(&text).map_err(|error| Failure::input(error.to_string()).after(file.display()))
}

/// The addresses that are asked for, else those that the file names.
fn bootstrap(asked: Option<Vec<String>>, definition: Option<&Definition>) -> Vec<String> {
    let named = || definition.and_then(|definition| definition.bootstrap.clone());
    asked.or_else(named).unwrap_or_else(|| vec![DEFAULT_BOOTSTRAP.to_owned()])
}

/// A client for questions, which gives up earlier than a worker's.
async fn connect(
    rt: &Rt,
    asked: Option<Vec<String>>,
    definition: Option<&Definition>,
) -> Result<Client, Failure> {
    crate::connect(rt, &ConnectArgs { bootstrap: bootstrap(asked, definition) }).await
}
