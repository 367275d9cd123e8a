//! `README.md` accounts for every case: the tests that show it, or why one node cannot show it yet.
#![allow(
    clippy::disallowed_methods,
    reason = "reads the sources of this repository, outside every simulation"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The cases that one node can show at least in part.
fn cases() -> impl Iterator<Item = u32> {
    (1..=53).chain(59..=69).chain(73..=82)
}

/// What the table says of one case.
struct Row {
    tests: BTreeSet<String>,
    left_out: String,
}

fn rows() -> BTreeMap<u32, Row> {
    let mut rows = BTreeMap::new();
    for line in include_str!("README.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(Ok(case)) = cells.get(1).map(|case| case.parse()) else { continue };
        assert_eq!(cells.len(), 6, "four cells: {line}");
        let tests = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let earlier = rows.insert(case, Row { tests, left_out: cells[4].to_owned() });
        assert!(earlier.is_none(), "case {case} has two rows");
    }
    rows
}

/// The names of all functions below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text
                .lines()
                .filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
            found.extend(names.filter_map(|line| line.split(['(', '<']).next()).map(str::to_owned));
        }
    }
}

#[test]
fn every_case_is_shown_or_says_why_it_is_not() {
    let rows = rows();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), cases().collect::<Vec<_>>());
    for (case, row) in rows {
        let is_accounted = !row.tests.is_empty() || !row.left_out.is_empty();
        assert!(is_accounted, "case {case} has neither a test nor a reason");
    }
}

#[test]
fn the_table_names_exactly_the_tests_that_are_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut own, mut all) = (BTreeSet::new(), BTreeSet::new());
    functions(&here.join("tests/corners"), &mut own);
    functions(&here.join("tests/simulation"), &mut all);
    functions(&here.join("../../crates"), &mut all);
    all.append(&mut own.clone());
    let rows = rows();
    for (case, row) in &rows {
        for test in &row.tests {
            assert!(all.contains(test), "case {case} names {test}, which is nowhere");
        }
    }
    for test in own {
        let number = test.strip_prefix('c').and_then(|rest| rest.split('_').next());
        let Some(case) = number.and_then(|number| number.parse().ok()) else { continue };
        let is_named = rows.get(&case).is_some_and(|row| row.tests.contains(&test));
        assert!(is_named, "the table lacks `{test}` at case {case}");
    }
}
