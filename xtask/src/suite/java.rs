//! The suite of Java: Kafka's own clients and command line tools. Maven fetches the jars, which the wire's tests and the reference
//! broker use as well; javac compiles.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::report::{Outcome, Report, Tally};
use crate::suite::{Context, QUICK_ABORTS, number_before};
use crate::workspace::{Workspace, is_current, remember};

const FETCH_LIMIT: Duration = Duration::from_secs(600);
const COMPILE_LIMIT: Duration = Duration::from_secs(180);

/// Fetches the jars, as a step; returns whether they are there.
pub fn fetch(workspace: &Workspace, report: &Report) -> bool {
    report.step("jars", || fetch_jars(workspace, report));
    ready(workspace)
}

/// Whether the jars are there and a Java runtime to use them with.
pub fn ready(workspace: &Workspace) -> bool {
    pom(workspace).is_ok_and(|pom| is_current(&workspace.kafka_libs(), &pom))
        && process::exists("javac", "-version")
}

fn pom(workspace: &Workspace) -> Result<String> {
    fs::read_to_string(workspace.clients().join("java/pom.xml")).context("reading the pom of the Java suite")
}

fn fetch_jars(workspace: &Workspace, report: &Report) -> Result<Outcome> {
    let (libs, pom) = (workspace.kafka_libs(), pom(workspace)?);
    if is_current(&libs, &pom) {
        return Ok(Outcome::Ran(Tally::ONE));
    }
    if !process::exists("mvn", "--version") || !process::exists("javac", "-version") {
        return Ok(Outcome::Skipped("Java and Maven are not installed".to_owned()));
    }
    let mut command = Command::new("mvn");
    command.current_dir(workspace.clients().join("java")).args(["-q", "-B", "dependency:copy-dependencies"]);
    command.arg(format!("-DoutputDirectory={}", libs.display()));
    let ended = process::run(&mut command, &report.log("jars"), FETCH_LIMIT)?;
    if ended.success() {
        remember(&libs, &pom)?;
    }
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// Compiles the suite and the reference broker.
pub fn compile(workspace: &Workspace, report: &Report) -> Result<Outcome> {
    if !ready(workspace) {
        return Ok(Outcome::Skipped("Kafka's jars, or a Java compiler, are missing".to_owned()));
    }
    let mut sources: Vec<PathBuf> = Vec::new();
    for package in ["clients", "reference"] {
        for entry in fs::read_dir(workspace.clients().join("java/src").join(package))? {
            sources.push(entry?.path());
        }
    }
    let mut command = Command::new("javac");
    // `path`: jars name jars that Maven left out. `processing`: annotations that nothing processes. `try`: close() that may be interrupted.
    command.args(["-Werror", "-Xlint:all,-path,-processing,-try", "-d"]).arg(workspace.java_classes());
    command.arg("-cp").arg(format!("{}/*", workspace.kafka_libs().display())).args(sources);
    let ended = process::run(&mut command, &report.log("javac"), COMPILE_LIMIT)?;
    Ok(Outcome::of(&ended, |_| Some(Tally::ONE)))
}

/// Runs every case.
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    let workspace = context.workspace;
    if !ready(workspace) {
        return Ok(Outcome::Skipped("Java and Maven are not installed".to_owned()));
    }
    if !workspace.java_classes().exists() {
        bail!("the suite did not compile");
    }
    let clients = workspace.clients();
    let mut command = Command::new("java");
    // Quick to start rather than fast in the long run.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", clients.join("reference/log4j2.yaml").display()));
    command.arg(format!("-Dottla.clients={}", clients.display()));
    command.arg("-cp").arg(format!(
        "{}:{}/*",
        workspace.java_classes().display(),
        workspace.kafka_libs().display()
    ));
    command.arg("clients.Main").args(context.only);
    context.drive_with(&[QUICK_ABORTS], "java", command, tally)
}

/// Reads the last line, `41 passed, 0 failed`.
fn tally(output: &str) -> Option<Tally> {
    let line = output.lines().rev().find(|line| line.contains(" passed, ") && line.ends_with(" failed"))?;
    Some(Tally { passed: number_before(line, "passed"), failed: number_before(line, "failed"), skipped: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_harness_is_the_tally() {
        assert_eq!(
            tally("ok   a (1.0 s)\n40 passed, 1 failed\n"),
            Some(Tally { passed: 40, failed: 1, skipped: 0 })
        );
        assert_eq!(tally("Error: Could not find or load main class clients.Main"), None);
    }
}
