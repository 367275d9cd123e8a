//! The simulator behind the door: nodes, disks, network and time in one thread, deterministic from a seed.
//!
//! - S1 One seed, one run: the same program gives the same trace, byte for byte.
//! - S2 Time is virtual: it moves only when no task can go on, so waiting costs nothing.
//! - S3 A node's death ends its tasks, breaks its connections and, with its power, takes what was not synced.
//! - S4 A run that can never end panics with its seed; so does every panic inside a run.

mod contents;
mod disk;
mod files;
mod handle;
mod network;
mod random;
mod recording;
mod sockets;
mod trace;
mod world;

use std::future::{Future, poll_fn};
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) use files::{File, Lock};
pub(crate) use handle::{Handle, Task};
pub use recording::{Crash, Image, Recording};
pub(crate) use sockets::{Listener, Stream};
use world::{Death, MAIN, NodeId, State, Step, World};

use crate::Rt;

/// Steps of a run unless a test says otherwise: more than any honest scenario needs.
const STEPS_MAX: u64 = 20_000_000;

/// A simulated world. Dropping it ends all its nodes.
pub struct Sim {
    world: Arc<World>,
    steps_max: u64,
}

impl Sim {
    /// A world without nodes; everything that happens in it follows from `seed`.
    pub fn new(seed: u64) -> Sim {
        Sim { world: World::new(seed), steps_max: STEPS_MAX }
    }

    /// How many steps (tasks polled, moves of time) a run may take before it panics.
    pub fn limit_steps(&mut self, steps: u64) {
        self.steps_max = steps;
    }

    /// The handle of the node called `name`. Creates the node when there is none, and starts it again, on what its
    /// disk kept, when it is dead. The name is also its host name.
    pub fn node(&self, name: &str) -> Rt {
        let life = self.world.lock().revive(name);
        Rt::sim(Handle { world: self.world.clone(), life })
    }

    /// Drives the world until `main` is done. `main` belongs to no node, so it outlives them all.
    ///
    /// # Panics
    /// When nothing can happen any more, when the steps run out, and when any task panics; the seed is printed.
    pub fn run<F: Future>(&self, main: F) -> F::Output {
        let _names_seed = SeedOnPanic(self.world.lock().seed);
        let mut main = pin!(main);
        let waker = self.world.waker(MAIN);
        self.world.make_ready(MAIN);
        for _ in 0..self.steps_max {
            match self.world.step() {
                Step::Done => {}
                Step::Main => {
                    if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return output;
                    }
                }
                Step::Deadlock => self.give_up("nothing can happen any more"),
            }
        }
        self.give_up("the steps ran out")
    }

    fn give_up(&self, why: &str) -> ! {
        let state = self.world.lock();
        let (seed, now, tasks) = (state.seed, state.instant().since_start(), state.waiting_tasks());
        drop(state);
        panic!("simulation with seed {seed}: {why}, at {now:?}; tasks that wait:{tasks}");
    }

    /// Power goes at `node`: its tasks end, its connections break, and what was not synced may be lost or torn.
    /// Nothing happens to a node that is dead.
    pub fn power_cut(&self, node: &str) {
        self.world.end_life(self.node_id(node), Death::PowerCut);
    }

    /// The process at `node` is killed: its tasks end and its connections break; what it wrote stays.
    pub fn kill(&self, node: &str) {
        self.world.end_life(self.node_id(node), Death::Kill);
    }

    /// Power goes exactly before the `calls`-th call from now that could change `node`'s disk (writes, lengths, syncs,
    /// names), even inside synchronous code: that call and all later ones fail and change nothing, and the node's
    /// tasks end at the next step. 1 is the next call.
    pub fn power_cut_after_disk_ops(&self, node: &str, calls: u64) {
        let id = self.node_id(node);
        self.world.lock().node_mut(id).power_cut_in = Some(calls);
    }

    /// Calls so far, over all its lives, that could change `node`'s disk: what `power_cut_after_disk_ops` counts.
    pub fn disk_ops(&self, node: &str) -> u64 {
        let id = self.node_id(node);
        self.world.lock().node(id).disk_changes
    }

    /// Whether `node` lives.
    pub fn is_alive(&self, node: &str) -> bool {
        let id = self.node_id(node);
        self.world.lock().current_life(id).is_some()
    }

    /// Waits until `node` is dead.
    pub async fn death(&self, node: &str) {
        let id = self.node_id(node);
        poll_fn(|context| {
            let mut state = self.world.lock();
            if state.current_life(id).is_none() {
                return Poll::Ready(());
            }
            state.watch_death(id, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The address that others reach `node` by.
    pub fn ip(&self, node: &str) -> std::net::IpAddr {
        let id = self.node_id(node);
        self.world.lock().node(id).ip.into()
    }

    /// What `node`'s disk does wrong.
    pub fn disk(&self, node: &str) -> Disk<'_> {
        Disk { world: &self.world, node: self.node_id(node) }
    }

    /// What the network does.
    pub fn network(&self) -> Network<'_> {
        Network { sim: self }
    }

    /// Every observable step so far, one line each: time in nanoseconds, then what happened.
    pub fn trace(&self) -> Vec<u8> {
        self.world.lock().trace.bytes().to_vec()
    }

    /// A hash of the whole trace: equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        self.world.lock().trace.hash()
    }

    fn node_id(&self, name: &str) -> NodeId {
        let id = self.world.lock().node_named(name);
        id.unwrap_or_else(|| panic!("no node of the simulation is called {name}"))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // A task may panic while it is dropped in a world that a panic left behind: then nothing is tidied up.
        if !std::thread::panicking() {
            let nodes = self.world.lock().all_nodes();
            for node in nodes {
                self.world.end_life(node, Death::Kill);
            }
        }
    }
}

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation seed: {}", self.0);
        }
    }
}

