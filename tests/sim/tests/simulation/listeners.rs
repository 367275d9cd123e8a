//! Where the broker listens, and what it tells whom of where it is.

use std::net::SocketAddr;
use std::time::Duration;

use rt::Rt;
use rt::sim::Sim;
use sim_tests::raw::Raw;
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;
use wire::MetadataRequest;

use crate::support::alter_brokers;

const METADATA_VERSION: i16 = 9;

/// The broker's number, unless it is given one.
const BROKER: &str = "1";

fn at(server: &Server<'_>, port: u16) -> SocketAddr {
    SocketAddr::new(server.address().ip(), port)
}

/// What a connection is told of where the broker is; nothing once it is closed.
async fn told(connection: &mut Raw) -> Option<String> {
    let answer = connection.ask(&MetadataRequest::default(), METADATA_VERSION).await?;
    let [broker] = answer.brokers.as_slice() else { panic!("one broker, not {:?}", answer.brokers) };
    Some(format!("{}:{}", broker.host, broker.port))
}

async fn told_at(rt: &Rt, address: SocketAddr) -> String {
    told(&mut Raw::connect(rt, address).await.unwrap()).await.unwrap()
}

#[test]
fn a_client_is_told_what_is_advertised_for_the_listener_it_came_by() {
    let sim = Sim::new(1);
    sim.run(async {
        drop(sim.node(NODE));
        let ip = sim.ip(NODE);
        let listeners = format!("INSIDE://{ip}:9092,OUTSIDE://{ip}:9093,PLAIN://{ip}:9094");
        let settings = [
            ("listeners", listeners.as_str()),
            ("advertised.listeners", "INSIDE://kafka:29092,OUTSIDE://localhost:19093"),
            ("listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,PLAIN:PLAINTEXT"),
        ];
        let server = Server::started(&sim, &settings).await;
        let rt = sim.node("client");
        assert_eq!(told_at(&rt, at(&server, 9092)).await, "kafka:29092");
        assert_eq!(told_at(&rt, at(&server, 9093)).await, "localhost:19093");
        assert_eq!(told_at(&rt, at(&server, 9094)).await, format!("{ip}:9094"), "the address it came to");
    });
}

#[test]
fn listeners_come_and_go_while_the_others_serve() {
    let sim = Sim::new(2);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let (rt, here) = (sim.node("client"), server.address());
        let (first, second) = (format!("PLAINTEXT://{here}"), at(&server, 9093));
        let set = async |key: &str, value: &str| alter_brokers(&rt, here, BROKER, key, Some(value)).await;
        let mut stays = Raw::connect(&rt, here).await.unwrap();
        assert!(told(&mut stays).await.is_some());

        let both = format!("{first},OTHER://{second}");
        let refusal = set("listeners", &both).await.unwrap_err();
        assert!(refusal.contains("listener OTHER has no protocol"), "{refusal}");
        set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OTHER:PLAINTEXT,THIRD:PLAINTEXT")
            .await
            .unwrap();
        set("listeners", &both).await.unwrap();
        let mut other = Raw::connect(&rt, second).await.unwrap();
        assert_eq!(told(&mut other).await, Some(second.to_string()));

        // Somebody else has the third: the others are served.
        let taken = at(&server, 9094);
        let somebody_else = sim.node(NODE).listen(taken).await.unwrap();
        set("listeners", &format!("{both},THIRD://{taken}")).await.unwrap();
        assert_eq!(told(&mut other).await, Some(second.to_string()));
        drop(somebody_else);

        server.stop().await;
        server.start().await.unwrap();
        for address in [here, second, taken] {
            assert_eq!(told_at(&rt, address).await, address.to_string(), "after a restart");
        }

        let (mut stays, mut other) =
            (Raw::connect(&rt, here).await.unwrap(), Raw::connect(&rt, second).await.unwrap());
        assert!(told(&mut stays).await.is_some() && told(&mut other).await.is_some());
        set("listeners", &first).await.unwrap();
        assert_eq!(told(&mut stays).await, Some(here.to_string()), "the others are left alone");
        assert_eq!(told(&mut other).await, None, "its connections go with a listener");
        for closed in [second, taken] {
            assert!(Raw::connect(&rt, closed).await.is_err(), "{closed}");
        }
    });
}

