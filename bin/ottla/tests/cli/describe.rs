//! `describe` of everything: the same facts for people and for programs, more of them when asked for more.

use serde_json::json;

use crate::support::Broker;

#[test]
fn the_cluster_is_described_with_its_nodes_folders_and_offers() {
    let broker = Broker::start();
    broker.run("topic create t -p 3").out();
    broker.feed("produce t", "a\n").out();
    let cluster = &broker.run("cluster describe").json()[0];
    let (node, folder) = (&cluster["nodes"][0], &cluster["folders"][0]);
    assert_eq!(
        (&node["node"], &node["controller"], &node["partitions"]),
        (&json!(1), &json!(true), &json!(3))
    );
    assert!(0 < node["size"].as_i64().expect("bytes"));
    assert_eq!((&folder["health"], &folder["partitions"]), (&json!("ok"), &json!(3)));
    assert!(folder["free"].as_i64().expect("bytes") <= folder["capacity"].as_i64().expect("bytes"));
    let apis = cluster["apis"].as_array().expect("APIs");
    let produce = apis.iter().find(|api| api["api"] == "Produce").expect("Produce");
    assert_eq!(produce["key"], 0);

    let table = broker.run("cluster describe -o table");
    let wide = broker.run("cluster describe -o wide");
    for heading in ["FREE", "HEALTH", "CONTROLLER"] {
        assert!(table.out().contains(heading), "{heading}: {}", table.out());
    }
    for heading in ["CAPACITY", "APIs of node 1", "Produce"] {
        assert!(wide.out().contains(heading) && !table.out().contains(heading), "{heading}: {}", wide.out());
    }
}

#[test]
fn topics_and_groups_are_described_with_more_columns_when_wide() {
    let broker = Broker::start();
    broker.run("topic create t -p 1 -c retention.ms=1000000000").out();
    broker.feed("produce t", "a\nb\n").out();
    broker.run("consume t -g g -o start -n 1 -f %s").out();
    let topic = &broker.run("topic describe t").json()[0];
    let partition = &topic["partitions"][0];
    assert_eq!((&partition["isr"], &partition["records"]), (&json!([1]), &json!(2)));
    assert!(partition["leader_epoch"].is_i64() && 0 < partition["size"].as_i64().expect("bytes"));
    let table = broker.run("topic describe t -o table");
    let wide = broker.run("topic describe t -o wide");
    assert!(table.out().contains("1000000000") && !table.out().contains("LEADER EPOCH"), "{}", table.out());
    for shown in ["LEADER EPOCH", "SIZE", "SOURCE", "cleanup.policy"] {
        assert!(wide.out().contains(shown), "{shown}: {}", wide.out());
    }

    let group = &broker.run("group describe g").json()[0];
    assert_eq!((&group["state"], &group["lag"], &group["members"]), (&json!("Empty"), &json!(1), &json!([])));
    assert_eq!(group["partitions"][0]["committed"], 1);
    let table = broker.run("group describe g -o table");
    let wide = broker.run("group describe g -o wide");
    assert!(table.out().contains("lag 1") && !table.out().contains("HOST"), "{}", table.out());
    assert!(wide.out().contains("HOST"), "{}", wide.out());
    broker.run("group describe h").refused(1, "Did you mean 'g'?");
}
