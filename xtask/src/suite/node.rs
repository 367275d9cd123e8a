//! The suite of Node: kafkajs, @platformatic/kafka, and the programs in `examples/kafkajs`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::report::{Outcome, Tally};
use crate::suite::Context;
use crate::workspace::{is_current, remember};

const INSTALL_LIMIT: Duration = Duration::from_secs(180);
/// Test files at once; each mostly waits.
const AT_ONCE: &str = "8";

/// Installs from the lock files and runs every `*.test.mjs`.
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    if !process::exists("node", "--version") || !process::exists("npm", "--version") {
        return Ok(Outcome::Skipped("node and npm are not installed".to_owned()));
    }
    install(context, &context.source("node"))?;
    install(context, &context.workspace.root.join("examples/kafkajs"))?;
    // The newest clients need a newer Node than most systems have: the lock file brings one where there is one for the machine.
    let pinned = context.source("node").join("node_modules/.bin/node");
    let mut command = Command::new(if pinned.exists() { pinned.as_path() } else { Path::new("node") });
    command.current_dir(context.source("node")).args([
        "--test",
        "--test-reporter=tap",
        "--test-concurrency",
        AT_ONCE,
    ]);
    if let Some(word) = context.only {
        command.args(["--test-name-pattern", word]);
    }
    context.drive("node", command, tally)
}

fn install(context: &Context<'_>, folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let lock = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
    let modules = folder.join("node_modules");
    if is_current(&modules, &lock) {
        return Ok(());
    }
    let mut command = Command::new("npm");
    command.current_dir(folder).args(["ci", "--no-audit", "--no-fund"]);
    let ended = process::run(&mut command, &context.report.log("npm"), INSTALL_LIMIT)?;
    if !ended.success() {
        bail!("npm ci failed in {}:\n{}", folder.display(), ended.output);
    }
    remember(&modules, &lock)
}

/// Reads the last lines of TAP: `# pass 29`, `# fail 0`, `# cancelled 0`, `# skipped 0`.
fn tally(output: &str) -> Option<Tally> {
    let count = |word: &str| {
        output
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("# ")?.strip_prefix(word)?.trim().parse::<u64>().ok())
    };
    Some(Tally {
        passed: count("pass ")?,
        failed: count("fail ")? + count("cancelled ")?,
        skipped: count("skipped ")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_tap_is_the_tally() {
        let output =
            "ok 1 - a\n# tests 31\n# suites 3\n# pass 28\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n";
        assert_eq!(tally(output), Some(Tally { passed: 28, failed: 2, skipped: 1 }));
        assert_eq!(tally("node: bad option"), None);
    }
}
