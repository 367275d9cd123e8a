//! The bar on standard error: how much is done of what there is, as far as both are known.
//!
//! - B1 Nothing is drawn where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rt::{Instant, Rt};

use crate::number;

/// A bar, or a line that changes where nobody knows how much there is.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// A bar of `length` units; they are whatever the caller counts.
    pub(crate) fn start(rt: &Rt, length: Option<u64>) -> Progress {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        let template = match length {
            Some(_) => "{bar:20.cyan/dim} {percent:>3}%  {wide_msg}",
            None => "{spinner:.cyan} {wide_msg}",
        };
        // The templates are constants; a wrong one would show the plain bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Progress { bar, started: rt.now() }
    }

    /// None that anybody sees.
    pub(crate) fn hidden(rt: &Rt) -> Progress {
        Progress { bar: ProgressBar::hidden(), started: rt.now() }
    }

    /// Says how much there is in all.
    pub(crate) fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// Shows how far it came, and what that was.
    pub(crate) fn show(&self, rt: &Rt, position: u64, records: u64, bytes: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let elapsed = rt.now().saturating_since(self.started);
        self.bar.set_position(position);
        self.bar.set_message(format!(
            "{} records  {}  {} records/s  {}/s",
            number::grouped(records),
            number::bytes(bytes),
            number::grouped(number::rate(records, elapsed)),
            number::bytes(number::rate(bytes, elapsed)),
        ));
    }

    /// Writes something else to standard error, above the bar.
    pub(crate) fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Takes the bar away; says how long it was there.
    pub(crate) fn finish(&self, rt: &Rt) -> Duration {
        self.bar.finish_and_clear();
        rt.now().saturating_since(self.started)
    }
}
