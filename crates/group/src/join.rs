//! JoinGroup: who comes into a group, and when that starts a rebalance.
//!
//! - J1 A name is given out by the coordinator only; another one is UNKNOWN_MEMBER_ID.
//! - J2 A static instance that comes back takes its old member's place; the old name is fenced from then on.
//! - J3 A member waits with one JoinGroup at the most; the one before is told to try again.

use std::sync::Arc;

use model::{ErrorCode, Ticket, limits};

use crate::action::{JoinReply, JoinedMember, Reply};
use crate::event::JoinRequest;
use crate::group::{Group, Phase, fits};
use crate::id::{GroupId, MemberId};
use crate::members::{Member, protocols_bytes};
use crate::timers::Timer;
use crate::turn::Turn;

/// Longest text of a join that goes into a record, bytes: record strings have 16-bit lengths, and a member's name
/// adds a dash and a UUID.
const TEXT_BYTES_MAX: usize = 32_767 - 37;

impl JoinReply {
    /// The answer of an error.
    pub fn failed(error: ErrorCode, member_id: MemberId) -> JoinReply {
        JoinReply {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: MemberId::from(""),
            skip_assignment: false,
            member_id,
            members: Vec::new(),
        }
    }
}

/// What is wrong with a JoinGroup whatever the group is.
pub(crate) fn check(turn: &Turn<'_>, request: &JoinRequest) -> Result<(), ErrorCode> {
    let sessions = turn.config.session_timeout_ms_min..=turn.config.session_timeout_ms_max;
    let mut texts = vec![&*request.client_id, &*request.client_host, &*request.protocol_type];
    texts.extend(request.protocols.iter().map(|protocol| &*protocol.name));
    texts.extend(request.group_instance_id.as_ref().map(|instance| instance.as_str()));
    if request.group_id.is_empty() || !is_storable(&request.group_id) {
        Err(ErrorCode::InvalidGroupId)
    } else if !sessions.contains(&request.session_timeout_ms) {
        Err(ErrorCode::InvalidSessionTimeout)
    } else if texts.iter().any(|text| TEXT_BYTES_MAX < text.len()) {
        Err(ErrorCode::InvalidRequest)
    } else if request.protocol_type.is_empty() || request.protocols.is_empty() {
        Err(ErrorCode::InconsistentGroupProtocol)
    } else {
        Ok(())
    }
}

/// Whether a group's name fits a record's key.
pub(crate) fn is_storable(group_id: &GroupId) -> bool {
    group_id.as_str().len() <= TEXT_BYTES_MAX
}

impl Group {
    /// A request that passed [`check`].
    pub fn on_join(&mut self, turn: &mut Turn<'_>, ticket: Ticket, mut request: JoinRequest) {
        drop_repeated_protocols(&mut request);
        if let Err(error) = self.check_join(turn, &request) {
            if error == ErrorCode::GroupMaxSizeReached {
                self.turn_away(turn, &request.member_id);
                request.member_id = MemberId::from("");
            }
            turn.refuse_join(ticket, error, request.member_id);
        } else if request.member_id.is_empty() {
            self.join_without_name(turn, ticket, request);
        } else if self.pending.contains(&request.member_id) {
            let id = request.member_id.clone();
            self.add_member(turn, ticket, id, request);
        } else {
            self.rejoin(turn, ticket, request);
        }
    }

    /// Who comes too late for a full group loses its place, which only happens while members join.
    fn turn_away(&mut self, turn: &mut Turn<'_>, id: &MemberId) {
        self.remove_pending(turn, id);
        if matches!(self.phase, Phase::Joining { .. }) {
            self.remove_member(turn, id);
            self.complete_join_if_ready(turn);
        }
    }

