//! What ran, how it ended, and how long it took: a line per step, and one line at the end that sums up.
//!
//! - R1 A step that fails shows what it wrote; which of its tests failed stands once more at the end, where whoever sees
//!   only the last lines finds it.
//! - R2 Steps may run on several threads; a line is never cut by another.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::process::Ended;
use crate::workspace::Workspace;

/// How many tests a step ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that held.
    pub passed: u64,
    /// Tests that did not.
    pub failed: u64,
    /// Tests that could not run here.
    pub skipped: u64,
}

impl Tally {
    /// A step that is one test.
    pub const ONE: Tally = Tally { passed: 1, failed: 0, skipped: 0 };

    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// How a step ended.
pub enum Outcome {
    /// It ran; the tally may still hold failures.
    Ran(Tally),
    /// It ran and something is wrong: the tally, and what to show.
    Failed(Tally, String),
    /// It cannot run here, for this reason.
    Skipped(String),
}

impl Outcome {
    /// The outcome of a child that printed its own tally, read by `count`.
    pub fn of(ended: &Ended, count: impl Fn(&str) -> Option<Tally>) -> Outcome {
        let tally = count(&ended.output);
        match (ended.success(), tally) {
            (true, Some(tally)) if tally.failed == 0 => Outcome::Ran(tally),
            (true, None) => Outcome::Failed(Tally::default(), "it printed no tally".to_owned()),
            (_, tally) => {
                let how = ended
                    .status
                    .map_or_else(|| "killed: its time was over".to_owned(), |status| status.to_string());
                Outcome::Failed(
                    tally.unwrap_or_default(),
                    format!("{}\n{how}; the whole output is in {}", tail(&ended.output), ended.log.display()),
                )
            }
        }
    }
}

/// Lines of a failed step's output that are shown; the log file has all of them.
const SHOWN_LINES: usize = 300;

/// Failures of a step that are named again at the end.
const FAILURES_SHOWN: usize = 10;

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LINES);
    lines[from..].join("\n")
}

/// The lines in which the runners of the suites name a test that failed; of a panic, also what it says.
fn failed_tests(output: &str) -> impl Iterator<Item = &str> {
    let mut panicked = false;
    let names = move |line: &&str| {
        let says = std::mem::replace(&mut panicked, line.contains("panicked at"));
        says || panicked
            || line.ends_with("... FAILED")
            || ["FAILED ", "FAIL ", "--- FAIL: ", "not ok ", "✖ "].iter().any(|how| line.starts_with(how))
    };
    output.lines().map(str::trim_start).filter(names).take(FAILURES_SHOWN)
}

/// The steps so far.
pub struct Report {
    total: Mutex<Tally>,
    failures: Mutex<Vec<String>>,
    logs: PathBuf,
    strict: bool,
    figures: bool,
}

impl Report {
    /// An empty report; with `CI=true` a skipped step is a failure. A command that ends in `figures` leaves standard output to them.
    pub fn new(workspace: &Workspace, figures: bool) -> Result<Self> {
        let logs = workspace.target.join("xtask");
        fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        let strict = std::env::var("CI").is_ok_and(|value| value == "true");
        Ok(Self { total: Mutex::default(), failures: Mutex::default(), logs, strict, figures })
    }

    /// Runs one step and prints how it ended. An error is a failure of the step.
    pub fn step(&self, name: &str, run: impl FnOnce() -> Result<Outcome>) {
        self.line(&format!("run   {name}"));
        let start = Instant::now();
        let outcome = run().unwrap_or_else(|error| Outcome::Failed(Tally::default(), format!("{error:#}")));
        let seconds = start.elapsed().as_secs_f64();
        let (mut tally, line) = match outcome {
            Outcome::Ran(tally) if tally == Tally::ONE => (tally, format!("ok    {name} ({seconds:.1} s)")),
            Outcome::Ran(tally) => {
                (tally, format!("ok    {name}: {} passed{} ({seconds:.1} s)", tally.passed, skipped(tally)))
            }
            Outcome::Skipped(why) if self.strict => (
                Tally { failed: 1, ..Tally::default() },
                format!("FAIL  {name}: {why}, and CI=true skips nothing"),
            ),
            Outcome::Skipped(why) => {
                (Tally { skipped: 1, ..Tally::default() }, format!("skip  {name}: {why}"))
            }
            Outcome::Failed(tally, what) => {
                // A process may end badly without naming a failed test.
                let tally = Tally { failed: tally.failed.max(1), ..tally };
                let mut failures = self.failures.lock().expect("no step panics while it adds");
                failures.extend(failed_tests(&what).map(|line| format!("{name}: {line}")));
                (
                    tally,
                    format!(
                        "{what}\nFAIL  {name}: {} passed, {} failed ({seconds:.1} s)",
                        tally.passed, tally.failed
                    ),
                )
            }
        };
        let mut total = self.total.lock().expect("no step panics while it adds");
        total.add(std::mem::take(&mut tally));
        drop(total);
        self.line(&line);
    }

    /// Prints one line at once.
    pub fn line(&self, line: &str) {
        if self.figures { eprintln!("{line}") } else { println!("{line}") }
    }

    /// The file in which a step keeps what its child wrote.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// The tests that failed, and the last line: how many passed, failed and were skipped.
    pub fn summary(&self) {
        for failure in &*self.failures.lock().expect("no step panics while it adds") {
            self.line(failure);
        }
        let total = *self.total.lock().expect("no step panics while it adds");
        self.line(&format!("\n{} passed, {} failed{}", total.passed, total.failed, skipped(total)));
    }

    /// Whether nothing failed and something ran.
    pub fn good(&self) -> bool {
        let total = *self.total.lock().expect("no step panics while it adds");
        total.failed == 0 && 0 < total.passed
    }
}

fn skipped(tally: Tally) -> String {
    if tally.skipped == 0 { String::new() } else { format!(", {} skipped", tally.skipped) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_failed_are_named() {
        let rust = "test a ... ok\nthread 'b' (1) panicked at src/b.rs:1:2:\nleft is not right\nstack backtrace:\ntest b ... FAILED\n";
        let panic = ["thread 'b' (1) panicked at src/b.rs:1:2:", "left is not right", "test b ... FAILED"];
        assert_eq!(failed_tests(rust).collect::<Vec<_>>(), panic);
        let others = "ok 1 - c\nnot ok 2 - d\n    --- FAIL: TestE/zstd (0.10s)\nFAIL F.g (1.0 s)\nFAILED h.py::i\n1 passed";
        let named = ["not ok 2 - d", "--- FAIL: TestE/zstd (0.10s)", "FAIL F.g (1.0 s)", "FAILED h.py::i"];
        assert_eq!(failed_tests(others).collect::<Vec<_>>(), named);
    }
}
