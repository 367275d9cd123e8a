//! The tests whose worth grows with their length: simulations over many seeds, all crash states, hostile clients, full
//! disks, the broker killed many times, and the client suites again and again.

use crate::checks;
use crate::report::Report;
use crate::suite::{self, Broker, Context, python};
use crate::workspace::Workspace;

/// Runs the simulations over `OTTLA_SIM_SEEDS` seeds, all crash states, twice `OTTLA_KILLS` kills under a checked load, a compacted topic under kills and the limits' tests, then `OTTLA_ROUNDS` rounds of `OTTLA_KILLS` kills and of every suite.
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
    report.step("build", || checks::build(workspace, &["ottla"]));
    suite::java::fetch(workspace, report);
    for round in 1..=rounds {
        report.line(&format!("round {round} of {rounds}"));
        let context = Context { workspace, report, broker: Broker::Ottla, only: None };
        report.step("crash", || {
            python::run_with(&context, "crash", &["test_crash.py"], &[("OTTLA_KILLS", kills.to_string())])
        });
        suite::run_all(workspace, report, Broker::Ottla, &["node", "python", "go", "java"], None);
    }
}