    fn check_join(&self, turn: &Turn<'_>, request: &JoinRequest) -> Result<(), ErrorCode> {
        let known = self.members.get(&request.member_id);
        // While members join, those that wait count: it is how the last to rejoin are turned away.
        let accepted = match self.phase {
            Phase::Empty => true,
            Phase::Joining { .. } => {
                known.is_some_and(|member| member.join.is_some())
                    || self.members.joining() < turn.config.members_max
            }
            Phase::Syncing { .. } | Phase::Stable { .. } => {
                known.is_some() || self.members.len() < turn.config.members_max
            }
        };
        let bytes_before = known.map_or(0, |member| protocols_bytes(&member.protocols));
        let bytes = self.members.bytes() - bytes_before + protocols_bytes(&request.protocols);
        let crowd = self.members.len() + self.pending.len();
        let named = known.is_some() || self.pending.contains(&request.member_id);
        if !accepted || limits::GROUP_BYTES_MAX < bytes || (!named && limits::GROUP_MEMBERS_MAX <= crowd) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        let same_type = self.protocol_type.as_ref() == Some(&request.protocol_type);
        let supported = match self.phase {
            Phase::Empty => true,
            Phase::Joining { .. } | Phase::Syncing { .. } | Phase::Stable { .. } => {
                same_type && self.members.support_any_of(&request.protocols)
            }
        };
        if !supported {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if request.member_id.is_empty() {
            Ok(())
        } else if self.pending.contains(&request.member_id) {
            // Only dynamic members are asked to come back with a name.
            request.group_instance_id.as_ref().map_or(Ok(()), |_| Err(ErrorCode::UnknownMemberId))
        } else {
            self.check_member(&request.member_id, request.group_instance_id.as_ref())
        }
    }

    fn join_without_name(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        let prefix = request.group_instance_id.as_ref().map_or(&*request.client_id, |name| name.as_str());
        let id = MemberId::generate(prefix, request.random);
        let replaced =
            request.group_instance_id.as_ref().and_then(|name| self.members.instance(name)).cloned();
        if let Some(old) = replaced {
            self.replace_static(turn, ticket, &old, id, request);
        } else if request.group_instance_id.is_none() && request.requires_known_member_id {
            let timeout = u64::try_from(request.session_timeout_ms).unwrap_or(0);
            turn.schedule(Timer::Session(self.id.clone(), id.clone()), timeout);
            self.pending.insert(id.clone());
            turn.refuse_join(ticket, ErrorCode::MemberIdRequired, id);
        } else {
            self.add_member(turn, ticket, id, request);
        }
    }

    fn add_member(&mut self, turn: &mut Turn<'_>, ticket: Ticket, id: MemberId, request: JoinRequest) {
        if let Phase::Joining { initial: Some(initial) } = &mut self.phase {
            initial.grew = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type);
        }
        self.pending.remove(&id);
        self.members.add(Member {
            id: id.clone(),
            instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocols: request.protocols,
            join: Some(ticket),
            sync: None,
            is_new: true,
        });
        // It cannot send heartbeats while it waits, and a client that gave up may come back as another member.
        turn.schedule(Timer::Session(self.id.clone(), id), u64::from(turn.config.new_member_join_timeout_ms));
        self.rebalance_or_complete(turn);
    }

    /// A member the group knows.
    fn rejoin(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        let id = &request.member_id;
        let unchanged = self.members.get(id).is_some_and(|member| member.protocols == request.protocols);
        let leads = self.members.is_leader(id);
        match self.phase {
            // `check_join` found the member, so there is one.
            Phase::Empty | Phase::Joining { .. } => self.update_member(turn, ticket, request),
            // It may have missed the answer.
            Phase::Syncing { .. } if unchanged => {
                let reply = self.joined(id);
                turn.reply(ticket, Reply::Join(reply));
            }
            // A leader that joins again wants to assign again: topics may have changed.
            Phase::Stable { .. } if unchanged && !leads => {
                let reply = self.joined(id);
                turn.reply(ticket, Reply::Join(reply));
            }
            Phase::Syncing { .. } | Phase::Stable { .. } => self.update_member(turn, ticket, request),
        }
    }

