//! openraft's state machine: the metadata image, rebuilt from the log at each start.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::{Stream, StreamExt};
use meta::{Image, Index};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use super::{LogId, RaftSnapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::snapshot::Snapshot;
use crate::vote::Term;

/// What the committed entries made.
#[derive(Clone)]
struct State {
    image: Image,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// The state machine; clones share it.
#[derive(Clone)]
pub(super) struct Machine(Arc<Mutex<State>>);

impl Machine {
    pub(super) fn empty() -> Machine {
        let state = State { image: Image::empty(), applied: None, membership: StoredMembership::default() };
        Machine(Arc::new(Mutex::new(state)))
    }

    pub(super) fn image(&self) -> Image {
        self.state().image.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of the image panics")
    }

    fn snapshot(&self) -> RaftSnapshot {
        let State { image, applied, membership } = self.state().clone();
        let term = Term(applied.map_or(0, |id| id.leader_id.term));
        let meta = SnapshotMeta { last_log_id: applied, last_membership: membership };
        RaftSnapshot { meta, snapshot: Snapshot { image, term }.encode() }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        Ok(self.snapshot())
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let state = self.state();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let index = Index(entry.log_id.index);
            let applied = {
                let mut state = self.state();
                let records = match &entry.payload {
                    EntryPayload::Normal(records) => records.0.as_slice(),
                    EntryPayload::Blank | EntryPayload::Membership(_) => &[],
                };
                let applied = state.image.apply_entry(index, records).map(|_| index.next());
                state.applied = Some(entry.log_id);
                if let EntryPayload::Membership(membership) = entry.payload {
                    state.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
                applied.map_err(|error| error.to_string())
            };
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        let state = self.state().clone();
        Machine(Arc::new(Mutex::new(state)))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Vec<u8>) -> Result<(), io::Error> {
        let image = Snapshot::decode(&snapshot).map_err(io::Error::other)?.image;
        let membership = meta.last_membership.clone();
        *self.state() = State { image, applied: meta.last_log_id, membership };
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        // None is kept: entries are never purged here, and the image is rebuilt from them.
        Ok(None)
    }
}
