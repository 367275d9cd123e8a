//! Scripts: commands, `----`, what could be observed. One record is one batch, called by its text; `x` of partition 0 is
//! `0/x`. `send` lines show the number (epoch.sequence) a batch carries, `done` and `gone` what its sender hears.

use std::time::Duration;

use model::{ErrorCode, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicName};
use rt::Instant;

use super::{Accumulator, Drained, Finished, build};
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::producer::{Acks, Delivery, NewRecord, ProducerConfig};

struct World {
    accumulator: Accumulator,
    now: Instant,
    /// Batches by name, with their numbers once they were sent.
    ids: Vec<(String, TopicPartition, u64)>,
    deliveries: Vec<(String, Delivery)>,
    trace: Vec<String>,
}

fn place(name: &str) -> TopicPartition {
    let (partition, _) = name.split_once('/').expect("P/TEXT");
    TopicPartition::new(TopicName::parse("t").unwrap(), partition.parse().unwrap())
}

impl World {
    fn new(acks: Acks) -> World {
        let config = ProducerConfig {
            acks,
            // Every record is a batch.
            batch_bytes: 1,
            linger: Duration::ZERO,
            delivery_timeout: Duration::from_secs(10),
            ..ProducerConfig::default()
        };
        let mut accumulator = Accumulator::new(&config, 5);
        if acks == Acks::All {
            accumulator.identify((ProducerId(7), ProducerEpoch(0)));
        }
        World { accumulator, now: Instant::START, ids: Vec::new(), deliveries: Vec::new(), trace: Vec::new() }
    }

    fn run(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["push", ref names @ ..] => names.iter().for_each(|name| self.push(name)),
            ["drain"] => self.drain(),
            ["ok", name, base] => {
                let finished =
                    self.accumulator.on_written(&place(name), self.id(name), base.parse().ok().map(Offset));
                self.finish(finished);
            }
            ["fail", name, code] => self.fail(name, code),
            ["note", what] => self.trace.push(what.to_owned()),
            ["wait", millis] => self.now = self.now + Duration::from_millis(millis.parse().unwrap()),
            _ => panic!("no command: {line}"),
        }
        self.hear();
    }

    fn push(&mut self, name: &str) {
        let value = name.as_bytes();
        let record = NewRecord { value: Some(value), ..NewRecord::default() };
        let (delivery, _) = self.accumulator.push(self.now, place(name), record, TimestampMs(0), value.len());
        self.deliveries.push((name.to_owned(), delivery));
    }

    fn drain(&mut self) {
        loop {
            let Drained { sendings, finished, .. } = self.accumulator.drain(self.now, |_| true);
            finished.into_iter().map(Some).for_each(|finished| self.finish(finished));
            if sendings.is_empty() {
                return;
            }
            for sending in sendings {
                let bytes = build(sending.source).unwrap();
                let decoded = record::decode(&bytes, usize::MAX).unwrap();
                let header = *decoded.header();
                let first = decoded.records().next().unwrap().unwrap();
                let name = String::from_utf8(first.value.unwrap().to_vec()).unwrap();
                self.trace.push(format!("send {name} {}.{}", header.producer_epoch.0, header.base_sequence));
                self.accumulator.on_built(&sending.place, sending.id, bytes.clone());
                self.ids.push((name, sending.place, sending.id));
            }
        }
    }

    fn fail(&mut self, name: &str, code: &str) {
        let error = match code {
            "lost" => Error::Disconnected { address: "n1".to_owned(), api: wire::ApiKey::Produce },
            code => {
                let known = (-1..=133).map(ErrorCode::from_code).find(|known| known.name() == code);
                let code = known.expect("a code's name");
                Error::Refused { api: wire::ApiKey::Produce, subject: name.to_owned(), code, message: None }
            }
        };
        let retry_at = self.now + Duration::from_millis(100);
        let finished = self.accumulator.on_failed(&place(name), self.id(name), error, |_| retry_at);
        self.finish(finished);
    }

    fn id(&self, name: &str) -> u64 {
        let (_, _, id) = self.ids.iter().find(|(sent, ..)| sent == name).expect("a batch that was sent");
        *id
    }

    fn finish(&mut self, finished: Option<Finished>) {
        if let Some(finished) = finished {
            finished.complete();
            self.hear();
        }
    }

    fn hear(&mut self) {
        let trace = &mut self.trace;
        self.deliveries.retain_mut(|(name, delivery)| match delivery.try_take() {
            None => true,
            Some(Ok(written)) => {
                let offset = written.offset.map_or("?".to_owned(), |offset| offset.to_string());
                trace.push(format!("done {name} at {offset}"));
                false
            }
            Some(Err(error)) => {
                let why = error.code().map_or("-".to_owned(), |code| code.to_string());
                trace.push(format!("gone {name} {why}"));
                false
            }
        });
    }
}

#[track_caller]
fn check_with(acks: Acks, script: &str) {
    let (commands, expected) = script.split_once("----").expect("a script has two halves");
    let mut world = World::new(acks);
    commands.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| world.run(line));
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(world.trace, expected, "\nobserved:\n{}\n", world.trace.join("\n"));
    assert_eq!(
        world.accumulator.is_settled(),
        world.deliveries.is_empty(),
        "settled means that all have heard"
    );
}

#[track_caller]
fn check(script: &str) {
    check_with(Acks::All, script);
}

