//! Real database servers, the system's own, each on a folder and a port of its own: for tests, and for the benchmark. And small
//! disks, for them to fill.
//!
//! - R1 Where a server is not installed there is none, which is said; where `CI` is `true`, that fails.
//! - R2 A server ends with its value, and its folder with it; one that tests share, with their process.
//!
//! Knows nothing of Ottla, but for the fixtures of its targets' tests.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "this runs processes of the real operating system, for those who fail where it fails"
)]

mod disk;
#[cfg(feature = "fixtures")]
pub mod fixtures;
mod mariadb;
mod postgres;
mod shared;

use std::net::TcpListener;
use std::process::Command;

pub use disk::SmallDisk;
pub use mariadb::MariaDb;
pub use postgres::{Postgres, Session};

/// What a command prints, without the space around it.
///
/// # Panics
/// It does not end well.
pub fn run(command: &mut Command) -> String {
    let output = command.output().expect("a program that starts");
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {told}{error}");
    told.trim().to_owned()
}

/// Says that a server is not installed (R1).
fn skip(name: &str) {
    let is_strict = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_strict, "{name} is not installed");
    println!("skipped: {name} is not installed");
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")) == "0"
}
