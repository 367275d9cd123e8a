//! The log: lines on standard error, so that standard output is for results.

use std::io::IsTerminal;

use tracing::Level;

/// Starts the log at `level`, or at the one in `OTTLA_LOG` (error, warn, info, debug or trace).
pub fn start(level: Level) {
    let asked = std::env::var("OTTLA_LOG").ok();
    let level = asked.as_deref().and_then(|text| text.parse().ok()).unwrap_or(level);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(level)
        .with_target(false)
        .init();
}
