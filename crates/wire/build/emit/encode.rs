//! The `write_body` of a struct: fields in order, refusing what the version cannot carry, then the tagged ones that are set.

use super::types::{ident, is_set, optional};
use super::{Item, line, push};
use crate::model::{Field, Type};

/// The statements of `write_body`.
pub fn body(out: &mut String, item: &Item<'_>) {
    let structure = item.structure;
    for field in structure.fields.iter().filter(|field| field.tag.is_none()) {
        let condition = Item::condition(structure.versions, field.versions);
        let value = value(field);
        if condition.is_empty() {
            push(out, &value);
        } else {
            line(out, format_args!("if {condition} {{\n{value}}}{}", refuse(field)));
        }
    }
    tagged(out, item);
    push(out, "Ok(())\n");
}

/// What happens to a field in a version without it: dropped if ignorable, else an error unless it is at its default.
fn refuse(field: &Field) -> String {
    if field.ignorable {
        return String::new();
    }
    let set = is_set(field, &format!("self.{}", ident(field)));
    format!(" else if {set} {{ return Err(EncodeError::not_in_version({:?}, version)); }}", field.name)
}

fn tagged(out: &mut String, item: &Item<'_>) {
    let outer = item.structure.versions;
    let mut fields: Vec<&Field> = item.structure.fields.iter().filter(|field| field.tag.is_some()).collect();
    fields.sort_by_key(|field| field.tag);
    for field in &fields {
        let condition = Item::condition(outer, field.versions);
        if !condition.is_empty() && !field.ignorable {
            let set = is_set(field, &format!("self.{}", ident(field)));
            let absent = format!("return Err(EncodeError::not_in_version({:?}, version));", field.name);
            line(out, format_args!("if !({condition}) && {set} {{ {absent} }}"));
        }
    }
    let Some(flexible) = item.flexible_condition() else { return };
    let mut section = String::new();
    let mut count = Vec::new();
    for field in &fields {
        let condition = Item::condition(outer, field.versions);
        let set = is_set(field, &format!("self.{}", ident(field)));
        let written = if condition.is_empty() { set } else { format!("{condition} && {set}") };
        line(&mut section, format_args!("let has_{} = {written};", field.name));
        count.push(format!("u32::from(has_{})", field.name));
    }
    let count = if count.is_empty() { "0".to_owned() } else { count.join(" + ") };
    line(&mut section, format_args!("w.unsigned_varint({count});"));
    for field in &fields {
        let (tag, value) = (field.tag.unwrap_or_default(), value(field));
        line(
            &mut section,
            format_args!(
                "if has_{} {{\nlet start = w.begin_tag({tag});\n{value}w.end_tag(start);\n}}",
                field.name
            ),
        );
    }
    if flexible.is_empty() {
        push(out, &section);
    } else {
        line(out, format_args!("if {flexible} {{\n{section}}}"));
    }
}

/// Writes the whole field.
fn value(field: &Field) -> String {
    let (place, name) = (format!("self.{}", ident(field)), format!("{:?}", field.name));
    let form = if field.plain { "Form::Plain" } else { "form" };
    if field.element == Type::Records && !field.array {
        return records(field, &place, form, &name);
    }
    if !optional(field) {
        return present(field, &place, form, &name, false);
    }
    let some = present(field, "value", form, &name, true);
    let null = if field.array || matches!(field.element, Type::Bytes) {
        format!("w.null_long({form})")
    } else if field.element == Type::String {
        format!("w.null_string({form})")
    } else if field.tag.is_some() {
        "w.unsigned_varint(0)".to_owned()
    } else {
        "w.i8(-1)".to_owned()
    };
    let marker = match field.element {
        Type::Struct(_) if field.array => "",
        // Kafka marks a tagged struct with a variable-length number, where others have a signed byte.
        Type::Struct(_) if field.tag.is_some() => "w.unsigned_varint(1);\n",
        Type::Struct(_) => "w.i8(1);\n",
        _ => "",
    };
    let condition =
        field.nullable.map(|nullable| Item::condition(field.versions, nullable)).unwrap_or_default();
    if condition.is_empty() {
        return format!("match &{place} {{\nNone => {null},\nSome(value) => {{\n{marker}{some}}}\n}}\n");
    }
    let marker = if marker.is_empty() { String::new() } else { format!("if {condition} {{ {marker} }}\n") };
    format!(
        "match &{place} {{\nNone if {condition} => {null},\nNone => return Err(EncodeError::null({name}, version)),\n\
         Some(value) => {{\n{marker}{some}}}\n}}\n"
    )
}

fn records(field: &Field, place: &str, form: &str, name: &str) -> String {
    let write = format!("w.records({form}, &{place}, {name})?;\n");
    let condition = match field.nullable {
        None => "true".to_owned(),
        Some(nullable) => match Item::condition(field.versions, nullable) {
            condition if condition.is_empty() => return write,
            condition => format!("!({condition})"),
        },
    };
    format!(
        "if {condition} && {place}.is_null() {{ return Err(EncodeError::null({name}, version)); }}\n{write}"
    )
}

/// Writes a value that is there; `place` is a reference if `by_reference`.
fn present(field: &Field, place: &str, form: &str, name: &str, by_reference: bool) -> String {
    if !field.array {
        return single(field, place, form, name, by_reference);
    }
    let item = single(field, "item", form, name, true);
    let over = if by_reference { place.to_owned() } else { format!("&{place}") };
    format!("w.array_len({form}, {place}.len(), {name})?;\nfor item in {over} {{\n{item}}}\n")
}

/// Writes one element.
fn single(field: &Field, place: &str, form: &str, name: &str, by_reference: bool) -> String {
    let copied = if by_reference { format!("*{place}") } else { place.to_owned() };
    match &field.element {
        Type::Bool => format!("w.bool({copied});\n"),
        Type::Int8 => format!("w.i8({copied});\n"),
        Type::Int16 => format!("w.i16({copied});\n"),
        Type::Int32 => format!("w.i32({copied});\n"),
        Type::Int64 => format!("w.i64({copied});\n"),
        Type::Uint16 => format!("w.u16({copied});\n"),
        Type::Uint32 => format!("w.u32({copied});\n"),
        Type::Float64 => format!("w.f64({copied});\n"),
        Type::Uuid => format!("w.uuid({copied});\n"),
        Type::String => format!("w.string({form}, &{place}, {name})?;\n"),
        Type::Bytes => format!("w.bytes({form}, &{place}, {name})?;\n"),
        Type::Records => format!("w.records({form}, &{place}, {name})?;\n"),
        Type::Struct(_) => format!("{place}.write_body(w, version)?;\n"),
    }
}
