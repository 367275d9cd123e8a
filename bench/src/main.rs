//! Ottla and Apache Kafka in turn, under the same load, on the same file system, in one run; `cargo xtask bench` starts it.
//!
//! - B1 Every system gets the same load and a fresh folder on the same file system; one broker runs at a time.
//! - B2 What a system promised before it acknowledged, the load and the file system stand beside its figures, and so do
//!   the disk's and the loopback's own times, measured right before and right after.
//! - B3 With `--check` a run during which those times moved is discarded and repeated, and the rest is compared with
//!   `targets.txt`.
//!
//! Knows the products only from outside, as processes and files. README.md says how to read what it prints.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures processes, disks and clocks of the real system; nothing of it runs in the simulator"
)]

mod awake;
mod ballast;
mod bare;
mod broker;
mod check;
mod figure;
mod floor;
mod load;
mod perf_tools;
mod process;
mod report;
mod scenario;
mod setting;
mod sinks;
mod targets;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::scenario::Scenario;
use crate::setting::Setting;

const USAGE: &str = "\
usage: cargo xtask bench [--check] [--sinks] [--only WORD]…

  --check        compare the median of several runs with bench/targets.txt; exit code 1 when one is missed
  --sinks        the sinks, which are left out otherwise: --only sink
  --only WORD    only scenarios whose names begin with WORD; may be given several times
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything that was compared held.
fn run() -> Result<bool> {
    let (mut checks, mut only) = (false, Vec::new());
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, way, folder, files] = &words[..]
        && role == bare::ROLE
    {
        return bare::run(way, folder.as_ref(), files.parse()?).map(|()| true);
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.len()) {
            ("--check", _) => checks = true,
            ("--sinks", _) => only.push("sink".to_owned()),
            ("--only", 1..) => only.extend(words.next()),
            (other, _) => bail!("{other} makes no sense here\n\n{USAGE}"),
        }
    }
    let wanted = |scenario: &&Scenario| {
        let is_named = only.iter().any(|word| scenario.name.starts_with(word.as_str()));
        is_named || (only.is_empty() && !scenario.name.starts_with("sink"))
    };
    let scenarios: Vec<&Scenario> = scenario::ALL.iter().filter(wanted).collect();
    if scenarios.is_empty() {
        let names: Vec<&str> = scenario::ALL.iter().map(|scenario| scenario.name).collect();
        bail!("no scenario begins with that; there are {}", names.join(", "));
    }
    let setting = Setting::from_environment()?;
    if checks { check::run(&setting, &scenarios) } else { report::run(&setting, &scenarios).map(|()| true) }
}
