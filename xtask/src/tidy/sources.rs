//! Source files: each says what it is, stays small, finishes what it begins, and asserts what it tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tidy::{files, shown};
use crate::workspace::Workspace;

/// Lines that a file may have; what grows beyond is two nouns.
const MOST_LINES: usize = 700;

/// Files that are larger, with the lines they had when they were listed. An entry may only shrink.
const LARGE: [(&str, usize); 0] = [];

/// Every fault of every Rust source file.
pub fn faults(workspace: &Workspace) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for path in files(workspace, ".rs")? {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = shown(workspace, &path);
        faults.extend(faults_of(&text, limit(&name)).into_iter().map(|fault| format!("{name}{fault}")));
    }
    for (name, _) in LARGE {
        if !Path::new(&workspace.root).join(name).exists() {
            faults.push(format!("{name}: listed as large, but not there"));
        }
    }
    Ok(faults)
}

fn limit(name: &str) -> usize {
    LARGE.iter().find(|(listed, _)| *listed == name).map_or(MOST_LINES, |(_, lines)| *lines)
}

fn faults_of(text: &str, limit: usize) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(":1: does not open with `//!` and one sentence that says what it is".to_owned());
    }
    let lines = text.lines().count();
    if limit < lines {
        faults.push(format!(": {lines} lines, where {limit} are allowed: split it by noun"));
    }
    for (number, line) in text.lines().enumerate() {
        // Spelled in two halves, so that this file does not accuse itself.
        if [concat!("TO", "DO"), concat!("FIX", "ME")].iter().any(|mark| line.contains(mark)) {
            faults.push(format!(":{}: unfinished; finish it, or open an issue", number + 1));
        }
    }
    faults.extend(
        bare_matches(text)
            .into_iter()
            .map(|line| format!(":{line}: a `matches!` whose answer nobody reads cannot fail: assert it")),
    );
    faults
}

/// The lines on which a statement is nothing but a `matches!(…);`.
fn bare_matches(text: &str) -> Vec<usize> {
    const OPENING: &str = "matches!(";
    let mut found = Vec::new();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with(OPENING) && begins_statement(&text[..offset]) {
            let start = offset + line.find(OPENING).unwrap_or_default() + OPENING.len();
            if after_closing(&text[start..]).is_some_and(|rest| rest.trim_start().starts_with(';')) {
                found.push(number + 1);
            }
        }
        offset += line.len();
    }
    found
}

/// Whether what comes before leaves off between two statements, not inside an expression.
fn begins_statement(before: &str) -> bool {
    let code = before.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("//"));
    code.is_none_or(|line| line.ends_with([';', '{', '}']))
}

/// What follows the parenthesis that closes one opened before `text`.
fn after_closing(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[at + 1..]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let faults = faults_of(text, 10);
        assert!(
            faults.len() == expected.len()
                && faults.iter().zip(expected).all(|(fault, start)| fault.starts_with(start)),
            "{faults:?}"
        );
    }

    #[test]
    fn a_file_says_what_it_is_and_stays_small() {
        check("//! A thing.\nfn a() {}\n", &[]);
        check("fn a() {}\n", &[":1: does not open"]);
        check(&format!("//! A thing.\n{}", "\n".repeat(10)), &[": 11 lines"]);
        check(concat!("//! A thing.\n// TO", "DO: the rest\n"), &[":2: unfinished"]);
    }

    #[test]
    fn a_matches_that_nobody_reads_is_a_fault() {
        check("//! T.\nfn t() {\n    matches!(a(), Some(_));\n}\n", &[":3: a `matches!`"]);
        check(
            "//! T.\nfn t() {\n    let b = 1;\n    matches!(\n        a(),\n        Some((_, _))\n    );\n}\n",
            &[":4: a `matches!`"],
        );
        check("//! T.\nfn t() -> bool {\n    matches!(a(), Some(_))\n}\n", &[]);
        check("//! T.\nfn t() {\n    assert!(\n        matches!(a(), Some(_))\n    );\n}\n", &[]);
        check("//! T.\nfn t() {\n    let held =\n        matches!(a(), Some(_));\n}\n", &[]);
    }
}
