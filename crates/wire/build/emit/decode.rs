//! The `read_body` of a struct: fields in order, absent ones at their default, then the tagged ones.

use super::types::{default, ident, optional};
use super::{Item, line, push};
use crate::model::{Field, Type, Versions};

/// The statements of `read_body`.
pub fn body(out: &mut String, item: &Item<'_>) {
    let structure = item.structure;
    for field in structure.fields.iter().filter(|field| field.tag.is_none()) {
        let value = value(item, field);
        let condition = Item::condition(structure.versions, field.versions);
        if condition.is_empty() {
            line(out, format_args!("let {} = {value};", ident(field)));
        } else {
            line(
                out,
                format_args!(
                    "let {} = if {condition} {{ {value} }} else {{ {} }};",
                    ident(field),
                    default(field)
                ),
            );
        }
    }
    tagged(out, item);
    push(out, "Ok(Self {");
    for field in &structure.fields {
        push(out, &format!("{},", ident(field)));
    }
    push(out, "})\n");
}

fn tagged(out: &mut String, item: &Item<'_>) {
    let fields = || item.structure.fields.iter().filter(|field| field.tag.is_some());
    for field in fields() {
        line(out, format_args!("let mut {} = {};", ident(field), default(field)));
    }
    let Some(flexible) = item.flexible_condition() else { return };
    let mut section = String::new();
    if fields().next().is_none() {
        push(&mut section, "r.skip_tags()?;\n");
    } else {
        push(
            &mut section,
            "let mut tags = r.tags()?;\nwhile let Some(tag) = r.next_tag(&mut tags)? {\nmatch tag.id {\n",
        );
        for field in fields() {
            let guard = Item::condition(item.structure.versions, field.versions);
            let guard = if guard.is_empty() { guard } else { format!(" if {guard}") };
            let (tag, value) = (field.tag.unwrap_or_default(), value(item, field));
            line(&mut section, format_args!("{tag}{guard} => {} = {value},", ident(field)));
        }
        push(&mut section, "_ => {}\n}\nr.end_tag(tag);\n}\n");
    }
    if flexible.is_empty() {
        push(out, &section);
    } else {
        line(out, format_args!("if {flexible} {{\n{section}}}"));
    }
}

/// Reads the whole field.
fn value(item: &Item<'_>, field: &Field) -> String {
    let name = format!("{:?}", field.name);
    let form = if field.plain { "Form::Plain" } else { "form" };
    let nullable = nullable(field);
    let reads_null = nullable.is_some();
    let read = if field.array {
        let (least, one) = (item.table.smallest_element(item.structure, field), single(field, form, &name));
        let one = one.strip_suffix('?').unwrap_or(&one);
        let method = if reads_null { "nullable_array" } else { "array" };
        format!("r.{method}({form}, {least}, {name}, |r| {one})?")
    } else {
        match &field.element {
            Type::Struct(_) if reads_null => {
                let present = if field.tag.is_some() { "tagged_present" } else { "present" };
                format!("if r.{present}({name})? {{ Some({}) }} else {{ None }}", single(field, form, &name))
            }
            Type::String if reads_null => format!("r.nullable_string({form}, {name})?"),
            Type::Bytes if reads_null => format!("r.nullable_bytes({form}, {name})?"),
            _ => single(field, form, &name),
        }
    };
    match nullable {
        Some(condition) if !condition.is_empty() => not_always_nullable(field, &condition, &read, &name),
        _ => read,
    }
}

/// When null is allowed, given that the field is there: never, always (empty), or under a condition.
fn nullable(field: &Field) -> Option<String> {
    field.nullable.map(|nullable: Versions| Item::condition(field.versions, nullable))
}

/// Nullable only in some versions: elsewhere a null is refused. A struct has no marker there.
fn not_always_nullable(field: &Field, condition: &str, read: &str, name: &str) -> String {
    match (&field.element, field.array) {
        (Type::Struct(ty), false) => {
            format!("if {condition} {{ {read} }} else {{ Some({ty}::read_body(r, version)?) }}")
        }
        _ if optional(field) => {
            format!("{{ let v = {read}; if v.is_none() {{ r.allow_null({condition}, {name})?; }} v }}")
        }
        _ => format!("{{ let v = {read}; if v.is_null() {{ r.allow_null({condition}, {name})?; }} v }}"),
    }
}

/// Reads one element.
fn single(field: &Field, form: &str, name: &str) -> String {
    match &field.element {
        Type::Bool => format!("r.bool({name})?"),
        Type::Int8 => format!("r.i8({name})?"),
        Type::Int16 => format!("r.i16({name})?"),
        Type::Int32 => format!("r.i32({name})?"),
        Type::Int64 => format!("r.i64({name})?"),
        Type::Uint16 => format!("r.u16({name})?"),
        Type::Uint32 => format!("r.u32({name})?"),
        Type::Float64 => format!("r.f64({name})?"),
        Type::Uuid => format!("r.uuid({name})?"),
        Type::String => format!("r.string({form}, {name})?"),
        Type::Bytes => format!("r.bytes({form}, {name})?"),
        Type::Records if field.nullable.is_some() => format!("r.nullable_records({form}, {name})?"),
        Type::Records => format!("r.records({form}, {name})?"),
        Type::Struct(ty) => format!("{ty}::read_body(r, version)?"),
    }
}
