//! The documents of the configuration are what the table says: `docs/configuration.md` whole, and the part of
//! `docs/differences.md` between its marks. `OTTLA_BLESS=1` writes them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write;
use std::path::Path;

use config::{Effect, Key, Scope, broker_keys, group_keys, topic_keys};

const BEGIN: &str = "<!-- from the table of keys -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_reference_is_what_the_table_says() {
    check("configuration.md", |_| reference());
}

#[test]
fn the_differences_are_what_the_table_says() {
    check("differences.md", |text| {
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        format!("{before}{BEGIN}{}{END}{after}", differences())
    });
}

#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn check(name: &str, expected: impl FnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&text);
    if std::env::var_os("OTTLA_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else if let Some((line, (is, should))) =
        text.lines().zip(expected.lines()).enumerate().find(|(_, (is, should))| is != should)
    {
        panic!("docs/{name}:{}: stale; OTTLA_BLESS=1 rewrites it\n  {is}\n  {should}", line + 1);
    } else {
        assert_eq!(text.len(), expected.len(), "docs/{name} is stale; OTTLA_BLESS=1 rewrites it");
    }
}

/// Every key that is not for tests only.
fn all() -> impl Iterator<Item = &'static Key> {
    topic_keys().iter().chain(broker_keys()).chain(group_keys()).filter(|key| !key.is_internal())
}

fn reference() -> String {
    let mut text = include_str!("configuration_head.md").to_owned();
    let sections = [
        (
            "Topics",
            "Set on a topic, or for all topics by the broker keys named in the last column.",
            Scope::Topic,
            Effect::Now,
        ),
        ("Brokers", "", Scope::Broker, Effect::Now),
        (
            "Topic keys without effect yet",
            "Checked, kept and shown; they change nothing in this version.",
            Scope::Topic,
            Effect::NotYet,
        ),
        ("Broker keys without effect yet", "The same.", Scope::Broker, Effect::NotYet),
        (
            "Group keys without effect yet",
            "The same: the group protocols that they are of are still to come. Set on a group \
             (`kafka-configs --entity-type groups`), or for all groups by the broker keys named in the last column.",
            Scope::Group,
            Effect::NotYet,
        ),
        (
            "Topic keys that are not needed",
            "Ottla does without what they are for. They are taken, so that a configuration made for Kafka works.",
            Scope::Topic,
            Effect::NotNeeded,
        ),
        ("Broker keys that are not needed", "The same.", Scope::Broker, Effect::NotNeeded),
    ];
    for (title, about, scope, effect) in sections {
        write!(text, "\n## {title}\n\n").unwrap();
        if !about.is_empty() {
            write!(text, "{about}\n\n").unwrap();
        }
        table(&mut text, scope, effect);
    }
    text
}

fn table(text: &mut String, scope: Scope, effect: Effect) {
    let (title, rule) = match scope {
        Scope::Topic => (" For all topics |", "---|"),
        Scope::Group => (" For all groups |", "---|"),
        Scope::Broker => ("", ""),
    };
    writeln!(text, "| Key | Type | Default | Changes | What it is for |{title}").unwrap();
    writeln!(text, "|---|---|---|---|---|{rule}").unwrap();
    for key in all().filter(|key| key.scope == scope && key.effect == effect) {
        let allowed = key.check.to_string();
        let comma = if allowed.is_empty() { "" } else { ", " };
        write!(
            text,
            "| `{}` | {}{comma}{} | {} | {} | {} |",
            key.name,
            key.kind.name().to_lowercase(),
            cell(&allowed),
            default(key.default),
            key.update.name(),
            cell(key.documentation),
        )
        .unwrap();
        if scope != Scope::Broker {
            let synonyms: Vec<_> = key.synonyms.iter().map(|synonym| format!("`{}`", synonym.key)).collect();
            write!(text, " {} |", synonyms.join(", ")).unwrap();
        }
        text.push('\n');
    }
}

fn differences() -> String {
    let mut text =
        "| Key | Of a | Default | Kafka's | What differs, and why |\n|---|---|---|---|---|\n".to_owned();
    for key in all() {
        let Some(differs) = key.differs else { continue };
        let kafka = differs.kafka.map_or_else(|| "the same".to_owned(), |kafka| default(Some(kafka)));
        writeln!(
            text,
            "| `{}` | {} | {} | {kafka} | {} |",
            key.name,
            key.scope.name(),
            default(key.default),
            cell(differs.reason),
        )
        .unwrap();
    }
    text
}

fn default(value: Option<&str>) -> String {
    match value {
        None => "none".to_owned(),
        Some("") => "empty".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

/// A text inside a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace("__", "\\_\\_")
}
