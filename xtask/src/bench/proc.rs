//! What the kernel says of a running process.

use std::fs;

use anyhow::{Context, Result};

/// Ticks per second of the times in `/proc/PID/stat`: USER_HZ, which Linux fixes at 100 for every program.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time that the process has taken so far, in user and kernel mode, all threads together.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("reading the times of {pid}"))?;
    ticks(&stat).map(|ticks| ticks / TICKS_PER_SECOND).with_context(|| format!("no times in {stat}"))
}

fn ticks(stat: &str) -> Option<f64> {
    // The second field is the name in parentheses, which may hold spaces; utime and stime are the 14th and 15th.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// Memory that the process holds, in bytes.
pub fn rss_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("reading the memory of {pid}"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the process has ended")?;
    let kib: u64 =
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("VmRSS is a number")?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_does_not_shift_the_fields() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 12345 1000000 300 18446744073709551615";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("42 (short) S 1"), None);
    }
}
