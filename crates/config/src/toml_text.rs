//! A TOML text as keys and values: the names of nested tables and dotted keys, with dots between, are Kafka's names;
//! an array is a list.
//!
//! - T1 Entries come in the order of the text, each with its line.
//! - T2 What is under `sink` is no setting: who runs sinks reads it, and refuses what is none.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::{Fault, FileError};

/// See T2.
const SINKS: &str = "sink";

/// Its entries, each with its line.
pub(crate) fn entries(text: &str) -> Result<Vec<(usize, String, String)>, FileError> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| FileError {
        line: line_of(error.span().map_or(0, |span| span.start)),
        fault: Fault::Syntax(error.message().to_owned()),
    })?;
    let mut found = Vec::new();
    let mut table = table.into_inner();
    table.remove(SINKS);
    gather(&table, "", &mut found).map_err(|(offset, fault)| FileError { line: line_of(offset), fault })?;
    found.sort_by_key(|(offset, ..)| *offset);
    Ok(found.into_iter().map(|(offset, key, value)| (line_of(offset), key, value)).collect())
}

type Entry = (usize, String, String);

fn gather(table: &DeTable<'_>, prefix: &str, found: &mut Vec<Entry>) -> Result<(), (usize, Fault)> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => gather(inner, &format!("{key}."), found)?,
            DeValue::Array(entries) => {
                let texts = entries.iter().map(|entry| scalar(&key, entry)).collect::<Result<Vec<_>, _>>()?;
                found.push((value.span().start, key, texts.join(",")));
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => found.push((value.span().start, key.clone(), scalar(&key, value)?)),
        }
    }
    Ok(())
}

/// A value as the table of keys takes it: as text.
fn scalar(key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, (usize, Fault)> {
    let refused = |found| (value.span().start, Fault::NoValue { key: key.to_owned(), found });
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(refused("an integer beyond 64 bits")),
        },
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(yes) => Ok(yes.to_string()),
        DeValue::Datetime(_) => Err(refused("a date or time")),
        DeValue::Array(_) => Err(refused("an array in an array")),
        DeValue::Table(_) => Err(refused("a table in an array")),
    }
}
