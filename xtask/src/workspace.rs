//! Where things are: the source tree and the target folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that every step needs; `target` exists.
pub struct Workspace {
    /// The root of the source tree.
    pub root: PathBuf,
    /// Cargo's target folder, absolute; everything written lies below it.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds both from the place of this crate and `CARGO_TARGET_DIR`.
    pub fn find() -> Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies below the root")?.to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        Ok(Self { root, target })
    }

    /// The sources of the client suites.
    pub fn clients(&self) -> PathBuf {
        self.root.join("tests/clients")
    }

    /// The product's build of a profile: `debug`, which the unit tests use, or `release`.
    pub fn ottla(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join("ottla")
    }

    /// Apache Kafka's jars, once `suite::java::fetch` has put them there.
    pub fn kafka_libs(&self) -> PathBuf {
        self.target.join("kafka-libs")
    }

    /// The classes of the Java suite and of the reference broker.
    pub fn java_classes(&self) -> PathBuf {
        self.target.join("clients/java-classes")
    }

    /// The virtual environment of the Python suite.
    pub fn python_venv(&self) -> PathBuf {
        self.target.join("clients/python-venv")
    }
}

/// Whether `folder` was last filled from exactly this lock file; `remember` says so once it is.
pub fn is_current(folder: &Path, lock: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == lock)
}

/// Notes that `folder` now holds what this lock file asks for.
pub fn remember(folder: &Path, lock: &str) -> Result<()> {
    fs::write(folder.join(STAMP), lock).with_context(|| format!("writing the stamp in {}", folder.display()))
}

const STAMP: &str = ".installed-from";
