//! Changes of configuration as requests make them: many resources, each decided and answered for itself.
//!
//! - A1 What one resource is refused for does not keep the others from being changed.
//! - A2 A resource that the request names twice is refused both times.
//! - A3 The answer to a change comes once every partition here goes by it (N2); "validate only" decides the same
//!   and commits nothing.

use std::collections::BTreeMap;

use config::Layers;
use controller::ControllerError;
use meta::{ConfigResource, ConfigResourceKind, Image, MetadataRecord};
use model::{BrokerId, ErrorCode, TopicName};
use quorum::UpdateError;

use crate::error::{controller_code, update_code};
use crate::node::Node;

/// The number of a kind that is described and cannot be altered: the loggers of a broker.
const BROKER_LOGGER: i8 = 8;

/// One resource of a request, and what is to become of it.
pub struct Wanted<C> {
    /// The kind's number on the wire.
    pub kind: i8,
    /// Which one.
    pub name: String,
    /// The changes; a request may be refused for how they are written.
    pub changes: Result<C, Refusal>,
}

/// One resource's answer.
pub struct Answer {
    /// As in the request.
    pub kind: i8,
    /// As in the request.
    pub name: String,
    /// What went wrong, if anything.
    pub error: ErrorCode,
    /// Why, if something did.
    pub message: Option<String>,
}

/// Why a resource is left as it is: the code, and the sentence that goes with it.
#[derive(Clone, Debug)]
pub struct Refusal(pub ErrorCode, pub String);

impl Refusal {
    /// A request that no version of the cluster would grant.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal(ErrorCode::InvalidRequest, message.into())
    }
}

impl From<ControllerError> for Refusal {
    fn from(error: ControllerError) -> Refusal {
        Refusal(controller_code(&error), error.to_string())
    }
}

/// Decides about every resource with `decide`, commits what was granted, and answers in the order of the request.
pub async fn alter<C, D>(node: &Node, wanted: Vec<Wanted<C>>, validate_only: bool, decide: D) -> Vec<Answer>
where
    C: Send + 'static,
    D: Fn(&Image, &Layers<'_>, &ConfigResource, &C) -> Result<Vec<MetadataRecord>, ControllerError>
        + Send
        + 'static,
{
    let named: Vec<(i8, String)> = wanted.iter().map(|one| (one.kind, one.name.clone())).collect();
    let checked = check(node.id(), wanted);
    let (id, settings) = (node.id(), node.settings.clone());
    let decide_all = move |image: &Image| {
        let layers = controller::layers(image, id, &settings);
        let mut records = Vec::new();
        let mut refusals = Vec::with_capacity(checked.len());
        for one in checked {
            let decided =
                one.and_then(|(resource, changes)| Ok(decide(image, &layers, &resource, &changes)?));
            refusals.push(match decided {
                Ok(more) => {
                    records.extend(more);
                    None
                }
                Err(refusal) => Some(refusal),
            });
        }
        Ok((records, refusals))
    };
    let decided = if validate_only {
        decide_all(&node.image()).map(|(_, refusals)| refusals).map_err(UpdateError::Decision)
    } else {
        node.change(decide_all).await
    };
    let refusals = decided.unwrap_or_else(|error| {
        let refusal = Refusal(update_code(&error), error.to_string());
        named.iter().map(|_| Some(refusal.clone())).collect()
    });
    let answers = named.into_iter().zip(refusals);
    let answer = |((kind, name), refused): ((i8, String), Option<Refusal>)| {
        let (error, message) =
            refused.map_or((ErrorCode::None, None), |Refusal(code, text)| (code, Some(text)));
        Answer { kind, name, error, message }
    };
    answers.map(answer).collect()
}

/// What can be said without looking at the image.
fn check<C>(here: BrokerId, wanted: Vec<Wanted<C>>) -> Vec<Result<(ConfigResource, C), Refusal>> {
    let mut times = BTreeMap::<(i8, String), usize>::new();
    for one in &wanted {
        *times.entry((one.kind, one.name.clone())).or_default() += 1;
    }
    let check = |one: Wanted<C>| {
        if times.get(&(one.kind, one.name.clone())).is_some_and(|&times| 1 < times) {
            return Err(Refusal::invalid("Each resource must appear at most once."));
        }
        let changes = one.changes?;
        Ok((resource(here, one.kind, one.name)?, changes))
    };
    wanted.into_iter().map(check).collect()
}

fn resource(here: BrokerId, kind: i8, name: String) -> Result<ConfigResource, Refusal> {
    if kind == BROKER_LOGGER {
        return Err(Refusal::invalid("The level of the log is set when the broker starts (OTTLA_LOG)."));
    }
    let known = u8::try_from(kind).ok().and_then(ConfigResourceKind::from_number);
    let Some(known) = known else {
        return Err(Refusal::invalid(format!("Unknown resource type {kind}")));
    };
    if known == ConfigResourceKind::Topic && !name.is_empty() {
        TopicName::parse(&name).map_err(ControllerError::from)?;
    }
    // A name that is no number is refused by the controller, which has the words for it.
    if known == ConfigResourceKind::Broker && name.parse::<i32>().is_ok_and(|asked| asked != here.0) {
        return Err(Refusal::invalid(format!("Unexpected broker id, expected {here}, but received {name}")));
    }
    Ok(ConfigResource { kind: known, name })
}
