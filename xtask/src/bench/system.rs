//! The systems that are compared, each started as its users start it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting broker is asked; the start times are as coarse as this.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// One system and its promise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Ottla as it comes: acknowledged is on disk.
    Ottla,
    /// Apache Kafka as it comes: acknowledged is in the page cache.
    Kafka,
    /// Apache Kafka told to sync every batch before it acknowledges.
    KafkaSynced,
}

impl System {
    /// The name of its column.
    pub fn name(self) -> &'static str {
        match self {
            System::Ottla => "ottla",
            System::Kafka => "kafka",
            System::KafkaSynced => "kafka, synced",
        }
    }

    /// When it acknowledges.
    pub fn sync_mode(self) -> &'static str {
        match self {
            System::Ottla => "on disk (group commit)",
            System::Kafka => "in the page cache",
            System::KafkaSynced => "on disk (each batch)",
        }
    }

    /// Starts it on `folder` and returns once it has answered an ApiVersions request.
    pub fn start(self, workspace: &Workspace, folder: &Path) -> Result<Started> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = match self {
            System::Ottla => {
                let mut command = Command::new(workspace.ottla());
                command
                    .arg("serve")
                    .arg("--data-dir")
                    .arg(folder)
                    .args(["--listen", &format!("127.0.0.1:{port}")]);
                command
            }
            System::Kafka => kafka(workspace, folder, port, "")?,
            System::KafkaSynced => kafka(workspace, folder, port, "log.flush.interval.messages=1\n")?,
        };
        let log = workspace.target.join("xtask").join("bench-broker.log");
        let errors = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let begun = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(errors.try_clone()?)
            .stderr(errors)
            .spawn()
            .context("starting the broker")?;
        let mut started = Started { child, bootstrap: format!("127.0.0.1:{port}"), took: Duration::ZERO };
        while !answers_api_versions(&started.bootstrap) {
            if let Some(status) = started.child.try_wait()? {
                bail!("the broker ended at its start ({status}); see {}", log.display());
            }
            if START_LIMIT < begun.elapsed() {
                bail!("the broker did not answer within {} s; see {}", START_LIMIT.as_secs(), log.display());
            }
            thread::sleep(ASK_EVERY);
        }
        started.took = begun.elapsed();
        Ok(started)
    }
}

/// Formats a folder for Apache Kafka and returns the command that starts it with the heap and collector of its own scripts.
fn kafka(workspace: &Workspace, folder: &Path, port: u16, more: &str) -> Result<Command> {
    let controller = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let properties = folder.join("server.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\n{more}",
        folder.join("logs").display()
    );
    fs::write(&properties, text).with_context(|| format!("writing {}", properties.display()))?;
    let log4j =
        format!("-Dlog4j2.configurationFile={}", workspace.clients().join("reference/log4j2.yaml").display());
    let jars = format!("{}/*", workspace.kafka_libs().display());
    let java = |arguments: &[&str], main: &str| {
        let mut command = Command::new("java");
        command.args(arguments).arg(&log4j).arg("-cp").arg(&jars).arg(main);
        command
    };
    // Any cluster id will do: sixteen bytes in base64.
    let mut format = java(&[], "kafka.tools.StorageTool");
    format.args(["format", "-t", "b3R0bGEtYmVuY2htYXJrcw", "-c"]).arg(&properties);
    let log = workspace.target.join("xtask").join("bench-format.log");
    let formatted = process::run(&mut format, &log, START_LIMIT)?;
    if !formatted.success() {
        bail!("Kafka's storage tool failed:\n{}", formatted.output);
    }
    let collector = [
        "-Xms1G",
        "-Xmx1G",
        "-server",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:InitiatingHeapOccupancyPercent=35",
    ];
    let mut command = java(&collector, "kafka.Kafka");
    command.arg(properties);
    Ok(command)
}

/// Whether an ApiVersions request of version 0 is answered without an error.
fn answers_api_versions(bootstrap: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(bootstrap)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        // Size 10; key 18, version 0; correlation 7; a null client id.
        socket.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])?;
        let mut answer = [0; 10];
        socket.read_exact(&mut answer)?;
        // Size, then the correlation 7 and the error code 0.
        Ok(answer[4..] == [0, 0, 0, 7, 0, 0])
    };
    ask().unwrap_or(false)
}

/// A broker that answers; killed when dropped before it is stopped.
pub struct Started {
    child: Child,
    bootstrap: String,
    took: Duration,
}

impl Started {
    /// Its address, `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From the start of the process to its first answer, in milliseconds.
    pub fn start_ms(&self) -> f64 {
        self.took.as_secs_f64() * 1000.0
    }

    /// Stops it with SIGTERM and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        process::terminate(&self.child)?;
        match process::wait(&mut self.child, STOP_LIMIT)? {
            Some(_) => Ok(()),
            None => bail!("the broker did not stop within {} s", STOP_LIMIT.as_secs()),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
