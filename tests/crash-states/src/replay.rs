//! Makes the states that a power cut may leave, and starts the log on each.
//!
//! - S1 The log opens, and is as promised.
//! - S2 Opening it again, after a kill or a power cut, changes nothing.
//! - S3 When the power goes while it is being opened, S1 holds all the same (I10).
//! - S4 It goes on: what is appended and synced then is there.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use rt::sim::{Crash, Image, Sim};

use crate::choices::{Dice, Odometer};
use crate::life::{self, Life, NODE, open};
use crate::promise::Promise;
use crate::stage::Script;

/// Sizes of what a disk writes whole or tears, bytes.
const SECTORS: [usize; 2] = [512, 4096];

/// A state on which the log did not start as promised.
#[derive(Debug)]
pub struct Violation {
    /// Before which change the power went.
    pub at: usize,
    /// The how manieth state of that crash.
    pub state: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power cut before change {}, state {}: {}", self.at, self.state, self.what)
    }
}

/// States that were replayed; each counts once.
#[derive(Default)]
pub struct Seen(BTreeSet<u64>);

impl Seen {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a state; whether it is new.
    fn insert(&mut self, image: &Image, promise: &Promise) -> bool {
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        (promise.durable, promise.batches.len(), promise.start.clone(), promise.compacted_to)
            .hash(&mut hasher);
        self.0.insert(hasher.finish())
    }
}

/// Replays up to `most` states of each crash of a script: all where there are no more than that.
pub fn replay(script: &Script, most: usize, seed: u64, seen: &mut Seen) -> Result<(), Violation> {
    let sim = Sim::new(seed);
    sim.node(NODE);
    let mut dice = Dice::new(seed);
    for at in 0..=script.recording.len() {
        let crash = script.recording.crash_at(at);
        let promise = script.promise_at(at);
        let states = states(&crash, most, &mut dice);
        for (state, image) in states.iter().enumerate() {
            if seen.insert(image, promise) {
                let started = start_on(&sim, image, promise, &mut dice);
                started.map_err(|what| Violation { at, state, what })?;
            }
        }
    }
    Ok(())
}

fn states(crash: &Crash, most: usize, dice: &mut Dice) -> Vec<Image> {
    let most = most.div_ceil(SECTORS.len());
    let of_size = |sector_bytes: usize| {
        all(crash, sector_bytes, most).unwrap_or_else(|| {
            (0..most).map(|_| crash.state(sector_bytes, &mut |bound| dice.below(bound))).collect()
        })
    };
    SECTORS.into_iter().flat_map(of_size).collect()
}

/// All states, when there are at most so many.
fn all(crash: &Crash, sector_bytes: usize, most: usize) -> Option<Vec<Image>> {
    let (mut odometer, mut states) = (Odometer::default(), Vec::new());
    loop {
        states.push(crash.state(sector_bytes, &mut |bound| odometer.choose(bound)));
        if !odometer.advance() {
            return Some(states);
        }
        if states.len() == most {
            return None;
        }
    }
}

fn start_on(sim: &Sim, image: &Image, promise: &Promise, dice: &mut Dice) -> Result<(), String> {
    let install = || {
        sim.kill(NODE);
        sim.disk(NODE).install(image);
        sim.node(NODE)
    };
    let rt = install();
    if promise.is_deleted {
        return start_deleted(&rt);
    }
    let before = sim.disk_ops(NODE);
    let life = open(&rt)?;
    let changes = usize::try_from(sim.disk_ops(NODE) - before).expect("few calls");
    let now = promise.check(&life).map_err(|what| format!("S1: {what}"))?;
    drop(life);
    sim.kill(NODE);
    again(sim, &now, "a kill")?;
    sim.power_cut(NODE);
    let life = again(sim, &now, "a power cut")?;
    go_on(sim, life, &now, dice)?;
    if 0 < changes {
        let rt = install();
        let call = u64::try_from(1 + dice.below(changes)).expect("few calls");
        sim.power_cut_after_disk_ops(NODE, call);
        // Whether it gets far enough to answer depends on where the power goes.
        drop(open(&rt));
        sim.power_cut(NODE);
        let life = open(&sim.node(NODE)).map_err(|what| format!("S3, at call {call}: {what}"))?;
        promise.check(&life).map_err(|what| format!("S3, at call {call}: {what}"))?;
    }
    Ok(())
}

fn again(sim: &Sim, now: &Promise, after: &str) -> Result<Life, String> {
    let life = open(&sim.node(NODE)).map_err(|what| format!("S2, after {after}: {what}"))?;
    now.check(&life).map_err(|what| format!("S2, after {after}: {what}"))?;
    if life.log.log_end() != now.durable {
        return Err(format!("S2, after {after}: the log grew to {}", life.log.log_end()));
    }
    Ok(life)
}

/// Appends a batch, and starts once more after a power cut.
fn go_on(sim: &Sim, life: Life, now: &Promise, dice: &mut Dice) -> Result<(), String> {
    let mut stage = crate::stage::Stage::resume(sim, life, now.clone(), dice.clone());
    stage.append(1);
    stage.sync();
    let now = stage.promise();
    drop(stage);
    sim.power_cut(NODE);
    let life = open(&sim.node(NODE)).map_err(|what| format!("S4: {what}"))?;
    now.check(&life).map_err(|what| format!("S4: {what}"))?;
    Ok(())
}

/// A start that knows that the partition was deleted completes that, and a new one of its name is empty.
fn start_deleted(rt: &rt::Rt) -> Result<(), String> {
    let dir = life::open_dir(rt)?;
    let name = life::partition();
    let is_there =
        dir.partitions().map_err(|error| error.to_string())?.iter().any(|found| found.name == name);
    if is_there {
        dir.rename_for_deletion(&name, model::Uuid([6; 16])).map_err(|error| error.to_string())?;
    }
    dir.remove_deleted().map_err(|error| error.to_string())?;
    let life = life::open_log(rt, dir)?;
    Promise::default().check(&life).map(drop)
}
