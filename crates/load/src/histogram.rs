//! Times in buckets that grow with what they hold, in the manner of HDR histograms.
//!
//! - H1 A value is off by less than one part in 128; below 128 ns it is exact.
//! - H2 Adding costs a few instructions and no memory: there are as many buckets at the end as at the start.

use std::time::Duration;

/// Buckets for each doubling are half as many; H1 rests on it.
const SUB_BUCKETS: usize = 256;
const HALF: usize = SUB_BUCKETS / 2;
/// From the smallest to the largest `u64`.
const BUCKETS: usize = SUB_BUCKETS + (u64::BITS as usize - SUB_BUCKETS.ilog2() as usize) * HALF;

/// Times, and how often each came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    min_ns: u64,
    max_ns: u64,
    /// Wide enough for 2^64 values of 2^64 ns.
    sum_ns: u128,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], count: 0, min_ns: u64::MAX, max_ns: 0, sum_ns: 0 }
    }
}

impl Histogram {
    /// Takes one time in.
    pub fn record(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(ns)] += 1;
        self.count += 1;
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.sum_ns += u128::from(ns);
    }

    /// Takes in everything another one has.
    pub fn add(&mut self, other: &Histogram) {
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
    }

    /// Times taken in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest; zero when there is none.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// The mean; zero when there is none.
    pub fn mean(&self) -> Duration {
        let mean = self.sum_ns.checked_div(u128::from(self.count)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The time that so many of a million do not exceed: 500,000 is the median, 999,000 the 99.9th percentile. Zero when
    /// there is none.
    pub fn quantile(&self, of_a_million: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(of_a_million)).div_ceil(1_000_000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if rank <= seen {
                return Duration::from_nanos(highest_of(bucket).clamp(self.min_ns, self.max_ns));
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(ns: u64) -> usize {
    // Bits that do not fit into the first, exact bucket row.
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(SUB_BUCKETS.ilog2());
    let within = usize::try_from(ns >> shift).unwrap_or(0);
    shift as usize * HALF + within
}

fn highest_of(bucket: usize) -> u64 {
    let shift = (bucket / HALF).saturating_sub(1);
    let within = (bucket - shift * HALF) as u64;
    // The last bucket ends at the last number there is.
    ((u128::from(within + 1) << shift) - 1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_ends_close_above_it() {
        let edges =
            (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1, (1 << bit) / 3 * 2]);
        let mut values: Vec<u64> = edges.chain([u64::MAX]).collect();
        values.sort_unstable();
        let mut last = 0;
        for value in values {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS && last <= bucket, "{value} is in bucket {bucket} after {last}");
            let highest = highest_of(bucket);
            assert!(value <= highest && highest - value <= value / 128, "{value} is told as {highest}");
            last = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(500_000), histogram.mean()), (Duration::ZERO, Duration::ZERO));
        for ns in 1..=100 {
            histogram.record(Duration::from_nanos(ns));
        }
        let told =
            [1, 500_000, 500_001, 990_000, 999_000, 1_000_000].map(|of| histogram.quantile(of).as_nanos());
        assert_eq!(told, [1, 50, 51, 99, 100, 100]);
        assert_eq!(
            (histogram.count(), histogram.max().as_nanos(), histogram.mean().as_nanos()),
            (100, 100, 50)
        );
    }

    #[test]
    fn two_added_are_as_one_that_took_everything() {
        let (mut all, mut odd, mut even) = (Histogram::default(), Histogram::default(), Histogram::default());
        for number in 0..1000_u64 {
            let time = Duration::from_nanos(number * number * number);
            all.record(time);
            if number % 2 == 0 { even.record(time) } else { odd.record(time) }
        }
        odd.add(&even);
        assert_eq!(odd, all);
    }
}
