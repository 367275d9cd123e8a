//! The vote: the newest term this node knows, and whom it follows in it.
//!
//! - V1 A node votes once in a term, and never for a lower one: so the file is synced before anything relies on it.
//! - V2 A damaged vote stops the start: guessing one could elect two leaders of a term.
//!
//! Lines a person can read, the last one their checksum.

use std::fmt;

use model::BrokerId;

/// The number of a leadership of the metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The newest term.
    pub term: Term,
    /// Who leads it, as far as this node is concerned.
    pub leader: BrokerId,
    /// Whether a majority voted so.
    pub committed: bool,
}

/// The file of the vote.
pub const VOTE_FILE: &str = "quorum-vote";

const VERSION_LINE: &str = "version=0";

impl Vote {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Vote { term, leader, committed } = self;
        let lines = format!("{VERSION_LINE}\nterm={term}\nleader={leader}\ncommitted={committed}\n");
        format!("{lines}crc={:08x}\n", checksum(&lines)).into_bytes()
    }

    /// The vote, unless a byte of it is wrong.
    pub fn decode(bytes: &[u8]) -> Option<Vote> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (lines, crc) = text.strip_suffix('\n')?.split_at(text.find("crc=")?);
        if crc != format!("crc={:08x}", checksum(lines)) {
            return None;
        }
        let mut lines = lines.lines();
        if lines.next() != Some(VERSION_LINE) {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix('=');
        let term = Term(field("term")?.parse().ok()?);
        let leader = BrokerId(field("leader")?.parse().ok()?);
        let committed = field("committed")?.parse().ok()?;
        Some(Vote { term, leader, committed })
    }
}

fn checksum(lines: &str) -> u32 {
    crc_fast::crc32_iscsi(lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let vote = Vote { term: Term(7), leader: BrokerId(3), committed: true };
        let bytes = vote.encode();
        assert_eq!(Vote::decode(&bytes), Some(vote));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Vote::decode(&damaged), None, "byte {at} flipped");
            assert_eq!(Vote::decode(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn the_file_never_changes() {
        // Frozen: folders written by every earlier version hold this.
        let text = "version=0\nterm=1\nleader=1\ncommitted=true\ncrc=df4f01f8\n";
        let vote = Vote { term: Term(1), leader: BrokerId(1), committed: true };
        assert_eq!(String::from_utf8(vote.encode()).unwrap(), text);
    }
}
