//! What one row of the table says: a key's name, type, default, check, and whether it does anything yet.
//!
//! Defaults are texts, as they are in files and answers; the test of the table parses every one.

use std::fmt;

use crate::error::Invalid;
use crate::listener;

/// The type of a value, as DescribeConfigs numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// A 32-bit number.
    Int,
    /// A 16-bit number.
    Short,
    /// A 64-bit number.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts with commas between.
    List,
    /// The name of a Java class.
    Class,
    /// A text that is never shown.
    Password,
}

impl Kind {
    /// The number in a DescribeConfigs answer (`ConfigResponse.ConfigType`).
    pub fn number(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }

    /// The name in Kafka's messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Int => "INT",
            Kind::Short => "SHORT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        }
    }
}

/// Which values are allowed beyond what the type says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// All.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// Numbers between two, both included.
    Between(i64, i64),
    /// -1, or numbers between two, both included.
    MinusOneOrBetween(i64, i64),
    /// Numbers between 0 and 1.
    Fraction,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of these texts.
    ListOf(&'static [&'static str]),
    /// A list of exactly one folder.
    OneFolder,
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
    /// `NAME://host:port` entries.
    Listeners,
    /// `NAME:PROTOCOL` entries.
    ProtocolMap,
    /// `HOST:COUNT` entries.
    HostCounts,
    /// `earliest`, `latest`, or a time ago.
    OffsetReset,
}

impl fmt::Display for Check {
    /// The allowed values in words; nothing where the type says all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Any => Ok(()),
            Check::AtLeast(min) => write!(f, "at least {min}"),
            Check::Between(min, max) => write!(f, "{min} to {max}"),
            Check::MinusOneOrBetween(min, max) => write!(f, "-1, or {min} to {max}"),
            Check::Fraction => f.write_str("0 to 1"),
            Check::OneOf(allowed) => write!(f, "one of {}", allowed.join(", ")),
            Check::ListOf(allowed) => write!(f, "any of {}", allowed.join(", ")),
            Check::OneFolder => f.write_str("one folder"),
            Check::ThrottledReplicas => f.write_str("*, or partition:broker pairs"),
            Check::Listeners => f.write_str("NAME://host:port entries"),
            Check::ProtocolMap => f.write_str("NAME:PROTOCOL entries"),
            Check::HostCounts => f.write_str("HOST:COUNT entries"),
            Check::OffsetReset => f.write_str("earliest, latest, or by_duration:PnDTnHnMn.nS"),
        }
    }
}

/// What a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A topic; brokers may have a default for it under another name.
    Topic,
    /// A broker.
    Broker,
    /// A group; brokers may have a default for it under another name.
    Group,
}

impl Scope {
    /// Its name in commands and documents.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Topic => "topic",
            Scope::Broker => "broker",
            Scope::Group => "group",
        }
    }
}

/// Whether setting a key changes anything in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Now,
    /// The value is kept and shown, and changes nothing yet.
    NotYet,
    /// The value is kept and shown, and will change nothing: Ottla does without what it is for.
    NotNeeded,
}

impl Effect {
    /// Its name in commands and documents.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Now => "yes",
            Effect::NotYet => "not yet",
            Effect::NotNeeded => "not needed",
        }
    }
}

/// How a broker's key may change while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker or for all.
    ClusterWide,
}

impl Update {
    /// Its name in commands and documents.
    pub fn name(self) -> &'static str {
        match self {
            Update::ReadOnly => "at start",
            Update::PerBroker => "while running, each broker",
            Update::ClusterWide => "while running",
        }
    }
}

/// A broker key that is the default of a topic key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    /// The broker key.
    pub key: &'static str,
    /// What its number is multiplied with to become the topic key's: hours to ms, say. Negative numbers
    /// mean "unlimited" and stay.
    pub times: i64,
}