#[test]
fn one_batch_proves_an_epoch_then_five_are_under_way() {
    check(
        "push 0/a 0/b 0/c 0/d 0/e 0/f 0/g
         drain
         ok 0/a 0
         drain
         ok 0/b 1
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         send 0/d 0.3
         send 0/e 0.4
         send 0/f 0.5
         done 0/b at 1
         send 0/g 0.6",
    );
}

#[test]
fn partitions_count_for_themselves() {
    check(
        "push 0/a 1/a 1/b
         drain
         ok 1/a 5
         drain
         ----
         send 0/a 0.0
         send 1/a 0.0
         done 1/a at 5
         send 1/b 0.1",
    );
}

#[test]
fn what_is_lost_is_sent_again_under_its_number_one_at_a_time() {
    check(
        "push 0/a 0/b 0/c
         drain
         ok 0/a 0
         drain
         fail 0/b lost
         fail 0/c lost
         push 0/d
         drain
         wait 100
         drain
         ok 0/b 1
         drain
         fail 0/c DUPLICATE_SEQUENCE_NUMBER
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         send 0/b 0.1
         done 0/b at 1
         send 0/c 0.2
         send 0/d 0.3
         done 0/c at ?",
    );
}

#[test]
fn out_of_order_behind_a_batch_under_way_only_waits_its_turn() {
    check(
        "push 0/a 0/b 0/c
         drain
         ok 0/a 0
         drain
         fail 0/b NOT_LEADER_OR_FOLLOWER
         fail 0/c OUT_OF_ORDER_SEQUENCE_NUMBER
         wait 100
         drain
         ok 0/b 1
         drain
         ok 0/c 2
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         send 0/b 0.1
         done 0/b at 1
         send 0/c 0.2
         done 0/c at 2",
    );
}

#[test]
fn a_refused_batch_leaves_a_gap_that_a_new_epoch_closes() {
    check(
        "push 0/a 0/b 0/c 0/d
         drain
         ok 0/a 0
         drain
         fail 0/b MESSAGE_TOO_LARGE
         fail 0/c OUT_OF_ORDER_SEQUENCE_NUMBER
         wait 100
         drain
         note d-is-under-way
         fail 0/d OUT_OF_ORDER_SEQUENCE_NUMBER
         wait 100
         drain
         ok 0/c 1
         drain
         ok 0/d 2
         push 0/e
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         send 0/d 0.3
         gone 0/b MESSAGE_TOO_LARGE
         d-is-under-way
         send 0/c 1.0
         done 0/c at 1
         send 0/d 1.1
         done 0/d at 2
         send 0/e 1.2",
    );
}

#[test]
fn a_refused_batch_with_nothing_behind_it_begins_a_new_epoch() {
    check(
        "push 0/a
         drain
         fail 0/a INVALID_RECORD
         push 0/b
         drain
         ----
         send 0/a 0.0
         gone 0/a INVALID_RECORD
         send 0/b 1.0",
    );
}

#[test]
fn giving_up_everything_begins_a_new_epoch() {
    check(
        "push 0/a 0/b 0/c
         drain
         ok 0/a 0
         drain
         fail 0/b lost
         fail 0/c lost
         wait 10000
         push 0/d
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         gone 0/b -
         gone 0/c -
         send 0/d 1.0",
    );
}

#[test]
fn what_was_given_up_unsure_may_have_been_written_and_what_follows_keeps_its_number() {
    check(
        "push 0/a 0/b 0/c
         drain
         ok 0/a 0
         drain
         fail 0/b lost
         wait 10000
         drain
         ok 0/c 2
         push 0/d
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/c 0.2
         gone 0/b -
         done 0/c at 2
         send 0/d 0.3",
    );
}

#[test]
fn out_of_order_without_a_gap_means_that_records_were_lost() {
    check(
        "push 0/a 0/b
         drain
         ok 0/a 0
         drain
         fail 0/b OUT_OF_ORDER_SEQUENCE_NUMBER
         push 0/c
         drain
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         gone 0/b OUT_OF_ORDER_SEQUENCE_NUMBER
         send 0/c 1.0",
    );
}

#[test]
fn a_partition_that_forgot_the_producer_gets_a_new_epoch() {
    check(
        "push 0/a 0/b
         drain
         ok 0/a 0
         drain
         fail 0/b UNKNOWN_PRODUCER_ID
         drain
         wait 100
         drain
         ok 0/b 1
         ----
         send 0/a 0.0
         done 0/a at 0
         send 0/b 0.1
         send 0/b 1.0
         done 0/b at 1",
    );
}

#[test]
fn what_is_never_sent_is_given_up_in_time_and_leaves_no_gap() {
    check(
        "push 0/a
         drain
         push 0/b
         wait 10000
         drain
         ok 0/a 0
         push 0/c
         drain
         ----
         send 0/a 0.0
         gone 0/b -
         done 0/a at 0
         send 0/c 0.1",
    );
}

#[test]
fn without_idempotence_batches_carry_no_number() {
    check_with(
        Acks::Leader,
        "push 0/a
         drain
         fail 0/a lost
         wait 100
         drain
         fail 0/a INVALID_RECORD
         push 0/b
         drain
         ----
         send 0/a -1.-1
         send 0/a -1.-1
         gone 0/a INVALID_RECORD
         send 0/b -1.-1",
    );
}