/// The knobs of one node's disk.
pub struct Disk<'a> {
    world: &'a World,
    node: NodeId,
}

impl Disk<'_> {
    /// Whether syncs answer at once and make nothing durable.
    pub fn sync_is_noop(&self, is_noop: bool) {
        self.change(|disk| disk.faults.sync_is_noop = is_noop);
    }

    /// The next sync, of a file, a directory or the file system, fails; its bytes are lost at the next power cut even
    /// when a later sync succeeds.
    pub fn fail_next_sync(&self) {
        self.change(|disk| disk.faults.fail_next_sync = true);
    }

    /// From now on there is room for `bytes` more.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.change(|disk| disk.set_free_bytes(bytes));
    }

    /// Whether directories have no room for new or longer names, as where every block of the disk is taken.
    pub fn names_are_full(&self, is_full: bool) {
        self.change(|disk| disk.faults.names_are_full = is_full);
    }

    /// How much room there is now, bytes.
    pub fn free_bytes(&self) -> u64 {
        self.change(|disk| disk.free_bytes())
    }

    /// Blocking work takes a time out of this range before it is done, and again after.
    pub fn set_latency(&self, range: RangeInclusive<Duration>) {
        self.world.lock().node_mut(self.node).blocking_latency = nanos(range);
    }

    /// Flips one bit of a file, in the cache and on the disk.
    ///
    /// # Errors
    /// No such file, or it is shorter.
    pub fn flip_bit(&self, path: &Path, position: u64, bit: u32) -> std::io::Result<()> {
        self.change(|disk| disk.flip_bit(path, position, bit))
    }

    /// Begins to write down every change; what is there now counts as synced.
    pub fn record(&self) {
        self.change(disk::Disk::record);
    }

    /// What was written down since [`Disk::record`].
    ///
    /// # Panics
    /// Nothing is written down.
    pub fn recording(&self) -> Recording {
        self.change(|disk| disk.recording().expect("`record` was called").clone())
    }

    /// How many changes were written down since [`Disk::record`].
    pub fn recorded(&self) -> usize {
        self.change(|disk| disk.recording().map_or(0, Recording::len))
    }

    /// Replaces everything on the disk, as if it had always been there; for nodes of which nothing runs.
    pub fn install(&self, image: &Image) {
        self.change(|disk| disk.install(image));
    }

    /// From now on reads of these bytes of a file fail.
    ///
    /// # Errors
    /// No such file.
    pub fn make_unreadable(&self, path: &Path, range: std::ops::Range<u64>) -> std::io::Result<()> {
        self.change(|disk| disk.make_unreadable(path, range))
    }

    fn change<T>(&self, change: impl FnOnce(&mut disk::Disk) -> T) -> T {
        change(&mut self.world.lock().node_mut(self.node).disk)
    }
}

/// The knobs of the network.
pub struct Network<'a> {
    sim: &'a Sim,
}

impl Network<'_> {
    /// Every message takes a time out of this range.
    pub fn set_latency(&self, range: RangeInclusive<Duration>) {
        self.sim.world.lock().network.latency = nanos(range);
    }

    /// From now on a name server takes so long to answer; connecting does not ask it.
    pub fn set_lookup_latency(&self, latency: Duration) {
        self.sim.world.lock().network.lookup_latency = latency;
    }

    /// From now on nothing passes between two nodes; what is sent waits, and nobody is told.
    pub fn partition(&self, one: &str, other: &str) {
        let (one, other) = self.pair(one, other);
        self.sim.world.lock().partition(one, other);
    }

    /// Messages between two nodes pass again, those that waited too.
    pub fn heal(&self, one: &str, other: &str) {
        let (one, other) = self.pair(one, other);
        self.wake(|state| state.heal(one, other));
    }

    /// Breaks every connection between two nodes.
    pub fn reset(&self, one: &str, other: &str) {
        let (one, other) = self.pair(one, other);
        self.wake(|state| {
            let connections = state.connections_between(one, other);
            connections.into_iter().flat_map(|connection| state.break_connection(connection)).collect()
        });
    }

    fn pair(&self, one: &str, other: &str) -> (NodeId, NodeId) {
        (self.sim.node_id(one), self.sim.node_id(other))
    }

    fn wake(&self, change: impl FnOnce(&mut State) -> Vec<Waker>) {
        let wakers = change(&mut self.sim.world.lock());
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn nanos(range: RangeInclusive<Duration>) -> RangeInclusive<u64> {
    let nanos = |duration: &Duration| u64::try_from(duration.as_nanos()).expect("a latency below 584 years");
    nanos(range.start())..=nanos(range.end())
}
