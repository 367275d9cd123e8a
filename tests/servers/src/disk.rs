//! A small disk, which can be filled.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, gone with the value.
pub struct SmallDisk {
    path: PathBuf,
    image: PathBuf,
}

impl SmallDisk {
    /// ext4 in a file below `root`, or else one in memory.
    ///
    /// # Panics
    /// This user can mount neither: nothing else shows a full disk.
    pub fn mount(root: &str, name: &str, mib: u64) -> SmallDisk {
        let path = Path::new(root).join(format!("full-disk-{name}-{}", std::process::id()));
        let image = path.with_extension("image");
        std::fs::create_dir_all(&path).expect("a folder");
        std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a file");
        let does = |command: &mut Command| command.output().is_ok_and(|ended| ended.status.success());
        let made = does(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image));
        if made && does(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&path)) {
            println!("ext4 in a file of {mib} MiB");
        } else {
            let size = format!("size={mib}m");
            let mounted = does(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path));
            assert!(mounted, "this user can mount neither a file nor memory, so a full disk cannot be shown");
            println!("{mib} MiB of memory, for a file could not be mounted");
        }
        SmallDisk { path, image }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the room that is left on it.
    ///
    /// # Panics
    /// Nothing can be written to it at all.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        // First in large pieces, and then whatever is left.
        for piece in [1 << 20, 4096] {
            while ballast.write_all(&vec![0; piece]).and_then(|()| ballast.sync_all()).is_ok() {}
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// It was not filled.
    pub fn clear(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that is about to end may still hold it.
        drop(Command::new("umount").arg("--lazy").arg(&self.path).status());
        drop(std::fs::remove_dir_all(&self.path));
        drop(std::fs::remove_file(&self.image));
    }
}
