//! What is known of each API without looking into its messages.

use std::fmt;

use crate::generated::ApiKey;
use crate::message::VersionRange;

/// One line of the registry.
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) versions: VersionRange,
    pub(crate) flexible_from: Option<i16>,
}

impl ApiKey {
    /// The number on the wire.
    pub const fn as_i16(self) -> i16 {
        self as i16
    }

    /// Its name in Kafka, such as `Fetch`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions whose messages are known; what a broker advertises is its own decision.
    pub fn versions(self) -> VersionRange {
        self.facts().versions
    }

    /// Whether `version` has compact lengths and tagged fields. Says so of versions still unknown, too.
    pub fn is_flexible(self, version: i16) -> bool {
        self.facts().flexible_from.is_some_and(|from| from <= version)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
