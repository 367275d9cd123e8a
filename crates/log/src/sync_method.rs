//! How to make a round of files durable: one by one, or the whole file system at once.
//!
//! One by one costs by the file, the whole costs by what everybody wrote, so neither is best always (D1). Both are
//! measured, round by round, by the time that threads were busy with it: several files at once take no longer than one, but
//! each makes its own trips to the disk. The other method is taken when it is clearly cheaper, and tried again now and then.

use std::time::Duration;

/// How a round is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncMethod {
    /// `fdatasync` of each file, on a few threads.
    EachFile,
    /// One `syncfs`.
    FileSystem,
}

/// Rounds of fewer files never sync the whole file system: what is written once in a while waits for nobody else's bytes.
const FILES_MIN: usize = 2;

/// Rounds of many files after which the method not in use is measured again.
const PROBE_EVERY: u32 = 64;

/// How much slower than the other the current method must look to be given up: measurements are noisy.
const HYSTERESIS: f64 = 1.4;

/// Weight of the newest measurement.
const NEWEST_WEIGHT: f64 = 0.25;

#[derive(Debug)]
pub(crate) struct MethodChooser {
    file_system_allowed: bool,
    current: SyncMethod,
    seconds_per_file: Option<f64>,
    seconds_per_file_system: Option<f64>,
    rounds_since_probe: u32,
}

impl MethodChooser {
    /// Chooses among both, or never the whole file system where its errors would not be heard.
    pub(crate) fn new(file_system_allowed: bool) -> MethodChooser {
        MethodChooser {
            file_system_allowed,
            current: SyncMethod::EachFile,
            seconds_per_file: None,
            seconds_per_file_system: None,
            rounds_since_probe: 0,
        }
    }

    /// The method for a round of `files`.
    pub(crate) fn choose(&mut self, files: usize) -> SyncMethod {
        if !self.file_system_allowed || files < FILES_MIN {
            return SyncMethod::EachFile;
        }
        let (Some(per_file), Some(whole)) = (self.seconds_per_file, self.seconds_per_file_system) else {
            let measured = self.seconds_per_file.is_some();
            return if measured { SyncMethod::FileSystem } else { SyncMethod::EachFile };
        };
        let each = per_file * as_f64(files);
        match self.current {
            SyncMethod::EachFile if whole * HYSTERESIS < each => self.current = SyncMethod::FileSystem,
            SyncMethod::FileSystem if each * HYSTERESIS < whole => self.current = SyncMethod::EachFile,
            SyncMethod::EachFile | SyncMethod::FileSystem => {}
        }
        self.rounds_since_probe += 1;
        if PROBE_EVERY <= self.rounds_since_probe {
            self.rounds_since_probe = 0;
            return match self.current {
                SyncMethod::EachFile => SyncMethod::FileSystem,
                SyncMethod::FileSystem => SyncMethod::EachFile,
            };
        }
        self.current
    }

    /// Hears how long all threads together were busy with a round.
    pub(crate) fn measured(&mut self, method: SyncMethod, files: usize, busy: Duration) {
        let (slot, newest) = match method {
            SyncMethod::EachFile => (&mut self.seconds_per_file, busy.as_secs_f64() / as_f64(files.max(1))),
            SyncMethod::FileSystem => (&mut self.seconds_per_file_system, busy.as_secs_f64()),
        };
        *slot = Some(slot.map_or(newest, |known| known + (newest - known) * NEWEST_WEIGHT));
    }
}

fn as_f64(files: usize) -> f64 {
    f64::from(u32::try_from(files).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds of `files` where each method keeps threads busy for a fixed time; says how often the file system was synced.
    fn whole_rounds(
        chooser: &mut MethodChooser,
        rounds: u32,
        files: usize,
        per_file_ms: u64,
        whole_ms: u64,
    ) -> u32 {
        let mut whole_rounds = 0;
        for _ in 0..rounds {
            let method = chooser.choose(files);
            let busy = match method {
                SyncMethod::EachFile => per_file_ms * u64::try_from(files).expect("small"),
                SyncMethod::FileSystem => whole_ms,
            };
            whole_rounds += u32::from(method == SyncMethod::FileSystem);
            chooser.measured(method, files, Duration::from_millis(busy));
        }
        whole_rounds
    }

    #[test]
    fn few_files_are_synced_one_by_one() {
        assert_eq!(whole_rounds(&mut MethodChooser::new(true), 100, FILES_MIN - 1, 10, 1), 0);
        assert_eq!(whole_rounds(&mut MethodChooser::new(false), 100, 1000, 10, 1), 0);
    }

    #[test]
    fn the_cheaper_method_is_found_and_found_again() {
        let mut chooser = MethodChooser::new(true);
        assert!(95 <= whole_rounds(&mut chooser, 100, 100, 1, 5), "syncfs is cheaper");
        whole_rounds(&mut chooser, 40, 100, 1, 500);
        assert!(whole_rounds(&mut chooser, 100, 100, 1, 500) <= 2, "a foreign writer made it dear");
        whole_rounds(&mut chooser, 64 * 20, 100, 1, 5);
        assert!(95 <= whole_rounds(&mut chooser, 100, 100, 1, 5), "it was tried again");
    }

    #[test]
    fn near_equals_do_not_take_turns() {
        let mut chooser = MethodChooser::new(true);
        whole_rounds(&mut chooser, 10, 100, 1, 100);
        let before = chooser.current;
        for round in 0..50 {
            whole_rounds(&mut chooser, 1, 100, 1, 90 + 20 * (round % 2));
            assert_eq!(chooser.current, before);
        }
    }
}
