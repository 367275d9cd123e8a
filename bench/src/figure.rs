//! What is measured: a name, a number and its unit.

use std::collections::BTreeMap;

use crate::broker::System;
use crate::floor::Floor;

/// One figure of one system.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Its name within its scenario.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less.
    Less,
    /// More.
    More,
}

/// A figure of which less is better.
pub fn less(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.into(), value, unit, better: Better::Less }
}

/// A figure of which more is better.
pub fn more(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.into(), value, unit, better: Better::More }
}

/// The figures of one run of a scenario, and the floor before and after it.
pub struct Run {
    /// What each system showed.
    pub figures: BTreeMap<System, Vec<Figure>>,
    /// Before the first system and after the last.
    pub floor: [Floor; 2],
}

impl Run {
    /// A figure by its name.
    pub fn value(&self, system: System, name: &str) -> Option<f64> {
        value(self.figures.get(&system)?, name)
    }
}

/// A figure by its name.
pub fn value(figures: &[Figure], name: &str) -> Option<f64> {
    figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
}

/// The middle one; the mean of the two in the middle where there are two; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// A number with as many digits as say something.
pub fn digits(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 5.0, 6.0]), Some(5.5));
    }

    #[test]
    fn digits_follow_the_size() {
        for (value, text) in
            [(0.123, "0.12"), (9.996, "10.00"), (12.34, "12.3"), (1234.5, "1234"), (-0.5, "-0.50")]
        {
            assert_eq!(digits(value), text);
        }
    }
}
