//! The members a group has now, whether or not the log knows them yet.
//!
//! - M1 `joining` counts the members that wait for the join phase to end.
//! - M2 `votes` counts, for each protocol, the members that support it; while there are members, at least one
//!   protocol is supported by all.
//! - M3 The leader is a member; there is one while there are members.
//! - M4 A static instance is one member.
//! - M5 `bytes` is what the members' own texts and metadata take.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Ticket;

use crate::event::Protocol;
use crate::id::{InstanceId, MemberId};
use crate::stored::StoredMember;

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The JoinGroup that waits for the join phase to end.
    pub join: Option<Ticket>,
    /// The SyncGroup that waits for the leader's.
    pub sync: Option<Ticket>,
    /// It has not been through a join phase: it cannot send heartbeats, so waiting does not keep it alive.
    pub is_new: bool,
}

impl Member {
    /// A member as the log knows it: only the chosen protocol is there.
    pub fn restore(id: MemberId, stored: &StoredMember, protocol: &Arc<str>) -> Member {
        Member {
            id,
            instance_id: stored.instance_id.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            session_timeout_ms: stored.session_timeout_ms,
            rebalance_timeout_ms: stored.rebalance_timeout_ms,
            protocols: vec![Protocol { name: protocol.clone(), metadata: stored.subscription.clone() }],
            join: None,
            sync: None,
            is_new: false,
        }
    }

    /// What the member wants under this protocol; empty when it does not know it.
    pub fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|known| &*known.name == protocol);
        found.map_or_else(|| Arc::from([]), |known| known.metadata.clone())
    }

    /// Whether waiting for an answer stands in for heartbeats.
    pub fn is_kept_alive_by_waiting(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    fn bytes(&self) -> usize {
        let instance = self.instance_id.as_ref().map_or(0, |instance| instance.as_str().len());
        let names = self.id.as_str().len() + instance + self.client_id.len() + self.client_host.len();
        names + protocols_bytes(&self.protocols)
    }
}

/// What a list of protocols takes.
pub(crate) fn protocols_bytes(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum()
}

/// All members of one group.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<MemberId, Member>,
    static_ids: BTreeMap<InstanceId, MemberId>,
    leader: Option<MemberId>,
    joining: usize,
    votes: BTreeMap<Arc<str>, usize>,
    bytes: usize,
}

impl Members {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn joining(&self) -> usize {
        self.joining
    }

