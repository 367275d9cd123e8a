//! Valid encodings of random values, written straight from the tables: a second encoder to hold the generated one against.

use super::model::{Field, Message, Struct, Table, Type};

/// SplitMix64: the same seed gives the same bytes everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// A random value of `message`, encoded in `version`.
pub fn message(table: &Table, message: &Message, version: i16, random: &mut Random) -> Vec<u8> {
    let mut sampler = Sampler { table, version, random, defaults: false };
    let mut out = Vec::new();
    sampler.structure(&message.body, &mut out);
    out
}

/// The default of `message`, encoded in `version`.
pub fn default_message(table: &Table, message: &Message, version: i16) -> Vec<u8> {
    let mut sampler = Sampler { table, version, random: &mut Random(0), defaults: true };
    let mut out = Vec::new();
    sampler.structure(&message.body, &mut out);
    out
}

struct Sampler<'t> {
    table: &'t Table,
    version: i16,
    random: &'t mut Random,
    /// Writes defaults instead of random values.
    defaults: bool,
}

impl Sampler<'_> {
    fn structure(&mut self, structure: &Struct, out: &mut Vec<u8>) {
        let compact = structure.is_compact(self.version);
        let present = |field: &&Field| field.versions.contains(self.version);
        let (tagged, plain): (Vec<_>, Vec<_>) =
            structure.fields.iter().filter(present).partition(|field| field.tag.is_some());
        for field in plain {
            self.field(field, compact && !field.plain, out);
        }
        if compact {
            self.tagged(tagged, out);
        }
    }

    fn tagged(&mut self, mut fields: Vec<&Field>, out: &mut Vec<u8>) {
        fields.sort_by_key(|field| field.tag);
        let mut written = Vec::new();
        let mut count = 0;
        for field in fields {
            let default = self.default_bytes(field);
            let mut value = Vec::new();
            self.field(field, true, &mut value);
            if self.defaults || self.random.one_in(3) || value == default {
                continue;
            }
            count += 1;
            varint(field.tag.unwrap(), &mut written);
            varint(u32::try_from(value.len()).unwrap(), &mut written);
            written.extend(value);
        }
        varint(count, out);
        out.extend(written);
    }

    fn default_bytes(&mut self, field: &Field) -> Vec<u8> {
        let (table, version) = (self.table, self.version);
        let mut out = Vec::new();
        Sampler { table, version, random: self.random, defaults: true }.field(field, true, &mut out);
        out
    }

    fn field(&mut self, field: &Field, compact: bool, out: &mut Vec<u8>) {
        let by_default = field.default.as_deref() == Some("null") || field.element == Type::Records;
        let null = if self.defaults { by_default } else { self.random.one_in(4) };
        if null && field.is_nullable(self.version) {
            match field.element {
                Type::Struct(_) if !field.array && field.tag.is_some() => out.push(0),
                Type::Struct(_) if !field.array => out.push(0xff),
                Type::String if !field.array && !compact => out.extend((-1i16).to_be_bytes()),
                _ if compact => out.push(0),
                _ => out.extend((-1i32).to_be_bytes()),
            }
            return;
        }
        if !field.array {
            if matches!(field.element, Type::Struct(_)) && field.is_nullable(self.version) {
                out.push(1);
            }
            return self.element(field, compact, out);
        }
        let count = if self.defaults { 0 } else { self.random.below(4) };
        length(count, compact, 4, out);
        for _ in 0..count {
            self.element(field, compact, out);
        }
    }

    fn element(&mut self, field: &Field, compact: bool, out: &mut Vec<u8>) {
        let default = field.default.as_deref().filter(|_| self.defaults);
        let size = match &field.element {
            Type::Struct(name) => return self.structure(self.table.structure(name), out),
            Type::String => return self.string(default.unwrap_or_default(), compact, out),
            Type::Bytes | Type::Records => return self.bytes(compact, out),
            Type::Bool => {
                return out.push(u8::from(if self.defaults {
                    default == Some("true")
                } else {
                    self.random.one_in(2)
                }));
            }
            Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
        };
        let value = match default {
            Some(number) => number.parse::<i64>().unwrap(),
            None if self.defaults => 0,
            None => match self.random.below(4) {
                0 => i64::from(self.random.one_in(2)) - 1,
                1 => i64::MIN,
                _ => i64::try_from(self.random.next() >> 1).unwrap(),
            },
        };
        let wide = i128::from(value).to_be_bytes();
        out.extend(&wide[16 - size..]);
    }

    fn string(&mut self, default: &str, compact: bool, out: &mut Vec<u8>) {
        let long = "x".repeat(130);
        let words = ["", "a", "kafka", "Δelta-ø", &long];
        let text = if self.defaults { default } else { words[self.random.below(words.len())] };
        length(text.len(), compact, 2, out);
        out.extend(text.as_bytes());
    }

    fn bytes(&mut self, compact: bool, out: &mut Vec<u8>) {
        let count = if self.defaults { 0 } else { [0, 1, 17, 200][self.random.below(4)] };
        length(count, compact, 4, out);
        out.extend((0..count).map(|_| self.random.next().to_be_bytes()[0]));
    }
}

fn length(length: usize, compact: bool, size: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).unwrap();
    if compact { varint(length + 1, out) } else { out.extend(&length.to_be_bytes()[4 - size..]) }
}

fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}
