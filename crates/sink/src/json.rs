//! JSON as it is written: a cursor that goes through a text once and builds nothing.
//!
//! - J1 It takes what RFC 8259 calls JSON and nothing else, objects and arrays of up to [`DEPTH_MAX`] levels.
//! - J2 Half a surrogate pair in an escape is JSON, but no text: it counts only where the text is asked for.

use std::borrow::Cow;
use std::fmt;

/// Levels of objects and arrays; as many as `serde_json` builds.
const DEPTH_MAX: usize = 127;

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    expected: &'static str,
    at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is expected at byte {}", self.expected, self.at)
    }
}

/// A value as it is written, without the space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<'a> {
    /// Its JSON.
    pub(crate) json: &'a str,
    has_escapes: bool,
}

impl<'a> Written<'a> {
    /// What a member that is not there says.
    pub(crate) const NOTHING: Written<'static> = Written { json: "", has_escapes: false };

    /// A value and nothing else.
    pub(crate) fn parse(text: &'a str) -> Option<Written<'a>> {
        let mut cursor = Cursor::new(text);
        let written = cursor.value().ok()?;
        cursor.end().is_ok().then_some(written)
    }

    /// What a string says; none if it is something else, or no text (J2).
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let quoted = self.json.strip_prefix('"')?;
        if self.has_escapes {
            return serde_json::from_str(self.json).ok().map(Cow::Owned);
        }
        quoted.strip_suffix('"').map(Cow::Borrowed)
    }

    /// Whether it is a string that says this.
    pub(crate) fn is_text(self, expected: &str) -> bool {
        if self.has_escapes {
            return self.text().is_some_and(|text| text == expected);
        }
        let (json, expected) = (self.json.as_bytes(), expected.as_bytes());
        json.len() == expected.len() + 2 && json[1..=expected.len()] == *expected
    }
}

/// Where in a text the reader is.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0, depth: 0 }
    }

    /// Whether an object is next.
    pub(crate) fn is_at_object(&mut self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Goes into an object; says whether it has a member.
    pub(crate) fn open_object(&mut self) -> Result<bool, Malformed> {
        self.open(b'{', b'}', "an object")
    }

    /// Behind a member's value: says whether another one comes, and else leaves the object.
    pub(crate) fn next_member(&mut self) -> Result<bool, Malformed> {
        self.next(b'}', "',' or '}'")
    }

    /// Reads a member's name, up to its value.
    pub(crate) fn name(&mut self) -> Result<Written<'a>, Malformed> {
        let name = match self.peek() {
            Some(b'"') => self.string()?,
            _ => return self.malformed("a name"),
        };
        self.expect(b':', "':'")?;
        Ok(name)
    }

    /// Reads a value of any kind.
    pub(crate) fn value(&mut self) -> Result<Written<'a>, Malformed> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => return self.string(),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            Some(b'{') => {
                let mut has_more = self.open_object()?;
                while has_more {
                    self.name()?;
                    self.value()?;
                    has_more = self.next_member()?;
                }
            }
            Some(b'[') => {
                let mut has_more = self.open(b'[', b']', "an array")?;
                while has_more {
                    self.value()?;
                    has_more = self.next(b']', "',' or ']'")?;
                }
            }
            _ => return self.malformed("a value"),
        }
        Ok(Written { json: &self.text[start..self.at], has_escapes: false })
    }

    /// Reads an object by `members`, which has to leave it, and returns what was read.
    pub(crate) fn around(
        &mut self,
        members: impl FnOnce(&mut Cursor<'a>) -> Result<(), Malformed>,
    ) -> Result<Written<'a>, Malformed> {
        self.peek();
        let start = self.at;
        members(self)?;
        Ok(Written { json: &self.text[start..self.at], has_escapes: false })
    }

    /// Nothing may follow.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.malformed("the end"),
        }
    }

    fn malformed<T>(&self, expected: &'static str) -> Result<T, Malformed> {
        Err(Malformed { expected, at: self.at })
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte behind any space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte();
            if !matches!(byte, Some(b' ' | b'\n' | b'\r' | b'\t')) {
                return byte;
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return self.malformed(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, begin: u8, end: u8, expected: &'static str) -> Result<bool, Malformed> {
        self.expect(begin, expected)?;
        if self.depth == DEPTH_MAX {
            return self.malformed("less depth");
        }
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        self.depth += 1;
        Ok(true)
    }

    fn next(&mut self, end: u8, expected: &'static str) -> Result<bool, Malformed> {
        let byte = self.peek();
        if byte != Some(b',') && byte != Some(end) {
            return self.malformed(expected);
        }
        self.at += 1;
        self.depth -= usize::from(byte == Some(end));
        Ok(byte == Some(b','))
    }

    /// From its first quote to its last.
    fn string(&mut self) -> Result<Written<'a>, Malformed> {
        let bytes = self.text.as_bytes();
        let (start, mut has_escapes) = (self.at, false);
        let mut at = start + 1;
        loop {
            while bytes.get(at).is_some_and(|byte| !ENDS_PLAIN[usize::from(*byte)]) {
                at += 1;
            }
            self.at = at;
            match bytes.get(at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Written { json: &self.text[start..self.at], has_escapes });
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                    at = self.at;
                }
                Some(_) => return self.malformed("an escape instead of a control character"),
                None => return self.malformed("'\"'"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        let length = match self.text.as_bytes()[self.at + 1..] {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return self.malformed("an escape"),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if start == self.at { self.malformed("a digit") } else { Ok(()) }
    }

    fn literal(&mut self, literal: &'static str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return self.malformed(literal);
        }
        self.at += literal.len();
        Ok(())
    }
}

/// The bytes at which the plain part of a string ends.
const ENDS_PLAIN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        ends[control] = true;
        control += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

#[cfg(test)]
mod tests;
