//! The project's own commands: `cargo xtask test`, `tidy`, `soak`, `crash-states`, `bench`.
//!
//! - Needs nothing but a Rust toolchain to be useful; what a missing runtime cannot show is reported as skipped.
//! - Writes only below the target folder, and into `node_modules` folders that git ignores.
//!
//! Knows the products only from outside, as processes and files.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "xtask drives processes and files of the real system; nothing of it runs in the simulator"
)]

mod bench;
mod checks;
mod packages;
mod process;
mod report;
mod soak;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::report::Report;
use crate::suite::Broker;
use crate::workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [STEP]…      everything, or these steps: fmt tidy clippy unit build node python go java corners
    --reference     run the client suites and the corner cases against Apache Kafka instead of ottla
    --only WORD     of the client suites, only the tests that WORD selects
  tidy              the house rules that a machine can check
  soak              simulations, crash tests and client suites, longer (OTTLA_SIM_SEEDS=500 seeds,
                    OTTLA_COPIED_RECORDS=100000 records copied, OTTLA_KILLS=50 kills a round, OTTLA_ROUNDS=3 rounds)
  crash-states [N]  starts the log on N states (10,000) that a power cut may leave of each thing it does to the disk
  bench             Ottla and Apache Kafka in turn under the same load (bench/README.md)
    --check         compare the medians of several runs with bench/targets.txt
    --sinks         only sinks, beside the same rows loaded by hand
    --only WORD     only the scenarios whose names begin with WORD
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = arguments.split_first() else { bail!("which command?\n\n{USAGE}") };
    let workspace = Workspace::find()?;
    let report = Report::new(&workspace, command == "bench")?;
    match command.as_str() {
        "test" => test(&workspace, &report, rest)?,
        "tidy" => report.step("tidy", || tidy::step(&workspace)),
        "bench" => return bench::run(&workspace, &report, rest),
        "soak" => soak::run(&workspace, &report),
        "crash-states" => return checks::show_crash_states(&workspace, rest),
        _ => bail!("there is no command {command}\n\n{USAGE}"),
    }
    report.summary();
    Ok(if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const STEPS: [&str; 10] =
    ["fmt", "tidy", "clippy", "unit", "build", "node", "python", "go", "java", "corners"];

fn test(workspace: &Workspace, report: &Report, arguments: &[String]) -> Result<()> {
    let mut wanted: Vec<&str> = Vec::new();
    let (mut reference, mut only) = (false, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--reference" => reference = true,
            "--only" => match words.next() {
                Some(word) => only = Some(word.as_str()),
                None => bail!("--only needs a word\n\n{USAGE}"),
            },
            step if STEPS.contains(&step) => wanted.push(step),
            other => bail!("there is no step {other}\n\n{USAGE}"),
        }
    }
    if wanted.is_empty() {
        wanted.extend(STEPS);
    }
    let wants = |step| wanted.contains(&step);
    if wants("fmt") {
        report.step("fmt", || checks::fmt(workspace));
    }
    if wants("tidy") {
        report.step("tidy", || tidy::step(workspace));
    }
    if wants("clippy") {
        report.step("clippy", || checks::clippy(workspace));
    }
    let jars = (wants("unit") || wants("java") || reference) && suite::java::fetch(workspace, report);
    let suites = ["node", "python", "go", "java", "corners"];
    let clients: Vec<&str> = suites.into_iter().filter(|step| wants(step)).collect();
    if wants("unit") {
        report.step("unit", || {
            packages::install_servers(report)?;
            checks::unit(workspace, jars)
        });
    }
    if wants("build") || !clients.is_empty() {
        report.step("build", || checks::build(workspace));
    }
    let broker = if reference { Broker::Reference } else { Broker::Debug };
    suite::run_all(workspace, report, broker, &clients, only);
    Ok(())
}
