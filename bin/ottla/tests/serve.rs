//! What `ottla serve` says before it serves: of its settings, where they came from, and what is wrong with them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
    fn new(name: &str) -> Folder {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("serve-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    #[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    #[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// `ottla serve` with nothing in its environment but what is given.
fn serve(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.env_clear().arg("serve").arg("--data-dir").arg(folder.0.join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a server that must not start; its exit code and what it said.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Starts a server, stops it once it is ready, and gives what it printed and said.
fn served(mut command: Command) -> (String, String) {
    let mut child = Stopped(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    drop(child.0.kill());
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (ready, said)
}

/// A server that ends with the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_configuration_file_is_toml_or_properties_by_its_name() {
    let folder = Folder::new("files");
    let toml = folder.file("ottla.toml", "listeners = ['PLAINTEXT://127.0.0.1:0']\n[num]\nio.threads = 3\n");
    let properties =
        folder.file("server.properties", "listeners=PLAINTEXT://127.0.0.1:0\nnum.io.threads = 3\n");
    for file in [toml, properties] {
        let mut command = serve(&folder);
        command.arg("--config").arg(&file);
        let (ready, said) = served(command);
        assert!(ready.starts_with("ready 127.0.0.1:"), "{}: {ready}{said}", file.display());
        assert!(
            said.contains("ottla: num.io.threads is not needed here and was ignored\n"),
            "{}: {said}",
            file.display()
        );
    }
}

#[test]
fn a_mistake_in_a_file_is_named_with_file_and_line() {
    let folder = Folder::new("mistakes");
    for (name, text) in [("ottla.toml", "[num]\npartions = 3\n"), ("server.properties", "\nnum.partions=3\n")]
    {
        let file = folder.file(name, text);
        let mut command = serve(&folder);
        command.arg("--config").arg(&file);
        let expected = format!(
            "ottla: {}: line 2: Unknown broker config name: num.partions; did you mean num.partitions?\n",
            file.display()
        );
        assert_eq!(refused(command), (Some(2), expected));
    }
}

#[test]
fn a_wide_bind_with_nothing_advertised_says_which_flag_to_set() {
    const LINE: &str = "ottla: listening on every interface; clients are told the address they came to. Behind a port \
                        mapping or another name, set --advertise HOST:PORT\n";
    let folder = Folder::new("wide");
    for (flags, expected) in [
        (vec!["--listen", "0.0.0.0:0"], true),
        (vec!["--listen", "127.0.0.1:0"], false),
        (vec!["--listen", "0.0.0.0:0", "--advertise", "localhost:9092"], false),
    ] {
        let mut command = serve(&folder);
        command.args(&flags);
        let (ready, said) = served(command);
        assert!(ready.starts_with("ready "), "{flags:?}: {said}");
        assert_eq!(said.contains(LINE), expected, "{flags:?}: {said}");
    }
}
