//! What a message table means: messages, structs, fields and the versions in which each exists.
//!
//! - M1 Every range is clipped to the range of what encloses it, so a field without a range of its own has its parent's.
//! - M2 A struct belongs to one table and one flexible range; its name is unique in the table.
//!
//! Knows neither the notation nor Rust.

/// Versions `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub fn contains(self, version: i16) -> bool {
        self.first <= version && version <= self.last
    }

    /// The versions in both, if any.
    pub fn clip(self, outer: Versions) -> Option<Versions> {
        let clipped = Versions { first: self.first.max(outer.first), last: self.last.min(outer.last) };
        (clipped.first <= clipped.last).then_some(clipped)
    }
}

/// The type of a field, or of the elements of an array field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint16,
    Uint32,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub element: Type,
    pub array: bool,
    pub versions: Versions,
    /// Versions in which null is allowed.
    pub nullable: Option<Versions>,
    pub tag: Option<u32>,
    /// As written after `=`; absent means the type's zero.
    pub default: Option<String>,
    /// May be dropped silently where the version lacks it.
    pub ignorable: bool,
    /// Keeps its plain length prefix even in flexible versions (the client id of the request header).
    pub plain: bool,
    pub line: usize,
}

impl Field {
    pub fn is_nullable(&self, version: i16) -> bool {
        self.nullable.is_some_and(|versions| versions.contains(version))
    }
}

/// A group of fields that is no message of its own.
#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub versions: Versions,
    pub flexible: Option<i16>,
    pub fields: Vec<Field>,
    pub line: usize,
}

impl Struct {
    /// Whether `version` has compact lengths and tagged fields.
    pub fn is_compact(&self, version: i16) -> bool {
        self.flexible.is_some_and(|from| from <= version)
    }
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Request {
        key: i16,
    },
    Response {
        key: i16,
    },
    /// The key of a record in a coordinator's topic; `kind` is the number in front of it.
    RecordKey {
        kind: i16,
    },
    RecordValue {
        kind: i16,
    },
    Plain,
}

/// A top-level message.
#[derive(Clone, Debug)]
pub struct Message {
    pub role: Role,
    pub body: Struct,
}

/// One `.msg` file.
#[derive(Clone, Debug)]
pub struct Table {
    /// The Rust module: `fetch` for `01_fetch.msg`, `offset_commit_record` for `group_record_01_offset_commit.msg`.
    pub module: String,
    /// For an API: its name, without `Request` and `Response`.
    pub api: Option<String>,
    pub messages: Vec<Message>,
    pub structs: Vec<Struct>,
}

impl Table {
    /// The struct a field refers to; parsing has made sure that it exists.
    pub fn structure(&self, name: &str) -> &Struct {
        self.structs.iter().find(|s| s.name == name).expect("parse resolves every struct name")
    }

    /// The fewest bytes one element of `field` takes in any version that has the field.
    pub fn smallest_element(&self, owner: &Struct, field: &Field) -> usize {
        let versions = field.versions.first..=field.versions.last;
        versions.map(|v| self.smallest_value(&field.element, v, owner.is_compact(v))).min().unwrap_or(0)
    }

    fn smallest_value(&self, element: &Type, version: i16, compact: bool) -> usize {
        match element {
            Type::Struct(name) => self.smallest_struct(self.structure(name), version),
            other => fixed_or_prefix(other, compact),
        }
    }

    fn smallest_struct(&self, structure: &Struct, version: i16) -> usize {
        let compact = structure.is_compact(version);
        let present = structure.fields.iter().filter(|f| f.versions.contains(version) && f.tag.is_none());
        let fields: usize = present.map(|field| self.smallest_field(field, version, compact)).sum();
        fields + usize::from(compact)
    }

    fn smallest_field(&self, field: &Field, version: i16, compact: bool) -> usize {
        let compact = compact && !field.plain;
        match &field.element {
            _ if field.array => fixed_or_prefix(&Type::Bytes, compact),
            Type::Struct(_) if field.is_nullable(version) => 1,
            element => self.smallest_value(element, version, compact),
        }
    }
}

/// Bytes of a fixed-size value, or of the length in front of a variable one.
fn fixed_or_prefix(ty: &Type, compact: bool) -> usize {
    match ty {
        Type::Bool | Type::Int8 => 1,
        Type::Int16 | Type::Uint16 => 2,
        Type::Int32 | Type::Uint32 => 4,
        Type::Int64 | Type::Float64 => 8,
        Type::Uuid => 16,
        Type::String if !compact => 2,
        Type::Bytes | Type::Records if !compact => 4,
        Type::String | Type::Bytes | Type::Records => 1,
        Type::Struct(_) => 0,
    }
}
