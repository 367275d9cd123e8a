//! Every scenario once on every system, for a reader: tables on a terminal, JSON lines in a pipe.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, stdout};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::broker::System;
use crate::figure::{Better, Figure, Run, digits};
use crate::floor::Floor;
use crate::scenario::Scenario;
use crate::setting::Setting;

/// Runs and prints them.
pub fn run(setting: &Setting, scenarios: &[&Scenario]) -> Result<()> {
    let mut lines = Vec::new();
    for scenario in scenarios {
        let run = measure(setting, scenario, scenario.systems)?;
        let line = json(setting, scenario, &run);
        if stdout().is_terminal() {
            table(setting, scenario, &run)
        } else {
            println!("{line}")
        }
        lines.push(line);
    }
    keep(setting, "bench", &Value::Array(lines))
}

/// Measures one scenario on those of `systems` that are here, with the floor before and after.
pub fn measure(setting: &Setting, scenario: &Scenario, systems: &[System]) -> Result<Run> {
    let before = Floor::measure(setting)?;
    let mut figures = BTreeMap::new();
    for &system in systems.iter().filter(|system| system.is_here(setting)) {
        eprintln!("run   {} on {}", scenario.name, system.name());
        let measured = (scenario.measure)(setting, system);
        // Whatever came of it, the next one starts on an empty disk.
        setting.fresh()?;
        figures.insert(system, measured.with_context(|| format!("{} on {}", scenario.name, system.name()))?);
    }
    let mut run = Run { figures, floor: [before, Floor::measure(setting)?] };
    let compared = (scenario.compare)(&run);
    run.figures.entry(System::Ottla).or_default().extend(compared);
    Ok(run)
}

fn table(setting: &Setting, scenario: &Scenario, run: &Run) {
    println!("\n{}: {}; {}", scenario.name, (scenario.words)(setting), setting.words());
    println!("  before: {}\n  after:  {}", run.floor[0].words(), run.floor[1].words());
    let systems: Vec<System> = run.figures.keys().copied().collect();
    let heads = |word: fn(System) -> &'static str| -> String {
        systems.iter().map(|&system| format!("{:>26}", word(system))).collect()
    };
    println!("{:<38}{}", "", heads(System::name));
    println!("{:<38}{}", "acknowledged is", heads(System::sync_mode));
    for figure in names(run) {
        let cells: String =
            systems.iter().map(|&system| format!("{:>26}", cell(run, system, figure))).collect();
        println!("{:<38}{cells}", format!("{} {}", figure.name, figure.unit));
    }
}

/// One figure for each name, in the order of the first system that has it.
fn names(run: &Run) -> Vec<&Figure> {
    let mut seen: Vec<&Figure> = Vec::new();
    for figure in run.figures.values().flatten() {
        if !seen.iter().any(|known| known.name == figure.name) {
            seen.push(figure);
        }
    }
    seen
}

/// The value, and how many times better than Kafka's as it comes.
fn cell(run: &Run, system: System, figure: &Figure) -> String {
    let Some(value) = run.value(system, &figure.name) else { return "-".to_owned() };
    let reference = run.value(System::Kafka, &figure.name).filter(|_| system != System::Kafka);
    match reference.map(|reference| times_better(value, reference, figure.better)) {
        Some(times) if times.is_finite() => format!("{} ({}×)", digits(value), digits(times)),
        Some(_) | None => digits(value),
    }
}

fn times_better(value: f64, reference: f64, better: Better) -> f64 {
    match better {
        Better::Less => reference / value,
        Better::More => value / reference,
    }
}

/// One run for programs.
pub fn json(setting: &Setting, scenario: &Scenario, run: &Run) -> Value {
    let systems: serde_json::Map<String, Value> = run
        .figures
        .iter()
        .map(|(system, figures)| {
            let figures: serde_json::Map<String, Value> = figures
                .iter()
                .map(|figure| (figure.name.clone(), json!({ "value": figure.value, "unit": figure.unit })))
                .collect();
            let of = json!({ "acknowledged": system.sync_mode(), "figures": figures });
            (system.name().to_owned(), of)
        })
        .collect();
    json!({
        "scenario": scenario.name,
        "load": (scenario.words)(setting),
        "machine": setting.words(),
        "floor_before": run.floor[0].json(),
        "floor_after": run.floor[1].json(),
        "systems": systems,
    })
}

/// Writes results to a file of their own and says where.
pub fn keep(setting: &Setting, name: &str, results: &Value) -> Result<()> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let path = setting.results.join(format!("{name}-{seconds}.json"));
    let text = serde_json::to_string_pretty(results).context("results are JSON")?;
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    eprintln!("results in {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{less, more};

    #[test]
    fn ratios_are_against_kafka_as_it_comes_and_above_one_where_the_other_is_better() {
        let floor = Floor { sync_p50_us: 1.0, sync_p99_us: 1.0, echo_p50_us: 1.0, echo_p99_us: 1.0 };
        let figures = BTreeMap::from([
            (System::Ottla, vec![less("cpu", 2.0, "s"), more("rate", 300.0, "MB/s"), less("own", 1.0, "s")]),
            (System::Kafka, vec![less("cpu", 5.0, "s"), more("rate", 150.0, "MB/s")]),
            (System::KafkaSynced, vec![less("cpu", 10.0, "s")]),
        ]);
        let run = Run { figures, floor: [floor, floor] };
        let rows: Vec<[String; 3]> = names(&run)
            .into_iter()
            .map(|figure| System::ALL.map(|system| cell(&run, system, figure)))
            .collect();
        assert_eq!(
            rows,
            [["2.00 (2.50×)", "5.00", "10.0 (0.50×)"], ["300 (2.00×)", "150", "-"], ["1.00", "-", "-"],]
        );
    }
}
