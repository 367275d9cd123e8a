//! DescribeGroups and ListGroups: what there is to see.

use std::sync::Arc;

use model::ErrorCode;

use crate::action::{DescribedGroup, DescribedMember, GroupState, ListedGroup};
use crate::event::ListRequest;
use crate::group::{Group, Phase};
use crate::id::GroupId;

/// The type of every group here, as ListGroups filters it.
const GROUP_TYPE: &str = "classic";

/// DescribeGroups' answer for a group that does not exist.
pub(crate) fn unknown(group_id: GroupId, knows_group_id_not_found: bool) -> DescribedGroup {
    let message = format!("Group {group_id} not found.");
    DescribedGroup {
        group_id,
        error: if knows_group_id_not_found { ErrorCode::GroupIdNotFound } else { ErrorCode::None },
        error_message: knows_group_id_not_found.then_some(message),
        state: GroupState::Dead,
        protocol_type: Arc::from(""),
        protocol: Arc::from(""),
        members: Vec::new(),
    }
}

impl ListRequest {
    /// Whether the answer may list this group.
    pub(crate) fn wants(&self, group: &Group) -> bool {
        let matches = |filter: &[String], text: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(text))
        };
        matches(&self.states, group.state().name()) && matches(&self.types, GROUP_TYPE)
    }
}

impl Group {
    /// DescribeGroups' answer for this group.
    pub fn describe(&self) -> DescribedGroup {
        let stable = matches!(self.phase, Phase::Stable { .. });
        let protocol = self.protocol.clone().filter(|_| stable).unwrap_or_else(|| Arc::from(""));
        let nothing: Arc<[u8]> = Arc::from([]);
        let members = self.members.iter().map(|member| {
            // During a rebalance members go by what they were given last.
            let stored = self.stored().and_then(|stored| stored.members.get(&member.id));
            DescribedMember {
                member_id: member.id.clone(),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                metadata: if stable { member.metadata(&protocol) } else { nothing.clone() },
                assignment: stored.map_or_else(|| nothing.clone(), |stored| stored.assignment.clone()),
            }
        });
        DescribedGroup {
            group_id: self.id.clone(),
            error: ErrorCode::None,
            error_message: None,
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            members: members.collect(),
            protocol,
        }
    }

    /// ListGroups' line for this group.
    pub fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| Arc::from("")),
            state: self.state(),
        }
    }
}
