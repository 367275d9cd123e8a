//! Crates depend one way: a crate uses only what stands before it in `ORDER`.
//!
//! The order is the one of ARCHITECTURE.md's table. A new edge upwards is a change of the architecture, not of this list.

use std::fs;

use anyhow::{Context, Result};

use crate::tidy::{files, shown};
use crate::workspace::Workspace;

/// Crates by the names they are imported as; `scripts` runs tests of any other, and `ottla` is the binary, whose tests use the
/// clients of the simulation.
const ORDER: &[&str] = &[
    "scripts",
    "model",
    "wire",
    "record",
    "config",
    "meta",
    "group",
    "txn",
    "replica",
    "rt",
    "net",
    "log",
    "client",
    "load",
    "sink",
    "sink-postgres",
    "sink-mysql",
    "sink-sqlite",
    "sinks",
    "demo",
    "quorum",
    "controller",
    "broker",
    "cli",
    "crash-states",
    "history",
    "servers",
    "sim-tests",
    "ottla",
];

/// Every upward edge, every unknown crate, and every crate outside the common lints.
pub fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in files(workspace, "Cargo.toml")? {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        faults.extend(
            faults_of(&text).into_iter().map(|fault| format!("{}: {fault}", shown(workspace, &path))),
        );
    }
    Ok(faults)
}

fn faults_of(manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut section, mut package, mut linted) = (String::new(), String::new(), false);
    let mut uses = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if section == "package" && line.starts_with("name = ") {
            package = line.trim_start_matches("name = ").trim_matches('"').to_owned();
        } else if section == "lints" && line == "workspace = true" {
            linted = true;
        } else if section.ends_with("dependencies") {
            let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
            uses.extend(key.strip_prefix("ottla-").map(str::to_owned));
        }
    }
    if !linted {
        faults.push("[lints] workspace = true is missing".to_owned());
    }
    if ["xtask", "bench"].contains(&package.as_str()) {
        faults.extend(
            uses.iter().map(|used| format!("{package} knows the products only from outside, not {used}")),
        );
        return faults;
    }
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let name = package.strip_prefix("ottla-").unwrap_or(&package);
    let Some(own) = place(name) else {
        faults.push(format!("{name} has no place in the order of crates (xtask/src/tidy/crates.rs)"));
        return faults;
    };
    for used in uses {
        if place(&used).is_none_or(|other| own <= other) {
            faults.push(format!("{name} may not use {used}, which stands below it"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, dependencies: &str, expected: &[&str]) {
        let manifest = format!("[package]\nname = \"{name}\"\n\n[lints]\nworkspace = true\n\n{dependencies}");
        assert_eq!(faults_of(&manifest), expected);
    }

    #[test]
    fn an_edge_upwards_is_a_fault() {
        check("ottla-log", "[dependencies]\nottla-model.workspace = true\nbytes.workspace = true\n", &[]);
        check("ottla", "[dependencies]\nottla-broker.workspace = true\n", &[]);
        check(
            "ottla-log",
            "[dependencies]\nottla-broker.workspace = true\n",
            &["log may not use broker, which stands below it"],
        );
        check(
            "ottla-log",
            "[dev-dependencies]\nottla-sim-tests = { path = \"x\" }\n",
            &["log may not use sim-tests, which stands below it"],
        );
        check(
            "xtask",
            "[dependencies]\nottla-wire.workspace = true\n",
            &["xtask knows the products only from outside, not wire"],
        );
        check("ottla-new", "", &["new has no place in the order of crates (xtask/src/tidy/crates.rs)"]);
    }

    #[test]
    fn a_crate_outside_the_common_lints_is_a_fault() {
        assert_eq!(faults_of("[package]\nname = \"ottla-log\"\n"), ["[lints] workspace = true is missing"]);
    }
}
