//! What suites need of the system's packages.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::report::Report;

const LIMIT: Duration = Duration::from_secs(300);

/// Installs a package where that needs nobody's leave; otherwise the tests that want it are skipped.
pub fn install(report: &Report, package: &str) -> Result<()> {
    if !process::exists("apt-get", "--version") || !process::is_root() {
        return Ok(());
    }
    let log = report.log("apt");
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends", package]] {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        process::run(&mut command, &log, LIMIT)?;
    }
    Ok(())
}

/// Installs the database servers that the tests of sinks want, where they are not there.
pub fn install_servers(report: &Report) -> Result<()> {
    for (place, package) in [("/usr/lib/postgresql", "postgresql"), ("/usr/sbin/mariadbd", "mariadb-server")]
    {
        if !Path::new(place).exists() {
            install(report, package)?;
        }
    }
    Ok(())
}
