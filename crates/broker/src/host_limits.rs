//! How many connections single hosts may have (`max.connections.per.ip.overrides`): from their names to their addresses.
//!
//! - H1 No change of the metadata waits for a name server: a task of its own asks it, and puts in force what it says.
//! - H2 Until then what was in force before stays so; hosts that are wanted no more are not asked for any longer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use rt::Rt;
use rt::channel::watch;

use crate::node::Node;

/// Hosts and how many connections each may have, as configured by now.
pub struct HostLimits(watch::Sender<Vec<(String, u32)>>);

impl Default for HostLimits {
    fn default() -> HostLimits {
        HostLimits(watch::channel(Vec::new()).0)
    }
}

impl HostLimits {
    /// These are wanted from now on.
    pub fn want(&self, hosts: &[(String, u32)]) {
        self.0.send_if_modified(|wanted| {
            let is_new = wanted != hosts;
            if is_new {
                *wanted = hosts.to_vec();
            }
            is_new
        });
    }
}

/// Puts in force what is wanted, for as long as the broker lives.
pub async fn run(node: Arc<Node>) {
    let mut wanted = node.host_limits.0.subscribe();
    loop {
        let hosts = wanted.borrow_and_update().clone();
        rt::select! {
            found = addresses_of(&node.rt, &hosts) => node.admission.change(|limits| limits.of_address = found),
            // The sender lives in the node.
            _ = wanted.changed() => continue,
        }
        let _ = wanted.changed().await;
    }
}

/// How many connections each of these hosts may have, by all the addresses that it has.
async fn addresses_of(rt: &Rt, hosts: &[(String, u32)]) -> BTreeMap<IpAddr, u32> {
    let mut counts = BTreeMap::new();
    for (host, count) in hosts {
        let addresses = match host.parse() {
            Ok(ip) => Ok(vec![ip]),
            Err(_) => rt.lookup(host).await,
        };
        match addresses {
            Ok(addresses) => counts.extend(addresses.into_iter().map(|ip| (ip, *count))),
            Err(error) => tracing::error!(
                "max.connections.per.ip.overrides: '{host}' has no address ({error}), so its {count} connections hold for \
                 nobody; the others do"
            ),
        }
    }
    counts
}
