//! Kafka's own message definitions, read from its jars.
//!
//! A definition and a table are compared by printing both, one version at a time, and comparing the lines: order, name,
//! type, null, tag, default and whether a field may be dropped all count.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use serde_json::Value;

use crate::support::model::{Field, Message, Role, Struct, Table, Type};

/// Names the folder with Kafka's jars.
const VARIABLE: &str = "OTTLA_KAFKA_LIBS";

/// Every definition by name.
pub struct Definitions(BTreeMap<String, Value>);

impl Definitions {
    /// Those of the jars in `OTTLA_KAFKA_LIBS`; without it none, which is only right on a developer's machine.
    pub fn find() -> Option<Definitions> {
        let Some(folder) = std::env::var_os(VARIABLE) else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must set {VARIABLE}");
            // Not `eprintln!`, which the test harness keeps to itself while a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {VARIABLE} is not set; `cargo xtask test` sets it");
            return None;
        };
        let folder = std::path::PathBuf::from(folder);
        let mut definitions = BTreeMap::new();
        for prefix in ["kafka-clients-4", "kafka-group-coordinator-4", "kafka-transaction-coordinator-4"] {
            read_jar(&jar(&folder, prefix), &mut definitions);
        }
        assert!(definitions.len() > 200, "{}: only {} definitions", folder.display(), definitions.len());
        Some(Definitions(definitions))
    }

    /// Compares one message.
    pub fn check(&self, table: &Table, message: &Message) {
        let Struct { name, versions, flexible, .. } = &message.body;
        let definition = self.0.get(name).unwrap_or_else(|| panic!("Kafka has no {name}"));
        let number = match message.role {
            Role::Request { key } | Role::Response { key } => Some(key),
            Role::RecordKey { kind } | Role::RecordValue { kind } => Some(kind),
            Role::Plain => None,
        };
        assert_eq!(definition["apiKey"].as_i64(), number.map(i64::from), "{name}");
        let (first, mut last) = range(&definition["validVersions"]).unwrap();
        // Of an unstable last version its request says so, its response does not.
        let request = name.strip_suffix("Response").map(|api| &self.0[&format!("{api}Request")]);
        if request.unwrap_or(definition)["latestVersionUnstable"] == true {
            last -= 1;
        }
        assert_eq!((versions.first, versions.last), (first, last), "{name}");
        assert_eq!(*flexible, range(&definition["flexibleVersions"]).map(|(from, _)| from), "{name}");
        for version in first..=last {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            print_table(table, &message.body, version, 0, &mut ours);
            print_definition(definition, &definition["fields"], version, 0, &mut theirs);
            assert_eq!(ours, theirs, "{name} {version}");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "tests read real files, the simulator never runs them")]
fn jar(folder: &std::path::Path, prefix: &str) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut jars = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let jar = jars.next().unwrap_or_else(|| panic!("no {prefix}*.jar in {}", folder.display()));
    std::fs::read(jar.path()).unwrap()
}

/// Adds the files `common/message/*.json` of a jar, which is a zip archive.
fn read_jar(jar: &[u8], definitions: &mut BTreeMap<String, Value>) {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([jar[at], jar[at + 1]]));
    let u32_at = |at: usize| u16_at(at) + (u16_at(at + 2) << 16);
    let end = jar.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").expect("a zip has an end record");
    let (entries, mut at) = (u16_at(end + 10), u32_at(end + 16));
    for _ in 0..entries {
        let (method, packed, local) = (u16_at(at + 10), u32_at(at + 20), u32_at(at + 42));
        let (name_len, extra_len, comment_len) = (u16_at(at + 28), u16_at(at + 30), u16_at(at + 32));
        let name = std::str::from_utf8(&jar[at + 46..at + 46 + name_len]).unwrap();
        at += 46 + name_len + extra_len + comment_len;
        let stem = name.strip_prefix("common/message/").and_then(|name| name.strip_suffix(".json"));
        let Some(stem) = stem else { continue };
        let data = local + 30 + u16_at(local + 26) + u16_at(local + 28);
        let data = &jar[data..data + packed];
        let mut text = String::new();
        match method {
            0 => text.push_str(std::str::from_utf8(data).unwrap()),
            _ => drop(flate2::read::DeflateDecoder::new(data).read_to_string(&mut text).unwrap()),
        }
        let json: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let json = serde_json::from_str(&json.join("\n")).unwrap_or_else(|e| panic!("{name}: {e}"));
        definitions.insert(stem.to_owned(), json);
    }
}

