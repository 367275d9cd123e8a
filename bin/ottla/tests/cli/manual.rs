//! Completions as a shell takes them.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "this test runs a shell of the real operating system, and fails where that fails"
)]

use std::process::Command;

use crate::support::ottla;

#[test]
fn bash_completes_commands_and_flags() {
    let script = ottla("completions bash");
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (word, before) = (words[words.len() - 1], words[words.len() - 2]);
        let asked = format!(
            "{}\nCOMP_WORDS=({line}); COMP_CWORD={}; _ottla ottla '{word}' {before}; echo \"${{COMPREPLY[*]}}\"",
            script.out(),
            words.len() - 1
        );
        let output = Command::new("bash").args(["-c", &asked]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("ottla topic cr"), "create");
    assert_eq!(complete("ottla topic create --dr"), "--dry-run");
    assert_eq!(complete("ottla produce t --compression s"), "snappy");
    ottla("completions tcsh").refused(2, "possible values");
    ottla("man topic craete").refused(2, "Did you mean 'create'?");
}
