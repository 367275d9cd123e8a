//! Which partitions are ours, and how far each came: in the database, and in what is on its way there.
//!
//! - X1 A partition is read only from an offset that the database said with the epoch it gave us.
//! - X2 A batch moves a partition only from where the last one left it; so of two owners, or of two tries of one, the
//!   database lets one through.
//! - X3 After any doubt nothing is assumed: what is not in the database is read again.
//! - X4 A partition that is stopped stays so until the group gives it anew; nothing in it is passed over.
//!
//! Knows no clock but by what it is told, no database and no cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use client::TopicPartition;
use model::Offset;
use rt::Instant;

use crate::target::{Claim, Granted, Move, Origin};

/// How long a partition that cannot be had is left alone while the group says that it is ours. Where another worker took
/// it, that is an owner of yesterday, who hears of it by its next heartbeat.
const CLAIM_WAIT: Duration = Duration::from_secs(5);

/// What becomes of a partition that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is read from here on.
    Begin(Offset),
    /// It waits, for this reason.
    Stopped(String),
    /// Somebody else has it.
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// To be claimed, from then on.
    Waiting { held: Option<i64>, at: Instant },
    /// Being claimed.
    Claimed,
    /// Read; `sent` is where the last batch leaves it.
    Owned { epoch: i64, sent: Offset, topic_id: String },
    /// Not read any more; a batch may still bring it to where it stopped.
    Stopped { owned: Option<(i64, Offset)> },
}

/// The partitions that the group gave us.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<TopicPartition, Stage>);

impl Ledger {
    /// The group gave us these, and no others.
    pub fn assign(&mut self, places: impl IntoIterator<Item = TopicPartition>, now: Instant) {
        let waiting = |place| (place, Stage::Waiting { held: None, at: now });
        self.0 = places.into_iter().map(waiting).collect();
    }

    /// The group took everything back.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The partitions to claim now.
    pub fn unclaimed(&self, now: Instant) -> Vec<TopicPartition> {
        let due = |stage: &Stage| matches!(stage, Stage::Waiting { at, .. } if *at <= now);
        self.0.iter().filter(|(_, stage)| due(stage)).map(|(place, _)| place.clone()).collect()
    }

