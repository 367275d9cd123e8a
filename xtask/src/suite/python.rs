//! The suite of Python: confluent-kafka, kafka-python, aiokafka, kcat, the programs in `examples/python`, a table of flights, and the broker killed under load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::packages;
use crate::process;
use crate::report::{Outcome, Tally};
use crate::suite::{Context, QUICK_ABORTS, number_before};
use crate::workspace::{is_current, remember};

const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// Tests at once; most of them wait for a broker or a session.
const AT_ONCE: &str = "8";

/// Installs from the lock files and runs every test.
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    run_with(context, "python", &[])
}

/// Runs the tests that these arguments of pytest select.
pub fn run_with(context: &Context<'_>, name: &str, arguments: &[&str]) -> Result<Outcome> {
    if !process::exists("python3", "--version") {
        return Ok(Outcome::Skipped("python3 is not installed".to_owned()));
    }
    install(context)?;
    if !process::exists("kcat", "-V") {
        packages::install(context.report, "kcat")?;
    }
    let mut command = Command::new(context.workspace.python_venv().join("bin/python"));
    command.current_dir(context.source("python")).args(["-m", "pytest", "-n", AT_ONCE]).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(word) = context.only {
        command.args(["-k", word]);
    }
    context.drive_with(&[QUICK_ABORTS], name, command, tally)
}

fn install(context: &Context<'_>) -> Result<()> {
    let venv = context.workspace.python_venv();
    let [suite, data] =
        ["requirements.lock", "requirements-data.lock"].map(|name| context.source("python").join(name));
    let lock = fs::read_to_string(&suite)? + &fs::read_to_string(&data)?;
    if is_current(&venv, &lock) {
        return Ok(());
    }
    let log = context.report.log("pip");
    let run = |command: &mut Command| -> Result<()> {
        let ended = process::run(command, &log, INSTALL_LIMIT)?;
        if !ended.success() {
            bail!("{command:?} failed:\n{}", ended.output);
        }
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
        .context("creating the virtual environment")?;
    let pip = |lock: &Path| {
        let mut command = Command::new(venv.join("bin/python"));
        command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r"]).arg(lock);
        command
    };
    run(&mut pip(&suite))?;
    // A source package, built with the setuptools that the first lock file pins.
    run(pip(&data).arg("--no-build-isolation"))?;
    remember(&venv, &lock)
}

/// Reads pytest's last line: `1 failed, 52 passed, 1 skipped in 11.56s`.
fn tally(output: &str) -> Option<Tally> {
    let line = output.lines().rev().find(|line| {
        line.contains(" in ")
            && (line.contains(" passed") || line.contains(" failed") || line.contains(" error"))
    })?;
    let failed = number_before(line, "failed") + number_before(line, "error") + number_before(line, "errors");
    Some(Tally { passed: number_before(line, "passed"), failed, skipped: number_before(line, "skipped") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_pytest_is_the_tally() {
        let tallies = [
            ("..\n52 passed in 11.56s\n", Tally { passed: 52, failed: 0, skipped: 0 }),
            (
                "1 failed, 50 passed, 1 skipped, 2 errors in 1.00s\n",
                Tally { passed: 50, failed: 3, skipped: 1 },
            ),
        ];
        for (output, expected) in tallies {
            assert_eq!(tally(output), Some(expected), "{output}");
        }
        assert_eq!(tally("no module named pytest"), None);
    }
}
