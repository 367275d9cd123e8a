//! The steps that cargo runs: formatting, lints, unit tests, builds.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::report::{Outcome, Tally};
use crate::workspace::Workspace;

/// A cold build on two busy cores takes minutes.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// What is run for its length.
const SOAK_LIMIT: Duration = Duration::from_secs(12 * 3600);

fn cargo(workspace: &Workspace, log: &str, arguments: &[&str]) -> Result<process::Ended> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root).args(arguments);
    process::run(&mut command, &log_file(workspace, log), LIMIT)
}

fn log_file(workspace: &Workspace, name: &str) -> std::path::PathBuf {
    workspace.target.join("xtask").join(format!("{name}.log"))
}

/// `cargo fmt --check`.
pub fn fmt(workspace: &Workspace) -> Result<Outcome> {
    let ended = cargo(workspace, "fmt", &["fmt", "--all", "--check"])?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// Every lint of the house, with warnings as errors.
pub fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let ended = cargo(
        workspace,
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
    )?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// The product as the unit tests build it, with assertions, for suites that run beside them.
pub fn build(workspace: &Workspace) -> Result<Outcome> {
    // As a test's program, not by itself: crates keep the features that they were built with for the tests.
    let arguments = ["test", "--no-run", "--quiet", "--workspace", "--test", "cli"];
    let ended = cargo(workspace, "build", &arguments)?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// The release build of some packages.
pub fn release(workspace: &Workspace, packages: &[&str]) -> Result<Outcome> {
    let mut arguments = vec!["build", "--release", "--quiet"];
    arguments.extend(packages.iter().flat_map(|package| ["--package", package]));
    let ended = cargo(workspace, "release", &arguments)?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// `cargo test`; with Kafka's jars the wire's tables are compared with Kafka's own.
pub fn unit(workspace: &Workspace, jars: bool) -> Result<Outcome> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root).args(["test", "--workspace", "--no-fail-fast", "--quiet"]);
    if jars {
        command.env("OTTLA_KAFKA_LIBS", workspace.kafka_libs());
    }
    let ended = process::run(&mut command, &log_file(workspace, "unit"), LIMIT)?;
    Ok(Outcome::of(&ended, tally))
}

/// The simulations, optimised and over many seeds.
pub fn simulations(workspace: &Workspace, seeds: u32) -> Result<Outcome> {
    let arguments = ["--package", "ottla-sim-tests", "--no-fail-fast"];
    for_long(workspace, "simulations", &arguments, &[("OTTLA_SIM_SEEDS", seeds)])
}

/// Hostile clients at a real process for ten seconds, and what crowds and slow readers cost it.
pub fn limits(workspace: &Workspace) -> Result<Outcome> {
    product_for_long(workspace, "limits", &[], &[("OTTLA_HOSTILE_SECONDS", 10)])
}

/// Ten million records of 100,000 keys in a compacted topic, whose broker is killed meanwhile.
pub fn compaction(workspace: &Workspace) -> Result<Outcome> {
    product_for_long(workspace, "compaction", &[], &[("OTTLA_COMPACTED_RECORDS", 10_000_000)])
}

/// Disks of 256 MiB that producers fill ten times, under both policies.
pub fn full_disks(workspace: &Workspace) -> Result<Outcome> {
    let variables = [("OTTLA_FULL_DISK_MIB", 256), ("OTTLA_FULL_DISK_ROUNDS", 10)];
    product_for_long(workspace, "full_disk", &[], &variables)
}

/// Sinks of this many records into every database, while workers, the broker, the database and connections are killed.
pub fn sinks(workspace: &Workspace, records: u32) -> Result<Outcome> {
    product_for_long(workspace, "sinks", &["kills"], &[("OTTLA_SINK_RECORDS", records)])
}

/// `kill -9` of the real process under a mix of clients, so many times.
pub fn kills(workspace: &Workspace, kills: u32) -> Result<Outcome> {
    product_for_long(workspace, "kills", &[], &[("OTTLA_KILLS", kills)])
}

/// One test file of the product, named like its log.
fn product_for_long(
    workspace: &Workspace,
    test: &str,
    tests_named: &[&str],
    variables: &[(&str, u32)],
) -> Result<Outcome> {
    let arguments = [&["--package", "ottla", "--test", test], tests_named].concat();
    for_long(workspace, test, &arguments, variables)
}

/// `cargo test` of the release build, with variables that say how long.
fn for_long(
    workspace: &Workspace,
    log: &str,
    arguments: &[&str],
    variables: &[(&str, u32)],
) -> Result<Outcome> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root).args(["test", "--release", "--quiet"]).args(arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value.to_string())));
    let ended = process::run(&mut command, &log_file(workspace, log), SOAK_LIMIT)?;
    Ok(Outcome::of(&ended, tally))
}

/// The states that a power cut may leave, with a progress bar of their own.
pub fn show_crash_states(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode> {
    let status = crash_states(workspace).args(arguments).status().context("starting cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as one step of many.
pub fn all_crash_states(workspace: &Workspace) -> Result<Outcome> {
    let mut command = crash_states(workspace);
    let ended = process::run(&mut command, &log_file(workspace, "crash-states"), SOAK_LIMIT)?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

fn crash_states(workspace: &Workspace) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&workspace.root);
    command.args(["run", "--release", "--quiet", "--package", "ottla-crash-states", "--"]);
    command
}

/// Sums the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`, one for each test binary.
pub fn tally(output: &str) -> Option<Tally> {
    let mut sum: Option<Tally> = None;
    for line in output.lines().filter(|line| line.starts_with("test result: ")) {
        let count = |word: &str| {
            let before = line.split(word).next().unwrap_or_default();
            before
                .trim_end()
                .rsplit(' ')
                .next()
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or_default()
        };
        let sum = sum.get_or_insert_default();
        sum.passed += count(" passed");
        sum.failed += count(" failed");
        sum.skipped += count(" ignored");
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_binaries_are_summed() {
        let output = "\
running 3 tests
...
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.01s
";
        assert_eq!(tally(output), Some(Tally { passed: 13, failed: 2, skipped: 1 }));
        assert_eq!(tally("error: could not compile"), None);
    }
}