/// `4-18`, `7+` or `3`; `none` and a missing range are no versions.
fn range(text: &Value) -> Option<(i16, i16)> {
    let text = text.as_str().filter(|text| *text != "none")?;
    let number = |text: &str| text.parse::<i16>().unwrap();
    Some(match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(first), _) => (number(first), i16::MAX),
        (None, Some((first, last))) => (number(first), number(last)),
        (None, None) => (number(text), number(text)),
    })
}

/// Where the definition forgets a tagged field's versions, those of the tag count.
fn exists(field: &Value, version: i16) -> bool {
    has(field.get("versions").unwrap_or(&field["taggedVersions"]), version)
}

fn has(range_text: &Value, version: i16) -> bool {
    range(range_text).is_some_and(|(first, last)| first <= version && version <= last)
}

struct Printed<'a> {
    name: String,
    ty: String,
    nullable: bool,
    tag: Option<u64>,
    default: &'a str,
    ignorable: bool,
    plain: bool,
}

impl Printed<'_> {
    fn line(&self, depth: usize) -> String {
        let Printed { name, ty, nullable, tag, default, ignorable, plain } = self;
        let indent = "  ".repeat(depth);
        format!(
            "{indent}{name}: {ty} null={nullable} tag={tag:?} default={default} ignorable={ignorable} plain={plain}"
        )
    }
}

fn print_table(table: &Table, structure: &Struct, version: i16, depth: usize, out: &mut Vec<String>) {
    for field in structure.fields.iter().filter(|field| field.versions.contains(version)) {
        let element = match &field.element {
            Type::Struct(_) => "struct".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let printed = Printed {
            name: field.name.clone(),
            ty: format!("{}{element}", if field.array { "[]" } else { "" }),
            nullable: field.is_nullable(version),
            tag: field.tag.map(u64::from),
            default: field.default.as_deref().unwrap_or_else(|| zero(field)),
            ignorable: field.ignorable,
            plain: field.plain,
        };
        out.push(printed.line(depth));
        if let Type::Struct(name) = &field.element {
            print_table(table, table.structure(name), version, depth + 1, out);
        }
    }
}

fn zero(field: &Field) -> &'static str {
    match field.element {
        _ if field.array => "",
        Type::Struct(_) | Type::String | Type::Bytes | Type::Records | Type::Uuid => "",
        Type::Bool => "false",
        _ => "0",
    }
}

fn print_definition(root: &Value, fields: &Value, version: i16, depth: usize, out: &mut Vec<String>) {
    for field in fields.as_array().unwrap().iter().filter(|field| exists(field, version)) {
        let text = |key: &str| field[key].as_str().unwrap_or_default();
        let default = match &field["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let zero = match text("type") {
            "bool" => "false",
            "int8" | "int16" | "int32" | "int64" | "uint16" | "uint32" | "float64" => "0",
            _ => "",
        };
        let hexadecimal = default.strip_prefix("0x").map(|digits| i64::from_str_radix(digits, 16).unwrap());
        let default = hexadecimal.map_or(default, |number| number.to_string());
        // A table may have to call a struct otherwise, where a request and its response use one name for two.
        let (array, element) = text("type").split_at(if text("type").starts_with("[]") { 2 } else { 0 });
        let is_struct = element.starts_with(|c: char| c.is_ascii_uppercase());
        let printed = Printed {
            name: snake_case(text("name")),
            ty: format!("{array}{}", if is_struct { "struct" } else { element }),
            nullable: has(&field["nullableVersions"], version),
            tag: field["tag"].as_u64().filter(|_| has(&field["taggedVersions"], version)),
            default: if default.is_empty() { zero } else { &default },
            ignorable: field["ignorable"] == true,
            plain: field["flexibleVersions"] == "none",
        };
        out.push(printed.line(depth));
        if is_struct {
            let common = || root["commonStructs"].as_array().unwrap().iter().find(|s| s["name"] == element);
            let inner = field.get("fields").unwrap_or_else(|| &common().unwrap()["fields"]);
            print_definition(root, inner, version, depth + 1, out);
        }
    }
}

/// `LastStableOffset` and `lastStableOffset` to `last_stable_offset`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut previous_is_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && previous_is_lower {
            out.push('_');
        }
        previous_is_lower = !letter.is_ascii_uppercase();
        out.push(letter.to_ascii_lowercase());
    }
    out
}
