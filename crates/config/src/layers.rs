//! Who says what: a topic's own settings, this broker's, all brokers', the files and flags, the default.
//!
//! - L1 The first layer with a valid value speaks; a topic key asks its synonyms after itself, each in all
//!   layers before the next synonym, as Kafka's retention in ms goes before minutes wherever either is set.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::key::{Key, Update};
use crate::settings::Settings;
use crate::{broker_key, broker_keys, group_keys, topic_keys};

/// What the metadata log says is set on one resource.
pub type Overrides = BTreeMap<String, String>;

/// Which layer spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The topic itself.
    Topic,
    /// This broker, changed while running.
    Broker,
    /// All brokers, changed while running.
    AllBrokers,
    /// Files, variables and flags of this process.
    Fixed,
    /// The group itself.
    Group,
    /// Nobody.
    Default,
}

impl Source {
    /// The number in a DescribeConfigs answer (`DescribeConfigsResponse.ConfigSource`).
    pub fn number(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::Broker => 2,
            Source::AllBrokers => 3,
            Source::Fixed => 4,
            Source::Default => 5,
            Source::Group => 8,
        }
    }
}

/// One layer's word on a key or on a synonym of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAt {
    /// The key as that layer calls it.
    pub name: &'static str,
    /// The value as that layer spells it.
    pub value: String,
    /// The layer.
    pub source: Source,
}

/// A key with everything DescribeConfigs tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The row of the table: name, type, documentation.
    pub key: &'static Key,
    /// The value in force; `None` is null, and what a sensitive key always shows.
    pub value: Option<String>,
    /// Who set it.
    pub source: Source,
    /// Everything that was set, the value in force first.
    pub synonyms: Vec<SetAt>,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
}

/// The layers below a topic's own.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    /// What is set on this broker while it runs.
    pub broker: Option<&'a Overrides>,
    /// What is set on all brokers while they run.
    pub all_brokers: Option<&'a Overrides>,
    /// What files, variables and flags said at start.
    pub fixed: &'a Settings,
}

/// A layer's word, with what its number is multiplied with.
struct Word<'a> {
    name: &'static str,
    value: &'a str,
    source: Source,
    times: i64,
}

impl Word<'_> {
    /// The value in the unit of the key that was asked for.
    fn converted(&self) -> Cow<'_, str> {
        match self.value.trim().parse::<i64>() {
            Ok(number) if self.times != 1 && 0 <= number => {
                Cow::Owned(number.saturating_mul(self.times).to_string())
            }
            Ok(_) | Err(_) => Cow::Borrowed(self.value),
        }
    }

    fn to_set_at(&self) -> SetAt {
        SetAt { name: self.name, value: self.value.to_owned(), source: self.source }
    }
}

