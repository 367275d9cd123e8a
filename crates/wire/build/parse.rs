//! Reads the notation of `messages/*.msg`.
//!
//! ```text
//! api 1 Fetch                  or: record 2 GroupMetadata (key, value), or: message RequestHeader (fields)
//! versions 4-18
//! flexible 12+                 or: none
//!
//! request                      then: response
//!   rack_id: string 11+ ignorable
//!   topics: []FetchTopic       an array of structs, fields indented below, or of a `struct NAME` block
//!     partition: int32
//!     epoch: int32 9+ = -1     versions, then the default; nothing means all versions and zero
//!     note: string? = null     nullable in all its versions; `string?3+` from 3 on
//!     extra: uuid 17+ tag 0    a tagged field
//! ```
//!
//! Two spaces indent a level; `#` starts a comment. Errors carry the line, the caller knows the file.

use super::model::{Field, Message, Role, Struct, Table, Type, Versions};

/// Where a table is wrong, and how.
pub struct ParseError {
    pub line: usize,
    pub what: String,
}

fn error<T>(line: usize, what: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError { line, what: what.into() })
}

struct Line<'a> {
    number: usize,
    depth: usize,
    text: &'a str,
}

/// Parses the file `stem`.msg.
pub fn table(stem: &str, text: &str) -> Result<Table, ParseError> {
    let lines = lines(text)?;
    let unnumbered =
        |name: &str| name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').to_owned();
    let module = match stem.split_once("_record_") {
        Some((_, name)) => unnumbered(name) + "_record",
        None => unnumbered(stem),
    };
    let table = Table { module, api: None, messages: Vec::new(), structs: Vec::new() };
    let mut parser = Parser { lines: &lines, next: 0, table, heading: None };
    while parser.next < lines.len() {
        parser.statement()?;
    }
    check(&parser.table)?;
    Ok(parser.table)
}

fn lines(text: &str) -> Result<Vec<Line<'_>>, ParseError> {
    let mut lines = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let code = raw.split('#').next().unwrap_or_default().trim_end();
        let spaces = code.len() - code.trim_start_matches(' ').len();
        if code.is_empty() {
            continue;
        }
        if spaces % 2 != 0 || code.contains('\t') {
            return error(number, "indent with two spaces a level");
        }
        lines.push(Line { number, depth: spaces / 2, text: &code[spaces..] });
    }
    Ok(lines)
}

/// The statement that names what the following blocks are.
#[derive(Clone)]
struct Heading {
    kind: Kind,
    name: String,
    versions: Option<Versions>,
    flexible: Option<i16>,
}

#[derive(Clone, Copy)]
enum Kind {
    Api(i16),
    Record(i16),
    Message,
}

struct Parser<'a> {
    lines: &'a [Line<'a>],
    next: usize,
    table: Table,
    heading: Option<Heading>,
}

impl<'a> Parser<'a> {
    fn statement(&mut self) -> Result<(), ParseError> {
        let Line { number, depth, text } = self.lines[self.next];
        self.next += 1;
        if depth != 0 {
            return error(number, "indented, but nothing above it takes fields");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["api", key, name] => {
                self.table.api = Some(name.to_owned());
                self.head(Kind::Api(integer(number, key)?), name);
            }
            ["record", kind, name] => self.head(Kind::Record(integer(number, kind)?), name),
            ["message", name] => self.head(Kind::Message, name),
            ["versions", range] => self.heading(number)?.versions = Some(versions(number, range, i16::MAX)?),
            ["flexible", "none"] => self.heading(number)?.flexible = None,
            ["flexible", range] => {
                self.heading(number)?.flexible = Some(versions(number, range, i16::MAX)?.first);
            }
            ["request" | "response" | "key" | "value" | "fields"] => self.message(number, words[0])?,
            ["struct", name] => self.common_struct(number, name)?,
            _ => return error(number, format!("no such statement: {text}")),
        }
        Ok(())
    }

