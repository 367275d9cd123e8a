//! A cluster of one on real files: the folder of today's quorum goes on under openraft.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::{DataDir, GroupCommit, OpenFiles, Owner};
use meta::{ConfigResource, ConfigResourceKind, MetadataRecord};
use model::{BrokerId, Uuid};
use rt::Rt;

use super::Records;
use super::node::Node;
use super::runtime::within;
use crate::{Quorum, QuorumOptions};

fn set(key: &str) -> MetadataRecord {
    let resource = ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() };
    MetadataRecord::ConfigSet { resource, key: key.to_owned(), value: "v".into() }
}

/// Opens the folder as the broker does today; says how long that took.
async fn open_today(rt: &Rt, data: &Path) -> (Quorum, Duration) {
    let began = rt.now();
    let owner = Owner { node_id: BrokerId(1), cluster_id: None };
    let data_dir = DataDir::open(rt.fs(), data, owner, || Uuid([3; 16])).unwrap();
    let group_commit = GroupCommit::start(rt, &data_dir).unwrap();
    let files = Arc::new(OpenFiles::new(16));
    let options = QuorumOptions::new(data_dir.path().to_path_buf(), BrokerId(1), files, group_commit);
    let mut opened = Quorum::open(rt, options).await.unwrap();
    let took = rt.now().saturating_since(began);
    rt.spawn("committed", async move { while opened.committed.recv().await.is_some() {} });
    (opened.quorum, took)
}

/// Starts on the folder and takes the lead; says how long both took.
async fn start_and_lead(rt: &Rt, data: &Path) -> (Node, Duration) {
    let began = rt.now();
    let node = Node::start(rt, 1, data).await.unwrap();
    within(rt, async {
        // Alone, nobody else can lead: waiting for an election timeout would be waiting for nothing.
        node.raft.trigger().elect(true).await.unwrap();
        let led = node.raft.wait(Some(Duration::from_secs(30))).current_leader(1, "alone").await;
        led.unwrap();
    })
    .await;
    // Everything before is committed with the first entry of the new term.
    node.propose(Records(vec![])).await.unwrap().unwrap();
    (node, rt.now().saturating_since(began))
}

#[test]
fn a_folder_of_todays_quorum_goes_on_under_openraft() {
    let data = std::env::temp_dir().join(format!("ottla-raft-{}", std::process::id()));
    let folder = data.clone();
    rt::os::run(async move |rt| {
        let (quorum, _) = open_today(&rt, &folder).await;
        for key in 0..20 {
            quorum.propose(vec![set(&format!("k{key}"))]).await.unwrap();
        }
        quorum.close().await.unwrap();
        let (quorum, today) = open_today(&rt, &folder).await;
        quorum.close().await.unwrap();
        let before = quorum.image();

        let (node, openraft) = start_and_lead(&rt, &folder).await;
        let resource = ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() };
        assert_eq!(node.image().config(&resource), before.config(&resource));
        assert!(before.next_index() < node.image().next_index());
        node.propose(Records(vec![set("after")])).await.unwrap().unwrap();
        within(&rt, node.raft.shutdown()).await.unwrap();
        println!("open to lead, real files: {today:?} today, {openraft:?} through openraft");
    })
    .unwrap();
    rt::os::run(async move |rt| rt.fs().remove_dir_all(&data)).unwrap().unwrap();
}