impl<'a> Layers<'a> {
    /// The layers of a broker that nothing was changed on since its start.
    pub fn fixed(fixed: &'a Settings) -> Layers<'a> {
        Layers { broker: None, all_brokers: None, fixed }
    }

    /// Every topic key, as it stands for a topic with these settings of its own.
    pub fn describe_topic(&self, own: Option<&Overrides>) -> Vec<Described> {
        let shown = topic_keys().iter().filter(|key| !key.is_internal());
        shown.map(|key| describe(key, self.topic_words(key, own), false)).collect()
    }

    /// Every group key, as it stands for a group with these settings of its own.
    pub fn describe_group(&self, own: Option<&Overrides>) -> Vec<Described> {
        group_keys().iter().map(|key| describe(key, self.group_words(key, own), false)).collect()
    }

    /// Every broker key, as it stands for this broker.
    pub fn describe_broker(&self) -> Vec<Described> {
        let describe = |key| describe(key, self.broker_words(key, 1), key.update == Update::ReadOnly);
        broker_keys().iter().map(describe).collect()
    }

    /// What is set on all brokers while they run, and nothing else.
    pub fn describe_all_brokers(&self) -> Vec<Described> {
        let mut described = Layers { broker: None, ..*self }.describe_broker();
        described.retain(|entry| entry.source == Source::AllBrokers);
        for entry in &mut described {
            entry.synonyms.retain(|word| word.source == Source::AllBrokers);
        }
        described
    }

    /// The value in force of a topic key, in that key's unit.
    pub fn topic_value(&self, key: &'static Key, own: Option<&Overrides>) -> Cow<'a, str> {
        match self.topic_words(key, own).first() {
            Some(word) => Cow::Owned(word.converted().into_owned()),
            None => Cow::Borrowed(key.default.unwrap_or_default()),
        }
    }

    /// The value in force of a group key.
    pub(crate) fn group_value(&self, key: &'static Key, own: &Overrides) -> String {
        self.group_words(key, Some(own)).first().map_or("", |word| word.value).trim().to_owned()
    }

    /// The group's word, then the broker's; a key that no broker has a default for has its own.
    fn group_words<'w>(&self, key: &'static Key, own: Option<&'w Overrides>) -> Vec<Word<'w>>
    where
        'a: 'w,
    {
        let word = |value, source| Word { name: key.name, value, source, times: 1 };
        let own = own.and_then(|own| valid(key, own)).map(|value| word(value, Source::Group));
        let broker = key.synonyms.iter().filter_map(|synonym| broker_key(synonym.key));
        let mut words: Vec<_> =
            own.into_iter().chain(broker.flat_map(|key| self.broker_words(key, 1))).collect();
        if key.synonyms.is_empty() {
            words.extend(key.default.map(|value| word(value, Source::Default)));
        }
        words
    }

    /// The value in force of a broker key; `None` is null.
    pub(crate) fn broker_value(&self, key: &'static Key) -> Option<&'a str> {
        self.broker_words(key, 1).first().map(|word| word.value)
    }

    fn topic_words<'w>(&self, key: &'static Key, own: Option<&'w Overrides>) -> Vec<Word<'w>>
    where
        'a: 'w,
    {
        let own = own.and_then(|own| valid(key, own));
        let mut words: Vec<Word<'w>> = own
            .map(|value| Word { name: key.name, value, source: Source::Topic, times: 1 })
            .into_iter()
            .collect();
        let synonyms: Vec<_> =
            key.synonyms.iter().filter_map(|s| Some((broker_key(s.key)?, s.times))).collect();
        // A default speaks only after every layer was asked for every synonym.
        let (set, defaults): (Vec<_>, Vec<_>) = synonyms
            .into_iter()
            .flat_map(|(synonym, times)| self.broker_words(synonym, times))
            .partition(|word| word.source != Source::Default);
        words.extend(set);
        words.extend(defaults);
        words
    }

    fn broker_words(&self, key: &'static Key, times: i64) -> Vec<Word<'a>> {
        let fixed = Some(self.fixed.values());
        let layers =
            [(self.broker, Source::Broker), (self.all_brokers, Source::AllBrokers), (fixed, Source::Fixed)];
        let set = layers.into_iter().filter_map(|(layer, source)| Some((valid(key, layer?)?, source)));
        let default = key.default.map(|value| (value, Source::Default));
        set.chain(default).map(|(value, source)| Word { name: key.name, value, source, times }).collect()
    }
}

/// The layer's value, if it has one that passes (K2).
fn valid<'a>(key: &Key, layer: &'a Overrides) -> Option<&'a str> {
    layer.get(key.name).map(String::as_str).filter(|value| key.check(value).is_ok())
}

fn describe(key: &'static Key, words: Vec<Word<'_>>, read_only: bool) -> Described {
    let source = words.first().map_or(Source::Default, |word| word.source);
    let value = match words.first() {
        Some(word) => Some(word.converted().into_owned()),
        None => key.default.map(str::to_owned),
    };
    let hide = |value: String| if key.is_sensitive() { String::new() } else { value };
    let synonyms = words.iter().map(Word::to_set_at);
    let synonyms = synonyms.map(|word| SetAt { value: hide(word.value), ..word }).collect();
    Described { key, value: value.filter(|_| !key.is_sensitive()), source, synonyms, read_only }
}
