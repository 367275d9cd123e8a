//! The Rust types of fields: their declarations, defaults and the conversion to owned values.
//!
//! A field that may be null in any version is an `Option`, except records, which have a null of their own.

use super::{Item, line, push};
use crate::model::{Field, Struct, Table, Type};

/// The struct, its `Default` and its `to_static`.
pub fn write(out: &mut String, item: &Item<'_>, doc: &str) {
    let (name, generics, fields) = (&item.structure.name, item.generics(), &item.structure.fields);
    let plain_zero = fields.iter().all(default_is_rusts);
    let derived = if plain_zero { ", Default" } else { "" };
    line(out, format_args!("#[doc = {doc:?}]\n#[derive(Clone, Debug, PartialEq{derived})]"));
    line(out, format_args!("pub struct {name}{generics} {{"));
    for field in fields {
        line(
            out,
            format_args!(
                "#[doc = {:?}]\npub {}: {},",
                field_doc(field),
                ident(field),
                rust_type(item.table, field)
            ),
        );
    }
    push(out, "}\n");
    if !plain_zero {
        line(
            out,
            format_args!("impl{generics} Default for {name}{generics} {{\nfn default() -> Self {{ Self {{"),
        );
        for field in fields {
            line(out, format_args!("{}: {},", ident(field), default(field)));
        }
        push(out, "} }\n}\n");
    }
    if !generics.is_empty() {
        to_static(out, item);
    }
}

fn field_doc(field: &Field) -> String {
    let ty = match &field.element {
        Type::Struct(name) => name.clone(),
        other => format!("{other:?}").to_lowercase(),
    };
    let array = if field.array { "array of " } else { "" };
    let mut doc = format!("{array}{ty}, versions {}-{}", field.versions.first, field.versions.last);
    if let Some(nullable) = field.nullable {
        doc += &format!(", null in {}-{}", nullable.first, nullable.last);
    }
    if let Some(tag) = field.tag {
        doc += &format!(", tag {tag}");
    }
    if let Some(default) = &field.default {
        doc += &format!(", default {default}");
    }
    doc + "."
}

/// The field's name as Rust accepts it.
pub fn ident(field: &Field) -> String {
    match field.name.as_str() {
        "type" | "match" | "move" | "ref" | "self" | "use" => format!("r#{}", field.name),
        name => name.to_owned(),
    }
}

/// Whether values of this struct hold references into the frame.
pub fn borrows(table: &Table, structure: &Struct) -> bool {
    structure.fields.iter().any(|field| field_borrows(table, field))
}

fn field_borrows(table: &Table, field: &Field) -> bool {
    match &field.element {
        Type::String | Type::Bytes | Type::Records => true,
        Type::Struct(name) => borrows(table, table.structure(name)),
        _ => false,
    }
}

fn element_type(table: &Table, field: &Field) -> String {
    let name = match &field.element {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Int32 => "i32",
        Type::Int64 => "i64",
        Type::Uint16 => "u16",
        Type::Uint32 => "u32",
        Type::Float64 => "f64",
        Type::Uuid => "Uuid",
        Type::String => "Str<'a>",
        Type::Bytes => "Blob<'a>",
        Type::Records => "Records<'a>",
        Type::Struct(name) if borrows(table, table.structure(name)) => return format!("{name}<'a>"),
        Type::Struct(name) => name,
    };
    name.to_owned()
}

fn rust_type(table: &Table, field: &Field) -> String {
    let element = element_type(table, field);
    let ty = if field.array { format!("Vec<{element}>") } else { element };
    if optional(field) { format!("Option<{ty}>") } else { ty }
}

/// Whether the Rust type is an `Option`.
pub fn optional(field: &Field) -> bool {
    field.nullable.is_some() && field.element != Type::Records
}

pub fn is_null_default(field: &Field) -> bool {
    field.default.as_deref() == Some("null")
}

fn default_is_rusts(field: &Field) -> bool {
    if optional(field) { is_null_default(field) } else { field.default.is_none() || is_null_default(field) }
}

/// The default as an expression.
pub fn default(field: &Field) -> String {
    if optional(field) && is_null_default(field) {
        return "None".to_owned();
    }
    let value = match (&field.element, &field.default) {
        _ if field.array => "Vec::new()".to_owned(),
        (Type::Records, _) => "Records::Null".to_owned(),
        (Type::String, Some(text)) => format!("Str::Borrowed({text:?})"),
        (Type::String, None) => "Str::Borrowed(\"\")".to_owned(),
        (Type::Bytes, _) => "Blob::Borrowed(&[])".to_owned(),
        (Type::Uuid, _) => "Uuid::ZERO".to_owned(),
        (Type::Struct(name), _) => format!("{name}::default()"),
        (Type::Bool, None) => "false".to_owned(),
        (Type::Float64, None) => "0.0".to_owned(),
        (_, Some(number)) => number.clone(),
        (_, None) => "0".to_owned(),
    };
    if optional(field) { format!("Some({value})") } else { value }
}

/// Whether `place` (an expression for the field) holds something else than the default.
pub fn is_set(field: &Field, place: &str) -> String {
    if optional(field) && is_null_default(field) {
        return format!("{place}.is_some()");
    }
    match (&field.element, &field.default) {
        _ if field.array && optional(field) => format!("{place}.as_ref().is_none_or(|v| !v.is_empty())"),
        _ if field.array => format!("!{place}.is_empty()"),
        (Type::Records, _) => format!("!{place}.is_null()"),
        (Type::String | Type::Bytes, None) if optional(field) => {
            format!("{place}.as_ref().is_none_or(|v| !v.is_empty())")
        }
        (Type::String | Type::Bytes, None) => format!("!{place}.is_empty()"),
        (Type::Bool, None) => place.to_owned(),
        _ => format!("{place} != {}", default(field)),
    }
}

fn to_static(out: &mut String, item: &Item<'_>) {
    let name = &item.structure.name;
    line(out, format_args!("impl {name}<'_> {{\n/// The same value without a reference into the frame."));
    line(out, format_args!("pub fn to_static(self) -> {name}<'static> {{ {name} {{"));
    for field in &item.structure.fields {
        let ident = ident(field);
        if !field_borrows(item.table, field) {
            line(out, format_args!("{ident}: self.{ident},"));
            continue;
        }
        let convert = match &field.element {
            Type::String => "static_str".to_owned(),
            Type::Bytes => "static_blob".to_owned(),
            Type::Records => "Records::to_static".to_owned(),
            Type::Struct(name) => format!("{name}::to_static"),
            _ => "std::convert::identity".to_owned(),
        };
        let value = match (optional(field), field.array) {
            (false, false) => format!("{convert}(self.{ident})"),
            (true, false) => format!("self.{ident}.map({convert})"),
            (false, true) => format!("static_vec(self.{ident}, {convert})"),
            (true, true) => format!("self.{ident}.map(|v| static_vec(v, {convert}))"),
        };
        line(out, format_args!("{ident}: {value},"));
    }
    push(out, "} }\n}\n");
}
