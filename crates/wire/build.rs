//! Generates the message types and their codecs from `messages/*.msg`.
//!
//! `build/parse.rs` reads the notation, `build/model.rs` says what it means, `build/emit` writes Rust. A mistake in a
//! table stops the build with the table's file name and line.
#![allow(
    clippy::disallowed_methods,
    reason = "a build script reads and writes real files, the simulator never runs it"
)]

#[path = "build/emit/mod.rs"]
mod emit;
#[path = "build/model.rs"]
mod model;
#[path = "build/parse.rs"]
mod parse;

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=messages");
    if let Err(error) = generate() {
        println!("cargo::error={error}");
        std::process::exit(1);
    }
}

fn generate() -> Result<(), String> {
    let tables = read_tables(Path::new("messages"))?;
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?;
    let out = PathBuf::from(out).join("messages.rs");
    std::fs::write(&out, emit::crate_source(&tables)).map_err(|e| format!("{}: {e}", out.display()))
}

/// Every table of the folder, in the order of the file names.
fn read_tables(folder: &Path) -> Result<Vec<model::Table>, String> {
    let listing = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "msg") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_table(path)).collect()
}

fn read_table(path: &Path) -> Result<model::Table, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("{shown}: {e}"))?;
    let stem =
        path.file_stem().and_then(|stem| stem.to_str()).ok_or(format!("{shown}: name is not UTF-8"))?;
    parse::table(stem, &text).map_err(|e| format!("{shown}:{}: {}", e.line, e.what))
}
