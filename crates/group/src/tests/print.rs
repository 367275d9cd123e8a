//! What a coordinator does, as text. Members' names are printed short: `c#2` for `c-00000000-0000-4000-8000-000000000002`.

use std::fmt::Write;

use model::{Barrier, ErrorCode, LeaderEpoch, PartitionIndex, Ticket};

use crate::record::Record;
use crate::stored::{CommittedOffset, Generation};
use crate::{
    Action, CommittedTopic, DescribedGroup, FetchReply, JoinReply, LeaveReply, MemberId, Reply, SyncReply,
};

/// What stands between a script's client and the number of the ticket its member was named with.
pub(crate) const NAME_MIDDLE: &str = "-00000000-0000-4000-8000-";

/// All actions of a step, one to a line; a batch's records are indented.
pub(crate) fn actions(actions: &[Action]) -> String {
    let mut lines = String::new();
    for action in actions {
        match action {
            Action::Append(records) => {
                lines.push_str("append\n");
                for encoded in records {
                    let decoded = Record::decode(&encoded.key, encoded.value.as_deref());
                    let text = record(&decoded.expect("own records decode").expect("own records are ours"));
                    writeln!(lines, "  {text}").expect("strings take all");
                }
            }
            Action::AppendTransactional(transaction, records) => {
                let (producer, epoch) = (transaction.producer.0, transaction.epoch.0);
                writeln!(lines, "append in transaction of {producer}/{epoch}").expect("strings take all");
                for encoded in records {
                    let decoded = Record::decode(&encoded.key, encoded.value.as_deref());
                    let text = record(&decoded.expect("own records decode").expect("own records are ours"));
                    writeln!(lines, "  {text}").expect("strings take all");
                }
            }
            Action::AppendMarker(end) => {
                writeln!(lines, "append marker {}/{} {:?}", end.producer.0, end.epoch.0, end.result)
                    .expect("strings take all");
            }
            Action::Reply { ticket: Ticket(ticket), reply: answer, after } => {
                let wait = match after {
                    Barrier::Now => "",
                    Barrier::Durable => " (durable)",
                };
                writeln!(lines, "t{ticket}{wait}: {}", reply(answer)).expect("strings take all");
            }
        }
    }
    short_names(&lines)
}

/// Members' names, as scripts write them.
fn short_names(text: &str) -> String {
    let mut parts = text.split(NAME_MIDDLE);
    let mut short = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (number, rest) = part.split_at(12);
        let number = u64::from_str_radix(number, 16).expect("the end of a script's name is a number");
        write!(short, "#{number}{rest}").expect("strings take all");
    }
    short
}

fn blob(bytes: &[u8]) -> String {
    let mut topics = std::collections::BTreeSet::new();
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    if crate::subscription::add_topics(bytes, &mut topics).is_some() {
        return topics.into_iter().collect::<Vec<_>>().join("+");
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|letter| letter.is_ascii_graphic()) => text.to_owned(),
        Ok(_) | Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

pub(crate) fn record(record: &Record) -> String {
    match record {
        Record::Offset { group, topic, partition, value: None } => {
            format!("offset {group} {topic}/{partition} none")
        }
        Record::Offset { group, topic, partition, value: Some(value) } => {
            format!("offset {group} {topic}/{partition}{}", committed(value))
        }
        Record::Group { group, value: None } => format!("group {group} none"),
        Record::Group { group, value: Some(value) } => format!("group {group} {}", generation(value)),
    }
}

fn committed(value: &CommittedOffset) -> String {
    let mut text = format!("={}", value.offset);
    if value.leader_epoch != LeaderEpoch::NONE {
        write!(text, " epoch={}", value.leader_epoch).expect("strings take all");
    }
    write!(text, " {:?} at={}", value.metadata, value.committed_at_ms).expect("strings take all");
    if let Some(until) = value.expires_at_ms {
        write!(text, " until={until}").expect("strings take all");
    }
    if let Some(id) = value.topic_id {
        write!(text, " id={id}").expect("strings take all");
    }
    text
}

fn generation(value: &Generation) -> String {
    let mut text = format!("generation={}", value.number);
    if !value.protocol_type.is_empty() {
        write!(text, " {}", value.protocol_type).expect("strings take all");
    }
    if let Some(protocol) = &value.protocol {
        write!(text, "/{protocol}").expect("strings take all");
    }
    if let Some(leader) = &value.leader {
        write!(text, " leader={leader}").expect("strings take all");
    }
    if let Some(since) = value.state_since_ms {
        write!(text, " since={since}").expect("strings take all");
    }
    for (id, member) in &value.members {
        let instance = member.instance_id.as_ref().map_or(String::new(), |instance| format!("/{instance}"));
        write!(
            text,
            " [{id}{instance} {}@{} session={} rebalance={} wants {} gets {}]",
            member.client_id,
            member.client_host,
            member.session_timeout_ms,
            member.rebalance_timeout_ms,
            blob(&member.subscription),
            blob(&member.assignment)
        )
        .expect("strings take all");
    }
    text
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Join(reply) => join(reply),
        Reply::Sync(reply) => sync(reply),
        Reply::Heartbeat(error) => format!("heartbeat {error}"),
        Reply::Leave(reply) => leave(reply),
        Reply::CommitOffsets(topics) => {
            format!("commit{}", topics.iter().map(committed_topic).collect::<String>())
        }
        Reply::EndTransaction => "transaction ended".to_owned(),
        Reply::FetchOffsets(reply) => fetch(reply),
        Reply::DeleteOffsets(reply) => {
            let topics = reply.topics.iter();
            let topics: String = topics.map(|(name, partitions)| errors(name.as_str(), partitions)).collect();
            format!("delete-offsets {}{topics}", reply.error)
        }
        Reply::Describe(groups) => format!("describe{}", groups.iter().map(described).collect::<String>()),
        Reply::List(groups) => {
            let one = |group: &crate::ListedGroup| {
                format!(" {}:{}:{}", group.group_id, group.protocol_type, group.state.name())
            };
            format!("list{}", groups.iter().map(one).collect::<String>())
        }
        Reply::Delete(groups) => {
            let one = |(id, error): &(crate::GroupId, ErrorCode)| format!(" {id}:{error}");
            format!("delete{}", groups.iter().map(one).collect::<String>())
        }
    }
}

