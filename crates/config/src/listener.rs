//! Listener texts: `NAME://host:port`, and which protocol a name stands for.
//!
//! Whether a host exists, and which sockets `localhost` or the empty host mean, is the binder's business.

use std::fmt;

use crate::key::list;

/// One address to listen on or to advertise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, in capitals as Kafka shows it.
    pub name: String,
    /// Host name or address, without the brackets of an IPv6 one; empty is every interface.
    pub host: String,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listener { name, host, port } = self;
        if host.contains(':') {
            write!(f, "{name}://[{host}]:{port}")
        } else {
            write!(f, "{name}://{host}:{port}")
        }
    }
}

/// Why listeners are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerError {
    /// Not `NAME://host:port`.
    Syntax(String),
    /// Not `NAME:PROTOCOL`.
    MapSyntax(String),
    /// The name has no protocol.
    NoProtocol(String),
    /// A protocol this version does not serve.
    UnservedProtocol {
        /// The listener's name.
        name: String,
        /// Its protocol.
        protocol: String,
    },
    /// The same name and host twice.
    Twice(String),
    /// An advertised name that nothing listens under.
    AdvertisedOnly(String),
    /// Clients cannot dial every interface.
    AdvertisedEverywhere(String),
    /// Nothing to listen on.
    None,
}

impl fmt::Display for ListenerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerError::Syntax(text) => {
                write!(f, "'{text}' is no listener: NAME://host:port expected, for example PLAINTEXT://:9092")
            }
            ListenerError::MapSyntax(text) => {
                write!(
                    f,
                    "'{text}' names no protocol: NAME:PROTOCOL expected, for example INTERNAL:PLAINTEXT"
                )
            }
            ListenerError::NoProtocol(name) => write!(
                f,
                "listener {name} has no protocol: add {name}:PLAINTEXT to listener.security.protocol.map"
            ),
            ListenerError::UnservedProtocol { name, protocol } => {
                write!(f, "listener {name} asks for {protocol}; this version of Ottla serves PLAINTEXT only")
            }
            ListenerError::Twice(listener) => write!(f, "listener {listener} is given twice"),
            ListenerError::AdvertisedOnly(name) => {
                write!(f, "advertised.listeners names {name}, which listeners does not")
            }
            ListenerError::AdvertisedEverywhere(listener) => {
                write!(f, "advertised listener {listener} has no host that a client could dial")
            }
            ListenerError::None => f.write_str("listeners leaves nothing to listen on"),
        }
    }
}

impl std::error::Error for ListenerError {}

/// Reads a comma-separated list of listeners.
pub(crate) fn parse_listeners(text: &str) -> Result<Vec<Listener>, ListenerError> {
    list(text).map(parse_listener).collect()
}

fn parse_listener(text: &str) -> Result<Listener, ListenerError> {
    let error = || ListenerError::Syntax(text.to_owned());
    let (name, address) = text.split_once("://").ok_or_else(error)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(error)?;
    let port = port.parse().map_err(|_| error())?;
    let legal_in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || !name.bytes().all(legal_in_name) {
        return Err(error());
    }
    let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(bracketed) => bracketed.ok_or_else(error)?,
        None if host.contains(':') => return Err(error()),
        None => host,
    };
    let legal_in_host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'%');
    if !host.bytes().all(legal_in_host) {
        return Err(error());
    }
    Ok(Listener { name: name.to_ascii_uppercase(), host: host.to_owned(), port })
}

/// Reads `NAME:PROTOCOL` pairs, both in capitals.
pub(crate) fn parse_protocol_map(text: &str) -> Result<Vec<(String, String)>, ListenerError> {
    let pair = |entry: &str| match entry.split_once(':') {
        Some((name, protocol)) if !name.is_empty() && !protocol.is_empty() => {
            Ok((name.trim().to_ascii_uppercase(), protocol.trim().to_ascii_uppercase()))
        }
        Some(_) | None => Err(ListenerError::MapSyntax(entry.to_owned())),
    };
    list(text).map(pair).collect()
}

/// What the three keys say together: what to listen on, what to advertise.
pub(crate) struct Resolved {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) advertised: Vec<Listener>,
}

/// Puts `listeners`, `advertised.listeners`, the protocol map and the controllers' names together.
///
/// `listeners` is `None` while nobody set it: then advertised addresses alone bind wide on their ports, as
/// tutorials that set only `advertised.listeners` expect.
pub(crate) fn resolve(
    listeners: Option<&str>,
    by_default: &str,
    advertised: &str,
    protocol_map: &str,
    controller_names: &str,
) -> Result<Resolved, ListenerError> {
    let is_controllers =
        |listener: &Listener| list(controller_names).any(|name| name.eq_ignore_ascii_case(&listener.name));
    let mut advertised = parse_listeners(advertised)?;
    advertised.retain(|listener| !is_controllers(listener));
    let mut bound = match listeners {
        Some(text) => parse_listeners(text)?,
        None if advertised.is_empty() => parse_listeners(by_default)?,
        None => {
            advertised.iter().map(|address| Listener { host: String::new(), ..address.clone() }).collect()
        }
    };
    bound.retain(|listener| !is_controllers(listener));
    if bound.is_empty() {
        return Err(ListenerError::None);
    }
    let protocols = parse_protocol_map(protocol_map)?;
    for (place, listener) in bound.iter().enumerate() {
        check_protocol(listener, &protocols)?;
        // Port 0 is a different port each time; the same name on both loopback addresses is one listener.
        let clash =
            |other: &Listener| other.name == listener.name && other.host == listener.host && other.port != 0;
        if bound[..place].iter().any(clash) {
            return Err(ListenerError::Twice(listener.to_string()));
        }
    }
    for address in &advertised {
        if !bound.iter().any(|listener| listener.name == address.name) {
            return Err(ListenerError::AdvertisedOnly(address.name.clone()));
        }
        if matches!(address.host.as_str(), "" | "0.0.0.0" | "::") {
            return Err(ListenerError::AdvertisedEverywhere(address.to_string()));
        }
    }
    Ok(Resolved { listeners: bound, advertised })
}

fn check_protocol(listener: &Listener, protocols: &[(String, String)]) -> Result<(), ListenerError> {
    let name = listener.name.clone();
    let mapped = protocols.iter().find(|(mapped, _)| *mapped == name).map(|(_, protocol)| protocol.as_str());
    match mapped.or_else(|| is_protocol(&name).then_some(name.as_str())) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => Err(ListenerError::UnservedProtocol { protocol: protocol.to_owned(), name }),
        None => Err(ListenerError::NoProtocol(name)),
    }
}

/// Kafka's protocols; a listener named like one speaks it unless the map says otherwise.
fn is_protocol(name: &str) -> bool {
    matches!(name, "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL")
}
