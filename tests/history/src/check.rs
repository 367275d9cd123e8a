//! Everything that is wrong with a history.

use crate::anomaly::Anomaly;
use crate::event::Event;
use crate::ledger::Ledger;
use crate::{cycles, groups, polls, topics, writes};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must not be.
    pub anomalies: Vec<Anomaly>,
    /// What Kafka's contract allows, and is worth knowing.
    pub allowed: Vec<Anomaly>,
}

/// Holds what clients were told to each other, and to what is there at the end where the history says that.
pub fn check(events: &[Event]) -> Findings {
    let ledger = Ledger::of(events);
    let mut found = Vec::new();
    writes::check(&ledger, &mut found);
    polls::check(events, &ledger, &mut found);
    cycles::check(events, &ledger, &mut found);
    groups::check(events, &ledger, &mut found);
    topics::check(events, &mut found);
    let (allowed, anomalies) = found.into_iter().partition(Anomaly::is_allowed);
    Findings { anomalies, allowed }
}
