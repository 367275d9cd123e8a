//! What the machine itself takes, whatever runs on it: a sync of its disk, an echo over its loopback.
//!
//! - F1 What earlier loads left to be written is on the disk before the clock starts.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::setting::Setting;

const SYNCS: usize = 300;
const ECHOES: usize = 5_000;
/// Not counted.
const WARM_UP: usize = 50;

/// Both, in µs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Appending 4 KiB and `fdatasync`, median.
    pub sync_p50_us: f64,
    /// The same, 99th percentile.
    pub sync_p99_us: f64,
    /// 64 bytes there and back, median.
    pub echo_p50_us: f64,
    /// The same, 99th percentile.
    pub echo_p99_us: f64,
}

impl Floor {
    /// Measures it where the brokers keep their data.
    pub fn measure(setting: &Setting) -> Result<Floor> {
        rustix::fs::sync();
        let syncs = syncs(setting).context("measuring the disk's own sync")?;
        let echoes = echoes().context("measuring the loopback's own echo")?;
        Ok(Floor {
            sync_p50_us: quantile(&syncs, 0.5),
            sync_p99_us: quantile(&syncs, 0.99),
            echo_p50_us: quantile(&echoes, 0.5),
            echo_p99_us: quantile(&echoes, 0.99),
        })
    }

    /// By how much the medians differ, percent of the smaller; the larger of the two.
    pub fn moved_percent(&self, later: &Floor) -> f64 {
        let moved = |one: f64, other: f64| (one.max(other) / one.min(other).max(1e-9) - 1.0) * 100.0;
        moved(self.sync_p50_us, later.sync_p50_us).max(moved(self.echo_p50_us, later.echo_p50_us))
    }

    /// For people.
    pub fn words(&self) -> String {
        format!(
            "sync p50 {:.0} p99 {:.0} µs, echo p50 {:.1} p99 {:.1} µs",
            self.sync_p50_us, self.sync_p99_us, self.echo_p50_us, self.echo_p99_us
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "sync_p50_us": self.sync_p50_us,
            "sync_p99_us": self.sync_p99_us,
            "echo_p50_us": self.echo_p50_us,
            "echo_p99_us": self.echo_p99_us,
        })
    }
}

fn syncs(setting: &Setting) -> Result<Vec<f64>> {
    let path = setting.results.join("floor.tmp");
    let mut file = File::create(&path)?;
    let block = [0x5a; 4096];
    let times = timed(SYNCS, || {
        file.write_all(&block)?;
        file.sync_data()
    })?;
    std::fs::remove_file(&path)?;
    Ok(times)
}

fn echoes() -> Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut message = [0; 64];
        // It ends when the near end is closed.
        while far.read_exact(&mut message).is_ok() && far.write_all(&message).is_ok() {}
    });
    let mut message = [0; 64];
    let times = timed(ECHOES, || {
        near.write_all(&message)?;
        near.read_exact(&mut message)
    })?;
    drop(near);
    // It cannot panic: what it does is in the one line above.
    let _ = echo.join();
    Ok(times)
}

/// Times of `count` calls in µs, in order of size.
fn timed(count: usize, mut call: impl FnMut() -> std::io::Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for turn in 0..count + WARM_UP {
        let start = Instant::now();
        call()?;
        if WARM_UP <= turn {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn quantile(sorted: &[f64], of: f64) -> f64 {
    let rank = (sorted.len() as f64 * of).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(sync: f64, echo: f64) -> Floor {
        Floor { sync_p50_us: sync, sync_p99_us: 1.0, echo_p50_us: echo, echo_p99_us: 1.0 }
    }

    #[test]
    fn the_larger_move_counts_whichever_way_it_goes() {
        assert_eq!(floor(100.0, 10.0).moved_percent(&floor(100.0, 10.0)), 0.0);
        assert_eq!(floor(100.0, 10.0).moved_percent(&floor(150.0, 10.0)), 50.0);
        assert_eq!(floor(150.0, 10.0).moved_percent(&floor(100.0, 10.0)), 50.0);
        assert_eq!(floor(100.0, 10.0).moved_percent(&floor(110.0, 20.0)), 100.0);
    }

    #[test]
    fn quantiles_are_ranks() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|of| quantile(&sorted, of)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    #[test]
    fn an_echo_takes_time() {
        let times = echoes().unwrap();
        assert_eq!(times.len(), ECHOES);
        assert!(0.0 < times[0]);
    }
}
