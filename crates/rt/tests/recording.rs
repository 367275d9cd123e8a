//! The states of a simulated disk that a power cut may leave: all of them, and no others.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::path::Path;

use rt::sim::{Recording, Sim};
use rt::{Open, Rt};

const NODE: &str = "n1";

/// What a program does to the disk, written down.
fn recorded(program: impl FnOnce(&Rt)) -> Recording {
    let sim = Sim::new(1);
    let rt = sim.node(NODE);
    sim.disk(NODE).record();
    program(&rt);
    sim.disk(NODE).recording()
}

/// What `look` sees on each state that the end of a recording may leave; choices are gone through one after the other.
fn states<T: Ord>(recording: &Recording, look: impl Fn(&Rt) -> T) -> BTreeSet<T> {
    let crash = recording.crash_at(recording.len());
    let sim = Sim::new(1);
    sim.node(NODE);
    let (mut digits, mut seen) = (Vec::<(usize, usize)>::new(), BTreeSet::new());
    loop {
        let mut next = 0;
        let image = crash.state(512, &mut |bound| {
            if next == digits.len() {
                digits.push((0, bound));
            }
            next += 1;
            digits[next - 1].0
        });
        sim.kill(NODE);
        sim.disk(NODE).install(&image);
        seen.insert(look(&sim.node(NODE)));
        while digits.last().is_some_and(|(digit, bound)| digit + 1 == *bound) {
            digits.pop();
        }
        let Some((digit, _)) = digits.last_mut() else { return seen };
        *digit += 1;
    }
}

fn write(rt: &Rt, path: &str, text: &str, position: u64) -> rt::File {
    let file = rt.fs().open(Path::new(path), Open::Create).unwrap();
    file.write_all_at(&[IoSlice::new(text.as_bytes())], position).unwrap();
    file
}

fn read(rt: &Rt, path: &str) -> Option<String> {
    let bytes = rt.fs().read(Path::new(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', "0"))
}

#[test]
fn what_was_synced_is_in_every_state_and_the_rest_in_some() {
    let recording = recorded(|rt| {
        write(rt, "/a", "synced", 0).sync_all().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        write(rt, "/a", "AB", 6);
    });
    let seen = states(&recording, |rt| read(rt, "/a").unwrap());
    assert!(seen.iter().all(|text| text.starts_with("synced")), "{seen:?}");
    for text in ["synced", "syncedAB", "synced00"] {
        assert!(seen.contains(text), "{text} in {seen:?}");
    }
}

#[test]
fn a_file_without_its_name_is_lost_however_it_was_synced() {
    let recording = recorded(|rt| write(rt, "/a", "A", 0).sync_all().unwrap());
    let seen = states(&recording, |rt| read(rt, "/a"));
    assert_eq!(seen, BTreeSet::from([None, Some("A".to_owned())]));
}

#[test]
fn a_name_may_come_before_its_bytes_and_names_of_a_directory_keep_their_order() {
    let recording = recorded(|rt| {
        write(rt, "/a", "A", 0);
        rt.fs().rename(Path::new("/a"), Path::new("/b")).unwrap();
        write(rt, "/c", "C", 0).sync_all().unwrap();
    });
    let seen = states(&recording, |rt| ["/a", "/b", "/c"].map(|path| read(rt, path)));
    let (empty, a, c) = (Some(String::new()), Some("A".to_owned()), Some("C".to_owned()));
    let expected = [
        [None, None, None],
        [empty.clone(), None, None],
        [a.clone(), None, None],
        [None, empty.clone(), None],
        [None, a.clone(), None],
        [None, empty, c.clone()],
        [None, a, c],
    ];
    assert!(expected.iter().all(|state| seen.contains(state)), "{seen:?}");
    assert!(seen.iter().all(|[a, b, c]| a.is_none() || b.is_none() && c.is_none()), "{seen:?}");
}

#[test]
fn sectors_are_torn_and_come_in_any_order() {
    let (old, new) = ("o".repeat(1024), "N".repeat(1024));
    let recording = recorded(|rt| {
        write(rt, "/a", &old, 0).sync_all().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
        write(rt, "/a", &new, 0);
    });
    let seen = states(&recording, |rt| read(rt, "/a").unwrap());
    let halves = |first: &str, second: &str| format!("{}{}", first.repeat(512), second.repeat(512));
    let torn = format!("{}{}", "N".repeat(64), "o".repeat(960));
    for text in [old, new, halves("o", "N"), halves("N", "o"), torn] {
        assert!(seen.contains(&text));
    }
}

#[test]
fn a_sync_that_is_left_out_covers_nothing() {
    let recording = recorded(|rt| {
        write(rt, "/a", "A", 0).sync_all().unwrap();
        rt.fs().sync_dir(Path::new("/")).unwrap();
    });
    let look = |rt: &Rt| read(rt, "/a");
    assert_eq!(states(&recording, look), BTreeSet::from([Some("A".to_owned())]));
    let [(file, false), (directory, true)] = recording.syncs()[..] else { panic!("two syncs") };
    assert!(states(&recording.without_syncs(&[file]), look).contains(&Some(String::new())));
    assert!(states(&recording.without_syncs(&[directory]), look).contains(&None));
}
