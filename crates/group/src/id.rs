//! Names of groups, members and static instances; cheap to clone.

use std::fmt;
use std::sync::Arc;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether this is the empty text.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// A group's name, chosen by its clients; any text, even the empty one for plain offset storage.
    GroupId;
    /// A member's name, given by the coordinator; the empty one means "not given yet".
    MemberId;
    /// A static member's own name (KIP-345), kept over restarts of the client.
    InstanceId;
}

impl MemberId {
    /// Names a new member as Kafka does: the instance's or the client's name, a dash, a random UUID.
    pub(crate) fn generate(prefix: &str, random: [u8; 16]) -> MemberId {
        let mut bits = u128::from_be_bytes(random);
        bits = (bits & !(0xf << 76)) | (0x4 << 76); // Version 4 and variant 1 of RFC 9562.
        bits = (bits & !(0x3 << 62)) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        MemberId::from(format!(
            "{prefix}-{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_version_4_uuids_behind_the_prefix() {
        let id = MemberId::generate("rack-7", [0xff; 16]);
        assert_eq!(id.as_str(), "rack-7-ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
