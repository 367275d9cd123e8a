//! The suite of corner cases: the scripts that run in the simulator by default, over real sockets.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::checks;
use crate::report::Outcome;
use crate::suite::Context;

/// The settings that the scripts count on, from the root of the workspace.
const SETTINGS: &str = "tests/sim/tests/corners/broker.properties";

/// Runs every script that needs no simulator.
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    let settings = Path::new(&context.workspace.root).join(SETTINGS);
    let settings =
        fs::read_to_string(&settings).with_context(|| format!("reading {}", settings.display()))?;
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&context.workspace.root);
    // The whole workspace, so that crates are built with the features they have been built with already.
    command.args(["test", "--quiet", "--workspace", "--test", "corners", "--"]);
    command.args(["--skip", "simulated::"]).args(context.only);
    let settings: Vec<&str> = settings.lines().collect();
    context.drive_with(&settings, "corners", command, checks::tally)
}
