//! `--check`: every scenario that has a target, several times, and what the medians say.
//!
//! - V1 Only runs count during which the floor stayed where it was; the others are named and repeated, up to a limit.
//! - V2 Where too few were quiet, a cost whose median over all runs is within its bound is: what disturbs a run adds to it.

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

/// Runs of a scenario that may be repeated because they were not quiet.
const NOISY_MAX: usize = 4;

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
        let (quiet, noisy) = several_runs(setting, scenario, &mut kept)?;
        conditions(setting, scenario, &quiet);
        for target in own {
            let values = |runs: &[Run]| -> Vec<f64> {
                runs.iter().filter_map(|run| run.value(System::Ottla, &target.figure)).collect()
            };
            let quiet = values(&quiet);
            let all = [quiet.clone(), values(&noisy)].concat();
            // Two runs lost to noise are borne; a median of fewer than three is none.
            let verdict = judge(target.bound, &quiet, &all, setting.runs.min(3));
            good &= matches!(verdict, Verdict::Met { .. } | Verdict::MetInNoise { .. });
            print(target, &verdict, quiet.len(), all.len());
        }
    }
    keep(setting, "check", &Value::Array(kept))?;
    Ok(good)
}

/// Runs a scenario until enough runs were quiet, or too many were not; yields these and those.
fn several_runs(
    setting: &Setting,
    scenario: &Scenario,
    kept: &mut Vec<Value>,
) -> Result<(Vec<Run>, Vec<Run>)> {
    let (mut quiet, mut noisy) = (Vec::new(), Vec::new());
    while quiet.len() < setting.runs && noisy.len() <= NOISY_MAX {
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
            eprintln!(
                "      not quiet: the floor moved by {moved:.0} %, from {} to {}",
                run.floor[0].words(),
                run.floor[1].words()
            );
            noisy.push(run);
        }
    }
    Ok((quiet, noisy))
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

fn print(target: &Target, verdict: &Verdict, quiet: usize, runs: usize) {
    let (word, of) = match verdict {
        Verdict::Met { of } => ("ok", Some(of)),
        Verdict::MetInNoise { of } => ("ok, in noise", Some(of)),
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
            json!({ "figure": name, "target": target, "median": median, "min": min, "max": max, "quiet": quiet, "runs": runs, "verdict": word })
        );
        return;
    }
    let (middle, range) = of.map_or(("-".to_owned(), "-".to_owned()), |[median, min, max]| {
        (digits(*median), format!("{}..{}", digits(*min), digits(*max)))
    });
    println!("{name:<34}{:>10} {:<10}{middle:>10}  {range:<22}{word}", target.bound.to_string(), target.unit);
}
