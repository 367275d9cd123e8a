//! The tests whose worth grows with their length: simulations over many seeds, all crash states, hostile clients, full
//! disks, the broker killed many times, sinks whose every part is, and the client suites again and again.

use crate::checks;
use crate::packages;
use crate::report::Report;
use crate::suite::{self, Broker, Context, go, java, python};
use crate::workspace::Workspace;

/// Runs the simulations over `OTTLA_SIM_SEEDS` seeds, all crash states, twice `OTTLA_KILLS` kills under a checked load, a compacted topic under kills, the limits' tests, sinks of `OTTLA_SINK_RECORDS` records into each database and exactly-once copies of `OTTLA_COPIED_RECORDS` records under kills, then `OTTLA_ROUNDS` rounds of `OTTLA_KILLS` kills and of every suite.
pub fn run(workspace: &Workspace, report: &Report) {
    let number = |variable: &str, default: u32| {
        std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (kills, rounds) = (number("OTTLA_KILLS", 50), number("OTTLA_ROUNDS", 3));
    let seeds = number("OTTLA_SIM_SEEDS", 500);
    report.step("simulations", || checks::simulations(workspace, seeds));
    report.step("crash states", || checks::all_crash_states(workspace));
    report.step("kills", || checks::kills(workspace, 2 * kills));
    report.step("compaction", || checks::compaction(workspace));
    report.step("limits", || checks::limits(workspace));
    report.step("full disks", || checks::full_disks(workspace));
    report.step("sinks", || {
        packages::install_servers(report)?;
        checks::sinks(workspace, number("OTTLA_SINK_RECORDS", 1_000_000))
    });
    report.step("release", || checks::release(workspace, &["ottla"]));
    java::fetch(workspace, report);
    copies(workspace, report, number("OTTLA_COPIED_RECORDS", 100_000));
    for round in 1..=rounds {
        report.line(&format!("round {round} of {rounds}"));
        let variables = [("OTTLA_KILLS", kills.to_string())];
        let context =
            Context { workspace, report, broker: Broker::Release, only: None, variables: &variables };
        report.step("crash", || python::run_with(&context, "crash", &["test_crash.py"]));
        suite::run_all(workspace, report, Broker::Release, &["node", "python", "go", "java"], None);
    }
}

/// What each client copies in transactions while the broker is killed.
fn copies(workspace: &Workspace, report: &Report, records: u32) {
    let variables = [("OTTLA_COPIED_RECORDS", records.to_string())];
    let selecting = |only| Context {
        workspace,
        report,
        broker: Broker::Release,
        only: Some(only),
        variables: &variables,
    };
    report.step("javac", || java::compile(workspace, report));
    report.step("copies by Java", || java::run(&selecting("again and again")));
    report.step("copies by Python", || python::run(&selecting("exactly_once")));
    report.step("copies by Go", || go::run(&selecting("AgainAndAgain")));
}
