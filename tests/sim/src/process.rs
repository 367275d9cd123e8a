//! The broker's real process, for tests that kill it, crowd it or fill its disk.
//!
//! - P1 Nothing sleeps: a process is awaited by its `ready` line.
//! - P2 It is killed (`kill -9`) with the value: it gets no chance to say goodbye.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "this runs processes of the real operating system, for tests that fail where it fails"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use client::{Client, ClientConfig};
use rt::Rt;

/// A running `ottla serve`.
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// It cannot be started, or ends before it is ready.
    pub fn start(serve: &mut Command) -> Process {
        Process::start_logging(serve, Stdio::null())
    }

    /// The same, with somewhere for its log to go.
    ///
    /// # Panics
    /// As there.
    pub fn start_logging(serve: &mut Command, log: Stdio) -> Process {
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().expect("a process");
        let mut ready = String::new();
        let output = child.stdout.take().expect("standard output is piped");
        BufReader::new(output).read_line(&mut ready).expect("lines of text");
        let address = ready.split_whitespace().nth(1).and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("not ready: {ready:?}"));
        Process { child, address }
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    ///
    /// # Panics
    /// It cannot be reached.
    pub async fn client(&self, rt: &Rt) -> Client {
        let config = ClientConfig { bootstrap: vec![self.address.to_string()], ..ClientConfig::default() };
        Client::connect(rt, config).await.expect("a broker that answers")
    }

    /// See [`memory_bytes`].
    ///
    /// # Panics
    /// As there.
    pub fn memory_bytes(&self, figure: &str) -> u64 {
        memory_bytes(self.child.id(), figure)
    }

    /// What it has open; the path of a file that is gone by its name ends in ` (deleted)` (`proc_pid_fd(5)`).
    ///
    /// # Panics
    /// The system does not tell.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let links = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a process that runs");
        // One may be closed by the time its turn comes.
        links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok()).collect()
    }

    /// Kills it (`kill -9`), and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Waits until it ends by itself; its exit code.
    ///
    /// # Panics
    /// The system does not tell.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }

    /// Ends it as a user does, and waits until it is gone.
    ///
    /// # Panics
    /// It does not end well.
    pub fn stop(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().expect("kill").success());
        assert!(self.child.wait().expect("an end").success());
    }
}

/// A figure of a process's memory, bytes: `VmRSS` is what it holds, `VmHWM` the most that it ever held (`proc_pid_status(5)`).
///
/// # Panics
/// The system does not tell.
pub fn memory_bytes(pid: u32, figure: &str) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(path).expect("a process that runs");
    let told = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = told.and_then(|told| told.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("{figure} in {status}")) * 1024
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder for a process's data, gone with the value.
pub struct Folder(PathBuf);

impl Folder {
    /// One below `root`, which is `CARGO_TARGET_TMPDIR` of who asks, that no other run has.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn new(root: &str, name: &str) -> Folder {
        let path = Path::new(root).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for tests");
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
