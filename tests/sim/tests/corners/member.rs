//! A member of a classic group, each on a connection of its own.

use model::ErrorCode;
use wire::find_coordinator::Coordinator;
use wire::join_group::JoinGroupRequestProtocol;
use wire::leave_group::MemberIdentity;
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use wire::sync_group::SyncGroupRequestAssignment;
use wire::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};

use crate::connection::{Connection, error};
use crate::peer::Peer;

pub const JOIN: i16 = 9;
pub const SYNC: i16 = 5;
pub const HEARTBEAT: i16 = 4;
pub const OFFSET_COMMIT: i16 = 9;
pub const OFFSET_FETCH: i16 = 9;

/// See the module.
pub struct Member {
    pub connection: Connection,
    pub group: String,
    /// What the coordinator calls it; empty before it has said so.
    pub id: String,
    pub instance_id: Option<String>,
    pub generation: i32,
    /// The protocols it supports, the preferred one first, and what it says about itself in each.
    pub protocols: Vec<(&'static str, Vec<u8>)>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
}

/// The protocol type of consumers.
pub const CONSUMER: &str = "consumer";

impl Member {
    /// Somebody who may join `group`, whose coordinator is ready.
    pub async fn new(peer: &Peer, group: &str) -> Member {
        let mut connection = peer.connect().await;
        connection.coordinator_of(group).await;
        Member {
            connection,
            group: group.to_owned(),
            id: String::new(),
            instance_id: None,
            generation: -1,
            protocols: vec![("range", subscription("somewhere", b"about me"))],
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
        }
    }

    /// The same with a name that it keeps over restarts.
    pub async fn fixed(peer: &Peer, group: &str, instance_id: &str) -> Member {
        Member { instance_id: Some(instance_id.to_owned()), ..Member::new(peer, group).await }
    }

    pub fn join_request(&self) -> JoinGroupRequest<'static> {
        let protocols = self.protocols.iter().map(|(name, metadata)| JoinGroupRequestProtocol {
            name: (*name).into(),
            metadata: metadata.clone().into(),
        });
        JoinGroupRequest {
            group_id: self.group.clone().into(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            protocol_type: CONSUMER.into(),
            protocols: protocols.collect(),
            ..JoinGroupRequest::default()
        }
    }

    /// Asks for a name, unless it has one or needs none, as every version since 4 has to.
    pub async fn ask_for_name(&mut self) {
        if self.id.is_empty() && self.instance_id.is_none() {
            let answer = self.connection.ask(&self.join_request(), JOIN).await;
            assert_eq!(error(answer.error_code), ErrorCode::MemberIdRequired);
            self.id = answer.member_id.into_owned();
        }
    }

    /// Asks to be let in, and does not wait.
    pub async fn start_join(&mut self) {
        self.ask_for_name().await;
        self.connection.start(&self.join_request(), JOIN).await;
    }

    /// The answer to a join; whatever it says is believed.
    pub async fn finish_join(&mut self) -> JoinGroupResponse<'static> {
        let (_, answer) = self.connection.finish::<JoinGroupRequest<'_>>(JOIN).await;
        if answer.error_code == 0 {
            self.id = answer.member_id.to_string();
            self.generation = answer.generation_id;
        }
        answer
    }

    /// Asks to be let in, and waits.
    ///
    /// 4.3 drops a group without members and offsets in its next look for expired offsets, and with it the names that it
    /// gave to who is about to join: then that one begins again.
    pub async fn join(&mut self) -> JoinGroupResponse<'static> {
        let is_nameless = self.id.is_empty();
        self.start_join().await;
        let answer = self.finish_join().await;
        if !is_nameless || error(answer.error_code) != ErrorCode::UnknownMemberId {
            return answer;
        }
        self.id.clear();
        self.start_join().await;
        self.finish_join().await
    }

    pub fn sync_request(&self, assignments: &[(&str, &[u8])]) -> SyncGroupRequest<'static> {
        let assignments = assignments.iter().map(|(member_id, assignment)| SyncGroupRequestAssignment {
            member_id: (*member_id).to_owned().into(),
            assignment: assignment.to_vec().into(),
        });
        SyncGroupRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            protocol_type: Some(CONSUMER.into()),
            protocol_name: Some(self.protocols[0].0.into()),
            assignments: assignments.collect(),
        }
    }

    /// Asks for its assignment, and does not wait.
    pub async fn start_sync(&mut self) {
        self.connection.start(&self.sync_request(&[]), SYNC).await;
    }

    pub async fn finish_sync(&mut self) -> SyncGroupResponse<'static> {
        self.connection.finish::<SyncGroupRequest<'_>>(SYNC).await.1
    }

    pub async fn sync(&mut self, assignments: &[(&str, &[u8])]) -> SyncGroupResponse<'static> {
        self.connection.ask(&self.sync_request(assignments), SYNC).await
    }

    pub async fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.group.clone().into(),
            generation_id: self.generation,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
        };
        error(self.connection.ask(&request, HEARTBEAT).await.error_code)
    }

    /// Leaves under its own name, or under that of its instance alone; the error of the member.
    pub async fn leave(&mut self) -> ErrorCode {
        let member = MemberIdentity {
            member_id: if self.instance_id.is_some() { "".into() } else { self.id.clone().into() },
            group_instance_id: self.instance_id.clone().map(Into::into),
            reason: None,
        };
        let group_id = self.group.clone().into();
        let request = LeaveGroupRequest { group_id, members: vec![member], ..LeaveGroupRequest::default() };
        let answer = self.connection.ask(&request, 5).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
        error(answer.members[0].error_code)
    }

    /// Commits an offset of a topic's partition 0 in its generation.
    pub async fn commit(&mut self, topic: &str, offset: i64) -> ErrorCode {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone().into(),
            group_instance_id: self.instance_id.clone().map(Into::into),
            ..commit_request(&self.group, topic, offset)
        };
        committed(&self.connection.ask(&request, OFFSET_COMMIT).await)
    }
}

