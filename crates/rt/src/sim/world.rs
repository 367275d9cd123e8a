//! Everything simulated: nodes, tasks, timers, disks, the network, and the order of it all.
//!
//! - W1 One lock guards all state and is never held while foreign code runs: not while a future is polled or dropped,
//!   not while a waker is called.
//! - W2 Which task runs next depends on the seed and on the *set* of ready tasks, never on the order they became ready.
//! - W3 Time moves only when no task is ready, and then to the next timer.
//! - W4 A handle belongs to one life of its node: after that life its calls fail and change nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::disk::Disk;
use super::network::{ConnectionId, Network};
use super::random::Random;
use super::trace::Trace;
use crate::Instant;

pub(super) type NodeId = u32;
pub(super) type TaskId = u64;
type BoxedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The future given to `Sim::run`; every other task has a larger number.
pub(super) const MAIN: TaskId = 0;

/// How long blocking work takes, each way, unless a test says otherwise, nanoseconds.
const BLOCKING_LATENCY: RangeInclusive<u64> = 10_000..=2_000_000;

/// One life of one node: from `Sim::node` to its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) generation: u64,
}

pub(super) struct World {
    state: Mutex<State>,
    ready: Arc<Ready>,
}

pub(super) struct State {
    pub(super) seed: u64,
    pub(super) now: u64,
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) network: Network,
    nodes: BTreeMap<NodeId, Node>,
    tasks: BTreeMap<TaskId, TaskEntry>,
    next_task: TaskId,
    events: BTreeMap<EventKey, Event>,
    next_event: u64,
    /// A node died and its tasks are still there.
    unburied: bool,
}

pub(super) struct Node {
    pub(super) name: String,
    pub(super) ip: Ipv4Addr,
    pub(super) disk: Disk,
    pub(super) blocking_latency: RangeInclusive<u64>,
    /// Calls so far that could change the disk.
    pub(super) disk_changes: u64,
    /// Power goes before this many more of them.
    pub(super) power_cut_in: Option<u64>,
    generation: u64,
    alive: bool,
    death_watchers: Vec<Waker>,
}

struct TaskEntry {
    name: &'static str,
    life: Life,
    /// Absent while the task is polled.
    future: Option<BoxedFuture>,
}

/// When an event happens, and its place among those of the same moment.
pub(super) type EventKey = (u64, u64);

pub(super) enum Event {
    /// A timer.
    Wake(Waker),
    /// What is in flight to this end of a connection may arrive.
    Deliver(ConnectionId),
    /// A connection whose other end died breaks.
    Break(ConnectionId),
}

/// The tasks that can go on; a lock of its own, because wakers are called from anywhere.
#[derive(Default)]
pub(super) struct Ready(Mutex<BTreeSet<TaskId>>);

struct TaskWaker {
    task: TaskId,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.add(self.task);
    }
}

impl Ready {
    fn add(&self, task: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    }

    fn take(&self, random: &mut Random) -> Option<TaskId> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = ready.len().checked_sub(1)?;
        let task = *ready.iter().nth(random.size_within(0..=last))?;
        ready.remove(&task);
        Some(task)
    }
}

