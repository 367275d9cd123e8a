//! The commands, their output and their errors.
//!
//! - Q1 One table of commands and flags, [`args`], makes the parser, the help, the man pages and the completions.
//! - Q2 Results go to standard output: tables on a terminal, JSON lines in a pipe. Progress, notes and errors go to
//!   standard error.
//! - Q3 Exit codes: 0 done, 1 the cluster said no, 2 the command line (or the input) is wrong, 3 unreachable.
//!
//! `serve` and `dev` are parsed here and run by the binary, which starts a broker for `demo`: this crate knows brokers only
//! through the protocol, and through the files they leave.

mod args;
mod bench;
mod cell;
mod check;
mod cluster;
mod config_keys;
mod consume;
mod demo;
mod dump;
mod failure;
mod group;
mod input;
mod manual;
mod number;
mod output;
mod produce;
mod progress;
mod record_format;
mod show;
mod sink;
mod span;
mod suggest;
mod table;
mod topic;
mod txn;

use std::process::ExitCode;

use clap::Parser;
use client::{Client, ClientConfig};
use rt::Rt;

use args::{Arguments, ConnectArgs};
pub use args::{ClientCommand, Command, DemoArgs, DevArgs, ServeArgs};
use failure::Failure;

/// Reads the process's command line; help and mistakes end the process with exit code 0 and 2.
pub fn parse() -> Command {
    Arguments::parse().command
}

/// Reads a command line whose first word is the program's name.
///
/// # Errors
/// Help was asked for, or the line is wrong; `clap`'s error prints either and knows the exit code.
pub fn parse_from<T>(words: impl IntoIterator<Item = T>) -> Result<Command, clap::Error>
where
    T: Into<std::ffi::OsString> + Clone,
{
    Arguments::try_parse_from(words).map(|arguments| arguments.command)
}

/// Runs a command that is not a broker, and says on standard error what went wrong.
pub async fn run_client(rt: Rt, command: ClientCommand) -> ExitCode {
    let result = match command {
        ClientCommand::Topic(args) => topic::run(&rt, args).await,
        ClientCommand::Produce(args) => produce::run(&rt, args).await,
        ClientCommand::Consume(args) => consume::run(&rt, args).await,
        ClientCommand::Group(args) => group::run(&rt, args).await,
        ClientCommand::Txn(args) => txn::run(&rt, args).await,
        ClientCommand::Sink(args) => sink::run(&rt, args).await,
        ClientCommand::Cluster(args) => cluster::run(&rt, args).await,
        ClientCommand::Config(args) => config_keys::run(&rt, args).await,
        ClientCommand::Log(args) => dump::run(&rt, args).await,
        ClientCommand::Bench(args) => bench::run(&rt, args).await,
        ClientCommand::Completions(args) => manual::completions(&rt, args).await,
        ClientCommand::Man(args) => manual::man(&rt, args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a demo on the cluster at `bootstrap`, and says on standard error what went wrong; what it needs of files goes into
/// `folder`.
pub async fn run_demo(
    rt: &Rt,
    args: &DemoArgs,
    bootstrap: Vec<String>,
    folder: &std::path::Path,
) -> ExitCode {
    match demo::run(rt, args, bootstrap, folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn connect(rt: &Rt, args: &ConnectArgs) -> Result<Client, Failure> {
    let config = ClientConfig {
        bootstrap: args.bootstrap.clone(),
        client_id: "ottla-cli".to_owned(),
        connect_timeout: std::time::Duration::from_secs(5),
        retry_timeout: std::time::Duration::from_secs(20),
        ..ClientConfig::default()
    };
    Ok(Client::connect(rt, config).await?)
}
