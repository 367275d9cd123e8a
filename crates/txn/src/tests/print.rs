//! What a coordinator does, as text.

use std::fmt::Write;

use model::{Barrier, ErrorCode, ProducerEpoch, ProducerId, Ticket, TransactionResult, TransactionVersion};

use crate::record::Record;
use crate::stored::{Partitions, State, Stored};
use crate::{Action, DescribedTransaction, Reply};

/// All actions of a step, one to a line.
pub(crate) fn actions(actions: &[Action]) -> String {
    let mut lines = String::new();
    for action in actions {
        let line = match action {
            Action::Append(records) => {
                let decoded = records.iter().map(|record| {
                    Record::decode(&record.key, record.value.as_deref())
                        .expect("own records decode")
                        .expect("own records are ours")
                });
                format!(
                    "append {}",
                    decoded.map(|record| self::record(&record)).collect::<Vec<_>>().join("; ")
                )
            }
            Action::Reply { ticket: Ticket(ticket), reply: answer, after } => {
                let wait = if *after == Barrier::Durable { " (durable)" } else { "" };
                format!("t{ticket}{wait}: {}", reply(answer))
            }
            Action::WriteMarkers(markers) => format!(
                "markers m{} {} {} {}{} [{}]",
                markers.ticket.0,
                markers.transactional_id,
                producer(markers.producer_id, markers.producer_epoch),
                if markers.result == TransactionResult::Commit { "commit" } else { "abort" },
                version(markers.version),
                partitions(&markers.partitions)
            ),
        };
        writeln!(lines, "{line}").expect("strings take all");
    }
    lines
}

fn producer(id: ProducerId, epoch: ProducerEpoch) -> String {
    format!("{}/{}", id.0, epoch.0)
}

fn version(version: TransactionVersion) -> &'static str {
    match version {
        TransactionVersion::Tv1 => "",
        TransactionVersion::Tv2 => " tv2",
    }
}

fn partitions(partitions: &Partitions) -> String {
    let each = partitions
        .iter()
        .flat_map(|(topic, indexes)| indexes.iter().map(move |index| format!("{topic}/{index}")));
    each.collect::<Vec<_>>().join(" ")
}

pub(crate) fn record(record: &Record) -> String {
    let id = &record.transactional_id;
    match &record.value {
        None => format!("{id} none"),
        Some(stored) => format!("{id} {}", self::stored(stored)),
    }
}

fn stored(stored: &Stored) -> String {
    let mut text = stored.state.name().to_owned();
    write!(text, " {}", producer(stored.producer_id, stored.producer_epoch)).expect("strings take all");
    if stored.previous_producer_id != stored.producer_id {
        write!(text, " before={}", stored.previous_producer_id.0).expect("strings take all");
    }
    if stored.next_producer_id != ProducerId::NONE {
        write!(text, " next={}", stored.next_producer_id.0).expect("strings take all");
    }
    if stored.state == State::Empty {
        write!(text, " timeout={}", stored.timeout_ms).expect("strings take all");
    }
    if let Some(started) = stored.started_at_ms {
        write!(text, " since={started}").expect("strings take all");
    }
    text.push_str(version(stored.version));
    if !stored.partitions.is_empty() {
        write!(text, " [{}]", partitions(&stored.partitions)).expect("strings take all");
    }
    text
}

fn with_error(error: ErrorCode, text: String) -> String {
    if error == ErrorCode::None { text } else { error.name().to_owned() }
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Init(init) => {
            with_error(init.error, format!("init {}", producer(init.producer_id, init.producer_epoch)))
        }
        Reply::End(end) => {
            with_error(end.error, format!("ended {}", producer(end.producer_id, end.producer_epoch)))
        }
        Reply::NeedsProducerId => "needs a producer id".to_owned(),
        Reply::AddPartitions(topics) => {
            let each = topics.iter().flat_map(|(topic, partitions)| {
                partitions.iter().map(move |(index, error)| {
                    let error = if *error == ErrorCode::None { "ok" } else { error.name() };
                    format!("{topic}/{index} {error}")
                })
            });
            each.collect::<Vec<_>>().join(", ")
        }
        Reply::Describe(described) => {
            let each = described.iter().map(|(id, transaction)| match transaction {
                None => format!("{id} unknown"),
                Some(transaction) => format!("{id} {}", self::described(transaction)),
            });
            each.collect::<Vec<_>>().join(", ")
        }
        Reply::List(listed) => {
            let each = listed.iter().map(|transaction| {
                format!(
                    "{} {} {}",
                    transaction.transactional_id,
                    transaction.producer_id.0,
                    transaction.state.name()
                )
            });
            format!("list {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn described(transaction: &DescribedTransaction) -> String {
    format!(
        "{} {} timeout={} since={} [{}]",
        transaction.state.name(),
        producer(transaction.producer_id, transaction.producer_epoch),
        transaction.timeout_ms,
        transaction.started_at_ms.unwrap_or(-1),
        partitions(&transaction.partitions)
    )
}