/// What the run loop does next.
pub(super) enum Step {
    /// Poll the future given to `run`.
    Main,
    /// A task was polled, or time moved on.
    Done,
    /// Nothing can ever happen again.
    Deadlock,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<World> {
        let state = State {
            seed,
            now: 0,
            random: Random::new(seed),
            trace: Trace::new(seed),
            network: Network::default(),
            nodes: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_task: MAIN + 1,
            events: BTreeMap::new(),
            next_event: 0,
            unburied: false,
        };
        Arc::new(World { state: Mutex::new(state), ready: Arc::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waker(&self, task: TaskId) -> Waker {
        Waker::from(Arc::new(TaskWaker { task, ready: self.ready.clone() }))
    }

    pub(super) fn make_ready(&self, task: TaskId) {
        self.ready.add(task);
    }

    pub(super) fn spawn(&self, life: Life, name: &'static str, future: BoxedFuture) -> TaskId {
        let mut state = self.lock();
        let id = state.next_task;
        state.next_task += 1;
        if state.is_alive(life) {
            let node = state.node_name(life.node).to_owned();
            state.note(format_args!("{node} spawn {id} {name}"));
            state.tasks.insert(id, TaskEntry { name, life, future: Some(future) });
            self.ready.add(id);
        } else {
            // The dead start nothing. The future is dropped outside the lock (W1).
            drop(state);
            drop(future);
        }
        id
    }

    pub(super) fn abort(&self, task: TaskId) {
        let entry = self.lock().tasks.remove(&task);
        drop(entry);
    }

    pub(super) fn is_finished(&self, task: TaskId) -> bool {
        !self.lock().tasks.contains_key(&task)
    }

    /// Runs one ready task, or moves time to the next event.
    pub(super) fn step(&self) -> Step {
        self.bury();
        let mut state = self.lock();
        let Some(id) = self.ready.take(&mut state.random) else {
            return match state.advance() {
                Some(wakers) => {
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    Step::Done
                }
                None => Step::Deadlock,
            };
        };
        if id == MAIN {
            state.note(format_args!("run main"));
            return Step::Main;
        }
        let Some(mut future) = state.tasks.get_mut(&id).and_then(|entry| entry.future.take()) else {
            return Step::Done;
        };
        state.note(format_args!("run {id}"));
        drop(state);
        let polled = future.as_mut().poll(&mut Context::from_waker(&self.waker(id)));
        let mut state = self.lock();
        let rest = match (polled, state.tasks.get_mut(&id)) {
            (Poll::Pending, Some(entry)) => entry.future.replace(future),
            (Poll::Ready(()), Some(_)) => {
                state.tasks.remove(&id);
                Some(future)
            }
            // It was aborted, or its node died, while it ran.
            (_, None) => Some(future),
        };
        drop(state);
        drop(rest);
        Step::Done
    }

    /// Drops the tasks of the dead.
    pub(super) fn bury(&self) {
        let mut state = self.lock();
        if !std::mem::take(&mut state.unburied) {
            return;
        }
        let dead: Vec<TaskId> =
            state.tasks.iter().filter(|(_, entry)| !state.is_alive(entry.life)).map(|(&id, _)| id).collect();
        let futures: Vec<_> = dead.iter().filter_map(|id| state.tasks.remove(id)).collect();
        drop(state);
        drop(futures);
    }

    /// Makes one disk call of a node: counts it, lets the power go when it is time, and writes it down.
    pub(super) fn disk_call<T>(
        &self,
        life: Life,
        call: DiskCall<'_>,
        work: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let result = state.disk_call(life, &call, work);
        let watchers = state.take_death_watchers(life);
        drop(state);
        watchers.into_iter().for_each(Waker::wake);
        result
    }

    /// Ends a node's life, with or without its power.
    pub(super) fn end_life(&self, node: NodeId, death: Death) {
        let mut state = self.lock();
        let Some(life) = state.current_life(node) else { return };
        state.end_life(life, death);
        let watchers = state.take_death_watchers(life);
        drop(state);
        watchers.into_iter().for_each(Waker::wake);
        self.bury();
    }
}

/// How a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// The process ends; what it wrote stays in the page cache.
    Kill,
    /// Power goes; what was not synced may go with it.
    PowerCut,
}

/// A disk call as the trace tells it.
pub(super) struct DiskCall<'a> {
    /// Whether the call could change the disk; only such calls count towards `power_cut_after_disk_ops`.
    pub(super) changes: bool,
    /// What is done to what.
    pub(super) what: fmt::Arguments<'a>,
}

impl State {
    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.add(self.now, what);
    }

    pub(super) fn instant(&self) -> Instant {
        Instant::START + Duration::from_nanos(self.now)
    }

    pub(super) fn at(&mut self, at: u64, event: Event) -> EventKey {
        let key = (at.max(self.now), self.next_event);
        self.next_event += 1;
        self.events.insert(key, event);
        key
    }

    pub(super) fn cancel(&mut self, key: EventKey) {
        self.events.remove(&key);
    }

