//! Memory that the machine holds before a load begins.
//!
//! The host of a virtual machine may take free pages back (free page reporting, a balloon). The first touch of such a page
//! then costs whoever touches it several times what writing it costs: 2.7 against 0.4 CPU-seconds a GB for a plain `dd`
//! where this was found. So free memory is filled with page cache that is clean, old, and nobody's: a broker's writes
//! take its pages over, as they do on a machine that has been up for a while.
//!
//! - B1 The file is sparse and has no name: it takes memory, no disk, and is gone with the process.
//! - B2 No page of it is read while it is cached, which would make it look worth keeping.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Free memory that is left: a little more than the kernel keeps free itself.
const FREE_BYTES: u64 = 192 << 20;
/// Read between two looks at what is free.
const STEP_BYTES: u64 = 64 << 20;
const READ_BYTES: usize = 1 << 20;

/// A sparse file whose pages fill free memory.
pub struct Ballast {
    file: File,
    bytes: u64,
    /// Where the pages begin that were not read lately.
    next: Cell<u64>,
}

impl Ballast {
    /// Creates the file in `folder`; it holds no memory yet.
    pub fn new(folder: &Path) -> Result<Ballast> {
        let path = folder.join("ballast.tmp");
        let options = || File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = options().with_context(|| format!("creating {}", path.display()))?;
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        // Twice what can be cached of it, so that the oldest pages are gone when their turn comes again.
        let bytes = (2 * meminfo_bytes("MemTotal")?).next_multiple_of(STEP_BYTES);
        file.set_len(bytes).context("a sparse file of twice the memory")?;
        Ok(Ballast { file, bytes, next: Cell::new(0) })
    }

    /// Reads on until little memory is free.
    pub fn fill(&self) -> Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut to_read = self.bytes / 2;
        while FREE_BYTES < meminfo_bytes("MemFree")? && 0 < to_read {
            let start = self.next.get();
            for offset in (start..start + STEP_BYTES).step_by(READ_BYTES) {
                self.file.read_exact_at(&mut buffer, offset).context("reading the ballast")?;
            }
            self.next.set((start + STEP_BYTES) % self.bytes);
            to_read -= STEP_BYTES.min(to_read);
        }
        Ok(())
    }
}

/// A line of `/proc/meminfo`.
fn meminfo_bytes(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let kib =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next());
    let kib: u64 =
        kib.and_then(|kib| kib.parse().ok()).with_context(|| format!("no {name} in /proc/meminfo"))?;
    Ok(kib * 1024)
}
