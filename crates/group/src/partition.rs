//! Which partition of `__consumer_offsets` owns a group.

/// The partition that keeps `group_id`, of `partitions` in the topic (at least one).
///
/// Kafka's rule: Java's string hash over UTF-16 code units, made positive (the one value without a
/// positive counterpart counts as 0), modulo the number of partitions.
pub fn coordinator_partition(group_id: &str, partitions: i32) -> i32 {
    let hash =
        group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_where_kafka_puts_them() {
        // Java: "test".hashCode() = 3556498, "\u{1F600}".hashCode() = 1772899 (two code units),
        // "polygenelubricants".hashCode() = Integer.MIN_VALUE.
        for (group, partitions, expected) in [
            ("", 50, 0),
            ("test", 50, 48),
            ("polygenelubricants", 50, 0),
            ("\u{1F600}", 50, 49),
            ("test", 1, 0),
        ] {
            assert_eq!(coordinator_partition(group, partitions), expected, "{group}");
        }
    }
}
