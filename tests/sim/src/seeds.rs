//! Which seeds a test runs: few by default, many when asked (`OTTLA_SIM_SEEDS`), one to look at (`OTTLA_SIM_SEED`).

/// The seeds of one test that runs `few` of them by default.
///
/// # Panics
/// A variable is set to something that is no number.
pub fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
    };
    match number("OTTLA_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("OTTLA_SIM_SEEDS").unwrap_or(few),
    }
}
