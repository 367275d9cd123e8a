//! Data folders of earlier versions, which every later one must start from and find everything in.
//!
//! `fixtures/NAME` holds one folder as a clean stop left it, one as a power cut did, and `contents.txt`: what clients
//! found there. `OTTLA_FREEZE=NAME cargo test -p ottla-sim-tests frozen` adds another; what is frozen stays as it is.

mod contents;
mod filling;

use std::fs;
use std::path::{Path, PathBuf};

use model::ErrorCode;
use rt::Fs;
use rt::sim::Sim;
use sim_tests::server::{NODE, Server};

use contents::contents;
use filling::{SETTINGS, batch_of, fill, produce, rejoined};

/// Where brokers of the simulator keep their data.
const DATA: &str = "/data";

/// How a broker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Clean,
    Crashed,
}

impl Ending {
    const ALL: [Ending; 2] = [Ending::Clean, Ending::Crashed];

    fn folder(self) -> &'static str {
        match self {
            Ending::Clean => "clean",
            Ending::Crashed => "crashed",
        }
    }
}

#[test]
fn every_frozen_folder_is_started_from() {
    let names = children(&fixtures());
    assert!(!names.is_empty(), "nothing is frozen");
    for name in names {
        let contents = read_text(&fixtures().join(&name).join("contents.txt"));
        for ending in Ending::ALL {
            let files = read_tree(&fixtures().join(&name).join(ending.folder()));
            start_from(&files, &contents, &format!("{name}, {ending:?}"));
        }
    }
}

#[test]
fn what_is_written_now_is_found_after_either_ending() {
    let frozen = std::env::var("OTTLA_FREEZE").ok();
    for ending in Ending::ALL {
        let (files, contents) = filled(ending);
        start_from(&files, &contents, &format!("of now, {ending:?}"));
        if let Some(name) = &frozen {
            freeze(&fixtures().join(name), ending, &files, &contents);
        }
    }
}

/// A file's path below the data folder, and its bytes.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// What a filled broker leaves, and what clients found in it before.
fn filled(ending: Ending) -> (Files, String) {
    let sim = Sim::new(42);
    sim.run(async {
        let server = Server::new(&sim, &SETTINGS);
        let options = broker::Options { settings: server.settings().clone() };
        let broker = broker::Broker::start(&sim.node(NODE), options).await.unwrap();
        fill(&sim, &server).await;
        let contents = contents(&sim, &server).await;
        match ending {
            Ending::Clean => {
                broker.stop().await;
                sim.kill(NODE);
            }
            Ending::Crashed => {
                sim.power_cut(NODE);
                drop(broker);
            }
        }
        let mut files = Vec::new();
        gather(sim.node(NODE).fs(), Path::new(""), &mut files);
        (files, contents)
    })
}

/// Starts a broker on the files: everything is there, and everybody goes on where they were.
fn start_from(files: &Files, expected: &str, what: &str) {
    let sim = Sim::new(43);
    sim.run(async {
        let server = Server::new(&sim, &SETTINGS);
        let fs = sim.node(NODE).fs().clone();
        for (path, bytes) in files {
            let path = Path::new(DATA).join(path);
            fs.create_dir_all(path.parent().unwrap()).unwrap();
            fs.write_atomically(&path, bytes).unwrap();
        }
        server.start().await.unwrap();
        let found = contents(&sim, &server).await;
        assert!(found == expected, "{what}: expected\n{expected}\nfound\n{found}");
        let again = produce(&sim, &server, batch_of(&sim, &server, 3).await).await;
        assert_eq!(
            again,
            (ErrorCode::None, 3),
            "{what}: a batch that was there before is not written again (I6)"
        );
        let gap = produce(&sim, &server, batch_of(&sim, &server, 9).await).await;
        assert_eq!(gap.0, ErrorCode::OutOfOrderSequenceNumber, "{what}");
        let next = produce(&sim, &server, batch_of(&sim, &server, 6).await).await;
        assert_eq!(next, (ErrorCode::None, 6), "{what}: the next offset and no other (I1)");
        assert_eq!(
            rejoined(&sim, &server).await,
            2,
            "{what}: the static member is given both partitions again"
        );
    });
}

fn gather(fs: &Fs, below: &Path, files: &mut Files) {
    for entry in fs.read_dir(&Path::new(DATA).join(below)).unwrap() {
        let path = below.join(&entry.name);
        if entry.is_dir {
            gather(fs, &path, files);
        } else {
            let bytes = fs.read(&Path::new(DATA).join(&path)).unwrap();
            files.push((path, bytes));
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn children(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read_text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn read_tree(folder: &Path) -> Files {
    let mut files = Vec::new();
    for name in children(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            let inside =
                read_tree(&path).into_iter().map(|(below, bytes)| (Path::new(&name).join(below), bytes));
            files.extend(inside);
        } else {
            files.push((PathBuf::from(&name), fs::read(&path).unwrap()));
        }
    }
    files
}

#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn freeze(folder: &Path, ending: Ending, files: &Files, contents: &str) {
    let to = folder.join(ending.folder());
    assert!(!to.exists(), "{} is frozen already", to.display());
    for (path, bytes) in files {
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.join("contents.txt"), contents).unwrap();
}
