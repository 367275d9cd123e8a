//! Runs the scripts in the folder beside: blocks of commands, `----`, and what could be observed.
//!
//! A request gets the next ticket: `t1`, `t2`, … Its reply reads `t1: …`, with `(durable)` when it has to wait for the
//! log. `wait` passes ms the way a driver does, ticking at each deadline; `restart` replays the log into a new
//! coordinator. After every block the log is replayed and compared. `OTTLA_BLESS=1` writes what happened into the files.

use model::{NowMs, Ticket};

use super::command::{self, Words};
use super::print;
use crate::{Action, Coordinator, Event, TransactionRecord, TxnConfig};

scripts::suite! {
    World::new;
    a_transaction_is_decided_complete_and_followed_by_the_next
    a_new_producer_fences_the_one_before
    a_retry_of_an_initialization_is_told_from_a_stranger
    a_producer_whose_epochs_are_used_up_gets_a_new_id
    an_end_that_uses_up_the_last_epoch_gives_a_new_id
    initializations_that_cannot_be_are_refused
    partitions_are_added_all_or_none
    partitions_are_verified_without_being_added
    the_end_of_a_first_protocol_transaction
    the_end_of_a_second_protocol_transaction
    an_abort_of_nothing_is_complete_at_once
    a_transaction_open_for_too_long_is_aborted
    time_that_passed_during_a_restart_counts
    an_id_that_nobody_uses_is_forgotten
    after_a_restart_markers_are_written_again
    markers_of_another_coordinator_complete_nothing
    a_full_coordinator_takes_no_more_ids
    a_transaction_larger_than_a_record_is_refused
    transactions_are_listed_and_described
}

/// When scripts begin, so that no time is mistaken for the other clock's.
const START: NowMs = NowMs { monotonic: 1_000, wall: 500_000 };

struct World {
    config: TxnConfig,
    coordinator: Coordinator,
    log: Vec<TransactionRecord>,
    now: NowMs,
    tickets: u64,
}

impl scripts::World for World {
    fn command(&mut self, line: &str) -> String {
        let words = Words::parse(line);
        if let Some(event) = command::request(&words, Ticket(self.tickets + 1)) {
            self.tickets += 1;
            return print::actions(&self.step(event));
        }
        match words.command() {
            "config" => {
                words.pairs().for_each(|(key, value)| self.configure(key, value));
                self.load()
            }
            "restart" => self.load(),
            "written" => print::actions(&self.step(command::written(&words))),
            "wait" => {
                let ms = words.plain().next().unwrap().parse().unwrap();
                self.wait(ms)
            }
            "epoch" => self.set_epoch(&words),
            other => panic!("no command {other}"),
        }
    }

    /// C2: what the log says is what the coordinator has.
    fn assert_settled(&self) {
        assert_eq!(self.replayed().persistent(), self.coordinator.persistent(), "C2");
    }
}

impl World {
    fn new() -> World {
        let config = TxnConfig::default();
        let coordinator = Coordinator::new(config.clone());
        let mut world = World { config, coordinator, log: Vec::new(), now: START, tickets: 0 };
        world.load();
        world
    }

    fn configure(&mut self, key: &str, value: &str) {
        let number: u64 = value.parse().unwrap();
        match key {
            "timeout-max" => self.config.timeout_ms_max = i32::try_from(number).unwrap(),
            "expiration" => self.config.expiration_ms = number,
            "abort-interval" => self.config.abort_interval_ms = number,
            "remove-interval" => self.config.remove_interval_ms = number,
            "ids-max" => self.config.ids_max = usize::try_from(number).unwrap(),
            "append-bytes-max" => self.config.append_bytes_max = usize::try_from(number).unwrap(),
            other => panic!("no setting {other}"),
        }
    }

    /// As if a producer had been initialized very often: the log says so, and is loaded anew.
    fn set_epoch(&mut self, words: &Words<'_>) -> String {
        let id = words.id();
        let mut stored = self.coordinator.persistent().remove(&id).expect("a known id");
        stored.producer_epoch = model::ProducerEpoch(words.number("to").expect("to="));
        self.log.push(crate::Record { transactional_id: id, value: Some(stored) }.encode(self.config.level));
        self.load()
    }

    /// A new coordinator of the same log.
    fn load(&mut self) -> String {
        self.coordinator = self.replayed();
        print::actions(&self.step(Event::Loaded))
    }

    fn replayed(&self) -> Coordinator {
        let mut coordinator = Coordinator::new(self.config.clone());
        for TransactionRecord { key, value } in &self.log {
            coordinator.replay(key, value.as_deref()).unwrap();
        }
        coordinator
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.coordinator.step(self.now, event);
        for action in &actions {
            if let Action::Append(records) = action {
                self.log.extend(records.iter().cloned());
            }
        }
        self.coordinator.assert_invariants();
        actions
    }

    fn wait(&mut self, ms: u64) -> String {
        let until = self.now.monotonic + ms;
        let begin = self.now.monotonic;
        let mut trace = String::new();
        while let Some(deadline) = self.coordinator.next_deadline().filter(|&deadline| deadline <= until) {
            self.pass(deadline.saturating_sub(self.now.monotonic));
            let actions = print::actions(&self.step(Event::Tick));
            if !actions.is_empty() {
                trace.push_str(&format!("after {} ms\n{actions}", self.now.monotonic - begin));
            }
        }
        self.pass(until - self.now.monotonic);
        trace
    }

    fn pass(&mut self, ms: u64) {
        self.now.monotonic += ms;
        self.now.wall += i64::try_from(ms).unwrap();
    }
}