fn join(reply: &JoinReply) -> String {
    if reply.error != ErrorCode::None {
        return format!("join {} {}", reply.error, quoted(&reply.member_id));
    }
    let mut text = format!(
        "join {} generation={} {}/{} leader={}",
        reply.member_id,
        reply.generation,
        reply.protocol_type.as_deref().unwrap_or("-"),
        reply.protocol_name.as_deref().unwrap_or("-"),
        reply.leader
    );
    if reply.skip_assignment {
        text.push_str(" skip-assignment");
    }
    for member in &reply.members {
        let instance =
            member.group_instance_id.as_ref().map_or(String::new(), |instance| format!("/{instance}"));
        write!(text, " [{}{instance} wants {}]", member.member_id, blob(&member.metadata))
            .expect("strings take all");
    }
    text
}

fn sync(reply: &SyncReply) -> String {
    if reply.error != ErrorCode::None {
        return format!("sync {}", reply.error);
    }
    let protocol_type = reply.protocol_type.as_deref().unwrap_or("-");
    let protocol = reply.protocol_name.as_deref().unwrap_or("-");
    format!("sync {protocol_type}/{protocol} gets {}", blob(&reply.assignment))
}

fn leave(reply: &LeaveReply) -> String {
    let mut text = format!("leave {}", reply.error);
    for member in &reply.members {
        let instance =
            member.group_instance_id.as_ref().map_or(String::new(), |instance| format!("/{instance}"));
        write!(text, " {}{instance}:{}", quoted(&member.member_id), member.error).expect("strings take all");
    }
    text
}

fn quoted(id: &MemberId) -> String {
    if id.is_empty() { "\"\"".to_owned() } else { id.to_string() }
}

fn committed_topic(topic: &CommittedTopic) -> String {
    errors(topic.name.as_str(), &topic.partitions)
}

fn errors(topic: &str, partitions: &[(PartitionIndex, ErrorCode)]) -> String {
    partitions.iter().map(|(partition, error)| format!(" {topic}/{partition}:{error}")).collect()
}

fn fetch(reply: &FetchReply) -> String {
    let mut text = format!("fetch {:?}", reply.group_id);
    for topic in &reply.topics {
        for found in &topic.partitions {
            if found.error != ErrorCode::None {
                write!(text, " {}/{} {}", topic.name, found.partition, found.error)
                    .expect("strings take all");
                continue;
            }
            write!(text, " {}/{}={}", topic.name, found.partition, found.offset).expect("strings take all");
            if found.leader_epoch != LeaderEpoch::NONE {
                write!(text, " epoch={}", found.leader_epoch).expect("strings take all");
            }
            write!(text, " {:?}", found.metadata).expect("strings take all");
        }
    }
    text
}

fn described(group: &DescribedGroup) -> String {
    let mut text = format!("\n  {} {} {}", group.group_id, group.error, group.state.name());
    if !group.protocol_type.is_empty() {
        write!(text, " {}/{}", group.protocol_type, group.protocol).expect("strings take all");
    }
    if let Some(message) = &group.error_message {
        write!(text, " {message:?}").expect("strings take all");
    }
    for member in &group.members {
        let instance =
            member.group_instance_id.as_ref().map_or(String::new(), |instance| format!("/{instance}"));
        write!(
            text,
            " [{}{instance} {}@{} wants {} gets {}]",
            member.member_id,
            member.client_id,
            member.client_host,
            blob(&member.metadata),
            blob(&member.assignment)
        )
        .expect("strings take all");
    }
    text
}
