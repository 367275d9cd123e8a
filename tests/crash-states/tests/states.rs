//! A sample of the states of each operation, and that a sync left out is noticed. `cargo xtask crash-states` has them all.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crash_states::operations::{self, Operation};
use crash_states::replay::{Seen, Violation, replay};

/// States of one crash, and of one operation, that are enough here.
const OF_A_CRASH: usize = 24;

fn sample(operation: &Operation, seed: u64) -> Result<usize, Violation> {
    let mut seen = Seen::default();
    replay(&operation.script(seed), OF_A_CRASH, seed, &mut seen)?;
    Ok(seen.len())
}

#[test]
fn the_log_starts_as_promised_on_what_a_power_cut_leaves() {
    for operation in &operations::ALL {
        let states =
            sample(operation, 1).unwrap_or_else(|violation| panic!("{}: {violation}", operation.name));
        println!("{}: {states} states", operation.name);
        assert!(20 < states, "{}: {states} states are no sample", operation.name);
    }
}

fn named(name: &str) -> &'static Operation {
    operations::ALL.iter().find(|operation| operation.name == name).unwrap()
}

/// Whether anything is noticed when these syncs of an operation do nothing.
fn is_noticed(operation: &str, left_out: impl Fn(bool) -> bool) -> bool {
    (0..4).any(|seed| {
        let mut script = named(operation).script(seed);
        let syncs = script.recording.syncs();
        let left_out: Vec<usize> =
            syncs.into_iter().filter(|(_, is_dir)| left_out(*is_dir)).map(|(index, _)| index).collect();
        assert!(!left_out.is_empty(), "{operation} syncs nothing of that kind");
        script.recording = script.recording.without_syncs(&left_out);
        replay(&script, 16, seed, &mut Seen::default()).is_err()
    })
}

#[test]
fn a_sync_of_a_directory_that_is_left_out_is_noticed() {
    for operation in ["create", "roll", "truncate", "close and recover", "compact"] {
        assert!(is_noticed(operation, |is_dir| is_dir), "{operation}");
    }
}

#[test]
fn a_sync_of_a_file_that_is_left_out_is_noticed() {
    for operation in [
        "create",
        "append",
        "roll",
        "checkpoint",
        "leader epoch",
        "retention",
        "close and recover",
        "compact",
    ] {
        assert!(is_noticed(operation, |is_dir| !is_dir), "{operation}");
    }
}
