//! `ottla config …`: what the table of configuration keys says, without asking a broker.

use config::{Key, broker_keys, topic_keys};
use rt::Rt;

use crate::args::{ConfigArgs, ConfigCommand};
use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::output::{Column, Output, column, wide};
use crate::suggest;

const COLUMNS: [Column; 11] = [
    column("key"),
    column("of"),
    column("type"),
    column("default"),
    column("effect"),
    column("changes"),
    wide("allowed"),
    wide("defaults_from"),
    wide("kafka_default"),
    wide("reason"),
    wide("documentation"),
];

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: ConfigArgs) -> Result<(), Failure> {
    let mut output = Output::new(args.output.output);
    match args.command {
        ConfigCommand::List { text } => {
            let text = text.unwrap_or_default();
            let keys = all().filter(|key| key.name.contains(&text));
            output.rows(&COLUMNS, keys.map(row).collect());
        }
        ConfigCommand::Describe { keys } => {
            let keys = if keys.is_empty() { all().collect() } else { named(&keys)? };
            if output.is_json() {
                output.rows(&COLUMNS, keys.into_iter().map(row).collect());
            } else {
                keys.into_iter().for_each(|key| describe(key, &mut output));
            }
        }
    }
    output.finish(rt).await
}

/// Every key that is not for tests only, those of topics first.
fn all() -> impl Iterator<Item = &'static Key> {
    topic_keys().iter().chain(broker_keys()).filter(|key| !key.is_internal())
}

/// The keys of these names: a topic's and a broker's may share one.
fn named(names: &[String]) -> Result<Vec<&'static Key>, Failure> {
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        found.extend(all().filter(|key| key.name == name.as_str()));
        if found.len() == before {
            let failure = Failure::input(format!("there is no configuration key '{name}'"));
            let near = suggest::nearest(name, all().map(|key| key.name));
            return Err(match near.as_slice() {
                [] => failure.next("`ottla config list` shows all."),
                near => failure.next(format!("Did you mean {}?", near.join(" or "))),
            });
        }
    }
    Ok(found)
}

fn row(key: &'static Key) -> Vec<Cell> {
    let allowed = key.check.to_string();
    vec![
        Cell::text(key.name),
        Cell::text(key.scope.name()),
        Cell::text(key.kind.name()),
        Cell::maybe(key.default),
        match key.effect {
            config::Effect::Now => Cell::Toned(Tone::Good, key.effect.name().to_owned()),
            config::Effect::NotYet | config::Effect::NotNeeded => {
                Cell::Toned(Tone::Warning, key.effect.name().to_owned())
            }
        },
        Cell::text(key.update.name()),
        Cell::maybe((!allowed.is_empty()).then_some(allowed)),
        Cell::List(key.synonyms.iter().map(|synonym| Cell::text(synonym.key)).collect()),
        Cell::maybe(key.differs.and_then(|differs| differs.kafka)),
        Cell::maybe(key.differs.map(|differs| differs.reason)),
        Cell::text(key.documentation),
    ]
}

/// A key as a paragraph.
fn describe(key: &'static Key, output: &mut Output) {
    output.heading(&format!("{} (of a {})", key.name, key.scope.name()));
    output.line(key.documentation);
    let default = match key.default {
        None => "none".to_owned(),
        Some("") => "empty".to_owned(),
        Some(default) => default.to_owned(),
    };
    let allowed = match key.check.to_string() {
        allowed if allowed.is_empty() => key.kind.name().to_owned(),
        allowed => format!("{}, {allowed}", key.kind.name()),
    };
    let mut facts = vec![("type", allowed), ("default", default), ("changes", key.update.name().to_owned())];
    if let Some(differs) = key.differs {
        let default = differs.kafka.map(|default| format!("{default}: ")).unwrap_or_default();
        facts.push(("in Kafka", format!("{default}{}", differs.reason)));
    }
    if key.effect != config::Effect::Now {
        facts.push(("effect", key.effect.name().to_owned()));
    }
    let synonyms: Vec<&str> = key.synonyms.iter().map(|synonym| synonym.key).collect();
    if !synonyms.is_empty() {
        facts.push(("for all", synonyms.join(", then ")));
    }
    for (name, fact) in facts {
        output.line(&format!("  {name:<8}  {fact}"));
    }
}