    /// The claims of those that are due at `now`; those without an origin, which are not there, are left for a while.
    pub fn claim(&mut self, mut origins: BTreeMap<TopicPartition, Origin>, now: Instant) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (place, stage) in &mut self.0 {
            let Stage::Waiting { held, at } = *stage else { continue };
            if now < at {
                continue;
            }
            match origins.remove(place) {
                Some(origin) => {
                    *stage = Stage::Claimed;
                    claims.push(Claim { place: place.clone(), held, origin });
                }
                None => *stage = Stage::Waiting { held, at: now + CLAIM_WAIT },
            }
        }
        claims
    }

    /// The database answered `claims`.
    pub fn on_granted(
        &mut self,
        claims: &[Claim],
        granted: Vec<Granted>,
        now: Instant,
    ) -> Vec<(TopicPartition, Verdict)> {
        let mut granted: BTreeMap<_, _> =
            granted.into_iter().map(|granted| (granted.place.clone(), granted)).collect();
        let mut verdicts = Vec::new();
        for claim in claims {
            let Some(stage) = self.0.get_mut(&claim.place).filter(|stage| **stage == Stage::Claimed) else {
                continue;
            };
            let verdict = match granted.remove(&claim.place) {
                None => {
                    *stage = Stage::Waiting { held: None, at: now + CLAIM_WAIT };
                    Verdict::Fenced
                }
                Some(granted) => match problem(claim, &granted) {
                    Some(problem) => {
                        *stage = Stage::Stopped { owned: None };
                        Verdict::Stopped(problem)
                    }
                    None => {
                        let sent = granted.next_offset;
                        *stage = Stage::Owned { epoch: granted.epoch, sent, topic_id: granted.topic_id };
                        Verdict::Begin(sent)
                    }
                },
            };
            verdicts.push((claim.place.clone(), verdict));
        }
        verdicts
    }

    /// What a batch moves that contains everything read before these positions; it counts as sent.
    pub fn send(&mut self, positions: &BTreeMap<TopicPartition, Offset>) -> Vec<Move> {
        let mut moves = Vec::new();
        for (place, stage) in &mut self.0 {
            let (epoch, sent) = match stage {
                Stage::Owned { epoch, sent, .. } | Stage::Stopped { owned: Some((epoch, sent)) } => {
                    (*epoch, sent)
                }
                Stage::Stopped { owned: None } | Stage::Waiting { .. } | Stage::Claimed => continue,
            };
            if let Some(&next) = positions.get(place).filter(|next| *sent < **next) {
                moves.push(Move { place: place.clone(), epoch, expected: *sent, next });
                *sent = next;
            }
        }
        moves
    }

    /// Whether a batch would move anything.
    pub fn has_moved(&self, positions: &BTreeMap<TopicPartition, Offset>) -> bool {
        self.0.iter().any(|(place, stage)| match stage {
            Stage::Owned { sent, .. } | Stage::Stopped { owned: Some((_, sent)) } => {
                positions.get(place).is_some_and(|next| sent < next)
            }
            Stage::Stopped { owned: None } | Stage::Waiting { .. } | Stage::Claimed => false,
        })
    }

    /// Nobody knows how far the database came: everything of ours is claimed again from `at` on (X3).
    pub fn on_doubt(&mut self, at: Instant) {
        for stage in self.0.values_mut() {
            match *stage {
                Stage::Owned { epoch, .. } => *stage = Stage::Waiting { held: Some(epoch), at },
                // It stopped at a record that it will come by again.
                Stage::Stopped { owned: Some((epoch, _)) } => {
                    *stage = Stage::Waiting { held: Some(epoch), at }
                }
                // Whether the claim came through is not known either, and so not under which epoch.
                Stage::Claimed => *stage = Stage::Waiting { held: None, at },
                Stage::Waiting { .. } | Stage::Stopped { owned: None } => {}
            }
        }
    }

    /// A partition is not to be read on (X4).
    pub fn stop(&mut self, place: &TopicPartition) {
        if let Some(stage) = self.0.get_mut(place) {
            let owned = match stage {
                Stage::Owned { epoch, sent, .. } => Some((*epoch, *sent)),
                Stage::Stopped { owned } => *owned,
                Stage::Waiting { .. } | Stage::Claimed => None,
            };
            *stage = Stage::Stopped { owned };
        }
    }

    /// Whether a topic that is read has another id than when it was taken, by what the cluster says now.
    pub fn is_recreated(&self, topic_id: impl Fn(&TopicPartition) -> Option<String>) -> bool {
        self.0.iter().any(|(place, stage)| match stage {
            Stage::Owned { topic_id: taken, .. } => topic_id(place).as_ref() != Some(taken),
            Stage::Stopped { .. } | Stage::Waiting { .. } | Stage::Claimed => false,
        })
    }

    /// The id of the topic that a partition is read from.
    pub fn topic_id(&self, place: &TopicPartition) -> Option<&str> {
        match self.0.get(place)? {
            Stage::Owned { topic_id, .. } => Some(topic_id),
            Stage::Stopped { .. } | Stage::Waiting { .. } | Stage::Claimed => None,
        }
    }

    /// Whether each partition that the group gave us is among these.
    pub fn are_all_in(&self, places: &BTreeMap<TopicPartition, Offset>) -> bool {
        self.0.keys().all(|place| places.contains_key(place))
    }

    /// The next moment at which there is something to claim.
    pub fn next_claim_at(&self) -> Option<Instant> {
        let waits = self.0.values().filter_map(|stage| match stage {
            Stage::Waiting { at, .. } => Some(*at),
            Stage::Claimed | Stage::Owned { .. } | Stage::Stopped { .. } => None,
        });
        waits.min()
    }
}

/// Why a partition that was granted cannot be read on.
fn problem(claim: &Claim, granted: &Granted) -> Option<String> {
    let (place, origin) = (&claim.place, &claim.origin);
    let forget = "if that is meant, delete its row from ottla_offsets, and it begins anew";
    if (&granted.cluster_id, &granted.topic_id) != (&origin.cluster_id, &origin.topic_id) {
        return Some(format!(
            "{place} is of topic {} in cluster '{}' now, and its offset of topic {} in cluster '{}': {forget}",
            origin.topic_id, origin.cluster_id, granted.topic_id, granted.cluster_id
        ));
    }
    (granted.next_offset < origin.log_start).then(|| {
        format!(
            "{place} is to be read from offset {}, but begins at {}: the records between are gone; {forget}",
            granted.next_offset.0, origin.log_start.0
        )
    })
}

#[cfg(test)]
mod tests;
