//! `cargo xtask bench`: Ottla and Apache Kafka in turn under Kafka's own load tools, in one run on one machine.
//!
//! - B1 Every system gets the same topic shape, the same tools with the same arguments, and a fresh folder on the same file system.
//! - B2 Only one broker runs at a time, and nothing is asserted: the figures are for a reader.
//! - B3 What each system promised before it acknowledged (its sync mode) stands beside its figures.

mod load;
mod proc;
mod system;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::checks;
use crate::report::{Outcome, Report, Tally};
use crate::suite::java;
use crate::workspace::Workspace;

use self::load::Load;
use self::system::System;

/// What one system showed.
pub struct Figures {
    system: System,
    start_ms: f64,
    rss_started_bytes: u64,
    rss_loaded_bytes: u64,
    produced: Phase,
    consumed: Phase,
}

/// One phase of the load.
pub struct Phase {
    /// Megabytes of record values per second, as the tool reports them (MB = 2^20 bytes).
    mb_per_second: f64,
    /// Processor time that the broker took for each 10^9 bytes of values.
    cpu_seconds_per_gb: f64,
    /// Mean latency as the tool reports it; a consumer has none.
    latency_ms: Option<f64>,
}

/// Measures every system and prints them side by side: a table on a terminal, JSON in a pipe.
pub fn run(workspace: &Workspace, report: &Report) -> Result<()> {
    report.step("build", || checks::build(workspace));
    if !java::fetch(workspace, report) {
        bail!("the load tools need Java and Maven");
    }
    let folder = workspace.target.join("bench");
    let load = Load::from_environment(workspace);
    let mut all = Vec::new();
    for system in [System::Ottla, System::Kafka, System::KafkaSynced] {
        report.step(system.name(), || {
            all.push(measure(workspace, system, &load, &folder)?);
            Ok(Outcome::Ran(Tally::ONE))
        });
    }
    table::print(&all, &load, &file_system(&folder)?);
    Ok(())
}

fn measure(workspace: &Workspace, system: System, load: &Load, folder: &Path) -> Result<Figures> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let started = system.start(workspace, folder)?;
    let rss_started_bytes = proc::rss_bytes(started.pid())?;
    load.create_topic(started.bootstrap())?;
    let phase = |run: &dyn Fn(&str) -> Result<load::Told>| -> Result<Phase> {
        let before = proc::cpu_seconds(started.pid())?;
        let told = run(started.bootstrap())?;
        let took = proc::cpu_seconds(started.pid())? - before;
        Ok(Phase {
            mb_per_second: told.mb_per_second,
            cpu_seconds_per_gb: took / load.gigabytes(),
            latency_ms: told.latency_ms,
        })
    };
    let produced = phase(&|bootstrap| load.produce(bootstrap))?;
    let consumed = phase(&|bootstrap| load.consume(bootstrap))?;
    let rss_loaded_bytes = proc::rss_bytes(started.pid())?;
    let start_ms = started.start_ms();
    started.stop()?;
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    Ok(Figures { system, start_ms, rss_started_bytes, rss_loaded_bytes, produced, consumed })
}

/// The type of the file system that holds `path`, from the longest mount point above it.
fn file_system(path: &Path) -> Result<String> {
    let path: PathBuf = path.parent().context("the folder has a parent")?.canonicalize()?;
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
