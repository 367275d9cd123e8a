//! Space held back in a file, for changes that free space on a disk without any.
//!
//! - H1 The bytes are really taken from the file system, and given back by cutting the file, which needs no room.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rt::{Fs, Open};

/// The file in the data folder.
const FILE_NAME: &str = "ottla-held-space";

/// The file. Its calls block.
pub struct HeldSpace {
    fs: Fs,
    path: PathBuf,
    /// Whether nothing is held any more; one change of the file at a time.
    is_over: Mutex<bool>,
}

impl HeldSpace {
    /// The one in this data folder, which need not be there yet.
    pub fn new(fs: &Fs, folder: &Path) -> HeldSpace {
        HeldSpace { fs: fs.clone(), path: folder.join(FILE_NAME), is_over: Mutex::new(false) }
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> io::Result<u64> {
        match self.fs.file_len(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            len => len,
        }
    }

    /// Holds so many bytes, or none where there is no room.
    pub fn hold(&self, bytes: u64) -> io::Result<()> {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_over || self.held_bytes()? == bytes {
            return Ok(());
        }
        let file = self.fs.open(&self.path, Open::Create)?;
        // A part of it may be left, of which nobody knows whether the file system has set it aside.
        file.set_len(0)?;
        let held = file.allocate(bytes).and_then(|()| file.sync_all());
        if held.is_err() {
            file.set_len(0)?;
        }
        held
    }

    /// Gives everything back; says how much.
    pub fn give_back(&self) -> io::Result<u64> {
        let _one = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held_bytes()?;
        if held != 0 {
            let file = self.fs.open(&self.path, Open::ReadWrite)?;
            file.set_len(0)?;
            // Some file systems free what was cut only once that is on the disk.
            file.sync_all()?;
        }
        Ok(held)
    }

    /// Leaves the file as it is from now on; no change is under way when this returns.
    pub fn leave(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

#[cfg(test)]
mod tests {
    use rt::sim::Sim;

    use super::*;

    #[test]
    fn what_is_held_is_free_again_when_given_back() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        let fs = rt.fs();
        sim.disk("n1").set_free_bytes(1_000);
        let held = HeldSpace::new(fs, Path::new("/"));
        held.hold(600).expect("fits");
        assert_eq!(fs.free_bytes(Path::new("/")).expect("known"), 400);
        held.hold(1_200).expect_err("does not fit");
        assert_eq!(held.held_bytes().expect("known"), 0);
        held.hold(1_000).expect("fits");
        assert_eq!(held.give_back().expect("cuts"), 1_000);
        assert_eq!(fs.free_bytes(Path::new("/")).expect("known"), 1_000);
        assert_eq!(held.give_back().expect("nothing to do"), 0);
    }

    #[test]
    fn a_folder_that_was_left_is_not_written_again() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        let held = HeldSpace::new(rt.fs(), Path::new("/"));
        held.leave();
        held.hold(600).expect("nothing to do");
        assert_eq!(held.held_bytes().expect("known"), 0);
    }
}
