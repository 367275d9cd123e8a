//! The house rules that a machine can check: dependencies go one way, files say what they are and stay small, tests can fail,
//! documents name what is there.

mod crates;
mod paths;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::report::{Outcome, Tally};
use crate::workspace::Workspace;

/// Checks everything, and shows every fault at once.
pub fn step(workspace: &Workspace) -> Result<Outcome> {
    let mut faults = crates::faults(workspace)?;
    faults.extend(sources::faults(workspace)?);
    faults.extend(paths::faults(workspace)?);
    if faults.is_empty() {
        Ok(Outcome::Ran(Tally::ONE))
    } else {
        Ok(Outcome::Failed(Tally::default(), faults.join("\n")))
    }
}

/// Every file below the folders of the workspace whose name ends with `suffix`, in order.
fn files(workspace: &Workspace, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["bench", "bin", "crates", "tests", "xtask"] {
        let folder = workspace.root.join(folder);
        if folder.exists() {
            collect(&folder, suffix, &mut found)?;
        }
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, suffix: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "node_modules" && name != "target" {
            collect(&path, suffix, found)?;
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(())
}

/// The path as it is written in a message: from the root of the workspace.
fn shown(workspace: &Workspace, path: &Path) -> String {
    path.strip_prefix(&workspace.root).unwrap_or(path).display().to_string()
}
