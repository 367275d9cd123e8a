//! The systems that are compared, each started as its users start it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Running};
use crate::setting::{Kafka, Setting};

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// How often a starting broker is asked; the start times are as coarse as this.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// One system and its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// Ottla as it comes: acknowledged is on disk.
    Ottla,
    /// Apache Kafka as it comes: acknowledged is in the page cache.
    Kafka,
    /// Apache Kafka told to sync every batch before it acknowledges.
    KafkaSynced,
    /// No broker: what the bytes alone cost (`bare.rs`).
    Bare,
    /// The same past the page cache.
    BareDirect,
    /// No broker: the same rows by a database's own tools (`sinks/by_hand.rs`).
    ByHand,
}

impl System {
    /// Every broker, the reference second.
    pub const ALL: [System; 3] = [System::Ottla, System::Kafka, System::KafkaSynced];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            System::Ottla => "ottla",
            System::Kafka => "kafka",
            System::KafkaSynced => "kafka-synced",
            System::Bare => "bare",
            System::BareDirect => "bare-direct",
            System::ByHand => "by hand",
        }
    }

    /// What is acknowledged is where.
    pub fn sync_mode(self) -> &'static str {
        match self {
            System::Ottla => "on disk (group commit)",
            System::Kafka => "in the page cache",
            System::KafkaSynced => "on disk (each batch)",
            System::Bare | System::BareDirect => "on disk (all at once)",
            System::ByHand => "committed",
        }
    }

    /// Whether it can be run here.
    pub fn is_here(self, setting: &Setting) -> bool {
        match self {
            System::Ottla | System::Bare | System::BareDirect | System::ByHand => true,
            System::Kafka | System::KafkaSynced => setting.kafka.is_some(),
        }
    }

    /// Starts it on an empty folder and waits until it answers.
    pub fn start_fresh(self, setting: &Setting) -> Result<Broker> {
        setting.fresh()?;
        self.start(setting)
    }

    /// Starts it on what is in the folder and waits until it has answered an ApiVersions request.
    pub fn start(self, setting: &Setting) -> Result<Broker> {
        let port = free_port()?;
        self.begin(setting, &mut self.command(setting, port)?, port)
    }

    /// Starts Ottla under valgrind's instruction counter, which writes its counts to `counts` when the broker ends.
    pub fn start_ottla_counted(setting: &Setting, counts: &Path) -> Result<Broker> {
        setting.fresh()?;
        let port = free_port()?;
        let mut command = setting.broker("valgrind".as_ref());
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(&setting.ottla).args(serve(setting, port));
        System::Ottla.begin(setting, &mut command, port)
    }

    fn command(self, setting: &Setting, port: u16) -> Result<Command> {
        let kafka = || setting.kafka.as_ref().context("Kafka's jars, or Java, are not here");
        match self {
            System::Ottla => {
                let mut command = setting.broker(&setting.ottla);
                command.args(serve(setting, port));
                Ok(command)
            }
            System::Kafka => java(setting, kafka()?, port, ""),
            System::KafkaSynced => java(setting, kafka()?, port, "log.flush.interval.messages=1\n"),
            System::Bare | System::BareDirect | System::ByHand => bail!("it is no broker"),
        }
    }

    fn begin(self, setting: &Setting, command: &mut Command, port: u16) -> Result<Broker> {
        let log = setting.log(&format!("broker-{}", self.name()));
        let errors = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let begun = Instant::now();
        let mut running = Running::start(command)?;
        let ready = when_ready(&mut running, begun)?;
        let bootstrap = format!("127.0.0.1:{port}");
        while !answers_api_versions(&bootstrap) {
            if let Some(status) = running.ended()? {
                bail!("the broker ended at its start ({status}); see {}", log.display());
            }
            if START_LIMIT < begun.elapsed() {
                bail!("the broker did not answer within {} s; see {}", START_LIMIT.as_secs(), log.display());
            }
            thread::sleep(ASK_EVERY);
        }
        let answered = begun.elapsed();
        Ok(Broker { running, bootstrap, begun, answered, ready })
    }
}

/// Ottla's command line.
fn serve(setting: &Setting, port: u16) -> [OsString; 5] {
    let listen = format!("127.0.0.1:{port}").into();
    ["serve".into(), "--data-dir".into(), setting.data.join("ottla").into(), "--listen".into(), listen]
}