/// Where a key is not Kafka's in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Kafka's default, where ours is another.
    pub kafka: Option<&'static str>,
    /// What differs beside the default, and why.
    pub reason: &'static str,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Its name, Kafka's where Kafka has it.
    pub name: &'static str,
    /// What it belongs to.
    pub scope: Scope,
    /// The type of its value.
    pub kind: Kind,
    /// Its value while nobody sets one; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Which values are allowed.
    pub check: Check,
    /// What it is for, in one sentence.
    pub documentation: &'static str,
    /// For a topic key: the broker keys that speak for topics that are silent; the first that is set wins.
    pub synonyms: &'static [Synonym],
    /// Whether it does anything yet.
    pub effect: Effect,
    /// How it may change; topic keys are always free to.
    pub update: Update,
    /// Where it is not Kafka's in all.
    pub differs: Option<Difference>,
}

impl Key {
    pub(crate) const fn topic(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        check: Check,
        synonyms: &'static [Synonym],
        documentation: &'static str,
    ) -> Key {
        Key {
            name,
            scope: Scope::Topic,
            kind,
            default: Some(default),
            check,
            documentation,
            synonyms,
            effect: Effect::Now,
            update: Update::ClusterWide,
            differs: None,
        }
    }

    pub(crate) const fn broker(
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        check: Check,
        documentation: &'static str,
    ) -> Key {
        Key {
            name,
            scope: Scope::Broker,
            kind,
            default,
            check,
            documentation,
            synonyms: &[],
            effect: Effect::Now,
            update: Update::ReadOnly,
            differs: None,
        }
    }

    pub(crate) const fn not_yet(mut self) -> Key {
        self.effect = Effect::NotYet;
        self
    }

    pub(crate) const fn not_needed(mut self) -> Key {
        self.effect = Effect::NotNeeded;
        self
    }

    pub(crate) const fn cluster_wide(mut self) -> Key {
        self.update = Update::ClusterWide;
        self
    }

    pub(crate) const fn per_broker(mut self) -> Key {
        self.update = Update::PerBroker;
        self
    }

    pub(crate) const fn kafka_has(mut self, kafka: &'static str, reason: &'static str) -> Key {
        self.differs = Some(Difference { kafka: Some(kafka), reason });
        self
    }

    pub(crate) const fn unlike_kafka(mut self, reason: &'static str) -> Key {
        self.differs = Some(Difference { kafka: None, reason });
        self
    }

    /// Whether the key is for tests only, and shown to nobody.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with("internal.")
    }

    /// Whether the value must never be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Checks a value: its type first, then what else is asked of it.
    pub fn check(&self, value: &str) -> Result<(), Invalid> {
        let value = value.trim();
        let number = match self.kind {
            Kind::Boolean => {
                let is_boolean = ["true", "false"].iter().any(|text| value.eq_ignore_ascii_case(text));
                return if is_boolean { Ok(()) } else { Err(Invalid::NotABoolean) };
            }
            Kind::Double => return check_fraction(self.check, value),
            Kind::Int => value.parse::<i32>().map(i64::from).ok(),
            Kind::Short => value.parse::<i16>().map(i64::from).ok(),
            Kind::Long => value.parse::<i64>().ok(),
            Kind::String | Kind::List | Kind::Class | Kind::Password => return self.check_text(value),
        };
        check_number(self.check, number.ok_or(Invalid::NotANumber(self.kind))?)
    }

    fn check_text(&self, value: &str) -> Result<(), Invalid> {
        match self.check {
            Check::OneOf(allowed) => {
                if allowed.contains(&value) {
                    Ok(())
                } else {
                    Err(Invalid::NotOneOf(allowed))
                }
            }
            Check::ListOf(allowed) => {
                let known = list(value).all(|entry| allowed.contains(&entry));
                if known { Ok(()) } else { Err(Invalid::NotOneOf(allowed)) }
            }
            Check::OneFolder if list(value).count() != 1 => Err(Invalid::NotOneFolder),
            Check::ThrottledReplicas => {
                let is_pair = |entry: &str| {
                    let numbers = entry.split_once(':').map(|(p, b)| (p.parse::<u32>(), b.parse::<u32>()));
                    matches!(numbers, Some((Ok(_), Ok(_))))
                };
                let allowed = value == "*" || list(value).all(is_pair);
                if allowed { Ok(()) } else { Err(Invalid::NotThrottledReplicas) }
            }
            Check::Listeners => listener::parse_listeners(value).map(drop).map_err(Invalid::Listener),
            Check::ProtocolMap => listener::parse_protocol_map(value).map(drop).map_err(Invalid::Listener),
            Check::HostCounts if host_counts(value).is_none() => Err(Invalid::NotHostCounts),
            Check::OffsetReset if !is_offset_reset(value) => {
                Err(Invalid::NotAnOffsetReset { key: self.name, value: value.to_owned() })
            }
            Check::Any
            | Check::HostCounts
            | Check::OffsetReset
            | Check::OneFolder
            | Check::AtLeast(_)
            | Check::Between(..)
            | Check::MinusOneOrBetween(..)
            | Check::Fraction => Ok(()),
        }
    }
}

