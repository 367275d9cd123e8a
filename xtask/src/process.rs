//! Child processes: run to the end with their output in a log file, or stopped in order.
//!
//! - P1 A child never outlives its time limit.
//! - P2 What a child wrote is on disk when `run` returns, in the order in which it wrote it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The end of a child: how it exited and everything it wrote.
pub struct Ended {
    /// `None` when it was killed because its time was over.
    pub status: Option<ExitStatus>,
    /// Standard output and standard error together.
    pub output: String,
    /// Where the output is kept.
    pub log: PathBuf,
}

impl Ended {
    /// Whether it exited by itself with code 0.
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// How often a waiting thread looks at its child.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs the command with its output in `log`, for at most `limit`.
pub fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<Ended> {
    let out = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    let err = out.try_clone().context("sharing the log file")?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().with_context(|| format!("starting {:?}", command.get_program()))?;
    let status = wait(&mut child, limit)?;
    if status.is_none() {
        child.kill().context("killing a child whose time is over")?;
        child.wait().context("waiting for a killed child")?;
    }
    let output = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    Ok(Ended { status, output, log: log.to_owned() })
}

/// Waits for the child for at most `limit`; `None` when it is still running then.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("waiting for a child")? {
            return Ok(Some(status));
        }
        if deadline < Instant::now() {
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Asks the child to stop with SIGTERM, which the standard library cannot send.
pub fn terminate(child: &Child) -> Result<()> {
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().context("sending SIGTERM")?;
    Ok(())
}

/// Whether this process may install what the system's packages offer.
pub fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").output();
    asked.is_ok_and(|answer| answer.stdout.trim_ascii() == b"0")
}

/// Whether a program of this name is on the path and answers to `--version` or its like.
pub fn exists(program: &str, version: &str) -> bool {
    let asked = Command::new(program)
        .arg(version)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}