/// A port that is free now; whoever takes it before the broker does makes its start fail.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Hears how long it took to a line that starts with `ready`, and reads the rest so that the broker never meets a full pipe.
fn when_ready(running: &mut Running, begun: Instant) -> Result<mpsc::Receiver<Duration>> {
    let output = running.child().stdout.take().context("standard output is piped")?;
    let (tell, hear) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.starts_with("ready") {
                // Whoever does not listen does not want to know.
                let _ = tell.send(begun.elapsed());
            }
        }
    });
    Ok(hear)
}

/// Formats the folder for Apache Kafka, unless it is, and returns the command that starts it with the heap and collector
/// of its own scripts.
fn java(setting: &Setting, kafka: &Kafka, port: u16, more: &str) -> Result<Command> {
    let controller = free_port()?;
    let (properties, logs) = (setting.data.join("server.properties"), setting.data.join("kafka"));
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\n{more}",
        logs.display()
    );
    fs::write(&properties, text).with_context(|| format!("writing {}", properties.display()))?;
    let with = |mut command: Command, main: &str| {
        command.arg(format!("-Dlog4j2.configurationFile={}", kafka.log4j.display()));
        command.arg("-cp").arg(format!("{}/*", kafka.jars.display())).arg(main);
        command
    };
    if !logs.exists() {
        let mut format = with(Command::new("java"), "kafka.tools.StorageTool");
        // Any cluster id will do: sixteen bytes in base64.
        format.args(["format", "-t", "b3R0bGEtYmVuY2htYXJrcw", "-c"]).arg(&properties);
        process::output(&mut format, Some(&setting.log("format")), START_LIMIT)?;
    }
    let mut command = setting.broker("java".as_ref());
    command.args(["-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
    command.arg("-XX:InitiatingHeapOccupancyPercent=35");
    let mut command = with(command, "kafka.Kafka");
    command.arg(properties);
    Ok(command)
}

/// An ApiVersions request of version 0: size 10; key 18, version 0; correlation 7; a null client id.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

fn answers_api_versions(bootstrap: &str) -> bool {
    connect(bootstrap).is_ok()
}

/// A connection on which an ApiVersions request was answered without an error.
pub fn connect(bootstrap: &str) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(bootstrap)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.write_all(&API_VERSIONS)?;
    let mut size = [0; 4];
    socket.read_exact(&mut size)?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    let mut answer = vec![0; size.min(64 * 1024)];
    socket.read_exact(&mut answer)?;
    // The correlation 7 and the error code 0.
    if !answer.starts_with(&[0, 0, 0, 7, 0, 0]) {
        bail!("that is no answer to ApiVersions");
    }
    Ok(socket)
}

/// A broker that answers.
pub struct Broker {
    running: Running,
    bootstrap: String,
    begun: Instant,
    answered: Duration,
    ready: mpsc::Receiver<Duration>,
}

impl Broker {
    /// Its address, `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Time since its process was started.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// From the start of the process to its first answer.
    pub fn answered(&self) -> Duration {
        self.answered
    }

    /// From the start of the process to its line `ready`, for a system that has one.
    pub fn ready(&self) -> Option<Duration> {
        self.ready.recv_timeout(Duration::from_secs(1)).ok()
    }

    /// Processor time it has taken, seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        process::cpu_seconds(self.running.pid())
    }

    /// Bytes it has given to the disk, or to the page cache on their way there.
    pub fn bytes_to_disk(&self) -> Result<f64> {
        process::bytes_to_disk(self.running.pid())
    }

    /// How often its threads, those that live, gave up their processor or had to.
    pub fn context_switches(&self) -> Result<f64> {
        process::context_switches(self.running.pid())
    }

    /// Memory it holds now, bytes.
    pub fn rss_bytes(&self) -> Result<f64> {
        process::memory_bytes(self.running.pid(), "VmRSS")
    }

    /// Memory it held at its most, bytes.
    pub fn rss_most_bytes(&self) -> Result<f64> {
        process::memory_bytes(self.running.pid(), "VmHWM")
    }

    /// Stops it with SIGTERM and waits for its end.
    pub fn stop(mut self) -> Result<()> {
        self.running.terminate()?;
        self.running.wait(STOP_LIMIT).context("stopping the broker").map(drop)
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) -> Result<()> {
        self.running.kill()
    }
}
