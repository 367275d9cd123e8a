//! Scripts: events in, actions out; and the invariants over random histories.

use model::{BrokerId, LeaderEpoch, Offset};
use proptest::prelude::*;

use crate::{Acks, Action, Contract, Event, Leader, NotEnoughReplicas, Ticket, Waiter};

fn leader(contract: Contract, end: i64) -> Leader {
    Leader::new(BrokerId(1), LeaderEpoch(0), 2, contract, Offset(end), Offset(0))
}

/// Runs a script of `command argument…` lines against a leader of an empty log and compares the trace.
#[track_caller]
fn check(contract: Contract, script: &str) {
    let (commands, expected) = script.split_once("----").expect("a script has a ---- line");
    let mut leader = leader(contract, 0);
    let mut trace = String::new();
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<i64>().expect("a number");
        let wait = |acks| {
            let ticket = Ticket(u64::try_from(number(1)).expect("a ticket"));
            Event::Await(Waiter { ticket, acks, end: Offset(number(2)) })
        };
        let event = match words[0] {
            "append-to" => Event::Appended { log_end: Offset(number(1)) },
            "durable-to" => Event::DurableTo(Offset(number(1))),
            "wait-all" => wait(Acks::All),
            "wait-leader" => wait(Acks::Leader),
            "contract-disk" => Event::ContractChanged(Contract::Disk),
            "fence" => Event::Fenced,
            other => panic!("no command {other}"),
        };
        let actions: Vec<String> = leader.step(event).iter().map(describe).collect();
        trace.push_str(&format!("{line} => {}\n", actions.join(", ")));
    }
    let expected: String = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(trace.replace("=> \n", "=>\n"), expected);
}

fn describe(action: &Action) -> String {
    match action {
        Action::AdvanceHighWatermark(offset) => format!("hw {offset}"),
        Action::Complete(ticket) => format!("done {}", ticket.0),
        Action::Fail(ticket) => format!("fail {}", ticket.0),
    }
}

#[test]
fn nothing_is_acknowledged_or_readable_before_the_disk_has_it() {
    check(
        Contract::Disk,
        "append-to 3
         wait-all 1 3
         append-to 5
         wait-leader 2 5
         durable-to 3
         durable-to 5
         ----
         append-to 3 =>
         wait-all 1 3 =>
         append-to 5 =>
         wait-leader 2 5 =>
         durable-to 3 => hw 3, done 1
         durable-to 5 => hw 5, done 2",
    );
}

#[test]
fn one_sync_completes_every_batch_that_arrived_before_it() {
    check(
        Contract::Disk,
        "append-to 1
         wait-all 1 1
         append-to 2
         wait-all 2 2
         append-to 3
         wait-all 3 3
         durable-to 3
         ----
         append-to 1 =>
         wait-all 1 1 =>
         append-to 2 =>
         wait-all 2 2 =>
         append-to 3 =>
         wait-all 3 3 =>
         durable-to 3 => hw 3, done 1, done 2, done 3",
    );
}

#[test]
fn a_memory_topic_is_acknowledged_when_written() {
    check(
        Contract::Memory,
        "append-to 2
         wait-all 1 2
         ----
         append-to 2 => hw 2
         wait-all 1 2 => done 1",
    );
}

#[test]
fn a_duplicate_waits_for_the_original() {
    check(
        Contract::Disk,
        "append-to 4
         wait-all 1 4
         wait-all 2 4
         durable-to 4
         wait-all 3 4
         ----
         append-to 4 =>
         wait-all 1 4 =>
         wait-all 2 4 =>
         durable-to 4 => hw 4, done 1, done 2
         wait-all 3 4 => done 3",
    );
}

#[test]
fn a_failed_log_fails_whoever_waits_and_publishes_nothing() {
    check(
        Contract::Disk,
        "append-to 4
         wait-all 1 4
         wait-leader 2 4
         fence
         ----
         append-to 4 =>
         wait-all 1 4 =>
         wait-leader 2 4 =>
         fence => fail 2, fail 1",
    );
}

#[test]
fn tightening_the_contract_never_takes_a_read_record_back() {
    check(
        Contract::Memory,
        "append-to 2
         contract-disk
         append-to 4
         wait-all 1 2
         durable-to 4
         ----
         append-to 2 => hw 2
         contract-disk =>
         append-to 4 =>
         wait-all 1 2 =>
         durable-to 4 => hw 4, done 1",
    );
}

#[test]
fn acks_all_is_refused_below_the_minimum_of_in_sync_replicas() {
    let leader = leader(Contract::Disk, 0);
    assert!(leader.may_append(Acks::All, 1).is_ok());
    assert!(leader.may_append(Acks::Leader, 2).is_ok());
    let refused = NotEnoughReplicas { in_sync: 1, required: 2 };
    assert_eq!(leader.may_append(Acks::All, 2), Err(refused));
    assert_eq!(leader.may_append(Acks::All, 3), Err(refused), "there are two replicas");
}

proptest! {
    /// I2, I3 and L1 over random appends, waits and syncs: each waiter hears once, and only when its end is safe.
    #[test]
    fn invariants_hold_over_random_histories(
        steps in prop::collection::vec((0u8..4, 1i64..50), 1..200),
        in_memory in any::<bool>(),
    ) {
        let contract = if in_memory { Contract::Memory } else { Contract::Disk };
        let mut leader = leader(contract, 0);
        let (mut log_end, mut durable, mut high_watermark) = (0, 0, 0);
        let mut waiting = std::collections::BTreeMap::new();
        let mut next_ticket = 0;
        for (kind, amount) in steps {
            let event = match kind {
                0 => { log_end += amount; Event::Appended { log_end: Offset(log_end) } }
                1 => { durable = (durable + amount).min(log_end); Event::DurableTo(Offset(durable)) }
                _ => {
                    next_ticket += 1;
                    let acks = if kind == 2 { Acks::All } else { Acks::Leader };
                    waiting.insert(next_ticket, log_end);
                    Event::Await(Waiter { ticket: Ticket(next_ticket), acks, end: Offset(log_end) })
                }
            };
            let safe = if in_memory { log_end } else { durable };
            for action in leader.step(event) {
                match action {
                    Action::AdvanceHighWatermark(offset) => {
                        prop_assert!(high_watermark < offset.0);
                        high_watermark = offset.0;
                    }
                    Action::Complete(ticket) => {
                        let end = waiting.remove(&ticket.0).expect("each waiter hears once");
                        prop_assert!(end <= safe, "acknowledged {end}, safe {safe}");
                    }
                    Action::Fail(_) => prop_assert!(false, "nothing failed"),
                }
            }
            prop_assert!(high_watermark <= safe, "readable {high_watermark}, safe {safe}");
        }
    }
}