/// The entries of a list, without the blanks around them; an empty text has none.
pub fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn is_offset_reset(value: &str) -> bool {
    matches!(value, "earliest" | "latest") || value.strip_prefix("by_duration:").is_some_and(is_duration)
}

/// `PnDTnHnMn.nS` (ISO 8601), in which each part may be missing, but not all.
fn is_duration(text: &str) -> bool {
    let Some(text) = text.strip_prefix('P') else { return false };
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let parts = |mut text: &str, units: &str| {
        let mut units = units.chars();
        while let Some(end) = text.find(|letter: char| letter.is_ascii_alphabetic()) {
            let (number, rest) = text.split_at(end);
            let unit = rest.chars().next().unwrap_or_default();
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit())
                || unit == 'S' && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            // Each unit once, the larger first.
            if !is_number || number.parse::<f64>().is_err() || !units.any(|known| known == unit) {
                return false;
            }
            text = &rest[1..];
        }
        text.is_empty()
    };
    parts(days, "D") && time.is_none_or(|time| !time.is_empty() && parts(time, "HMS")) && !text.is_empty()
}

/// Hosts and their counts, the last colon between; `None` when an entry is none.
pub(crate) fn host_counts(value: &str) -> Option<Vec<(String, u32)>> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'%');
    let pair = |entry: &str| {
        let (host, count) = entry.rsplit_once(':')?;
        let count = count.trim().parse::<i32>().ok()?;
        let is_host = !host.is_empty() && host.bytes().all(legal);
        // A negative one lets nobody in, as in Kafka.
        is_host.then(|| (host.to_owned(), u32::try_from(count).unwrap_or(0)))
    };
    list(value).map(pair).collect()
}

fn check_number(check: Check, number: i64) -> Result<(), Invalid> {
    match check {
        Check::AtLeast(min) | Check::Between(min, _) if number < min => Err(Invalid::TooSmall(min)),
        Check::Between(_, max) if max < number => Err(Invalid::TooLarge(max)),
        Check::MinusOneOrBetween(min, max) if number != -1 && !(min..=max).contains(&number) => {
            Err(Invalid::NotMinusOneNorBetween(min, max))
        }
        Check::Any
        | Check::AtLeast(_)
        | Check::Between(..)
        | Check::MinusOneOrBetween(..)
        | Check::Fraction
        | Check::OneOf(_)
        | Check::ListOf(_)
        | Check::OneFolder
        | Check::ThrottledReplicas
        | Check::Listeners
        | Check::ProtocolMap
        | Check::HostCounts
        | Check::OffsetReset => Ok(()),
    }
}

fn check_fraction(check: Check, value: &str) -> Result<(), Invalid> {
    let number: f64 = value.parse().map_err(|_| Invalid::NotANumber(Kind::Double))?;
    if number.is_nan() {
        return Err(Invalid::NotANumber(Kind::Double));
    }
    if check == Check::Fraction && number < 0.0 {
        return Err(Invalid::TooSmall(0));
    }
    if check == Check::Fraction && 1.0 < number {
        return Err(Invalid::TooLarge(1));
    }
    Ok(())
}
