//! Transactions that come before each other in a circle.
//!
//! - C1 One comes after another when it wrote behind it in a partition (ww), or read what it wrote (wr).
//! - C2 Only transactions that took effect count: those of which somebody saw a record.
//! - C3 One circle is reported for each set of transactions that all come before each other; what must not be first, so
//!   that nothing that is allowed hides it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::anomaly::{Anomaly, Dependency};
use crate::event::{Event, Kind};
use crate::ledger::Ledger;

/// By transaction, those that come after it, and how.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Dependency>>;

pub(crate) fn check<'a>(events: &'a [Event], ledger: &Ledger<'a>, anomalies: &mut Vec<Anomaly>) {
    let ww = written_behind(ledger);
    let wr = read_from(events, ledger);
    let mut both = wr.clone();
    for (from, after) in &ww {
        let joined = both.entry(from).or_default();
        for (to, how) in after {
            joined.entry(to).or_insert(*how);
        }
    }
    let mut explained: BTreeSet<&str> = BTreeSet::new();
    for graph in [&wr, &ww, &both] {
        for component in components(graph) {
            if component.iter().all(|transaction| explained.contains(transaction)) {
                continue;
            }
            explained.extend(&component);
            let circle = circle_in(graph, &component);
            let is_of_writes = circle.iter().all(|(_, how)| *how == Dependency::WriteWrite);
            let named = circle.into_iter().map(|(transaction, how)| (transaction.to_owned(), how));
            anomalies.push(if is_of_writes {
                Anomaly::G0(named.map(|(transaction, _)| transaction).collect())
            } else {
                Anomaly::G1c(named.collect())
            });
        }
    }
}

fn transaction_of<'a>(ledger: &Ledger<'a>, record: &str) -> Option<&'a str> {
    match &ledger.writes.get(record)?.send.kind {
        Kind::InTransaction(transaction) => Some(transaction),
        Kind::Plain | Kind::Idempotent => None,
    }
}

/// Edges between neighbours in a partition; the rest follows from them.
fn written_behind<'a>(ledger: &Ledger<'a>) -> Graph<'a> {
    let mut graph = Graph::new();
    for partition in ledger.partitions.values() {
        let mut before: Option<&str> = None;
        let in_order = partition.shown.values().flatten();
        for transaction in in_order.filter_map(|record| transaction_of(ledger, record)) {
            if let Some(before) = before.filter(|before| *before != transaction) {
                graph.entry(before).or_default().insert(transaction, Dependency::WriteWrite);
            }
            before = Some(transaction);
        }
    }
    graph
}

fn read_from<'a>(events: &'a [Event], ledger: &Ledger<'a>) -> Graph<'a> {
    let mut graph = Graph::new();
    for event in events {
        let Event::Poll(poll) = event else { continue };
        let Some(reader) = &poll.transaction else { continue };
        for writer in poll.rows.iter().filter_map(|row| transaction_of(ledger, &row.record)) {
            if writer != reader {
                graph.entry(writer).or_default().insert(reader, Dependency::WriteRead);
            }
        }
    }
    graph
}

/// The sets of two or more transactions that all come before each other (Tarjan's, without recursion).
fn components<'a>(graph: &Graph<'a>) -> Vec<BTreeSet<&'a str>> {
    let mut search = Search { graph, seen: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    graph.keys().for_each(|transaction| search.from(transaction));
    search.found
}

struct Search<'g, 'a> {
    graph: &'g Graph<'a>,
    /// In which order a transaction was met, and the earliest one on the stack that it leads to; none once it is done.
    seen: BTreeMap<&'a str, (usize, Option<usize>)>,
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<&'a str>>,
}

impl<'a> Search<'_, 'a> {
    fn from(&mut self, root: &'a str) {
        if self.seen.contains_key(root) {
            return;
        }
        let mut path = vec![(self.meet(root), root, self.after(root))];
        while let Some((number, transaction, after)) = path.last_mut() {
            let (number, transaction) = (*number, *transaction);
            if let Some(next) = after.pop() {
                match self.seen.get(next).copied() {
                    None => path.push((self.meet(next), next, self.after(next))),
                    Some((_, Some(low))) => self.lower(transaction, low),
                    Some((_, None)) => {}
                }
                continue;
            }
            path.pop();
            let low = self.seen[transaction].1.unwrap_or(number);
            if low == number {
                self.close(transaction);
            } else if let Some((_, parent, _)) = path.last() {
                self.lower(parent, low);
            }
        }
    }

    fn meet(&mut self, transaction: &'a str) -> usize {
        let number = self.seen.len();
        self.seen.insert(transaction, (number, Some(number)));
        self.stack.push(transaction);
        number
    }

    fn after(&self, transaction: &str) -> Vec<&'a str> {
        self.graph.get(transaction).into_iter().flat_map(|after| after.keys().copied()).collect()
    }

    fn lower(&mut self, transaction: &'a str, low: usize) {
        if let Some((_, Some(own))) = self.seen.get_mut(transaction) {
            *own = low.min(*own);
        }
    }

    fn close(&mut self, root: &str) {
        let mut component = BTreeSet::new();
        while let Some(transaction) = self.stack.pop() {
            if let Some((_, low)) = self.seen.get_mut(transaction) {
                *low = None;
            }
            component.insert(transaction);
            if transaction == root {
                break;
            }
        }
        if 1 < component.len() {
            self.found.push(component);
        }
    }
}

/// A shortest circle through the component's first transaction.
fn circle_in<'a>(graph: &Graph<'a>, component: &BTreeSet<&'a str>) -> Vec<(&'a str, Dependency)> {
    let start = component.first().copied().expect("a component has two members at least");
    let mut from: BTreeMap<&str, (&'a str, Dependency)> = BTreeMap::new();
    let mut unvisited = VecDeque::from([start]);
    while let Some(transaction) = unvisited.pop_front() {
        for (next, how) in graph.get(transaction).into_iter().flatten() {
            if component.contains(next) && !from.contains_key(next) {
                from.insert(next, (transaction, *how));
                unvisited.push_back(next);
            }
        }
    }
    let mut circle = Vec::new();
    let mut at = start;
    while let Some((before, how)) = from.get(at) {
        circle.push((*before, *how));
        at = before;
        if at == start {
            break;
        }
    }
    circle.reverse();
    circle
}
