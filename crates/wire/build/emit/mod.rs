//! Writes the Rust source: one module a table, then the registry over all of them.
//!
//! The source is plain `if version >= N` code over `Reader` and `Writer`; it is never formatted, only compiled.

mod decode;
mod encode;
mod registry;
mod types;

use std::fmt::Write as _;

use crate::model::{Message, Role, Struct, Table, Versions};

/// The text of `messages.rs`.
pub fn crate_source(tables: &[Table]) -> String {
    let mut out = String::new();
    for table in tables {
        module(&mut out, table);
    }
    registry::write(&mut out, tables);
    out
}

fn module(out: &mut String, table: &Table) {
    let title = match &table.api {
        Some(api) => format!("{api}: request, response and their parts."),
        None => "Messages that travel inside others or lie in a log.".to_owned(),
    };
    push(out, &format!("#[doc = {title:?}]\npub mod {} {{\nuse crate::codec::*;\n", table.module));
    for message in &table.messages {
        let item = Item { table, structure: &message.body };
        types::write(out, &item, &message_doc(message));
        bodies(out, &item);
        traits(out, &item, message);
    }
    for structure in &table.structs {
        let item = Item { table, structure };
        types::write(out, &item, &format!("Part of {}.", table.module));
        bodies(out, &item);
    }
    out.push_str("}\n");
    for message in &table.messages {
        push(out, &format!("pub use {}::{};\n", table.module, message.body.name));
    }
}

fn message_doc(message: &Message) -> String {
    let Versions { first, last } = message.body.versions;
    let what = match message.role {
        Role::Request { key } => format!("Request, API key {key}"),
        Role::Response { key } => format!("Response, API key {key}"),
        Role::RecordKey { kind } => format!("Key of records of kind {kind}"),
        Role::RecordValue { kind } => format!("Value of records of kind {kind}"),
        Role::Plain => "Message".to_owned(),
    };
    format!("{what}, versions {first}-{last}.")
}

/// One struct to write, and the table it may refer into.
struct Item<'a> {
    table: &'a Table,
    structure: &'a Struct,
}

impl Item<'_> {
    /// `'a` where the struct borrows from a frame.
    fn generics(&self) -> &'static str {
        if types::borrows(self.table, self.structure) { "<'a>" } else { "" }
    }

    /// A condition on `version` that holds in `inner`, given that it is in `outer`; empty if it always holds.
    fn condition(outer: Versions, inner: Versions) -> String {
        match (inner.first > outer.first, inner.last < outer.last) {
            (false, false) => String::new(),
            (true, false) => format!("version >= {}", inner.first),
            (false, true) => format!("version <= {}", inner.last),
            (true, true) if inner.first == inner.last => format!("version == {}", inner.first),
            (true, true) => format!("({}..={}).contains(&version)", inner.first, inner.last),
        }
    }

    /// The condition under which `version` is flexible; `None` if no version is.
    fn flexible_condition(&self) -> Option<String> {
        let outer = self.structure.versions;
        let flexible = Versions { first: self.structure.flexible?, last: i16::MAX }.clip(outer)?;
        Some(Self::condition(outer, flexible))
    }

    /// Binds `form`, the way lengths are written in this version.
    fn bind_form(&self) -> &'static str {
        match self.flexible_condition() {
            None => "let form = Form::Plain;\n",
            Some(condition) if condition.is_empty() => "let form = Form::Compact;\n",
            Some(_) => "let form = Form::of(version >= FLEXIBLE);\n",
        }
    }
}

/// The version-aware codec of one struct.
fn bodies(out: &mut String, item: &Item<'_>) {
    let (name, generics) = (&item.structure.name, item.generics());
    let lifetime = if generics.is_empty() { "'_" } else { "'a" };
    push(out, &format!("impl{generics} {name}{generics} {{\n"));
    let form = item.bind_form().replace("FLEXIBLE", &item.structure.flexible.unwrap_or_default().to_string());
    push(
        out,
        &format!(
            "fn read_body(r: &mut Reader<{lifetime}>, version: i16) -> Result<Self, DecodeError> {{\n{form}"
        ),
    );
    decode::body(out, item);
    push(
        out,
        &format!(
            "}}\nfn write_body(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {{\n{form}"
        ),
    );
    encode::body(out, item);
    out.push_str("}\n}\n");
}

fn traits(out: &mut String, item: &Item<'_>, message: &Message) {
    let (name, generics) = (&item.structure.name, item.generics());
    let owned = if generics.is_empty() { "" } else { "<'static>" };
    let into_owned = if generics.is_empty() { "self" } else { "self.to_static()" };
    let Versions { first, last } = message.body.versions;
    push(
        out,
        &format!(
            "impl<'a> Message<'a> for {name}{generics} {{
const NAME: &'static str = {name:?};
const VERSIONS: VersionRange = VersionRange {{ first: {first}, last: {last} }};
const FLEXIBLE_FROM: Option<i16> = {flexible:?};
type Owned = {name}{owned};
fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {{
reader.check_version(Self::VERSIONS, Self::NAME, version)?;
Self::read_body(reader, version)
}}
fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{
writer.check_version(Self::VERSIONS, Self::NAME, version)?;
self.write_body(writer, version)
}}
fn into_owned(self) -> {name}{owned} {{ {into_owned} }}
}}\n",
            flexible = message.body.flexible,
        ),
    );
    role_traits(out, item, message);
}

fn role_traits(out: &mut String, item: &Item<'_>, message: &Message) {
    let (name, generics) = (&item.structure.name, item.generics());
    let api = item.table.api.as_deref().unwrap_or_default();
    match message.role {
        Role::Request { .. } => {
            let answer = item.table.messages.iter().find(|m| matches!(m.role, Role::Response { .. }));
            let answer = answer.map(|m| Item { table: item.table, structure: &m.body });
            let Some(answer) = answer else { return };
            let lifetime = answer.generics().replace("'a", "'r");
            push(
                out,
                &format!(
                    "impl<'a> Request<'a> for {name}{generics} {{
const KEY: ApiKey = ApiKey::{api};
type Response<'r> = {}{lifetime};
}}\n",
                    answer.structure.name
                ),
            );
        }
        Role::Response { .. } => push(
            out,
            &format!("impl<'a> Response<'a> for {name}{generics} {{ const KEY: ApiKey = ApiKey::{api}; }}\n"),
        ),
        Role::RecordKey { kind } => {
            push(
                out,
                &format!("impl<'a> RecordKey<'a> for {name}{generics} {{ const KIND: i16 = {kind}; }}\n"),
            );
        }
        Role::RecordValue { .. } | Role::Plain => {}
    }
}

/// Appends `text`.
fn push(out: &mut String, text: &str) {
    out.push_str(text);
}

/// Appends one formatted line.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
