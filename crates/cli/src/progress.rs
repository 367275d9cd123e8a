//! The bar on standard error: how much is done of what there is, as far as both are known.
//!
//! - B1 Nothing is drawn where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rt::{Instant, Rt};

use crate::number;

/// Characters before the message: the bar, the share and the gaps.
const BAR_WIDTH: usize = 28;

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
        let parts = [
            format!("{} records", number::grouped(records)),
            number::bytes(bytes),
            format!("{} records/s", number::grouped(number::rate(records, elapsed))),
            format!("{}/s", number::bytes(number::rate(bytes, elapsed))),
        ];
        let width = console::Term::stderr().size_checked().map_or(80, |(_, width)| usize::from(width));
        self.bar.set_message(fitting(&parts, width.saturating_sub(BAR_WIDTH)));
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

/// As many parts as fit: half a number would be another number.
fn fitting(parts: &[String], width: usize) -> String {
    let mut message = String::new();
    for part in parts {
        let gap = if message.is_empty() { "" } else { "  " };
        if width < message.chars().count() + gap.len() + part.chars().count() {
            break;
        }
        message.push_str(gap);
        message.push_str(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_cut() {
        let parts = ["12 records".to_owned(), "1.5 KiB".to_owned(), "345 records/s".to_owned()];
        assert_eq!(fitting(&parts, 80), "12 records  1.5 KiB  345 records/s");
        assert_eq!(fitting(&parts, 33), "12 records  1.5 KiB");
        assert_eq!(fitting(&parts, 9), "");
    }
}