    fn head(&mut self, kind: Kind, name: &str) {
        self.heading = Some(Heading { kind, name: name.to_owned(), versions: None, flexible: None });
    }

    fn heading(&mut self, line: usize) -> Result<&mut Heading, ParseError> {
        let missing = ParseError { line, what: "needs an api, record or message statement above".to_owned() };
        self.heading.as_mut().ok_or(missing)
    }

    /// The heading and its versions, for a block that needs both.
    fn owner(&mut self, line: usize) -> Result<(Heading, Versions), ParseError> {
        let heading = self.heading(line)?.clone();
        match heading.versions {
            Some(versions) => Ok((heading, versions)),
            None => error(line, "needs a versions statement above"),
        }
    }

    fn message(&mut self, line: usize, block: &str) -> Result<(), ParseError> {
        let (heading, mut versions) = self.owner(line)?;
        let mut flexible = heading.flexible;
        let (role, suffix) = match (heading.kind, block) {
            (Kind::Api(key), "request") => (Role::Request { key }, "Request"),
            (Kind::Api(key), "response") => (Role::Response { key }, "Response"),
            (Kind::Record(kind), "key") => (Role::RecordKey { kind }, "Key"),
            (Kind::Record(kind), "value") => (Role::RecordValue { kind }, "Value"),
            (Kind::Message, "fields") => (Role::Plain, ""),
            _ => return error(line, format!("a {block} block does not belong here")),
        };
        if matches!(role, Role::RecordKey { .. }) {
            // The number in front of a key is its kind, so keys have one version for ever.
            versions = Versions { first: 0, last: 0 };
            flexible = None;
        }
        let fields = self.fields(1, versions, flexible)?;
        let body = Struct { name: format!("{}{suffix}", heading.name), versions, flexible, fields, line };
        self.table.messages.push(Message { role, body });
        Ok(())
    }

    fn common_struct(&mut self, line: usize, name: &str) -> Result<(), ParseError> {
        let (heading, versions) = self.owner(line)?;
        let flexible = heading.flexible;
        let fields = self.fields(1, versions, flexible)?;
        self.table.structs.push(Struct { name: name.to_owned(), versions, flexible, fields, line });
        Ok(())
    }

    fn fields(
        &mut self,
        depth: usize,
        outer: Versions,
        flexible: Option<i16>,
    ) -> Result<Vec<Field>, ParseError> {
        let mut fields = Vec::new();
        while let Some(&Line { number, depth: here, text }) = self.lines.get(self.next) {
            if here < depth {
                break;
            }
            if here > depth {
                return error(number, "indented too far");
            }
            self.next += 1;
            let field = field(number, text, outer)?;
            let has_block = self.lines.get(self.next).is_some_and(|next| next.depth > depth);
            if has_block {
                let Type::Struct(name) = &field.element else {
                    return error(number, format!("{} takes no fields", field.name));
                };
                let (name, versions) = (name.clone(), field.versions);
                let inner = self.fields(depth + 1, versions, flexible)?;
                self.table.structs.push(Struct { name, versions, flexible, fields: inner, line: number });
            }
            fields.push(field);
        }
        Ok(fields)
    }
}

/// `name: type versions [tag N] [= default] [plain] [ignorable]`
fn field(line: usize, text: &str, outer: Versions) -> Result<Field, ParseError> {
    let Some((name, rest)) = text.split_once(": ") else {
        return error(line, format!("a field is `name: type`, not `{text}`"));
    };
    let mut words = rest.split_whitespace().peekable();
    let ty = words.next().unwrap_or_default();
    let own = match words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
        Some(range) => versions(line, range, outer.last)?,
        None => outer,
    };
    if own.clip(outer) != Some(own) {
        return error(line, format!("{name} exists in versions its parent does not"));
    }
    let (array, element, nullable) = field_type(line, ty, own)?;
    let mut field = Field {
        name: name.to_owned(),
        element,
        array,
        versions: own,
        nullable,
        tag: None,
        default: None,
        ignorable: false,
        plain: false,
        line,
    };
    while let Some(word) = words.next() {
        match word {
            "tag" => field.tag = Some(integer(line, words.next().unwrap_or_default())?),
            "=" => field.default = words.next().map(str::to_owned),
            "plain" => field.plain = true,
            "ignorable" => field.ignorable = true,
            other => return error(line, format!("no such attribute: {other}")),
        }
    }
    Ok(field)
}

