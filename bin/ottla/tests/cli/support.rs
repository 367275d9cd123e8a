//! A broker on a free port and a folder of its own, and commands run against it.
//!
//! - Nothing sleeps: a broker is awaited by its `ready` line, a command by its end.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub use sim_tests::process::Folder;
use sim_tests::process::Process;

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");

/// A broker; gone when dropped.
pub struct Broker {
    process: Process,
    folder: Option<Folder>,
}

impl Broker {
    pub fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// One with settings, each `key=value`.
    pub fn start_with(settings: &[&str]) -> Broker {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Broker::start_on(Folder::new(env!("CARGO_TARGET_TMPDIR"), &format!("cli-{number}")), settings)
    }

    /// One on what another left behind.
    pub fn start_on(folder: Folder, settings: &[&str]) -> Broker {
        let mut serve = Command::new(OTTLA);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
        serve.args(settings.iter().flat_map(|setting| ["--set", setting]));
        Broker { process: Process::start(&mut serve), folder: Some(folder) }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("data")
    }

    /// What it leaves behind.
    pub fn into_folder(mut self) -> Folder {
        self.folder.take().unwrap()
    }

    /// Ends it as a user does, and waits until it is gone.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Runs a command, its words separated by single spaces.
    pub fn run(&self, line: &str) -> Ran {
        self.feed(line, "")
    }

    /// Runs a command with something on its standard input.
    pub fn feed(&self, line: &str, input: &str) -> Ran {
        run(&self.address().to_string(), line, input)
    }
}

/// Runs a command that needs no broker.
pub fn ottla(line: &str) -> Ran {
    run("127.0.0.1:1", line, "")
}

fn run(bootstrap: &str, line: &str, input: &str) -> Ran {
    let mut process = Command::new(OTTLA)
        .args(line.split(' '))
        .env("OTTLA_BOOTSTRAP", bootstrap)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    Ran {
        line: line.to_owned(),
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What a command left behind.
pub struct Ran {
    line: String,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// Its standard output, if it ended well.
    #[track_caller]
    pub fn out(&self) -> &str {
        assert_eq!(self.code, Some(0), "ottla {}: {}", self.line, self.err);
        &self.out
    }

    /// What it printed, however it ended.
    pub fn printed(&self) -> &str {
        &self.out
    }

    /// Its lines of JSON, if it ended well.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.out().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// That it ended with this code, and said this among other things.
    #[track_caller]
    pub fn refused(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "ottla {}: {}", self.line, self.err);
        assert!(self.err.contains(said), "ottla {}: {}", self.line, self.err);
    }
}