    fn update_member(&mut self, turn: &mut Turn<'_>, ticket: Ticket, request: JoinRequest) {
        let id = request.member_id.clone();
        self.change_member(turn, ticket, &id, request);
        self.rebalance_or_complete(turn);
    }

    fn change_member(&mut self, turn: &mut Turn<'_>, ticket: Ticket, id: &MemberId, request: JoinRequest) {
        let before = self.members.update(id, |member| {
            member.protocols = request.protocols;
            member.session_timeout_ms = request.session_timeout_ms;
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.join.replace(ticket)
        });
        if let Some(before) = before.flatten() {
            turn.refuse_join(before, ErrorCode::RebalanceInProgress, id.clone());
        }
    }

    /// A static instance without a name takes the place of the member it was (J2).
    fn replace_static(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: Ticket,
        old: &MemberId,
        new: MemberId,
        request: JoinRequest,
    ) {
        let skips = request.supports_skip_assignment;
        turn.timers.cancel(&Timer::Session(self.id.clone(), old.clone()));
        let Some(before) = self.members.rename(old, new.clone()) else { return };
        if let Phase::Syncing { unsynced } | Phase::Stable { unsynced } = &mut self.phase
            && unsynced.remove(old)
        {
            unsynced.insert(new.clone());
        }
        if let Some(ticket) = before.join {
            turn.refuse_join(ticket, ErrorCode::FencedInstanceId, old.clone());
        }
        if let Some(ticket) = before.sync {
            turn.refuse_sync(ticket, ErrorCode::FencedInstanceId);
        }
        self.change_member(turn, ticket, &new, request);
        self.keep_alive(turn, &new);
        match self.phase {
            Phase::Stable { .. } => self.keep_generation(turn, old, &new, skips),
            // The leader may already be assigning to the old name.
            Phase::Syncing { .. } | Phase::Empty => self.prepare_rebalance(turn),
            Phase::Joining { .. } => self.complete_join_if_ready(turn),
        }
    }

    /// A static member came back to a stable group: unless that changes the protocol, its new name is written down
    /// and the generation goes on.
    fn keep_generation(&mut self, turn: &mut Turn<'_>, old: &MemberId, new: &MemberId, skips: bool) {
        let stored = self.stored().map(|stored| &stored.members).into_iter().flatten();
        let mut assignments: std::collections::BTreeMap<_, _> =
            stored.map(|(id, member)| (id.clone(), member.assignment.clone())).collect();
        if let Some(assignment) = assignments.remove(old) {
            assignments.insert(new.clone(), assignment);
        }
        let record = self.to_record(&assignments);
        if self.members.select_protocol() != self.protocol || !fits(turn, std::slice::from_ref(&record)) {
            self.prepare_rebalance(turn);
            return;
        }
        self.append(turn, vec![record]);
        let Some(ticket) = self.members.take_join(new) else { return };
        let leads = self.members.is_leader(new);
        let mut reply = self.joined(new);
        if skips {
            reply.skip_assignment = leads;
        } else {
            // An older client must not think that it has to assign: the generation stands.
            reply.members = Vec::new();
            reply.leader = if leads { old.clone() } else { reply.leader };
        }
        turn.reply_durable(ticket, Reply::Join(reply));
    }

    /// What a member of the current generation is told.
    pub fn joined(&self, id: &MemberId) -> JoinReply {
        let protocol = self.protocol.as_deref().unwrap_or("");
        let joined_member = |member: &Member| JoinedMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        let leads = self.members.is_leader(id);
        JoinReply {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.members.leader().cloned().unwrap_or_else(|| MemberId::from("")),
            skip_assignment: false,
            member_id: id.clone(),
            members: if leads { self.members.iter().map(joined_member).collect() } else { Vec::new() },
        }
    }
}

/// A member has one vote for a protocol, however often it names it.
fn drop_repeated_protocols(request: &mut JoinRequest) {
    let mut seen: std::collections::BTreeSet<Arc<str>> = std::collections::BTreeSet::new();
    request.protocols.retain(|protocol| seen.insert(protocol.name.clone()));
}
