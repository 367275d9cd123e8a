//! Topics of names used once: created ones stay, deleted ones stay away.

use std::collections::{BTreeMap, BTreeSet};

use crate::anomaly::Anomaly;
use crate::event::Event;

#[derive(Default)]
struct Life {
    is_created: bool,
    deletion_asked: bool,
    is_deleted: bool,
}

pub(crate) fn check(events: &[Event], anomalies: &mut Vec<Anomaly>) {
    let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
    let mut there: Option<BTreeSet<&str>> = None;
    for event in events {
        match event {
            Event::Create { topic } => {
                lives.entry(topic).or_default();
            }
            Event::Created { topic } => lives.entry(topic).or_default().is_created = true,
            Event::Delete { topic } => lives.entry(topic).or_default().deletion_asked = true,
            Event::Deleted { topic } => lives.entry(topic).or_default().is_deleted = true,
            Event::Topics { topics } => there = Some(topics.iter().map(String::as_str).collect()),
            _ => {}
        }
    }
    let Some(there) = there else { return };
    for (topic, life) in lives {
        let is_there = there.contains(topic);
        if life.is_deleted && is_there {
            anomalies.push(Anomaly::RevivedTopic(topic.to_owned()));
        }
        if life.is_created && !life.deletion_asked && !is_there {
            anomalies.push(Anomaly::LostTopic(topic.to_owned()));
        }
    }
}
