//! What every coordinator speaks of: requests by ticket, the time of a step, when a reply may leave, which partition.

/// The broker's mark on a request; its reply carries it back. Each is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The time of a step, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NowMs {
    /// Monotonic ms, for deadlines; never goes back from one step to the next.
    pub monotonic: u64,
    /// Unix ms, for what is written down.
    pub wall: i64,
}

/// When a reply may be sent (I8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// At once: it shows nothing that a failed write would take back.
    Now,
    /// When everything appended so far is below the high watermark.
    Durable,
}

/// The partition of a coordinators' topic that keeps `id`, a group's or a transactional one, of `partitions` (at
/// least one).
///
/// Kafka's rule: Java's string hash over UTF-16 code units, made positive (the one value without a
/// positive counterpart counts as 0), modulo the number of partitions.
pub fn coordinator_partition(id: &str, partitions: i32) -> i32 {
    let hash = id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_where_kafka_puts_them() {
        // Java: "test".hashCode() = 3556498, "\u{1F600}".hashCode() = 1772899 (two code units),
        // "polygenelubricants".hashCode() = Integer.MIN_VALUE.
        for (id, partitions, expected) in [
            ("", 50, 0),
            ("test", 50, 48),
            ("polygenelubricants", 50, 0),
            ("\u{1F600}", 50, 49),
            ("test", 1, 0),
        ] {
            assert_eq!(coordinator_partition(id, partitions), expected, "{id}");
        }
    }
}
