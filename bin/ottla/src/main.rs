//! The one binary: a broker, or a command that talks to a cluster.

mod logging;
mod serve;
mod sinks;

use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    let command = cli::parse();
    match &command {
        Command::Serve(_) | Command::Dev(_) => logging::start(tracing::Level::INFO),
        Command::Demo(_) | Command::Client(_) => logging::start(tracing::Level::ERROR),
    }
    let ended = rt::os::run(|rt| async move {
        match command {
            Command::Serve(args) => serve::serve(rt, args).await,
            Command::Dev(args) => serve::dev(rt, args).await,
            Command::Demo(args) => serve::demo(rt, args).await,
            Command::Client(command) => cli::run_client(rt, command).await,
        }
    });
    ended.unwrap_or_else(|error| {
        eprintln!("ottla: the system refused the threads or descriptors to begin with: {error}");
        ExitCode::FAILURE
    })
}
