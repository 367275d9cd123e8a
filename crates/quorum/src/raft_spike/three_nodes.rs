//! Three nodes in the simulator: elections, power cuts, partitions, one image.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use meta::{ConfigResource, ConfigResourceKind, MetadataRecord};
use rt::sim::Sim;

use super::Records;
use super::network::host;
use super::node::Node;
use super::runtime::within;

const DATA: &str = "/data";
const NODES: [u64; 3] = [1, 2, 3];

fn set(key: &str) -> Records {
    let resource = ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() };
    Records(vec![MetadataRecord::ConfigSet { resource, key: key.to_owned(), value: "v".into() }])
}

async fn start(sim: &Sim, id: u64) -> Node {
    Node::start(&sim.node(&host(id)), id, Path::new(DATA)).await.unwrap()
}

async fn start_three(sim: &Sim) -> Vec<Node> {
    let mut nodes = Vec::new();
    for id in NODES {
        nodes.push(start(sim, id).await);
    }
    nodes
}

/// Begins the cluster of three, through one of them.
async fn initialize(sim: &Sim, node: &Node) {
    let rt = sim.node("client");
    within(&rt, node.raft.initialize(BTreeSet::from(NODES))).await.unwrap();
}

/// Proposes until a node that leads has it committed; says which one did.
async fn commit(sim: &Sim, nodes: &[Node], key: &str) -> usize {
    let rt = sim.node("client");
    loop {
        for (place, node) in nodes.iter().enumerate() {
            let proposed = rt.timeout(Duration::from_secs(2), node.propose(set(key))).await;
            if let Ok(Ok(applied)) = proposed {
                applied.unwrap();
                return place;
            }
        }
        rt.sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until all have applied as much, and checks that they made the same of it (I9).
async fn agree(sim: &Sim, nodes: &[Node]) {
    let rt = sim.node("client");
    loop {
        let images: Vec<_> = nodes.iter().map(Node::image).collect();
        let same = images.windows(2).all(|pair| pair[0].next_index() == pair[1].next_index());
        if same {
            assert!(images.windows(2).all(|pair| pair[0].hash() == pair[1].hash()), "one log, two images");
            return;
        }
        rt.sleep(Duration::from_millis(50)).await;
    }
}

fn keys(node: &Node) -> usize {
    let resource = ConfigResource { kind: ConfigResourceKind::Group, name: "g".into() };
    node.image().config(&resource).map_or(0, |keys| keys.len())
}

#[test]
fn what_was_committed_survives_power_cuts_of_the_leader_and_of_all() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        sim.run(async {
            let mut nodes = start_three(&sim).await;
            initialize(&sim, &nodes[0]).await;
            for round in 0..5 {
                let mut leader = 0;
                for step in 0..5 {
                    leader = commit(&sim, &nodes, &format!("r{round}s{step}")).await;
                }
                sim.power_cut(&host(NODES[leader]));
                commit(&sim, &nodes, &format!("r{round}without")).await;
                nodes[leader] = start(&sim, NODES[leader]).await;
                commit(&sim, &nodes, &format!("r{round}again")).await;
                NODES.iter().for_each(|id| sim.power_cut(&host(*id)));
                for (node, id) in nodes.iter_mut().zip(NODES) {
                    *node = start(&sim, id).await;
                }
            }
            commit(&sim, &nodes, "end").await;
            agree(&sim, &nodes).await;
            assert_eq!(keys(&nodes[0]), 36, "seed {seed}: a committed entry is missing");
        });
    }
}

#[test]
fn a_power_cut_between_any_two_disk_calls_loses_nothing_committed() {
    for calls in 1..25 {
        let sim = Sim::new(100 + calls);
        sim.run(async {
            let mut nodes = start_three(&sim).await;
            // Its first calls are a vote and the first entries of a term.
            let (victim, other) = (0, 1);
            sim.power_cut_after_disk_ops(&host(NODES[victim]), calls);
            initialize(&sim, &nodes[other]).await;
            for step in 0..12 {
                commit(&sim, &nodes, &format!("s{step}")).await;
            }
            sim.power_cut(&host(NODES[victim]));
            nodes[victim] = start(&sim, NODES[victim]).await;
            agree(&sim, &nodes).await;
            assert_eq!(keys(&nodes[victim]), 12, "cut before call {calls}: a committed entry is missing");
        });
    }
}

#[test]
fn a_leader_cut_off_from_the_others_commits_nothing() {
    let sim = Sim::new(7);
    sim.run(async {
        let nodes = start_three(&sim).await;
        initialize(&sim, &nodes[0]).await;
        let leader = commit(&sim, &nodes, "together").await;
        let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
        for other in &others {
            sim.network().partition(&host(NODES[leader]), &host(NODES[*other]));
        }
        let alone = nodes[leader].clone();
        let lost = sim.node("client").timeout(Duration::from_secs(5), alone.propose(set("alone"))).await;
        assert!(!matches!(lost, Ok(Ok(_))), "one of three committed");
        let majority: Vec<Node> = others.iter().map(|other| nodes[*other].clone()).collect();
        commit(&sim, &majority, "majority").await;
        for other in &others {
            sim.network().heal(&host(NODES[leader]), &host(NODES[*other]));
        }
        agree(&sim, &nodes).await;
        assert_eq!(keys(&nodes[leader]), 2, "what was never committed is gone, what was is everywhere");
    });
}

#[test]
fn one_seed_twice_is_one_run() {
    let run = || {
        let sim = Sim::new(42);
        sim.run(async {
            let nodes = start_three(&sim).await;
            initialize(&sim, &nodes[0]).await;
            let leader = commit(&sim, &nodes, "one").await;
            sim.power_cut(&host(NODES[leader]));
            commit(&sim, &nodes, "two").await;
        });
        sim.trace_hash()
    };
    assert_eq!(run(), run());
}
