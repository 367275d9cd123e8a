//! Runs the scripts in the folder beside: blocks of commands, `----`, and what could be observed.
//!
//! A request gets the next ticket: `t1`, `t2`, … Its reply reads `t1: …`, with `(durable)` when it has to wait for the
//! log. `wait` passes ms the way a driver does, ticking at each deadline; `restart` replays the log into a new
//! coordinator. `OTTLA_BLESS=1` writes what happened into the files.

use model::{NowMs, Ticket, TopicName};

use super::command::{self, Words};
use super::print;
use crate::tests::log::Logged;
use crate::{Action, Coordinator, Event, GroupConfig};

scripts::suite! {
    World::new;
    a_new_member_is_given_its_name_first
    a_static_member_needs_no_name_first
    the_first_rebalance_waits_for_more_members
    an_assignment_is_answered_when_the_log_has_it
    all_members_vote_for_a_protocol_they_share
    joins_that_cannot_be_are_refused
    a_rejoin_that_changes_nothing_gets_the_current_generation
    a_repeated_request_takes_the_place_of_the_one_before
    members_that_miss_the_join_phase_are_out
    static_members_that_miss_the_join_phase_stay_until_their_session_ends
    when_only_silent_static_members_are_left_their_sessions_decide
    members_that_do_not_sync_are_out
    a_member_that_is_silent_is_out_when_its_session_ends
    waiting_for_the_leader_counts_as_being_alive
    a_new_member_waits_for_its_first_generation_only_so_long
    heartbeats_say_that_a_rebalance_is_on
    a_sync_has_to_agree_with_the_generation
    a_static_member_comes_back_without_a_rebalance
    a_static_member_that_comes_back_during_a_rebalance_joins_it
    a_static_member_that_changes_the_protocol_starts_a_rebalance
    members_leave
    who_waits_is_answered_when_it_leaves
    a_full_coordinator_takes_no_more_groups
    a_full_group_takes_no_more_members
    a_group_that_is_too_large_after_a_restart_turns_the_last_away
    members_of_a_stable_group_go_on_after_a_restart
    an_offset_is_committed_by_a_member_of_the_generation
    notes_have_a_length_and_offsets_may_have_a_time_of_their_own
    what_is_not_committed_is_minus_one
    groups_are_described_and_listed
    empty_groups_can_be_deleted
    offsets_can_be_deleted_unless_members_want_the_topic
    offsets_go_with_their_topic
    offsets_expire
    a_group_without_anything_goes
    what_does_not_fit_the_log_is_refused
    a_transaction_commits_its_offsets_when_it_ends
    a_transaction_names_its_member_or_none
    undecided_offsets_outlive_a_restart_and_no_expiry
}

/// When scripts begin, so that no time is mistaken for the other clock's.
const START: NowMs = NowMs { monotonic: 1_000, wall: 500_000 };

struct World {
    config: GroupConfig,
    coordinator: Coordinator,
    log: Vec<Logged>,
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
            "wait" => {
                let ms = words.plain().next().unwrap().parse().unwrap();
                self.wait(ms)
            }
            "topic-deleted" => {
                let name = TopicName::parse(words.plain().next().unwrap()).unwrap();
                let id = words.pairs().find(|pair| pair.0 == "id").unwrap().1.parse().unwrap();
                print::actions(&self.step(Event::TopicDeleted(name, command::topic_id(id))))
            }
            other => panic!("no command {other}"),
        }
    }
}

impl World {
    fn new() -> World {
        let config = GroupConfig::default();
        let coordinator = Coordinator::new(config.clone());
        let mut world = World { config, coordinator, log: Vec::new(), now: START, tickets: 0 };
        world.load();
        world
    }

    fn configure(&mut self, key: &str, value: &str) {
        let number: u32 = value.parse().unwrap();
        let long = u64::from(number);
        let size = usize::try_from(number).unwrap();
        match key {
            "initial-delay" => self.config.initial_rebalance_delay_ms = number,
            "groups-max" => self.config.groups_max = size,
            "members-max" => self.config.members_max = size,
            "new-member-timeout" => self.config.new_member_join_timeout_ms = number,
            "retention" => self.config.offsets_retention_ms = long,
            "check-interval" => self.config.offsets_retention_check_interval_ms = long,
            "append-bytes-max" => self.config.append_bytes_max = size,
            "note-max" => self.config.offset_metadata_max = size,
            other => panic!("no setting {other}"),
        }
    }

    /// A new coordinator of the same log.
    fn load(&mut self) -> String {
        self.coordinator = Coordinator::new(self.config.clone());
        self.log.iter().for_each(|logged| logged.replay(&mut self.coordinator));
        print::actions(&self.step(Event::Loaded))
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.coordinator.step(self.now, event);
        self.log.extend(actions.iter().flat_map(Logged::of));
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
