//! Whether the rows of the next upsert may all be new ones, by what the last ones were.
//!
//! - A1 A wrong guess costs a copy that is taken back, and leaves what was copied for the database to clean away. So each one
//!   makes the next guess wait for twice as many batches, up to a limit: where keys come again and again, few are made.

/// Most batches that a guess waits for.
const WAIT_MAX: u32 = 256;

/// What was learned.
#[derive(Debug, Default)]
pub(crate) struct Newness {
    /// How many batches the last wrong guess is to make wait.
    penalty: u32,
    /// How many of them are still to come.
    wait: u32,
}

impl Newness {
    /// Whether to guess that the rows of this batch are new.
    pub(crate) fn is_likely(&mut self) -> bool {
        let is_likely = self.wait == 0;
        self.wait = self.wait.saturating_sub(1);
        is_likely
    }

    /// They were.
    pub(crate) fn on_right(&mut self) {
        self.penalty /= 2;
    }

    /// They were not.
    pub(crate) fn on_wrong(&mut self) {
        self.penalty = (2 * self.penalty).clamp(1, WAIT_MAX);
        self.wait = self.penalty;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many batches are guessed to be new, where they are if `is_new` says so.
    fn guesses(batches: u32, is_new: impl Fn(u32) -> bool) -> usize {
        let mut newness = Newness::default();
        let guess = |batch: &u32| {
            let is_likely = newness.is_likely();
            if is_likely {
                if is_new(*batch) { newness.on_right() } else { newness.on_wrong() }
            }
            is_likely
        };
        (0..batches).filter(guess).count()
    }

    #[test]
    fn what_was_new_is_guessed_to_stay_so() {
        assert_eq!(guesses(1_000, |_| true), 1_000);
        assert_eq!(guesses(1_000, |batch| batch != 500), 999);
    }

    #[test]
    fn few_guesses_are_wrong() {
        assert_eq!(guesses(1_000, |_| false), 11);
    }

    #[test]
    fn rows_that_become_new_are_found_out() {
        assert!(500 < guesses(1_000, |batch| 200 < batch));
    }
}
