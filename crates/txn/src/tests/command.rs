//! A script's request lines as events.
//!
//! A producer is `ID/EPOCH`, a partition `TOPIC/INDEX`.

use model::{
    PartitionIndex, ProducerEpoch, ProducerId, Ticket, TopicName, TransactionResult, TransactionVersion,
};

use crate::{
    AddPartitionsRequest, EndRequest, Event, InitRequest, ListRequest, MarkersTicket, TransactionalId,
};

/// The words of a command: plain ones, and `key=value` ones.
pub(crate) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub fn parse(line: &'a str) -> Words<'a> {
        Words(line.split_whitespace().collect())
    }

    /// The command.
    pub fn command(&self) -> &'a str {
        self.0[0]
    }

    /// Words after the command without a key.
    pub fn plain(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().skip(1).copied().filter(|word| !word.contains('='))
    }

    /// Pairs of key and value.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().skip(1).filter_map(|word| word.split_once('='))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.pairs().find(|pair| pair.0 == key).map(|pair| pair.1)
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let text = self.get(key)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{key}={text} is not a number")))
    }

    /// The first plain word; `''` is the empty id.
    pub fn id(&self) -> TransactionalId {
        match self.get("id-length") {
            Some(length) => TransactionalId::from(&*"i".repeat(length.parse().expect("id-length="))),
            None => TransactionalId::from(self.plain().next().unwrap_or("").trim_matches('\'')),
        }
    }

    fn producer(&self, key: &str) -> Option<(ProducerId, ProducerEpoch)> {
        let (id, epoch) = self.get(key)?.split_once('/').expect("ID/EPOCH");
        Some((ProducerId(id.parse().expect("an id")), ProducerEpoch(epoch.parse().expect("an epoch"))))
    }

    fn version(&self) -> TransactionVersion {
        match self.number::<u8>("tv") {
            Some(1) => TransactionVersion::Tv1,
            _ => TransactionVersion::Tv2,
        }
    }

    fn topics(&self) -> Vec<(TopicName, Vec<PartitionIndex>)> {
        let partitions = self.plain().skip(1).filter_map(|word| word.split_once('/'));
        let one = |(topic, index): (&str, &str)| {
            let topic = TopicName::parse(topic).expect("a legal topic");
            match index.split_once("..") {
                Some((first, last)) => {
                    let range = first.parse().expect("a number")..=last.parse().expect("a number");
                    (topic, range.map(PartitionIndex).collect())
                }
                None => (topic, vec![PartitionIndex(index.parse().expect("a partition"))]),
            }
        };
        partitions.map(one).collect()
    }
}

/// The event of a request; `None` when the command is none.
pub(crate) fn request(words: &Words<'_>, ticket: Ticket) -> Option<Event> {
    let fresh = words.number("fresh").map(ProducerId);
    let producer = || words.producer("as").expect("as=");
    let event = match words.command() {
        "init" => Event::Init(
            ticket,
            InitRequest {
                transactional_id: words.id(),
                timeout_ms: words.number("timeout").unwrap_or(60_000),
                expected: words.producer("as"),
                fresh,
            },
        ),
        "add" | "verify" => Event::AddPartitions(
            ticket,
            AddPartitionsRequest {
                transactional_id: words.id(),
                producer_id: producer().0,
                producer_epoch: producer().1,
                topics: words.topics(),
                version: words.version(),
                verify_only: words.command() == "verify",
            },
        ),
        "commit" | "abort" => Event::End(
            ticket,
            EndRequest {
                transactional_id: words.id(),
                producer_id: producer().0,
                producer_epoch: producer().1,
                result: match words.command() {
                    "commit" => TransactionResult::Commit,
                    _ => TransactionResult::Abort,
                },
                version: words.version(),
                fresh,
            },
        ),
        "describe" => Event::Describe(ticket, words.plain().map(TransactionalId::from).collect()),
        "list" => {
            let list = |key| words.get(key).map(|list| list.split(',').map(str::to_owned).collect());
            let producers: Vec<String> = list("producers").unwrap_or_default();
            let number = |text: String| ProducerId(text.parse().expect("producers="));
            Event::List(
                ticket,
                ListRequest {
                    states: list("states").unwrap_or_default(),
                    producer_ids: producers.into_iter().map(number).collect(),
                    longer_than_ms: words.number("longer"),
                },
            )
        }
        _ => return None,
    };
    Some(event)
}

/// `written ID mN`
pub(crate) fn written(words: &Words<'_>) -> Event {
    let ticket = words.plain().nth(1).and_then(|word| word.strip_prefix('m')).expect("written ID mN");
    Event::MarkersWritten(words.id(), MarkersTicket(ticket.parse().expect("a number")))
}
