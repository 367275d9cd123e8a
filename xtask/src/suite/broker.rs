//! One broker process for one suite: `ottla dev` on a free port, or Apache Kafka behind the same command line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Ottla is ready in milliseconds, Kafka in seconds, either in more on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What the suites run against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// The build that the unit tests use, whose assertions hold every client to account.
    Debug,
    /// The release build.
    Release,
    /// Apache Kafka, against which the suites themselves are checked.
    Reference,
}

impl Broker {
    /// The program that understands `dev` and `serve`.
    pub fn program(self, workspace: &Workspace) -> PathBuf {
        match self {
            Broker::Debug => workspace.ottla("debug"),
            Broker::Release => workspace.ottla("release"),
            Broker::Reference => workspace.clients().join("reference/ottla"),
        }
    }

    /// Sets what the program, or a suite that starts it, needs to find.
    pub fn environment<'c>(self, workspace: &Workspace, command: &'c mut Command) -> &'c mut Command {
        command
            .env("OTTLA_KAFKA_LIBS", workspace.kafka_libs())
            .env("OTTLA_JAVA_CLASSES", workspace.java_classes())
            .env("OTTLA_CLIENT_BIN", workspace.ottla("debug"))
    }
}

/// A broker that has said where it listens; killed when dropped before it is stopped.
pub struct Running {
    child: Child,
    bootstrap: String,
    log: PathBuf,
}

impl Running {
    /// Starts `dev --port 0 --json` with these settings and waits for its line; what it writes to standard error goes to `log`.
    pub fn start(workspace: &Workspace, broker: Broker, settings: &[&str], log: &Path) -> Result<Self> {
        let mut command = Command::new(broker.program(workspace));
        let errors = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        broker.environment(workspace, &mut command);
        command
            .args(["dev", "--port", "0", "--json"])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.spawn().with_context(|| format!("starting {:?}", command.get_program()))?;
        let lines = BufReader::new(child.stdout.take().context("standard output is piped")?).lines();
        let (first, ready) = mpsc::channel();
        thread::spawn(move || {
            // Read to the end, so that the broker never meets a closed pipe.
            for line in lines.map_while(Result::ok) {
                let _ = first.send(line);
            }
        });
        let mut running = Self { child, bootstrap: String::new(), log: log.to_owned() };
        let line = ready.recv_timeout(READY_LIMIT);
        let Ok(line) = line else { bail!("the broker did not say where it listens; {}", running.story()) };
        let announced: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("the broker announced itself as {line:?}"))?;
        running.bootstrap =
            announced["bootstrap"].as_str().with_context(|| format!("no bootstrap in {line}"))?.to_owned();
        Ok(running)
    }

    /// Its address, `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Stops it with SIGTERM; an error when it had ended before, or does not end with code 0 in time.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the broker ended during the suite ({status}); {}", self.story());
        }
        process::terminate(&self.child)?;
        match process::wait(&mut self.child, STOP_LIMIT)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the broker did not stop cleanly ({status}); {}", self.story()),
            None => bail!("the broker did not stop within {} s; {}", STOP_LIMIT.as_secs(), self.story()),
        }
    }

    /// The end of what it wrote, for an error message.
    fn story(&self) -> String {
        let written = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&written);
        let lines: Vec<&str> = text.lines().collect();
        format!("it wrote:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
