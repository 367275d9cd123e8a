//! A script's request lines as events.

use std::sync::Arc;

use model::{
    CoordinatorEpoch, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Ticket, TopicId,
    TopicName, TransactionResult, TransactionVersion, Uuid,
};

use super::print::NAME_MIDDLE;
use crate::{
    CommitPartition, CommitRequest, CommitTopic, CommittingTransaction, DeleteOffsetsRequest,
    DescribeRequest, EndTransaction, Event, FetchRequest, FetchTopic, GroupId, HeartbeatRequest, InstanceId,
    JoinRequest, LeaveRequest, LeavingMember, ListRequest, MemberId, Protocol, SyncRequest,
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

    /// Words after the command without a key; partitions with an offset count as such.
    pub fn plain(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().skip(1).copied().filter(|word| !word.contains('=') || word.contains('/'))
    }

    /// Pairs of key and value.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().skip(1).filter(|word| !word.contains('/')).filter_map(|word| word.split_once('='))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .skip(1)
            .filter_map(|word| word.split_once('='))
            .find(|pair| pair.0 == key)
            .map(|pair| pair.1)
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let text = self.get(key)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{key}={text} is not a number")))
    }

    /// `ID:EPOCH` behind a key.
    fn producer(&self, key: &str) -> Option<(ProducerId, ProducerEpoch)> {
        let (id, epoch) = self.get(key)?.split_once(':')?;
        Some((ProducerId(id.parse().expect("an id")), ProducerEpoch(epoch.parse().expect("an epoch"))))
    }

    fn version(&self) -> i16 {
        self.number("v").unwrap_or(i16::MAX)
    }

    /// The first plain word; `''` is the empty group.
    fn group(&self) -> GroupId {
        GroupId::from(self.plain().next().unwrap_or("").trim_matches('\''))
    }

    fn member(&self) -> MemberId {
        member(self.get("member").unwrap_or(""))
    }

    fn instance(&self) -> Option<InstanceId> {
        self.get("instance").map(InstanceId::from)
    }

    fn text(&self, key: &str, default: &str) -> Arc<str> {
        Arc::from(self.get(key).unwrap_or(default))
    }
}

