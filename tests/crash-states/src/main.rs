//! `crash-states [STATES]`: at least so many states (10,000) of every operation, a line each, and a bar on a terminal.

use std::process::ExitCode;

use crash_states::operations::{self, Operation};
use crash_states::replay::{Seen, replay};
use indicatif::{ProgressBar, ProgressStyle};

/// States of an operation unless the first argument says otherwise.
const STATES: usize = 10_000;

/// States of one crash in one world.
const OF_A_CRASH: usize = 200;

/// Worlds in which an operation runs, at most: a small operation has fewer states than are asked for.
const WORLDS: u64 = 400;

fn main() -> ExitCode {
    let states = match std::env::args().nth(1).map(|word| word.parse::<usize>()) {
        None => STATES,
        Some(Ok(states)) => states,
        Some(Err(_)) => {
            eprintln!("usage: crash-states [STATES]");
            return ExitCode::from(2);
        }
    };
    let total = u64::try_from(states * operations::ALL.len()).expect("a number of states");
    let bar = ProgressBar::new(total).with_style(
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} states, {eta} left  {msg}")
            .expect("a template that is right"),
    );
    let mut failed = 0;
    for operation in &operations::ALL {
        bar.set_message(operation.name);
        match run(operation, states, &bar) {
            Ok((seen, worlds)) => {
                bar.suspend(|| println!("{}: {seen} states in {worlds} worlds", operation.name));
            }
            Err(violation) => {
                failed += 1;
                bar.suspend(|| println!("{}: FAILED: {violation}", operation.name));
            }
        }
    }
    bar.finish_and_clear();
    println!("{} passed, {failed} failed", operations::ALL.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Replays states of one operation until there are enough: how many, of how many worlds.
fn run(operation: &Operation, states: usize, bar: &ProgressBar) -> Result<(usize, u64), String> {
    let (mut seen, mut world) = (Seen::default(), 0);
    let begun = bar.position();
    while seen.len() < states && world < WORLDS {
        replay(&operation.script(world), OF_A_CRASH, world, &mut seen)
            .map_err(|violation| format!("world {world}, {violation}"))?;
        world += 1;
        bar.set_position(begun + u64::try_from(seen.len().min(states)).expect("a number of states"));
    }
    bar.set_position(begun + u64::try_from(states).expect("a number of states"));
    Ok((seen.len(), world))
}
