//! Processors that do not rest while something is measured.
//!
//! A processor of a virtual machine that has nothing to do goes back to the host, unless the guest waits for a while before
//! (`guest_halt_poll_ns`), and whoever wakes it pays for its return: a broker with every answer. How much that is changes with
//! what else the host does; README.md has what it was where this was found.
//!
//! - A1 Each processor has a process of the idle class (`sched(7)`), which gives it up at once to whatever wants it.
//! - A2 It ends with the harness, however that ends.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::Running;

/// Asks the kernel for nothing: what it did there would be in the way of who wants the processor.
const SCRIPT: &str = "while :; do :; done";

/// The processes that keep processors awake.
pub struct Awake(#[expect(dead_code, reason = "they run for as long as this is there")] Vec<Running>);

impl Awake {
    /// One for each processor.
    pub fn new(processors: usize) -> Result<Awake> {
        let start = |processor: usize| {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "taskset", "-c", &processor.to_string()]);
            command.args(["chrt", "--idle", "0", "sh", "-c", SCRIPT]);
            Running::start(command.stdin(Stdio::null()))
        };
        let started: Result<Vec<Running>> = (0..processors).map(start).collect();
        started.map(Awake).context("keeping the processors awake (OTTLA_BENCH_AWAKE)")
    }
}
