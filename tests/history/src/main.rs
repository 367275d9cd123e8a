//! `check-history FILE`: reads a history as JSON lines and prints every anomaly; exit code 1 when there is one.
#![allow(
    clippy::disallowed_methods,
    reason = "it reads the files that it is given; nothing of it runs in the simulator"
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: check-history FILE…   one history as JSON lines, in one file or several in order");
        return ExitCode::from(2);
    }
    let mut events = Vec::new();
    for file in files {
        let lines = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        match lines.and_then(|lines| history::read_lines(&lines)) {
            Ok(more) => events.extend(more),
            Err(error) => {
                eprintln!("{file} cannot be read as a history: {error}");
                return ExitCode::from(2);
            }
        }
    }
    let findings = history::check(&events);
    findings.anomalies.iter().for_each(|anomaly| println!("{anomaly}"));
    let (wrong, allowed) = (findings.anomalies.len(), findings.allowed.len());
    eprintln!("{} events, {wrong} anomalies, {allowed} more that Kafka's contract allows", events.len());
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
