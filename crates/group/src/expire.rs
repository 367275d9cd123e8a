//! What goes away: offsets that are too old, groups that nothing is left of, groups that are deleted.
//!
//! - E1 An offset with a time of its own goes then. Any other goes when the retention has passed since: the group
//!   became empty; or, for a group without members' protocol, the commit; or, in a stable consumer group, the commit
//!   if no member wants the topic any more. Otherwise it stays, and so does one that a transaction has not decided.
//! - E2 A group goes when it has neither members, nor offsets, nor names given out and not used.

use std::collections::BTreeSet;

use model::ErrorCode;

use crate::group::{Group, Phase};
use crate::record::Record;
use crate::stored::CommittedOffset;
use crate::subscription;
use crate::turn::Turn;

/// When an offset's retention began.
#[derive(Clone, Copy)]
enum Since {
    Commit,
    Ms(i64),
}

impl Group {
    /// Drops expired offsets, and the group if nothing is left of it (E1, E2).
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        if let Some(since) = self.retention_began() {
            let expired = |offset: &CommittedOffset| is_expired(turn, offset, since);
            let expired: BTreeSet<_> = self
                .offsets()
                .iter()
                .filter(|(topic, partition, offset)| {
                    !self.is_subscribed_to(topic) && !self.undecided.has(topic, *partition) && expired(offset)
                })
                .map(|(topic, partition, _)| (topic.clone(), partition))
                .collect();
            self.drop_offsets(turn, expired);
        }
        let has_offsets = !self.offsets().is_empty() || !self.undecided.is_empty();
        if matches!(self.phase, Phase::Empty) && !has_offsets && self.pending.is_empty() {
            self.bury(turn);
        }
    }

    /// `None` when nothing expires in this state.
    fn retention_began(&self) -> Option<Since> {
        let Some(protocol_type) = self.protocol_type.as_deref() else { return Some(Since::Commit) };
        match self.phase {
            Phase::Empty => Some(self.state_since_ms.map_or(Since::Commit, Since::Ms)),
            Phase::Stable { .. } if protocol_type == subscription::CONSUMER && self.subscribed.is_some() => {
                Some(Since::Commit)
            }
            Phase::Stable { .. } | Phase::Joining { .. } | Phase::Syncing { .. } => None,
        }
    }

    /// DeleteGroups of a group that exists.
    pub fn delete(&mut self, turn: &mut Turn<'_>) -> ErrorCode {
        if !matches!(self.phase, Phase::Empty) {
            return ErrorCode::NonEmptyGroup;
        }
        for id in std::mem::take(&mut self.pending) {
            self.remove_pending(turn, &id);
        }
        let committed = self.offsets().iter().map(|(topic, partition, _)| (topic.clone(), partition));
        let offsets = committed.chain(self.undecided.places().cloned()).collect();
        self.drop_offsets(turn, offsets);
        self.bury(turn);
        ErrorCode::None
    }

    /// The group's own tombstone, after those of its offsets.
    fn bury(&mut self, turn: &mut Turn<'_>) {
        self.append(turn, vec![Record::Group { group: self.id.clone(), value: None }]);
    }
}

fn is_expired(turn: &Turn<'_>, offset: &CommittedOffset, since: Since) -> bool {
    let since_ms = match (offset.expires_at_ms, since) {
        (Some(expires_at_ms), _) => return expires_at_ms <= turn.now.wall,
        (None, Since::Commit) => offset.committed_at_ms,
        (None, Since::Ms(since_ms)) => since_ms,
    };
    let age = u64::try_from(turn.now.wall.saturating_sub(since_ms)).unwrap_or(0);
    turn.config.offsets_retention_ms <= age
}
