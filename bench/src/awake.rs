//! Processors that do not rest while something is measured.
//!
//! A processor of a virtual machine that has nothing to do goes back to the host, unless the guest waits for a while before
//! (`guest_halt_poll_ns`), and whoever wakes it pays for its return: a broker with every answer. How much that is changes with
//! what else the host does; README.md has what it was where this was found.
//!
//! - A1 Each processor has a process of the idle class (`sched(7)`), which gives it up at once to whatever wants it.
//! - A2 It ends with the harness, however that ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::process::Running;

/// Says that it runs, then asks the kernel for nothing: what it did there would be in the way of who wants the processor.
const SCRIPT: &str = "echo awake; while :; do :; done";

/// The processes that keep processors awake.
pub struct Awake(#[expect(dead_code, reason = "they run for as long as this is there")] Vec<Running>);

impl Awake {
    /// One for each processor.
    pub fn new(processors: usize) -> Result<Awake> {
        let started: Result<Vec<Running>> = (0..processors).map(keep_awake).collect();
        started.map(Awake).context("keeping the processors awake (OTTLA_BENCH_AWAKE)")
    }
}

/// Returns once the process is in its class and on its processor.
fn keep_awake(processor: usize) -> Result<Running> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", &processor.to_string()]);
    command.args(["chrt", "--idle", "0", "sh", "-c", SCRIPT]);
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let output = running.child().stdout.take().context("standard output is piped")?;
    let said = BufReader::new(output).lines().next().transpose()?;
    ensure!(said.is_some(), "processor {processor} has no such process: taskset or chrt said why");
    Ok(running)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_that_cannot_be_kept_awake_is_an_error() {
        let Err(error) = keep_awake(1_000_000) else { panic!("there is no such processor") };
        assert!(error.to_string().contains("processor 1000000"), "{error:#}");
    }
}
