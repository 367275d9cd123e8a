//! Where a client should dial a broker: one function for every answer that names brokers (D10).
//!
//! What is advertised for the listener that the connection came by; else, for the answering broker, the address this very
//! connection came to, which the client has just shown to work; else what the other broker registered.

use meta::{Broker, Image};
use model::BrokerId;

use crate::call::Call;

/// A broker as a client is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its number.
    pub id: BrokerId,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: i32,
    /// Where it stands.
    pub rack: Option<String>,
}

/// The address of one broker, as seen from this connection.
pub fn of(call: &Call<'_>, broker: &Broker) -> Option<BrokerAddress> {
    let address = |host: String, port: u16| BrokerAddress {
        id: broker.id,
        host,
        port: i32::from(port),
        rack: broker.rack.clone(),
    };
    let same_listener = |name: &str| *call.connection.listener == *name;
    if broker.id == call.node.id() {
        let advertised = &call.node.config().advertised_listeners;
        let told = advertised.iter().find(|told| same_listener(&told.name));
        let local = call.connection.local;
        return Some(match told {
            Some(told) => address(told.host.clone(), told.port),
            None => address(local.ip().to_canonical().to_string(), local.port()),
        });
    }
    let endpoint = broker.endpoints.iter().find(|endpoint| same_listener(&endpoint.listener));
    let endpoint = endpoint.or(broker.endpoints.first());
    endpoint.map(|endpoint| address(endpoint.host.clone(), endpoint.port))
}

/// The addresses of all brokers that have one.
pub fn all(call: &Call<'_>, image: &Image) -> Vec<BrokerAddress> {
    image.brokers().filter_map(|broker| of(call, broker)).collect()
}

/// The address of the broker with this number.
pub fn find(call: &Call<'_>, image: &Image, id: BrokerId) -> Option<BrokerAddress> {
    image.broker(id).and_then(|broker| of(call, broker))
}
