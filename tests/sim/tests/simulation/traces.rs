//! One seed is one run, broker and clients included.

use sim_tests::scenario::{self, Lie, Report, Scenario};
use sim_tests::seeds::seeds;

fn run(seed: u64) -> Report {
    scenario::run(seed, Scenario { cuts: 2, lie: Lie::None })
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<(usize, String, String)> {
    let lines = |trace: &[u8]| -> Vec<String> {
        trace.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    };
    let (one, other) = (lines(one), lines(other));
    let at = one.iter().zip(&other).position(|(one, other)| one != other)?;
    Some((at, one[at].clone(), other[at].clone()))
}

#[test]
fn one_seed_gives_the_same_trace_twice() {
    for seed in seeds(2) {
        let (one, other) = (run(seed), run(seed));
        assert_eq!(first_difference(&one.trace, &other.trace), None, "seed {seed}");
        assert_eq!(one.trace.len(), other.trace.len(), "seed {seed}");
        assert_eq!(one.trace_hash, other.trace_hash, "seed {seed}: beyond what of the trace is kept");
    }
}

#[test]
fn two_seeds_differ_beyond_their_names() {
    let (one, other) = (run(100), run(101));
    let without_seed =
        |trace: &[u8]| trace.iter().skip_while(|byte| **byte != b'\n').copied().collect::<Vec<_>>();
    assert_ne!(without_seed(&one.trace), without_seed(&other.trace));
    assert_ne!(one.trace_hash, other.trace_hash);
}
