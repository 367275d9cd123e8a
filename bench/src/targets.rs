//! The table of targets, and whether figures meet them.

use anyhow::{Context, Result, bail};

use crate::figure::median;

/// The only place where they are written.
const TABLE: &str = include_str!("../targets.txt");

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its scenario.
    pub scenario: String,
    /// Its figure in it, of Ottla.
    pub figure: String,
    /// Which way it bounds.
    pub bound: Bound,
    /// The unit, as the figure has it.
    pub unit: String,
}

/// Which way a target bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// At most.
    AtMost(f64),
    /// At least.
    AtLeast(f64),
}

impl Bound {
    /// Whether `value` is within it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => least <= value,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::AtMost(most) => write!(f, "≤ {most}"),
            Bound::AtLeast(least) => write!(f, "≥ {least}"),
        }
    }
}

/// What the runs of one figure came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The median is within the bound.
    Met {
        /// Median, least and most.
        of: [f64; 3],
    },
    /// Too few runs were quiet, and yet the median of all of them is within an upper bound.
    MetInNoise {
        /// Median, least and most of all runs.
        of: [f64; 3],
    },
    /// It is not.
    Missed {
        /// Median, least and most.
        of: [f64; 3],
    },
    /// Too few runs were quiet, or the figure could not be had.
    Unknown,
}

/// Judges the median of at least `runs_min` values of quiet runs; with fewer of those, whether all runs together keep an
/// upper bound in spite of what disturbed them. Costs are bounded from above, and ratios, which noise moves either way,
/// from below.
pub fn judge(bound: Bound, quiet: &[f64], all: &[f64], runs_min: usize) -> Verdict {
    match (bound, spread(quiet, runs_min), spread(all, runs_min)) {
        (_, Some(of), _) if bound.holds(of[0]) => Verdict::Met { of },
        (_, Some(of), _) => Verdict::Missed { of },
        (Bound::AtMost(_), None, Some(of)) if bound.holds(of[0]) => Verdict::MetInNoise { of },
        _ => Verdict::Unknown,
    }
}

/// Median, least and most of at least `runs_min` values.
fn spread(values: &[f64], runs_min: usize) -> Option<[f64; 3]> {
    let middle = median(values).filter(|_| runs_min <= values.len())?;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some([middle, least, most])
}

/// Every target.
pub fn all() -> Result<Vec<Target>> {
    read(TABLE)
}

fn read(table: &str) -> Result<Vec<Target>> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| read_line(line).with_context(|| format!("the target '{line}'"))).collect()
}

fn read_line(line: &str) -> Result<Target> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, relation, number, unit] = words[..] else {
        bail!("figure, relation, number and unit expected")
    };
    let (scenario, figure) = name.split_once('.').context("a figure is SCENARIO.NAME")?;
    let number: f64 = number.parse().context("the third word is a number")?;
    let bound = match relation {
        "<=" => Bound::AtMost(number),
        ">=" => Bound::AtLeast(number),
        _ => bail!("the second word is <= or >="),
    };
    Ok(Target { scenario: scenario.to_owned(), figure: figure.to_owned(), bound, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn every_target_is_of_a_scenario() {
        let targets = all().unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(
                scenario::ALL.iter().any(|scenario| scenario.name == target.scenario),
                "there is no scenario {}",
                target.scenario
            );
        }
    }

    #[test]
    fn a_line_that_is_none_is_an_error() {
        let read = |line: &str| read(line).map(|targets| targets.len()).map_err(|error| format!("{error:#}"));
        assert_eq!(read("# only this\n\n  a.b <= 1 ms\n"), Ok(1));
        for line in ["a.b <= 1", "a.b = 1 ms", "ab <= 1 ms", "a.b <= x ms", "a.b <= 1 ms more"] {
            assert!(read(line).unwrap_err().contains(line), "{line}");
        }
    }

    #[test]
    fn the_median_decides_and_the_rest_is_shown() {
        let values = [30.0, 10.0, 20.0];
        let of = [20.0, 10.0, 30.0];
        let judge = |bound, runs_min| judge(bound, &values, &values, runs_min);
        assert_eq!(judge(Bound::AtMost(20.0), 3), Verdict::Met { of });
        assert_eq!(judge(Bound::AtMost(19.9), 3), Verdict::Missed { of });
        assert_eq!(judge(Bound::AtLeast(20.0), 3), Verdict::Met { of });
        assert_eq!(judge(Bound::AtLeast(20.1), 3), Verdict::Missed { of });
        assert_eq!(judge(Bound::AtMost(20.0), 4), Verdict::Unknown, "too few");
        assert_eq!(super::judge(Bound::AtMost(20.0), &[], &[], 0), Verdict::Unknown);
    }

    #[test]
    fn without_quiet_runs_all_may_keep_an_upper_bound() {
        let (quiet, all) = ([10.0, 11.0], [10.0, 30.0, 20.0, 11.0, 25.0]);
        let judge = |bound| judge(bound, &quiet, &all, 3);
        assert_eq!(judge(Bound::AtMost(20.0)), Verdict::MetInNoise { of: [20.0, 10.0, 30.0] });
        assert_eq!(judge(Bound::AtMost(19.9)), Verdict::Unknown, "it may be the noise");
        assert_eq!(judge(Bound::AtLeast(5.0)), Verdict::Unknown, "noise moves ratios either way");
    }
}
