//! `cargo xtask bench`: builds the product and the harness, fetches Apache Kafka, and runs the harness, which is `bench/`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::checks;
use crate::report::Report;
use crate::suite::java;
use crate::workspace::Workspace;

/// Hands `arguments` to the harness; its exit code is ours.
pub fn run(workspace: &Workspace, report: &Report, arguments: &[String]) -> Result<ExitCode> {
    report.step("release", || checks::release(workspace, &["ottla", "bench"]));
    if !report.good() {
        bail!("what does not build is not measured");
    }
    let mut command = Command::new(workspace.target.join("release/bench"));
    command.args(arguments).env("OTTLA_BENCH_FOLDER", workspace.target.join("bench"));
    if std::env::var_os("OTTLA_BIN").is_none() {
        command.env("OTTLA_BIN", workspace.ottla("release"));
    }
    // Without Java there is no Kafka to compare with, which leaves Ottla's own figures.
    if java::fetch(workspace, report) {
        command.env("OTTLA_KAFKA_LIBS", workspace.kafka_libs());
        command.env("OTTLA_KAFKA_LOG4J", workspace.clients().join("reference/log4j2.yaml"));
    }
    let status = command.status().context("starting the harness")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