/// `c#2` as the coordinator named it.
fn member(short: &str) -> MemberId {
    match short.split_once('#') {
        Some((client, number)) => {
            let number: u64 = number.parse().expect("a member's number");
            MemberId::from(format!("{client}{NAME_MIDDLE}{number:012x}"))
        }
        None => MemberId::from(short),
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a legal topic")
}

/// Topics of scripts have small numbers for ids.
pub(crate) fn topic_id(number: u8) -> TopicId {
    let mut id = [0; 16];
    id[15] = number;
    TopicId(Uuid(id))
}

fn subscription(topics: &str) -> Arc<[u8]> {
    let topics: Vec<&str> = topics.split('+').collect();
    let mut bytes = vec![0, 1];
    bytes.extend(i32::try_from(topics.len()).expect("few topics").to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).expect("short topics").to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    Arc::from(bytes)
}

/// The event of a request; `None` when the command is none.
pub(crate) fn request(words: &Words<'_>, ticket: Ticket) -> Option<Event> {
    let event = match words.command() {
        "join" => Event::Join(ticket, join(words, ticket)),
        "sync" => Event::Sync(ticket, sync(words)),
        "heartbeat" => Event::Heartbeat(
            ticket,
            HeartbeatRequest {
                group_id: words.group(),
                generation: words.number("gen").expect("gen="),
                member_id: words.member(),
                group_instance_id: words.instance(),
            },
        ),
        "leave" => {
            let one = |word: &str| {
                let (id, instance) = word.split_once('/').map_or((word, None), |(id, name)| (id, Some(name)));
                LeavingMember { member_id: member(id), group_instance_id: instance.map(InstanceId::from) }
            };
            let members = words.get("members").expect("members=").split(',').map(one).collect();
            Event::Leave(ticket, LeaveRequest { group_id: words.group(), members })
        }
        "commit" => Event::CommitOffsets(ticket, commit(words)),
        "end" => {
            let (producer, epoch) = words.producer("txn").expect("txn=");
            let result = match words.plain().next() {
                Some("commit") => TransactionResult::Commit,
                _ => TransactionResult::Abort,
            };
            let version = TransactionVersion::Tv2;
            let end =
                EndTransaction { producer, epoch, coordinator_epoch: CoordinatorEpoch(1), result, version };
            Event::EndTransaction(ticket, end)
        }
        "fetch" => Event::FetchOffsets(ticket, fetch(words)),
        "delete-offsets" => {
            let topics = partitions(words).map(|(name, partition, _)| (topic(name), vec![partition]));
            let topics = topics.collect();
            Event::DeleteOffsets(ticket, DeleteOffsetsRequest { group_id: words.group(), topics })
        }
        "describe" => {
            let group_ids = words.plain().map(GroupId::from).collect();
            let knows_group_id_not_found = 6 <= words.version();
            Event::Describe(ticket, DescribeRequest { group_ids, knows_group_id_not_found })
        }
        "list" => {
            let filter = |key| words.get(key).map(|list| list.split(',').map(str::to_owned).collect());
            let states = filter("states").unwrap_or_default();
            Event::List(ticket, ListRequest { states, types: filter("types").unwrap_or_default() })
        }
        "delete" => Event::Delete(ticket, words.plain().map(GroupId::from).collect()),
        _ => return None,
    };
    Some(event)
}

fn join(words: &Words<'_>, ticket: Ticket) -> JoinRequest {
    let metadata = match words.get("bytes") {
        Some(size) => Arc::from(vec![7; size.parse().expect("bytes=")]),
        None => subscription(words.get("topics").unwrap_or("t")),
    };
    let names = words.get("protocols").unwrap_or("range").split(',').filter(|name| !name.is_empty());
    let protocols = names.map(|name| Protocol { name: Arc::from(name), metadata: metadata.clone() });
    let mut random = [0; 16];
    random[8..].copy_from_slice(&ticket.0.to_be_bytes());
    JoinRequest {
        group_id: words.group(),
        member_id: words.member(),
        group_instance_id: words.instance(),
        client_id: words.text("client", "c"),
        client_host: Arc::from("/h"),
        session_timeout_ms: words.number("session").unwrap_or(10_000),
        rebalance_timeout_ms: words.number("rebalance").unwrap_or(20_000),
        protocol_type: words.text("type", "consumer"),
        protocols: protocols.collect(),
        requires_known_member_id: 4 <= words.version(),
        supports_skip_assignment: 9 <= words.version(),
        random,
    }
}

fn sync(words: &Words<'_>) -> SyncRequest {
    let assignments = words.get("assign").unwrap_or("").split(',').filter_map(|pair| pair.split_once(':'));
    let requires_protocol = 5 <= words.version();
    let given = |key, default| match words.get(key) {
        Some(text) => Some(Arc::from(text)).filter(|_| !text.is_empty()),
        None => requires_protocol.then(|| Arc::from(default)),
    };
    SyncRequest {
        group_id: words.group(),
        generation: words.number("gen").expect("gen="),
        member_id: words.member(),
        group_instance_id: words.instance(),
        protocol_type: given("type", "consumer"),
        protocol_name: given("protocol", "range"),
        requires_protocol,
        assignments: assignments
            .map(|(id, what)| (member(id), Arc::from(what.replace('*', &"x".repeat(2000)).as_bytes())))
            .collect(),
    }
}

/// `topic/partition` or `topic/partition=offset`, after the group.
fn partitions<'a>(words: &Words<'a>) -> impl Iterator<Item = (&'a str, PartitionIndex, Offset)> {
    words.plain().skip(1).filter_map(|word| word.split_once('/')).map(|(name, rest)| {
        let (partition, offset) = rest.split_once('=').unwrap_or((rest, "0"));
        let partition = PartitionIndex(partition.parse().expect("a partition"));
        (name, partition, Offset(offset.parse().expect("an offset")))
    })
}

fn commit(words: &Words<'_>) -> CommitRequest {
    let metadata: Option<Arc<str>> = match words.get("note") {
        Some(note) => Some(Arc::from(note)),
        None => words.number("note-length").map(|length| Arc::from("é".repeat(length))),
    };
    let topics = partitions(words).map(|(name, partition, offset)| CommitTopic {
        name: topic(name),
        topic_id: words.number("id").map(topic_id),
        partitions: vec![CommitPartition {
            partition,
            offset,
            leader_epoch: words.number("epoch").map_or(LeaderEpoch::NONE, LeaderEpoch),
            metadata: metadata.clone(),
        }],
    });
    CommitRequest {
        group_id: words.group(),
        generation: words.number("gen").unwrap_or(-1),
        member_id: words.member(),
        group_instance_id: words.instance(),
        retention_time_ms: words.number("retention"),
        knows_group_id_not_found: 9 <= words.version() && words.get("txn").is_none(),
        transaction: words.producer("txn").map(|(producer, epoch)| CommittingTransaction {
            producer,
            epoch,
            asked_at: None,
        }),
        topics: topics.collect(),
    }
}

fn fetch(words: &Words<'_>) -> FetchRequest {
    let topics = partitions(words).map(|(name, partition, _)| FetchTopic {
        name: topic(name),
        topic_id: words.number("id").map(topic_id),
        partitions: vec![partition],
    });
    let all = words.plain().any(|word| word == "all");
    let require_stable = words.plain().any(|word| word == "stable");
    FetchRequest { group_id: words.group(), topics: (!all).then(|| topics.collect()), require_stable }
}
