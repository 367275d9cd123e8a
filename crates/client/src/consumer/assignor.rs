//! Who reads what: Kafka's range assignor.
//!
//! Topic by topic the partitions are dealt in order to the members that want the topic, in the order of their names, as
//! evenly as whole runs allow. Topics with as many partitions thus meet in the same member, which joins need.

use std::collections::BTreeMap;

use model::{PartitionIndex, TopicName};

use crate::metadata::TopicPartition;

/// Members by id, with what each wants: its static name, if it has one, orders it, then its id.
pub type Members = BTreeMap<String, (Option<String>, Vec<TopicName>)>;

/// Deals `partitions` (how many each topic has) to `members`. Every member has an entry, if an empty one.
pub fn range(
    members: &Members,
    partitions: &BTreeMap<TopicName, usize>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assigned: BTreeMap<String, Vec<TopicPartition>> =
        members.keys().map(|member| (member.clone(), Vec::new())).collect();
    for (topic, &count) in partitions {
        let mut wanting: Vec<_> = members
            .iter()
            .filter(|(_, (_, topics))| topics.contains(topic))
            .map(|(id, (name, _))| (name, id))
            .collect();
        // Java sorts static members before others, by name, so that they keep their partitions when ids change.
        wanting.sort_by_key(|(name, id)| (name.is_none(), *name, *id));
        let Some(share) = count.checked_div(wanting.len()) else { continue };
        let extra = count % wanting.len();
        let mut next = 0;
        for (index, (_, id)) in wanting.into_iter().enumerate() {
            let end = next + share + usize::from(index < extra);
            let run = (next..end)
                .filter_map(|index| i32::try_from(index).ok())
                .map(|index| TopicPartition { topic: topic.clone(), partition: PartitionIndex(index) });
            assigned.entry(id.clone()).or_default().extend(run);
            next = end;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `topics` such as `a:3 b:2`; `members` such as `m1:a,b m2:a s1=m3:b` (static name `s1`); the result in the same way.
    #[track_caller]
    fn check(topics: &str, members: &str, expected: &str) {
        let topic = |name: &str| TopicName::parse(name).unwrap();
        let topics = topics.split_whitespace().map(|text| {
            let (name, count) = text.split_once(':').unwrap();
            (topic(name), count.parse().unwrap())
        });
        let members = members.split_whitespace().map(|text| {
            let (member, wants) = text.split_once(':').unwrap();
            let (name, id) = match member.split_once('=') {
                Some((name, id)) => (Some(name.to_owned()), id),
                None => (None, member),
            };
            (id.to_owned(), (name, wants.split(',').filter(|text| !text.is_empty()).map(topic).collect()))
        });
        let assigned = range(&members.collect(), &topics.collect());
        let shown: Vec<String> = (assigned.iter())
            .map(|(id, places)| {
                let places: Vec<_> =
                    places.iter().map(|place| format!("{}{}", place.topic, place.partition)).collect();
                format!("{id}:{}", places.join(","))
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{topics:?}", topics = expected);
    }

    #[test]
    fn partitions_are_dealt_in_runs() {
        check("a:3", "m1:a", "m1:a0,a1,a2");
        check("a:3", "m1:a m2:a", "m1:a0,a1 m2:a2");
        check("a:3 b:3", "m1:a,b m2:a,b", "m1:a0,a1,b0,b1 m2:a2,b2");
        check("a:2 b:3", "m1:a m2:a,b m3:b", "m1:a0 m2:a1,b0,b1 m3:b2");
    }

    #[test]
    fn members_may_go_without() {
        check("a:1", "m1:a m2:a", "m1:a0 m2:");
        check("a:0", "m1:a", "m1:");
        check("a:2", "m1:b m2:", "m1: m2:");
    }

    #[test]
    fn static_members_come_first_by_name() {
        check("a:3", "m1:a z=m0:a y=m2:a", "m0:a1 m1:a2 m2:a0");
    }
}