#[test]
fn a_listener_takes_the_place_of_another_on_its_port() {
    let sim = Sim::new(3);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let (rt, here) = (sim.node("client"), server.address());
        let set = async |key: &str, value: &str| alter_brokers(&rt, here, BROKER, key, Some(value)).await;
        set("listener.security.protocol.map", "RENAMED:PLAINTEXT").await.unwrap();
        let mut before = Raw::connect(&rt, here).await.unwrap();
        assert!(told(&mut before).await.is_some());
        // The answer still comes by the one that goes.
        set("listeners", &format!("RENAMED://{here}")).await.unwrap();
        assert_eq!(told(&mut before).await, None, "it went");
        assert_eq!(told_at(&rt, here).await, here.to_string());
        let refusal = alter_brokers(&rt, here, "", "listeners", Some("PLAINTEXT://:1")).await.unwrap_err();
        assert!(refusal.contains("broker id must be specified: [listeners]"), "{refusal}");
    });
}

const OVERRIDES: &str = "max.connections.per.ip.overrides";

#[test]
fn a_name_server_that_is_slow_holds_up_no_change() {
    const SLOW: Duration = Duration::from_secs(600);
    let sim = Sim::new(5);
    sim.run(async {
        let settings = [("max.connections.per.ip", "2"), (OVERRIDES, "client:1")];
        sim.network().set_lookup_latency(SLOW);
        let server = Server::started(&sim, &settings).await;
        let (admin, client, here) = (sim.node("admin"), sim.node("client"), server.address());
        // How many connections of the client are served at a time.
        let served = async || {
            let mut held = Vec::new();
            loop {
                let mut connection = Raw::connect(&client, here).await.unwrap();
                if told(&mut connection).await.is_none() {
                    return held.len();
                }
                held.push(connection);
            }
        };
        let began = admin.now();
        assert_eq!(served().await, 2, "nobody knows yet who is meant");
        let set = async |value: &str| alter_brokers(&admin, here, BROKER, OVERRIDES, Some(value)).await;
        set("client:3").await.unwrap();
        create_topic(&server.client(&admin).await, "orders", 1).await;
        let took = admin.now().saturating_since(began);
        assert!(took < SLOW, "{took:?}: what changes next waited for the name server");
        admin.sleep(2 * SLOW).await;
        assert_eq!(served().await, 3, "the newest of what was wanted");
        set("client:4").await.unwrap();
        assert_eq!(served().await, 3, "what held before, until the name server answers");
        admin.sleep(2 * SLOW).await;
        assert_eq!(served().await, 4);
    });
}

#[test]
fn some_hosts_may_have_other_numbers_of_connections() {
    let sim = Sim::new(4);
    sim.run(async {
        let server = Server::started(&sim, &[("max.connections.per.ip", "2")]).await;
        let (admin, here) = (sim.node("admin"), server.address());
        let set = async |value: &str| alter_brokers(&admin, here, BROKER, OVERRIDES, Some(value)).await;
        let refusal = set("client").await.unwrap_err();
        assert!(refusal.contains("HOST:COUNT entries"), "{refusal}");
        // The simulator's names of nodes are names of hosts.
        let client = sim.node("client");
        set("nobody:5,client:3").await.unwrap();
        for (rt, allowed) in [(client, 3), (sim.node("another"), 2)] {
            let mut held = Vec::new();
            for place in 0..=allowed {
                let mut connection = Raw::connect(&rt, here).await.unwrap();
                assert_eq!(told(&mut connection).await.is_some(), place < allowed, "{place} of {allowed}");
                held.push(connection);
            }
        }
    });
}
