//! The suite of Go: franz-go, sarama, and the programs in `examples/go`.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::report::{Outcome, Tally};
use crate::suite::Context;

/// Tests at once; most of them wait for a broker.
const AT_ONCE: &str = "8";

/// Runs every test; Go itself fetches what `go.sum` names and keeps what it built.
pub fn run(context: &Context<'_>) -> Result<Outcome> {
    if !process::exists("go", "version") {
        return Ok(Outcome::Skipped("go is not installed".to_owned()));
    }
    let fetched = context.workspace.target.join("clients/go");
    let mut command = Command::new("go");
    command.current_dir(context.source("go")).args(["test", "-v", "-count=1", "-parallel", AT_ONCE]);
    if let Some(word) = context.only {
        command.args(["-run", word]);
    }
    command.arg("./...");
    // Fetched modules are read-only by default, and `cargo clean` could not remove them.
    command.env("GOFLAGS", "-mod=readonly -modcacherw");
    command.env("GOMODCACHE", fetched.join("modules")).env("GOCACHE", fetched.join("built"));
    context.drive("go", command, tally)
}

/// Counts lines like `--- PASS: TestX (0.10s)`; `None` when nothing was run, because it did not compile.
fn tally(output: &str) -> Option<Tally> {
    let count = |word: &str| {
        let start = format!("--- {word}: ");
        output.lines().filter(|line| line.trim_start().starts_with(&start)).count() as u64
    };
    let tally = Tally { passed: count("PASS"), failed: count("FAIL"), skipped: count("SKIP") };
    (tally.passed + tally.failed + tally.skipped > 0).then_some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_tests_and_their_parts_are_the_tally() {
        let output = "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/zstd (0.10s)\n--- FAIL: TestB (1.00s)\n--- SKIP: TestC (0.00s)\nFAIL\n";
        assert_eq!(tally(output), Some(Tally { passed: 2, failed: 1, skipped: 1 }));
        assert_eq!(tally("FAIL\tottla/tests/clients [build failed]\n"), None);
    }
}
