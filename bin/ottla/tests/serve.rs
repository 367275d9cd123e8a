//! What `ottla serve` says before it serves: of its settings, where they came from, and what is wrong with them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
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
#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn a_configuration_may_come_through_a_pipe() {
    let folder = Folder::new("pipe");
    let pipe = folder.0.join("server.properties");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = serve(&folder);
    command.arg("--config").arg(&pipe);
    let writer = std::thread::spawn(move || {
        // Opening it waits for who reads it.
        std::fs::write(pipe, "listeners=PLAINTEXT://127.0.0.1:0\nnum.io.threads = 3\n").unwrap();
    });
    let (ready, said) = served(command);
    writer.join().unwrap();
    assert!(ready.starts_with("ready 127.0.0.1:"), "{ready}{said}");
    assert!(said.contains("num.io.threads is not needed here"), "{said}");
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

/// A server that was told to stop, as a user does, and did.
#[allow(clippy::disallowed_methods, reason = "a test ends the process it started")]
fn stopped(mut command: Command) {
    let mut child = Stopped(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready "), "{ready}");
    assert!(Command::new("kill").arg(child.0.id().to_string()).status().unwrap().success());
    assert!(child.0.wait().unwrap().success());
}

/// A server on a free port.
fn serve_anywhere(folder: &Folder) -> Command {
    let mut command = serve(folder);
    command.args(["--listen", "127.0.0.1:0"]);
    command
}

/// Whether the folder says that its logs were closed.
fn is_clean(folder: &Folder) -> bool {
    folder.0.join("data/.kafka_cleanshutdown").exists()
}

#[test]
fn the_folder_of_another_node_is_left_as_it_is() {
    let folder = Folder::new("foreign");
    stopped(serve_anywhere(&folder));
    assert!(is_clean(&folder));
    let mut other = serve_anywhere(&folder);
    other.args(["--set", "node.id=2"]);
    let (code, said) = refused(other);
    let data = folder.0.join("data");
    let start = format!("ottla: the data folder {} belongs to node 1 of cluster ", data.display());
    let end =
        ", and this node is another; start it with --set node.id=1, or name another folder with --data-dir\n";
    assert!(code == Some(1) && said.starts_with(&start) && said.ends_with(end), "{code:?} {said}");
    assert!(is_clean(&folder), "its own node still trusts what it closed");
    stopped(serve_anywhere(&folder));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test connects as anybody may")]
fn localhost_is_listened_on_at_both_of_its_addresses_and_one_port() {
    let folder = Folder::new("named");
    let mut command = serve(&folder);
    let mut child = Stopped(command.args(["--listen", "localhost:0"]).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let addresses: Vec<SocketAddr> =
        ready.split_whitespace().skip(1).map_while(|address| address.parse().ok()).collect();
    let hosts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    // A machine may lack the second.
    let has_v6 = TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(hosts, if has_v6 { &["127.0.0.1", "::1"][..] } else { &["127.0.0.1"] }, "{ready}");
    for address in
        addresses.iter().chain(&("localhost", addresses[0].port()).to_socket_addrs().unwrap().next())
    {
        assert_eq!(address.port(), addresses[0].port(), "{ready}");
        TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    }
}

#[test]
fn a_listener_of_a_name_that_nobody_has_is_named() {
    let folder = Folder::new("nameless");
    let mut command = serve(&folder);
    // Reserved for names that do not exist (RFC 6761).
    command.args(["--listen", "nobody.invalid:0"]);
    let (code, said) = refused(command);
    let start = "ottla: cannot listen on 'PLAINTEXT://nobody.invalid:0': 'nobody.invalid' is no address and no name of one (";
    let end = "); use one of this machine's, localhost, or 0.0.0.0 for all\n";
    assert!(code == Some(1) && said.starts_with(start) && said.ends_with(end), "{code:?} {said}");
    assert!(!folder.0.join("data").exists(), "nothing was made");
}

#[test]
fn a_folder_in_use_is_left_to_its_process() {
    let folder = Folder::new("locked");
    let mut first = Stopped(serve_anywhere(&folder).spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(first.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let expected = format!(
        "ottla: the data folder {} is in use by another process; stop that one, or name another folder with \
         --data-dir\n",
        folder.0.join("data").display()
    );
    assert_eq!(refused(serve_anywhere(&folder)), (Some(1), expected));
    assert_eq!(first.0.try_wait().unwrap(), None, "the first one serves on");
}

#[test]
fn a_port_in_use_is_named_and_the_folder_not_touched() {
    let folder = Folder::new("port");
    stopped(serve_anywhere(&folder));
    #[allow(clippy::disallowed_methods, reason = "somebody else's socket")]
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = serve(&folder);
    command.args(["--listen", &address]);
    let (code, said) = refused(command);
    let start = format!("ottla: cannot listen on {address}: ");
    let end =
        "; is another broker running there? --listen HOST:PORT takes another address, port 0 any free one\n";
    assert!(code == Some(1) && said.starts_with(&start) && said.ends_with(end), "{code:?} {said}");
    assert!(is_clean(&folder), "nothing was opened");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = Folder::new("unwritable");
    // Nobody, not even root, makes a folder below a file.
    let file = folder.file("file", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    command.env_clear().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(file.join("data"));
    let (code, said) = refused(command);
    let start = "ottla: the data folder cannot be used: ";
    let end = "; make it writable and give it room, or name another one with --data-dir\n";
    assert!(code == Some(1) && said.starts_with(start) && said.ends_with(end), "{code:?} {said}");
    assert!(said.contains(&file.display().to_string()), "{said}");
}

#[test]
fn a_folder_without_room_is_named() {
    let folder = Folder::new("full");
    let Some(_mounted) = Mounted::new(&folder.0, "4k") else { return };
    folder.file("ballast", &"x".repeat(4096));
    let (code, said) = refused(serve_anywhere(&folder));
    assert!(code == Some(1) && said.contains("No space left on device"), "{code:?} {said}");
    assert!(
        said.contains("; make it writable and give it room, or name another one with --data-dir\n"),
        "{said}"
    );
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test ends the process it started")]
fn a_start_that_takes_long_can_be_stopped() {
    let folder = Folder::new("long-start");
    let data = folder.0.join("data");
    std::fs::create_dir_all(&data).unwrap();
    // Nobody ever writes to it, so the start waits for its first line.
    assert!(Command::new("mkfifo").arg(data.join("meta.properties")).status().unwrap().success());
    let mut child = Stopped(serve_anywhere(&folder).spawn().unwrap());
    while !data.join(".lock").exists() {
        assert_eq!(child.0.try_wait().unwrap(), None, "it waits");
        std::thread::yield_now();
    }
    assert!(Command::new("kill").arg(child.0.id().to_string()).status().unwrap().success());
    let ended = child.0.wait().unwrap();
    assert!(ended.success(), "as a server that is stopped, not as one that is killed: {ended}");
}

/// A small file system in memory, for as long as the value lives.
struct Mounted(PathBuf);

impl Mounted {
    /// Nothing, where this user may not mount; the test says that it is skipped.
    fn new(path: &Path, size: &str) -> Option<Mounted> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path);
        if mount.output().is_ok_and(|ended| ended.status.success()) {
            return Some(Mounted(path.to_path_buf()));
        }
        println!("skipped: this user may not mount a small file system");
        None
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A process that is about to end may still hold it.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}
