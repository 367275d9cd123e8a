//! A broker that does everything right, in memory, and clients whose history it makes.

use std::collections::{BTreeMap, BTreeSet};

use history::{Commit, Ending, Event, Kind, Outcome, Place, Poll, Row, Send};

/// Numbers that follow from a seed (SplitMix64).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { Some(&items[self.below(items.len())]) }
    }
}

/// Partitions with transactions, and one without.
pub const WITHOUT_TRANSACTIONS: &str = "calm-0";
const PLACES: [&str; 3] = ["busy-0", "busy-1", WITHOUT_TRANSACTIONS];
const GROUP: &str = "readers";
const STEPS: usize = 150;

/// What an offset holds.
enum Slot {
    Record { name: String, transaction: Option<String> },
    Marker,
}

/// An open transaction: its name, and where it wrote.
struct Open {
    name: String,
    places: BTreeSet<Place>,
    commits: bool,
}

struct World<'d> {
    draw: &'d mut Draw,
    events: Vec<Event>,
    logs: BTreeMap<Place, Vec<Slot>>,
    aborted: BTreeSet<String>,
    open: BTreeMap<String, Open>,
    positions: BTreeMap<(String, Place), i64>,
    committed: BTreeMap<Place, i64>,
    names: usize,
}

/// The history of a run.
pub fn history(draw: &mut Draw) -> Vec<Event> {
    let logs = PLACES.iter().map(|place| (Place::parse(place).unwrap(), Vec::new())).collect();
    let mut world = World {
        draw,
        events: Vec::new(),
        logs,
        aborted: BTreeSet::new(),
        open: BTreeMap::new(),
        positions: BTreeMap::new(),
        committed: BTreeMap::new(),
        names: 0,
    };
    for topic in ["busy", "calm", "gone"] {
        let topic = topic.to_owned();
        world.events.extend([Event::Create { topic: topic.clone() }, Event::Created { topic }]);
    }
    let topic = "gone".to_owned();
    world.events.extend([Event::Delete { topic: topic.clone() }, Event::Deleted { topic }]);
    world.events.push(Event::Subscribe { client: "r0".into(), group: GROUP.into() });
    for _ in 0..STEPS {
        world.step();
    }
    world.finish();
    world.events
}

