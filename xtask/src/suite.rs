//! The client suites: real clients in their own languages, each against a broker process of its own.
//!
//! - S1 A suite gets a fresh broker on a free port (`OTTLA_BOOTSTRAP`), and the binary for tests that kill theirs (`OTTLA_BIN`).
//! - S2 What a suite installs comes from its lock file and lies below the target folder or in an ignored `node_modules`.
//! - S3 A broker that ends early, or does not stop cleanly, fails the suite even when all its tests passed.

mod broker;
pub mod corners;
pub mod go;
pub mod java;
pub mod node;
pub mod python;

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::report::{Outcome, Report, Tally};
pub use crate::suite::broker::Broker;
use crate::suite::broker::Running;
use crate::workspace::Workspace;

/// A suite takes about a minute; what hangs is killed after five.
const LIMIT: Duration = Duration::from_secs(300);

/// Kafka takes its time to start, and some tests kill it again and again.
const REFERENCE_LIMIT: Duration = Duration::from_secs(900);

/// One run of suites against one kind of broker.
pub struct Context<'a> {
    /// Source and target folders.
    pub workspace: &'a Workspace,
    /// Where logs go.
    pub report: &'a Report,
    /// What the suites run against.
    pub broker: Broker,
    /// Only the tests that this word selects, in the manner of each runner.
    pub only: Option<&'a str>,
    /// What makes tests longer that are worth more so, as variables.
    pub variables: &'a [(&'a str, String)],
}

/// For suites that wait for a transaction to time out: it is noticed soon, not within Kafka's ten seconds.
const QUICK_ABORTS: &str = "transaction.abort.timed.out.transaction.cleanup.interval.ms=500";

impl Context<'_> {
    /// Starts a broker, runs the suite's command against it, and stops the broker.
    fn drive(&self, name: &str, command: Command, count: impl Fn(&str) -> Option<Tally>) -> Result<Outcome> {
        self.drive_with(&[], name, command, count)
    }

    /// The same on a broker with settings, each `key=value`.
    fn drive_with(
        &self,
        settings: &[&str],
        name: &str,
        mut command: Command,
        count: impl Fn(&str) -> Option<Tally>,
    ) -> Result<Outcome> {
        let log = self.report.log(&format!("{name}-broker"));
        let mut broker = Running::start(self.workspace, self.broker, settings, &log)?;
        self.environment(&mut command).env("OTTLA_BOOTSTRAP", broker.bootstrap());
        // Under a name of their own, so that `cargo test` of whoever has the other one set stays in the simulator.
        command.env("OTTLA_CORNERS_BOOTSTRAP", broker.bootstrap());
        let limit = match self.broker {
            Broker::Debug | Broker::Release => LIMIT,
            Broker::Reference => REFERENCE_LIMIT,
        };
        let ended = process::run(&mut command, &self.report.log(name), limit)?;
        let outcome = Outcome::of(&ended, count);
        let stopped = broker.stop();
        Ok(match (outcome, stopped) {
            (Outcome::Ran(tally), Err(error)) => {
                Outcome::Failed(tally, format!("all tests passed, but {error:#}"))
            }
            (Outcome::Failed(tally, what), Err(error)) => {
                Outcome::Failed(tally, format!("{what}\nand {error:#}"))
            }
            (outcome, _) => outcome,
        })
    }

    /// The variables that every suite is promised.
    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let variables = self.variables.iter().map(|(key, value)| (key, value));
        let command = self.broker.environment(self.workspace, command);
        command.env("OTTLA_BIN", self.broker.program(self.workspace)).envs(variables)
    }

    fn source(&self, suite: &str) -> PathBuf {
        self.workspace.clients().join(suite)
    }
}

/// Runs these suites, beside each other because most of their time is spent waiting for sessions to end.
pub fn run_all(workspace: &Workspace, report: &Report, broker: Broker, suites: &[&str], only: Option<&str>) {
    if broker == Broker::Reference && !java::ready(workspace) {
        report.step("reference", || Ok(Outcome::Skipped("Apache Kafka needs Java and Maven".to_owned())));
        return;
    }
    let context = Context { workspace, report, broker, only, variables: &[] };
    if broker == Broker::Reference || suites.contains(&"java") {
        // The reference broker is Java as well, so that compiling comes before every suite.
        report.step("javac", || java::compile(workspace, report));
    }
    let run = |suite: &str| match suite {
        "node" => report.step("node", || node::run(&context)),
        "python" => report.step("python", || python::run(&context)),
        "go" => report.step("go", || go::run(&context)),
        "java" => report.step("java", || java::run(&context)),
        "corners" => report.step("corners", || corners::run(&context)),
        other => unreachable!("there is no suite {other}"),
    };
    match broker {
        Broker::Debug | Broker::Release => thread::scope(|threads| {
            for suite in suites {
                threads.spawn(|| run(suite));
            }
        }),
        // Several Kafkas warming up at once would leave the suites no processor.
        Broker::Reference => suites.iter().for_each(|suite| run(suite)),
    }
}

/// The number before `word` in a line like `3 passed, 1 failed, 2 skipped`; 0 when the word is not there.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split_whitespace().collect();
    words
        .windows(2)
        .find(|pair| pair[1].trim_end_matches([',', ';']) == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or_default()
}
