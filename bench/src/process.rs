//! Child processes and what the kernel says of them.
//!
//! - P1 A child is killed when its handle is dropped, and none outlives its time.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a waiting thread looks at its child.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Ticks per second of the times in `/proc/PID/stat`: USER_HZ, which Linux fixes at 100 for every program.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child process; see P1.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Running> {
        let child = command.spawn().with_context(|| format!("starting {:?}", command.get_program()))?;
        Ok(Running(child))
    }

    /// The process itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.try_wait().context("looking at a child")
    }

    /// Waits for its end, for at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if deadline < Instant::now() {
                bail!("it was still running after {} s", limit.as_secs());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).context("sending SIGTERM")
    }

    /// Ends it as the loss of power would end the process: it gets no time for anything.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill().context("killing a child")?;
        self.0.wait().context("waiting for a killed child").map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end and returns its standard output; standard error goes to `log`, or to ours without one.
pub fn output(command: &mut Command, log: Option<&Path>, limit: Duration) -> Result<String> {
    let out = std::env::temp_dir().join(format!("bench-{}.out", std::process::id()));
    let errors = match log {
        Some(log) => Stdio::from(File::create(log).with_context(|| format!("creating {}", log.display()))?),
        None => Stdio::inherit(),
    };
    command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(errors);
    let mut running = Running::start(command)?;
    let status = running.wait(limit).with_context(|| format!("running {command:?}"))?;
    let text = fs::read_to_string(&out).with_context(|| format!("reading {}", out.display()))?;
    // What is left of it is small, and below the system's own folder for such things.
    let _ = fs::remove_file(&out);
    if !status.success() {
        let told = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        bail!("{command:?} ended with {status}\n{text}{told}");
    }
    Ok(text)
}

/// Processor time that the process has taken so far, in user and kernel mode, all threads together, seconds.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("reading the times of process {pid}"))?;
    ticks(&stat).map(|ticks| ticks / TICKS_PER_SECOND).with_context(|| format!("no times in {stat}"))
}

fn ticks(stat: &str) -> Option<f64> {
    // The second field is the name in parentheses, which may hold spaces; utime and stime are the 14th and 15th.
    let after_name = &stat[stat.rfind(')')? + 1..];
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// Memory that the process holds, bytes: `VmRSS` now, `VmHWM` at its most.
pub fn memory_bytes(pid: u32, which: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("reading the memory of process {pid}"))?;
    field(&status, which).map(|kib| kib * 1024.0).with_context(|| format!("process {pid} has no {which}"))
}

/// Bytes that the process has written to files on disks, whether they are there already or in the page cache.
pub fn bytes_to_disk(pid: u32) -> Result<f64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))
        .with_context(|| format!("reading what process {pid} wrote"))?;
    field(&io, "write_bytes").with_context(|| format!("process {pid} has no write_bytes"))
}

/// How often the threads of the process that live now gave up their processor or had to.
pub fn context_switches(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).context("listing threads")? {
        // A thread may end between the listing and the reading.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let of = |which| field(&status, which).unwrap_or(0.0);
        sum += of("voluntary_ctxt_switches") + of("nonvoluntary_ctxt_switches");
    }
    Ok(sum)
}

/// The number after `which:` in a file of lines `NAME: NUMBER UNIT`.
fn field(lines: &str, which: &str) -> Option<f64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
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

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmRSSx:\t1 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!((field(status, "VmRSS"), field(status, "VmHWM")), (Some(1024.0), Some(2048.0)));
        assert_eq!(field(status, "Vm"), None);
    }

    #[test]
    fn a_child_that_fails_or_takes_too_long_is_an_error() {
        let run = |script: &str, limit| output(Command::new("sh").args(["-c", script]), None, limit);
        let long = Duration::from_secs(60);
        assert_eq!(run("echo told", long).unwrap(), "told\n");
        assert!(run("echo told; exit 3", long).unwrap_err().to_string().contains("told"));
        assert!(format!("{:#}", run("sleep 60", Duration::ZERO).unwrap_err()).contains("still running"));
    }
}
