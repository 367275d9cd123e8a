//! Scripts as tests of a state machine: blocks of commands, `----`, and what could be observed.
//!
//! - S1 What happened is compared as a whole, so that a difference shows in its place. `OTTLA_BLESS=1` writes it instead.
//! - S2 A script that nobody runs fails the suite: it would prove nothing.
//!
//! A line that begins with `#` is a comment. Blocks are separated by empty lines.

use std::path::Path;

/// What a script's commands act on.
pub trait World {
    /// Carries out one command, and says what could be observed, a line each.
    fn command(&mut self, line: &str) -> String;

    /// Looks at what must hold after every block.
    fn assert_settled(&self) {}
}

/// A test for each script of the folder `src/tests/scripts`, run on a fresh world: `suite! { World::new; NAME… }`.
#[macro_export]
macro_rules! suite {
    ($world:expr; $($name:ident)*) => {
        $(#[test] fn $name() {
            $crate::check(env!("CARGO_MANIFEST_DIR"), concat!(stringify!($name), ".txt"), &mut $world());
        })*

        #[test]
        fn every_script_is_run() {
            let mut listed = vec![$(concat!(stringify!($name), ".txt").to_owned()),*];
            listed.sort();
            assert_eq!($crate::names(env!("CARGO_MANIFEST_DIR")), listed);
        }
    };
}

/// Where a crate has its scripts.
const FOLDER: &str = "src/tests/scripts";

/// The files of a crate's scripts, sorted.
///
/// # Panics
/// There is no such folder.
#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
pub fn names(crate_folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(crate_folder).join(FOLDER)).expect("a folder of scripts");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.map(|entry| name(entry).expect("a script's name")).collect();
    names.sort();
    names
}

/// Runs one script (S1).
///
/// # Panics
/// What happened is not what it says.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
pub fn check(crate_folder: &str, name: &str, world: &mut impl World) {
    let path = Path::new(crate_folder).join(FOLDER).join(name);
    let script = std::fs::read_to_string(&path).expect("a script");
    let happened = run(&script, world);
    if std::env::var_os("OTTLA_BLESS").is_some() {
        std::fs::write(&path, happened).expect("a script that can be written");
    } else {
        assert!(happened == script, "{name}: expected\n{script}\nhappened\n{happened}");
    }
}

/// The script with the traces as they came out.
fn run(script: &str, world: &mut impl World) -> String {
    let mut happened = Vec::new();
    for block in script.trim_end().split("\n\n") {
        let commands: Vec<&str> = block.lines().take_while(|line| *line != "----").collect();
        let mut text = commands.join("\n");
        if commands.iter().any(|line| !line.starts_with('#')) {
            text.push_str("\n----\n");
            for line in commands.iter().filter(|line| !line.starts_with('#')) {
                text.push_str(&world.command(line));
            }
        }
        world.assert_settled();
        happened.push(text.trim_end().to_owned());
    }
    happened.join("\n\n") + "\n"
}
