//! A broker on a free port and a folder of its own, and commands run against it.
//!
//! - Nothing sleeps: a broker is awaited by its `ready` line, a command by its end.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const OTTLA: &str = env!("CARGO_BIN_EXE_ottla");

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A broker; gone when dropped.
pub struct Broker {
    process: Child,
    address: String,
    folder: Option<Folder>,
}

impl Broker {
    pub fn start() -> Broker {
        let folder = Folder::new();
        let mut process = Command::new(OTTLA)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.split_whitespace().nth(1).unwrap_or_else(|| panic!("not ready: {ready:?}"));
        Broker { address: address.to_owned(), process, folder: Some(folder) }
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
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }

    /// Runs a command, its words separated by single spaces.
    pub fn run(&self, line: &str) -> Ran {
        self.feed(line, "")
    }

    /// Runs a command with something on its standard input.
    pub fn feed(&self, line: &str, input: &str) -> Ran {
        run(&self.address, line, input)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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