fn field_type(line: usize, text: &str, own: Versions) -> Result<(bool, Type, Option<Versions>), ParseError> {
    let (base, nullable) = match text.split_once('?') {
        None => (text, None),
        Some((base, "")) => (base, Some(own)),
        Some((base, range)) => (base, Some(versions(line, range, own.last)?)),
    };
    let (array, element) = match base.strip_prefix("[]") {
        Some(element) => (true, element),
        None => (false, base),
    };
    let element = match element {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "uint16" => Type::Uint16,
        "uint32" => Type::Uint32,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(name.to_owned()),
        other => return error(line, format!("no such type: {other}")),
    };
    Ok((array, element, nullable))
}

/// `4-18`, `7+` (up to `last`) or `3`.
fn versions(line: usize, text: &str, last: i16) -> Result<Versions, ParseError> {
    let (first, last) = if let Some(first) = text.strip_suffix('+') {
        (integer(line, first)?, last)
    } else if let Some((first, last)) = text.split_once('-') {
        (integer(line, first)?, integer(line, last)?)
    } else {
        (integer(line, text)?, integer(line, text)?)
    };
    if first > last {
        return error(line, format!("{text} is an empty range of versions"));
    }
    Ok(Versions { first, last })
}

fn integer<T: std::str::FromStr>(line: usize, text: &str) -> Result<T, ParseError> {
    text.parse().map_err(|_| ParseError { line, what: format!("not a number: {text}") })
}

/// What the emitter relies on.
fn check(table: &Table) -> Result<(), ParseError> {
    for (index, structure) in table.structs.iter().enumerate() {
        if table.structs[..index].iter().any(|earlier| earlier.name == structure.name) {
            return error(structure.line, format!("struct {} is there twice", structure.name));
        }
    }
    for structure in &table.structs {
        check_finite(table, structure, 0)?;
    }
    let bodies = table.messages.iter().map(|message| &message.body);
    for owner in bodies.chain(&table.structs) {
        for field in &owner.fields {
            check_field(table, owner, field)?;
        }
    }
    Ok(())
}

/// Nesting is bounded by the table because no struct holds itself.
fn check_finite(table: &Table, structure: &Struct, depth: usize) -> Result<(), ParseError> {
    if depth > table.structs.len() {
        return error(structure.line, format!("struct {} holds itself", structure.name));
    }
    let names = structure.fields.iter().filter_map(|field| match &field.element {
        Type::Struct(name) => Some(name),
        _ => None,
    });
    let inner = names.filter_map(|name| table.structs.iter().find(|s| &s.name == name));
    inner.into_iter().try_for_each(|inner| check_finite(table, inner, depth + 1))
}

fn check_field(table: &Table, owner: &Struct, field: &Field) -> Result<(), ParseError> {
    if let Type::Struct(name) = &field.element {
        match table.structs.iter().find(|s| &s.name == name) {
            None => return error(field.line, format!("no such struct: {name}")),
            Some(found) if found.flexible != owner.flexible => {
                return error(field.line, format!("{name} belongs to a message with another flexible range"));
            }
            Some(_) => {}
        }
    }
    if field.array && table.smallest_element(owner, field) == 0 {
        // The count of such an array could not be checked against the bytes left.
        return error(field.line, "an element may take no bytes at all");
    }
    match field.tag {
        Some(_) if field.element == Type::Records => error(field.line, "records cannot be tagged"),
        Some(_) if !owner.is_compact(field.versions.first) => {
            error(field.line, "tagged in a version that is not flexible")
        }
        _ => Ok(()),
    }
}
