//! Why a command failed: what was asked, what was answered, what to do next, and the exit code.

use std::fmt;
use std::io::IsTerminal;
use std::process::ExitCode;

use client::{Client, Error};
use model::{ErrorCode, TopicName};

/// What a script may tell apart (Q3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Refused,
    Usage,
    Unreachable,
}

/// A failure with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    next: Option<String>,
}

impl Failure {
    /// The cluster said no.
    pub(crate) fn refused(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::Refused, what: what.into(), next: None }
    }

    /// The command line does not make sense, or what it names cannot be read or written.
    pub(crate) fn input(what: impl Into<String>) -> Failure {
        Failure { exit: Exit::Usage, what: what.into(), next: None }
    }

    /// With what to do next.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Failure {
        self.next = Some(next.into());
        self
    }

    /// With something to know before what went wrong.
    pub(crate) fn after(mut self, before: impl fmt::Display) -> Failure {
        self.what = format!("{before}: {}", self.what);
        self
    }

    /// Tells the user; returns the code to end with.
    pub(crate) fn report(&self) -> ExitCode {
        let in_colour = std::io::stderr().is_terminal();
        let error = if in_colour { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
        eprintln!("{error} {}", self.what);
        if let Some(next) = &self.next {
            eprintln!("  {next}");
        }
        match self.exit {
            Exit::Refused => ExitCode::from(1),
            Exit::Usage => ExitCode::from(2),
            Exit::Unreachable => ExitCode::from(3),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = if error.is_unreachable() { Exit::Unreachable } else { Exit::Refused };
        let next = match &error {
            Error::Unreachable { node: None, .. } => Some(
                "Start a broker with `ottla serve` or `ottla dev`, or name another address with --bootstrap.".to_owned(),
            ),
            Error::Unreachable { node: Some(_), .. } => Some(
                "The cluster names this address to its clients; if it cannot be reached from here, start that node with \
                 --advertise HOST:PORT."
                    .to_owned(),
            ),
            Error::Disconnected { .. } | Error::TimedOut { .. } => {
                Some("Look at the broker's log, and at `ottla cluster describe`.".to_owned())
            }
            Error::UnknownTopic { topic } => Some(create_it(topic)),
            Error::UnknownPartition { topic, .. } => {
                Some(format!("`ottla topic describe {topic}` shows them, `ottla topic add-partitions {topic} N` adds some."))
            }
            Error::NoLeader { topic, .. } => Some(format!("`ottla topic describe {topic}` shows where it should be.")),
            Error::Refused { code, .. } => after_code(*code).map(str::to_owned),
            Error::RecordTooLarge { .. } => Some("Split it, or store it elsewhere and send its address.".to_owned()),
            Error::OffsetOutOfRange { topic, .. } => {
                Some(format!("`ottla topic describe {topic}` shows the offsets it has; -o start begins at the oldest."))
            }
            Error::Unsupported { .. }
            | Error::Malformed { .. }
            | Error::Unwritable { .. }
            | Error::BadBatch { .. }
            | Error::Closed => None,
        };
        Failure { exit, what: error.to_string(), next }
    }
}

fn create_it(topic: &TopicName) -> String {
    format!("Create it with `ottla topic create {topic}`.")
}

/// What to do about an answer, where that is not plain from it.
fn after_code(code: ErrorCode) -> Option<&'static str> {
    let table = [
        (
            ErrorCode::TopicAlreadyExists,
            "`ottla topic describe` shows it; --if-not-exists makes that no error.",
        ),
        (
            ErrorCode::InvalidReplicationFactor,
            "There must be as many brokers as copies: see `ottla cluster describe`.",
        ),
        (
            ErrorCode::InvalidPartitions,
            "Partitions can be added, never taken away: name a larger number in all.",
        ),
        (ErrorCode::InvalidConfig, "`ottla topic describe` shows the settings a topic has."),
        (ErrorCode::NonEmptyGroup, "Stop its members first: `ottla group describe` shows them."),
        (ErrorCode::UnknownMemberId, "While a group has members only they may commit: stop them first."),
        (ErrorCode::GroupIdNotFound, "`ottla group list` shows the groups there are."),
        (ErrorCode::MessageTooLarge, "Raise the topic's max.message.bytes, or send smaller records."),
        (
            ErrorCode::NotEnoughReplicas,
            "Too few brokers are in sync for acks=all: see `ottla cluster describe`.",
        ),
        (ErrorCode::InvalidRecord, "A compacted topic needs keys: --key-separator gives records one."),
    ];
    table.into_iter().find_map(|(known, next)| (known == code).then_some(next))
}

/// That a topic is not there, with those that may have been meant.
pub(crate) async fn unknown_topic(client: &Client, topic: &TopicName) -> Failure {
    let failure = Failure::from(Error::UnknownTopic { topic: topic.clone() });
    match meant(client, topic).await {
        Some(meant) => failure.next(format!("{meant} {}", create_it(topic))),
        None => failure,
    }
}

/// `Did you mean 'a' or 'b'?`, if there are topics with such names.
pub(crate) async fn meant(client: &Client, topic: &TopicName) -> Option<String> {
    // Without the list there is no suggestion, which is no second failure.
    let snapshot = client.refresh(None).await.ok()?;
    let names = snapshot.topics.iter().filter(|(_, topic)| !topic.is_internal).map(|(name, _)| name.as_str());
    let near = crate::suggest::nearest(topic.as_str(), names);
    (!near.is_empty()).then(|| format!("Did you mean {}?", listed(&near)))
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// Turns the error of a call about `topic` into words, with suggestions if there is no such topic.
pub(crate) async fn about_topic(client: &Client, topic: &TopicName, error: Error) -> Failure {
    match error {
        Error::UnknownTopic { .. } => unknown_topic(client, topic).await,
        other => Failure::from(other),
    }
}