/// The subscription of Kafka's consumers in version 1, with no owned partitions.
///
/// 4.3 looks into what members of consumer groups say, for the topics; bytes that are nothing of the kind stop the group
/// for good, for the exception ends its timer. Other protocol types may say what they like.
pub fn subscription(topic: &str, user_data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, 1];
    bytes.extend_from_slice(&u16::try_from(topic.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&u32::try_from(user_data.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(user_data);
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// A member alone in a group, its first generation complete.
pub async fn alone(peer: &Peer, group: &str) -> Member {
    let mut member = Member::new(peer, group).await;
    settle(&mut member).await;
    member
}

/// Lets the only member of a group in, and gives it an assignment.
pub async fn settle(member: &mut Member) {
    let answer = member.join().await;
    assert_eq!(error(answer.error_code), ErrorCode::None);
    let id = member.id.clone();
    let answer = member.sync(&[(&id, b"yours")]).await;
    assert_eq!(error(answer.error_code), ErrorCode::None);
}

/// Lets `joiner` into a group in which all of `present` are: they rejoin, and nobody has synced yet.
pub async fn let_in(present: &mut [&mut Member], joiner: &mut Member) {
    joiner.start_join().await;
    for member in present.iter_mut() {
        while member.heartbeat().await != ErrorCode::RebalanceInProgress {
            member.connection.pause().await;
        }
        member.start_join().await;
    }
    let joined = joiner.finish_join().await;
    assert_eq!(error(joined.error_code), ErrorCode::None);
    for member in present {
        assert_eq!(member.finish_join().await.generation_id, joined.generation_id);
    }
}

/// Two members of one group, the first of which leads, in the second generation; both are synced.
pub async fn pair(peer: &Peer, group: &str) -> (Member, Member) {
    let (mut leader, mut follower) = (alone(peer, group).await, Member::new(peer, group).await);
    let_in(&mut [&mut leader], &mut follower).await;
    sync_both(&mut leader, &mut follower).await;
    (leader, follower)
}

/// Syncs the leader and the other member of a group.
pub async fn sync_both(leader: &mut Member, follower: &mut Member) {
    let (first, second) = (leader.id.clone(), follower.id.clone());
    leader.sync(&[(&first, b"half"), (&second, b"other half")]).await;
    assert_eq!(&*follower.sync(&[]).await.assignment, b"other half");
}

/// A commit of nobody in particular.
pub fn commit_request(group: &str, topic: &str, offset: i64) -> OffsetCommitRequest<'static> {
    let partition = OffsetCommitRequestPartition {
        committed_offset: offset,
        committed_metadata: Some("note".into()),
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.to_owned().into(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned().into(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

/// The error of a commit's first partition.
pub fn committed(answer: &wire::OffsetCommitResponse<'_>) -> ErrorCode {
    error(answer.topics[0].partitions[0].error_code)
}

/// Asks for the offset committed for a topic's partition 0.
pub fn offset_fetch_request(group: &str, topic: &str) -> OffsetFetchRequest<'static> {
    let topic = OffsetFetchRequestTopics {
        name: topic.to_owned().into(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: group.to_owned().into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
}

impl Connection {
    /// Waits until a group has a coordinator that has read what it knows; Kafka creates the topic for it meanwhile.
    pub async fn coordinator_of(&mut self, group: &str) -> Coordinator<'static> {
        for _ in Connection::looks() {
            let coordinator_keys = vec![group.to_owned().into()];
            let request = FindCoordinatorRequest { coordinator_keys, ..FindCoordinatorRequest::default() };
            let coordinator = self.ask(&request, 4).await.coordinators.remove(0);
            if coordinator.error_code == 0 {
                let request = HeartbeatRequest {
                    group_id: group.to_owned().into(),
                    member_id: "nobody".into(),
                    ..HeartbeatRequest::default()
                };
                if !error(self.ask(&request, HEARTBEAT).await.error_code).is_retriable() {
                    return coordinator;
                }
            }
            self.pause().await;
        }
        panic!("group {group} gets no coordinator");
    }

    /// The offset committed for a topic's partition 0, and the error.
    pub async fn committed(&mut self, group: &str, topic: &str) -> (ErrorCode, i64) {
        let request = offset_fetch_request(group, topic);
        for _ in Connection::looks() {
            let answer = self.ask(&request, OFFSET_FETCH).await;
            // A coordinator that has just started reads what it knows first.
            if error(answer.groups[0].error_code) == ErrorCode::CoordinatorLoadInProgress {
                self.pause().await;
                continue;
            }
            assert_eq!(error(answer.groups[0].error_code), ErrorCode::None);
            let partition = &answer.groups[0].topics[0].partitions[0];
            return (error(partition.error_code), partition.committed_offset);
        }
        panic!("the coordinator does not get ready");
    }
}
