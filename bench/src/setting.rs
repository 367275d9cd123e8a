//! What the harness is told from outside: programs, folders and sizes, all by environment variables.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::fs::{Advice, FlockOperation, fadvise, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::awake::Awake;
use crate::ballast::Ballast;

/// Everything a scenario needs to know.
pub struct Setting {
    /// The product, both as a broker and as the load generator.
    pub ottla: PathBuf,
    /// Apache Kafka, if its jars and a Java runtime are here.
    pub kafka: Option<Kafka>,
    /// Where brokers keep their data; emptied for each of them.
    pub data: PathBuf,
    /// Where logs and results go.
    pub results: PathBuf,
    /// The file system of `data`.
    pub file_system: String,
    /// Bytes of values of the largest load, in units of 10^9; the others follow it.
    pub gigabytes: f64,
    /// Runs whose median counts.
    pub runs: usize,
    /// By how much the floor may move during a run, percent.
    pub floor_percent: f64,
    /// Broker and load each keep to a processor of their own.
    pub pins: bool,
    /// What keeps the processors awake, if anything does.
    awake: Option<Awake>,
    /// Data that takes long to make and is the same after a run as before it; gone with the harness.
    pub kept: Kept,
    /// What fills free memory before a load.
    ballast: Ballast,
    /// Held as long as the folder is ours: a second harness would empty it under the first one's brokers.
    _lock: File,
}

/// Where Apache Kafka is.
pub struct Kafka {
    /// The folder of its jars.
    pub jars: PathBuf,
    /// The logging configuration that keeps it quiet.
    pub log4j: PathBuf,
}

impl Setting {
    /// Reads the variables that README.md lists.
    pub fn from_environment() -> Result<Setting> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let number = |name: &str, default: f64| match std::env::var(name) {
            Ok(text) => text.parse::<f64>().with_context(|| format!("{name}={text} is no number")),
            Err(_) => Ok(default),
        };
        let folder =
            path("OTTLA_BENCH_FOLDER").context("OTTLA_BENCH_FOLDER: run me with `cargo xtask bench`")?;
        let (data, results) = (folder.join("data"), folder.join("results"));
        for folder in [&data, &results] {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let lock = File::create(folder.join("lock")).context("creating the lock of the folder")?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("{} is in use by another harness", folder.display()))?;
        raise_open_files_limit();
        Ok(Setting {
            ottla: path("OTTLA_BIN").context("OTTLA_BIN: run me with `cargo xtask bench`")?,
            kafka: path("OTTLA_KAFKA_LIBS")
                .zip(path("OTTLA_KAFKA_LOG4J"))
                .map(|(jars, log4j)| Kafka { jars, log4j }),
            file_system: file_system(&data)?,
            data,
            results,
            gigabytes: number("OTTLA_BENCH_GB", 10.0)?,
            runs: number("OTTLA_BENCH_RUNS", 5.0)?.max(1.0) as usize,
            floor_percent: number("OTTLA_BENCH_FLOOR_PERCENT", 25.0)?,
            pins: std::env::var_os("OTTLA_BENCH_PIN").is_some(),
            awake: std::env::var_os("OTTLA_BENCH_AWAKE").map(|_| Awake::new(processors())).transpose()?,
            kept: Kept::new(folder.join("kept"))?,
            ballast: Ballast::new(&folder)?,
            _lock: lock,
        })
    }

    /// A command for the broker, on the first processor if pinned.
    pub fn broker(&self, program: &Path) -> Command {
        self.pinned(program, "0")
    }

    /// A command for the load, on the second processor if pinned.
    pub fn load(&self, program: &Path) -> Command {
        self.pinned(program, "1")
    }

    fn pinned(&self, program: &Path, processor: &str) -> Command {
        let mut command = Command::new(if self.pins { "taskset".as_ref() } else { program });
        if self.pins {
            command.args(["-c", processor]).arg(program);
        }
        // Ours are no configuration of a broker's, and a broker says so.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTTLA_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// The words that belong beside every figure of this machine.
    pub fn words(&self) -> String {
        let pinned = if self.pins { ", broker and load pinned" } else { "" };
        let awake = if self.awake.is_some() { ", kept awake" } else { "" };
        format!("{}, page cache not limited, {} processors{pinned}{awake}", self.file_system, processors())
    }

    /// A log file.
    pub fn log(&self, name: &str) -> PathBuf {
        self.results.join(format!("{name}.log"))
    }

    /// Empties the data folder.
    pub fn fresh(&self) -> Result<()> {
        fs::remove_dir_all(&self.data).with_context(|| format!("emptying {}", self.data.display()))?;
        fs::create_dir_all(&self.data).with_context(|| format!("creating {}", self.data.display()))
    }

    /// Every file of the data folder.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let (mut folders, mut files) = (vec![self.data.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let of_kind = if entry.file_type()?.is_dir() { &mut folders } else { &mut files };
                of_kind.push(entry.path());
            }
        }
        Ok(files)
    }

    /// Takes the bytes of every file of the data folder out of the page cache, as after a start of the machine. Names
    /// and inodes stay: only the whole machine's can be dropped.
    pub fn forget_cached(&self) -> Result<()> {
        // Pages that are not on the disk cannot be dropped.
        rustix::fs::sync();
        for path in self.files()? {
            let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
            fadvise(&file, 0, None, Advice::DontNeed)
                .with_context(|| format!("dropping the pages of {}", path.display()))?;
        }
        Ok(())
    }

    /// Fills free memory with pages that a broker's writes take over. It pushes out what nobody uses, programs that do not
    /// run included: for brokers that were started.
    pub fn fill_memory(&self) -> Result<()> {
        self.ballast.fill()
    }
}

/// A folder that is moved to where brokers keep their data, and back.
pub struct Kept(PathBuf);

impl Kept {
    fn new(path: PathBuf) -> Result<Kept> {
        // A harness that was killed leaves one behind.
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(Kept(path))
    }

    /// Whether there is anything.
    pub fn is_there(&self) -> bool {
        self.0.exists()
    }

    /// Moves it to `data`, in the place of what is there.
    pub fn take_to(&self, data: &Path) -> Result<()> {
        fs::remove_dir_all(data).with_context(|| format!("removing {}", data.display()))?;
        fs::rename(&self.0, data).with_context(|| format!("moving what is kept to {}", data.display()))
    }

    /// Moves `data` here, and leaves an empty folder.
    pub fn keep(&self, data: &Path) -> Result<()> {
        fs::rename(data, &self.0).with_context(|| format!("keeping {}", data.display()))?;
        fs::create_dir_all(data).with_context(|| format!("creating {}", data.display()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What is left goes with the next harness.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Thousands of idle connections take as many descriptors, here and in the brokers, which inherit the limit.
fn raise_open_files_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A system that refuses leaves the old limit, and the scenario that needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The type of the file system that holds `path`, from the longest mount point above it.
fn file_system(path: &Path) -> Result<String> {
    let path = path.canonicalize()?;
    let mounts = fs::read_to_string("/proc/mounts").context("reading the mounts")?;
    let best = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.len());
    Ok(best.map_or("unknown", |(_, kind)| kind).to_owned())
}