    pub fn all_joined(&self) -> bool {
        self.joining == self.by_id.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, id: &MemberId) -> Option<&Member> {
        self.by_id.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    pub fn ids(&self) -> Vec<MemberId> {
        self.by_id.keys().cloned().collect()
    }

    pub fn instance(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.static_ids.get(instance)
    }

    pub fn leader(&self) -> Option<&MemberId> {
        self.leader.as_ref()
    }

    pub fn is_leader(&self, id: &MemberId) -> bool {
        self.leader.as_ref() == Some(id)
    }

    /// Names the leader the log knows; ignored unless it is a member.
    pub fn restore_leader(&mut self, leader: Option<&MemberId>) {
        if let Some(leader) = leader.filter(|leader| self.by_id.contains_key(*leader)) {
            self.leader = Some(leader.clone());
        }
    }

    /// The longest time any member may take to rejoin, ms.
    pub fn rebalance_timeout_ms(&self) -> u64 {
        let longest = self.by_id.values().map(|member| member.rebalance_timeout_ms).max();
        u64::try_from(longest.unwrap_or(0)).unwrap_or(0)
    }

    /// Adds a member; the first one leads.
    pub fn add(&mut self, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.static_ids.insert(instance.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.joining += usize::from(member.join.is_some());
        self.bytes += member.bytes();
        for protocol in &member.protocols {
            *self.votes.entry(protocol.name.clone()).or_default() += 1;
        }
        self.by_id.insert(member.id.clone(), member);
    }

    /// Removes a member; another one leads if it was the leader.
    pub fn remove(&mut self, id: &MemberId) -> Option<Member> {
        let member = self.take(id)?;
        if let Some(instance) = &member.instance_id {
            self.static_ids.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.by_id.keys().next().cloned();
        }
        Some(member)
    }

    /// Puts a static member's new name in the place of its old one, leadership included.
    pub fn rename(&mut self, old: &MemberId, new: MemberId) -> Option<Member> {
        let before = self.take(old)?;
        let led = self.is_leader(old);
        self.add(Member { id: new.clone(), join: None, sync: None, is_new: false, ..before.clone() });
        if led {
            self.leader = Some(new);
        }
        Some(before)
    }

    fn take(&mut self, id: &MemberId) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        self.joining -= usize::from(member.join.is_some());
        self.bytes -= member.bytes();
        for protocol in &member.protocols {
            if let Some(count) = self.votes.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.votes.remove(&protocol.name);
                }
            }
        }
        Some(member)
    }

    /// Changes a member, keeping the counts (M1, M2, M5) right; `None` when there is none of that name.
    pub fn update<T>(&mut self, id: &MemberId, change: impl FnOnce(&mut Member) -> T) -> Option<T> {
        let mut member = self.take(id)?;
        let result = change(&mut member);
        self.add(member);
        Some(result)
    }

    /// Ends a member's wait for the join phase.
    pub fn take_join(&mut self, id: &MemberId) -> Option<Ticket> {
        let ticket = self.by_id.get_mut(id)?.join.take()?;
        self.joining -= 1;
        Some(ticket)
    }

    /// Sets or ends a member's wait for the leader's assignment; returns the request that waited before.
    pub fn replace_sync(&mut self, id: &MemberId, sync: Option<Ticket>) -> Option<Ticket> {
        std::mem::replace(&mut self.by_id.get_mut(id)?.sync, sync)
    }

    /// Marks that a member has been through a join phase.
    pub fn mark_known(&mut self, id: &MemberId) {
        if let Some(member) = self.by_id.get_mut(id) {
            member.is_new = false;
        }
    }

    /// Whether all members know at least one of these protocols.
    pub fn support_any_of(&self, protocols: &[Protocol]) -> bool {
        let count = |name| self.votes.get(name).copied().unwrap_or(0);
        protocols.iter().any(|protocol| count(&protocol.name) == self.by_id.len())
    }

    /// The protocol with the most votes: each member votes for the first of its own that all support.
    /// Of several, the one first in the alphabet; Kafka leaves that to its hash table.
    pub fn select_protocol(&self) -> Option<Arc<str>> {
        let everyone = self.by_id.len();
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.by_id.values() {
            let supported = |protocol: &&Protocol| self.votes.get(&protocol.name) == Some(&everyone);
            if let Some(choice) = member.protocols.iter().find(supported) {
                *votes.entry(&choice.name).or_default() += 1;
            }
        }
        votes.into_iter().rev().max_by_key(|&(_, count)| count).map(|(name, _)| name.clone())
    }

    /// Makes sure the leader is among those that joined. False when nobody did.
    pub fn elect_joined_leader(&mut self) -> bool {
        let joined = |id: &MemberId| self.by_id.get(id).is_some_and(|member| member.join.is_some());
        if !self.leader.as_ref().is_some_and(joined) {
            let Some(member) = self.by_id.values().find(|member| member.join.is_some()) else { return false };
            self.leader = Some(member.id.clone());
        }
        true
    }
}

#[cfg(test)]
impl Members {
    pub(crate) fn assert_invariants(&self) {
        assert_eq!(self.joining, self.by_id.values().filter(|member| member.join.is_some()).count(), "M1");
        let mut votes: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for protocol in self.by_id.values().flat_map(|member| &member.protocols) {
            *votes.entry(protocol.name.clone()).or_default() += 1;
        }
        assert_eq!(votes, self.votes, "M2");
        assert!(self.is_empty() || self.votes.values().any(|&count| count == self.len()), "M2");
        assert_eq!(self.leader.is_some(), !self.is_empty(), "M3");
        assert!(self.leader.as_ref().is_none_or(|leader| self.by_id.contains_key(leader)), "M3");
        for (instance, id) in &self.static_ids {
            assert_eq!(self.by_id[id].instance_id.as_ref(), Some(instance), "M4");
        }
        let statics = self.by_id.values().filter(|member| member.instance_id.is_some()).count();
        assert_eq!(self.static_ids.len(), statics, "M4");
        assert_eq!(self.bytes, self.by_id.values().map(Member::bytes).sum::<usize>(), "M5");
    }
}
