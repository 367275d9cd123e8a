//! One node: a folder, openraft on it, and its peers.

use std::io;
use std::path::Path;
use std::sync::Arc;

use log::{DataDir, Owner};
use meta::Image;
use model::{BrokerId, Uuid};
use openraft::{Config, Raft, SnapshotPolicy};
use rt::Rt;

use super::machine::Machine;
use super::network::{self, Peers};
use super::runtime::within;
use super::storage::Store;
use super::{Applied, Records, TypeConfig};

/// A running node.
#[derive(Clone)]
pub(super) struct Node {
    rt: Rt,
    pub(super) raft: Raft<TypeConfig, Machine>,
    machine: Machine,
}

fn config() -> Config {
    let config = Config {
        cluster_name: "metadata".to_owned(),
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
        snapshot_policy: SnapshotPolicy::Never,
        ..Config::default()
    };
    config.validate().expect("an election waits for more than a heartbeat")
}

impl Node {
    /// Starts node `id` on a data folder; peers reach it from now on.
    pub(super) async fn start(rt: &Rt, id: u64, data_dir: &Path) -> io::Result<Node> {
        let node_id = BrokerId(i32::try_from(id).map_err(io::Error::other)?);
        let owner = Owner { node_id, cluster_id: None };
        let data_dir = DataDir::open(rt.fs(), data_dir, owner, || Uuid([3; 16])).map_err(io::Error::other)?;
        let store = Store::open(rt, data_dir.path().to_path_buf()).await?;
        let machine = Machine::empty();
        let raft = Raft::new(id, Arc::new(config()), Peers(rt.clone()), store, machine.clone());
        let raft = within(rt, raft).await.map_err(io::Error::other)?;
        rt.spawn("peers", network::serve(rt.clone(), raft.clone()));
        Ok(Node { rt: rt.clone(), raft, machine })
    }

    /// Proposes on this node; refused where it does not lead.
    pub(super) async fn propose(&self, records: Records) -> Result<Applied, String> {
        let written = within(&self.rt, self.raft.client_write(records)).await;
        written.map(|written| written.data).map_err(|error| error.to_string())
    }

    /// What the entries it knows to be committed made.
    pub(super) fn image(&self) -> Image {
        self.machine.image()
    }
}
