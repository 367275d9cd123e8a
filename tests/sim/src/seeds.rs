//! Which seeds a test runs: few by default, many when asked (`OTTLA_SIM_SEEDS`), one to look at (`OTTLA_SIM_SEED=7`), or a
//! piece of many (`OTTLA_SIM_SEED=100..110`).

use std::ops::Range;

/// The seeds of one test that runs `few` of them by default.
///
/// # Panics
/// A variable is set to something that is no number, or no range of them.
pub fn seeds(few: u64) -> Range<u64> {
    let set = |name: &str| std::env::var(name).ok();
    let number =
        |text: &str| text.parse::<u64>().unwrap_or_else(|error| panic!("{text} is no seed: {error}"));
    match set("OTTLA_SIM_SEED").as_deref().map(|text| (text, text.split_once(".."))) {
        Some((_, Some((first, end)))) => number(first)..number(end),
        Some((text, None)) => number(text)..number(text) + 1,
        None => 0..set("OTTLA_SIM_SEEDS").map_or(few, |text| number(&text)),
    }
}