    /// Moves time to the next event and makes all events of that moment happen; whom to wake (W3).
    fn advance(&mut self) -> Option<Vec<Waker>> {
        let (&(at, _), _) = self.events.first_key_value()?;
        self.now = at;
        let mut wakers = Vec::new();
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 == at) {
            match entry.remove() {
                Event::Wake(waker) => wakers.push(waker),
                Event::Deliver(connection) => wakers.extend(self.deliver(connection)),
                Event::Break(connection) => wakers.extend(self.break_connection(connection)),
            }
        }
        Some(wakers)
    }

    pub(super) fn waiting_tasks(&self) -> String {
        let mut lines = String::new();
        for (id, entry) in &self.tasks {
            lines.push_str(&format!("\n  {} task {id} {}", self.node_name(entry.life.node), entry.name));
        }
        lines
    }

    /// The node of this name, in its current life; a new one when it never lived or is dead.
    pub(super) fn revive(&mut self, name: &str) -> Life {
        let id = match self.node_named(name) {
            Some(id) => id,
            None => self.add_node(name),
        };
        let node = self.node_mut(id);
        if !node.alive {
            node.alive = true;
            node.generation += 1;
            let generation = node.generation;
            self.note(format_args!("{name} starts life {generation}"));
        }
        Life { node: id, generation: self.node(id).generation }
    }

    fn add_node(&mut self, name: &str) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).expect("few nodes");
        let [_, high, middle, low] = (id + 1).to_be_bytes();
        let node = Node {
            name: name.to_owned(),
            ip: Ipv4Addr::new(10, high, middle, low),
            disk: Disk::new(),
            blocking_latency: BLOCKING_LATENCY,
            disk_changes: 0,
            power_cut_in: None,
            generation: 0,
            alive: false,
            death_watchers: Vec::new(),
        };
        self.nodes.insert(id, node);
        id
    }

    pub(super) fn all_nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub(super) fn node_named(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().find(|(_, node)| node.name == name).map(|(&id, _)| id)
    }

    pub(super) fn node_at(&self, ip: Ipv4Addr) -> Option<NodeId> {
        self.nodes.iter().find(|(_, node)| node.ip == ip).map(|(&id, _)| id)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(&id).expect("nodes are never removed")
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("nodes are never removed")
    }

    pub(super) fn node_name(&self, id: NodeId) -> &str {
        &self.node(id).name
    }

    pub(super) fn is_alive(&self, life: Life) -> bool {
        let node = self.node(life.node);
        node.alive && node.generation == life.generation
    }

    pub(super) fn current_life(&self, node: NodeId) -> Option<Life> {
        let generation = self.node(node).generation;
        self.node(node).alive.then_some(Life { node, generation })
    }

    pub(super) fn watch_death(&mut self, node: NodeId, waker: Waker) {
        self.node_mut(node).death_watchers.push(waker);
    }

    fn take_death_watchers(&mut self, life: Life) -> Vec<Waker> {
        if self.is_alive(life) {
            Vec::new()
        } else {
            std::mem::take(&mut self.node_mut(life.node).death_watchers)
        }
    }

    fn disk_call<T>(
        &mut self,
        life: Life,
        call: &DiskCall<'_>,
        work: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.is_alive(life) {
            return Err(is_dead());
        }
        let node = self.nodes.get_mut(&life.node).expect("nodes are never removed");
        if call.changes {
            node.disk_changes += 1;
            match node.power_cut_in {
                Some(0 | 1) => {
                    self.end_life(life, Death::PowerCut);
                    return Err(is_dead());
                }
                Some(left) => node.power_cut_in = Some(left - 1),
                None => {}
            }
        }
        let result = work(&mut node.disk);
        let name = &node.name;
        match &result {
            Ok(_) => self.trace.add(self.now, format_args!("{name} {}", call.what)),
            Err(err) => self.trace.add(self.now, format_args!("{name} {}: {:?}", call.what, err.kind())),
        }
        result
    }

    fn end_life(&mut self, life: Life, death: Death) {
        let node = self.nodes.get_mut(&life.node).expect("nodes are never removed");
        node.alive = false;
        self.unburied = true;
        node.power_cut_in = None;
        match death {
            Death::Kill => node.disk.process_ended(),
            Death::PowerCut => node.disk.power_cut(&mut self.random),
        }
        self.trace.add(self.now, format_args!("{} dies: {death:?}", node.name));
        self.end_connections_of(life);
    }
}

/// The error of a call made by a node that is dead (W4).
pub(super) fn is_dead() -> io::Error {
    io::Error::other("this node of the simulation is dead")
}
