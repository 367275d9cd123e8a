//! `--check`: every scenario that has a target, several times, and what the medians say.
//!
//! - V1 Only runs count during which the floor stayed where it was; the others are named and repeated, up to a limit.

use std::io::{IsTerminal, stdout};

use anyhow::Result;
use serde_json::{Value, json};

use crate::broker::System;
use crate::figure::{Run, digits};
use crate::floor::Floor;
use crate::report::{self, keep};
use crate::scenario::Scenario;
use crate::setting::Setting;
use crate::targets::{self, Target, Verdict, judge};

/// Runs that may be discarded for each scenario before it goes on without them.
const DISCARDED_MAX: usize = 4;

/// Whether every target of these scenarios is met.
pub fn run(setting: &Setting, scenarios: &[&Scenario]) -> Result<bool> {
    let targets = targets::all()?;
    let (mut good, mut kept) = (true, Vec::new());
    heading(setting);
    for scenario in scenarios {
        let own: Vec<&Target> = targets.iter().filter(|target| target.scenario == scenario.name).collect();
        if own.is_empty() {
            continue;
        }
        let quiet = quiet_runs(setting, scenario, &mut kept)?;
        conditions(setting, scenario, &quiet);
        for target in own {
            let values: Vec<f64> =
                quiet.iter().filter_map(|run| run.value(System::Ottla, &target.figure)).collect();
            // Two runs lost to noise are borne; a median of fewer than three is none.
            let verdict = judge(target.bound, &values, setting.runs.min(3));
            good &= matches!(verdict, Verdict::Met { .. });
            print(target, &verdict, values.len());
        }
    }
    keep(setting, "check", &Value::Array(kept))?;
    Ok(good)
}

/// Runs a scenario until enough runs were quiet, or too many were not.
fn quiet_runs(setting: &Setting, scenario: &Scenario, kept: &mut Vec<Value>) -> Result<Vec<Run>> {
    let (mut quiet, mut discarded) = (Vec::new(), 0);
    while quiet.len() < setting.runs && discarded <= DISCARDED_MAX {
        eprintln!("run {} of {}: {}", quiet.len() + 1, setting.runs, scenario.name);
        let run = report::measure(setting, scenario, scenario.check_systems)?;
        let moved = run.floor[0].moved_percent(&run.floor[1]);
        let counts = moved <= setting.floor_percent;
        let mut line = report::json(setting, scenario, &run);
        line["counts"] = json!(counts);
        kept.push(line);
        if counts {
            quiet.push(run);
        } else {
            discarded += 1;
            eprintln!(
                "      discarded: the floor moved by {moved:.0} %, from {} to {}",
                run.floor[0].words(),
                run.floor[1].words()
            );
        }
    }
    Ok(quiet)
}

fn heading(setting: &Setting) {
    if stdout().is_terminal() {
        println!("{}; median of {} runs", setting.words(), setting.runs);
        println!(
            "{:<34}{:>10} {:<10}{:>10}  {:<22}verdict",
            "figure", "target", "unit", "median", "min..max"
        );
    }
}

/// The load, and the floor of the quietest run: what the figures below it stand beside.
fn conditions(setting: &Setting, scenario: &Scenario, quiet: &[Run]) {
    let by_sync = |one: &&Floor, other: &&Floor| one.sync_p50_us.total_cmp(&other.sync_p50_us);
    let floor = quiet.iter().flat_map(|run| &run.floor).min_by(by_sync);
    if let Some(floor) = floor.filter(|_| stdout().is_terminal()) {
        println!(
            "{}: {}\n  floor at its lowest: {}",
            scenario.name,
            (scenario.words)(setting),
            floor.words()
        );
    }
}

fn print(target: &Target, verdict: &Verdict, runs: usize) {
    let (word, of) = match verdict {
        Verdict::Met { of } => ("ok", Some(of)),
        Verdict::Missed { of } => ("MISSED", Some(of)),
        Verdict::Unknown if runs == 0 => ("UNKNOWN: not measured", None),
        Verdict::Unknown => ("UNKNOWN: too few quiet runs", None),
    };
    let name = format!("{}.{}", target.scenario, target.figure);
    if !stdout().is_terminal() {
        let [median, min, max] = of.map_or([None; 3], |of| of.map(Some));
        let target = target.bound.to_string();
        println!(
            "{}",
            json!({ "figure": name, "target": target, "median": median, "min": min, "max": max, "runs": runs, "verdict": word })
        );
        return;
    }
    let (middle, range) = of.map_or(("-".to_owned(), "-".to_owned()), |[median, min, max]| {
        (digits(*median), format!("{}..{}", digits(*min), digits(*max)))
    });
    println!("{name:<34}{:>10} {:<10}{middle:>10}  {range:<22}{word}", target.bound.to_string(), target.unit);
}