impl World<'_> {
    fn step(&mut self) {
        match self.draw.below(10) {
            0 | 1 => self.send("idempotent-0", Kind::Idempotent),
            2 => self.send("idempotent-1", Kind::Idempotent),
            3 => self.send("plain", Kind::Plain),
            4 => self.transact("transactional-0"),
            5 => self.transact("transactional-1"),
            6 | 7 => self.poll("r0", None),
            8 => self.poll("r1", None),
            _ => self.commit(),
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn place(&mut self, has_transactions: bool) -> Place {
        let all = if has_transactions { &PLACES[..2] } else { &PLACES[..] };
        Place::parse(self.draw.pick(all).unwrap()).unwrap()
    }

    fn end(&self, place: &Place) -> i64 {
        i64::try_from(self.logs[place].len()).unwrap()
    }

    /// Sends a record; says whether it was acknowledged.
    fn send(&mut self, client: &str, kind: Kind) {
        let place = self.place(matches!(kind, Kind::InTransaction(_)));
        let record = self.name("m");
        let transaction = match &kind {
            Kind::InTransaction(transaction) => Some(transaction.clone()),
            Kind::Plain | Kind::Idempotent => None,
        };
        let is_plain = kind == Kind::Plain;
        let sum = Some(history::sum_of(record.as_bytes()));
        let send = Send { client: client.into(), record: record.clone(), place: place.clone(), kind, sum };
        self.events.push(Event::Send(send));
        let offset = self.end(&place);
        // A transaction is not committed unless everything of it was acknowledged.
        let (appended, outcome) = match self.draw.below(if transaction.is_some() { 7 } else { 10 }) {
            0..=6 => (1 + usize::from(is_plain && self.draw.one_in(4)), Outcome::Done(Some(offset))),
            7 => (1, Outcome::Unknown("no answer".into())),
            8 => (0, Outcome::Unknown("no answer".into())),
            _ => (0, Outcome::Failed("too large".into())),
        };
        for _ in 0..appended {
            let slot = Slot::Record { name: record.clone(), transaction: transaction.clone() };
            self.logs.get_mut(&place).unwrap().push(slot);
        }
        if let (Some(open), true) = (self.open.get_mut(client), transaction.is_some()) {
            open.places.insert(place);
        }
        self.events.push(Event::Sent { record, outcome });
    }

    fn transact(&mut self, client: &str) {
        let Some(open) = self.open.get(client) else {
            let (name, commits) = (self.name("x"), !self.draw.one_in(3));
            self.events.push(Event::Begin { client: client.into(), transaction: name.clone() });
            self.open.insert(client.into(), Open { name, places: BTreeSet::new(), commits });
            return;
        };
        let name = open.name.clone();
        match self.draw.below(5) {
            0..=2 => self.send(client, Kind::InTransaction(name)),
            3 => self.poll(client, Some(name)),
            _ => self.end_transaction(client),
        }
    }

    fn end_transaction(&mut self, client: &str) {
        let open = self.open.remove(client).unwrap();
        let ending = if open.commits { Ending::Commit } else { Ending::Abort };
        self.events.push(Event::End { transaction: open.name.clone(), ending });
        let mut is_committed = open.commits;
        let outcome = match self.draw.below(2) {
            0 if open.commits => {
                is_committed = self.draw.one_in(2);
                Outcome::Unknown("no answer".into())
            }
            _ => Outcome::Done(None),
        };
        self.settle(&open, is_committed);
        self.events.push(Event::Ended { transaction: open.name, outcome });
    }

    fn settle(&mut self, open: &Open, is_committed: bool) {
        if !is_committed {
            self.aborted.insert(open.name.clone());
        }
        for place in &open.places {
            self.logs.get_mut(place).unwrap().push(Slot::Marker);
        }
    }

    /// What `read_committed` shows from `from` on, and how far it looks.
    fn visible(&self, place: &Place, from: i64) -> (Vec<Row>, i64) {
        let open: BTreeSet<&str> = self.open.values().map(|open| open.name.as_str()).collect();
        let mut rows = Vec::new();
        for (offset, slot) in (0..).zip(&self.logs[place]) {
            let Slot::Record { name, transaction } = slot else { continue };
            match transaction {
                Some(transaction) if open.contains(transaction.as_str()) => return (rows, offset.max(from)),
                Some(transaction) if self.aborted.contains(transaction) => {}
                Some(_) | None if offset < from => {}
                Some(_) | None => {
                    let sum = Some(history::sum_of(name.as_bytes()));
                    rows.push(Row { offset, record: name.clone(), sum });
                }
            }
        }
        (rows, self.end(place).max(from))
    }

    fn poll(&mut self, client: &str, transaction: Option<String>) {
        let place = self.place(false);
        let at = (client.to_owned(), place.clone());
        if client != "r0" && self.draw.one_in(8) {
            let offset = i64::try_from(self.draw.below(1 + self.logs[&place].len())).unwrap();
            self.events.push(Event::Seek { client: client.into(), place: place.clone(), offset });
            self.positions.insert(at.clone(), offset);
        }
        let from = self.positions.get(&at).copied().unwrap_or_default();
        let (mut rows, mut position) = self.visible(&place, from);
        let most = 1 + self.draw.below(6);
        if most < rows.len() {
            rows.truncate(most);
            position = rows.last().map_or(from, |row| row.offset + 1);
        }
        self.positions.insert(at, position);
        let position = self.draw.one_in(2).then_some(position);
        let is_uncommitted = false;
        let client = client.to_owned();
        self.events.push(Event::Poll(Poll { client, place, rows, position, is_uncommitted, transaction }));
    }

    fn commit(&mut self) {
        let attempt = self.name("k");
        let of_group = self.positions.iter().filter(|((client, _), _)| client == "r0");
        let offsets: BTreeMap<Place, i64> =
            of_group.map(|((_, place), offset)| (place.clone(), *offset)).collect();
        if offsets.is_empty() {
            return;
        }
        let (group, transaction) = (GROUP.to_owned(), None);
        let commit = Commit { attempt: attempt.clone(), group, offsets: offsets.clone(), transaction };
        self.events.push(Event::Commit(commit));
        match self.draw.below(4) {
            0 => {}
            1 => self.committed.extend(offsets),
            _ => {
                self.committed.extend(offsets);
                self.events.push(Event::Committed { attempt });
            }
        }
    }

    /// Transactions that nobody ended time out; then everything is read.
    fn finish(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            self.settle(&open, false);
        }
        let places: Vec<Place> = self.logs.keys().cloned().collect();
        for place in places {
            let (rows, _) = self.visible(&place, 0);
            self.events.push(Event::Log { place, start: 0, rows });
        }
        self.events.push(Event::Offsets { group: GROUP.into(), offsets: self.committed.clone() });
        self.events.push(Event::Topics { topics: vec!["busy".into(), "calm".into()] });
    }
}
