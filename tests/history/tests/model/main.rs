//! Histories of a broker that does everything right have no anomaly, and none of the ways to spoil them goes unnoticed.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod broker;
mod mutations;

use std::collections::BTreeMap;

use broker::Draw;

/// Histories made.
const SEEDS: u64 = 60;

/// How often each mutation is applied at least.
const APPLIED: u64 = 3;

fn kinds(events: &[history::Event]) -> Vec<String> {
    let anomalies = history::check(events).anomalies;
    anomalies.iter().map(|anomaly| anomaly.to_string().split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_correct_broker_has_no_anomaly() {
    for seed in 0..SEEDS {
        let events = broker::history(&mut Draw::new(seed));
        assert_eq!(history::check(&events).anomalies, [], "seed {seed}");
    }
}

#[test]
fn each_mutation_is_found() {
    let mut applied: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut draw = Draw::new(seed);
        let events = broker::history(&mut draw);
        for (name, mutate, expected) in mutations::ALL {
            let mut mutated = events.clone();
            if mutate(&mut mutated, &mut draw).is_some() {
                *applied.entry(name).or_default() += 1;
                let found = kinds(&mutated);
                assert!(found.iter().any(|kind| kind == expected), "seed {seed}, {name}: {found:?}");
            }
        }
    }
    for (name, ..) in mutations::ALL {
        let applied = applied.get(name).copied().unwrap_or_default();
        assert!(APPLIED <= applied, "{name} is applied {applied} times only");
    }
}
