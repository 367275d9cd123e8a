//! What somebody may have meant.

/// The names nearest to `wanted`, best first, at most three; none that would be a guess.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    const SHOWN_MAX: usize = 3;
    let wanted_lower = wanted.to_lowercase();
    let mut near: Vec<(usize, &str)> = (names.into_iter())
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let distance = distance(&wanted_lower, &lower);
            let shorter = wanted_lower.chars().count().min(lower.chars().count());
            let contained = 3 <= shorter && (lower.contains(&wanted_lower) || wanted_lower.contains(&lower));
            (contained || distance <= 1 + shorter / 4).then_some((distance, name))
        })
        .collect();
    near.sort();
    near.into_iter().take(SHOWN_MAX).map(|(_, name)| name).collect()
}

/// Edits between two texts: letters put in, taken out, replaced, or neighbours swapped.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if 0 < i && 0 < j && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [("", "", 0), ("a", "", 1), ("flights", "fligths", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let topics = ["flights", "rider-updates", "orders", "flights-by-hour"];
        assert_eq!(nearest("fligths", topics), ["flights"]);
        assert_eq!(nearest("Flights", topics), ["flights", "flights-by-hour"]);
        assert_eq!(nearest("flight", topics), ["flights", "flights-by-hour"]);
        assert_eq!(nearest("riderupdates", topics), ["rider-updates"]);
        assert_eq!(nearest("payments", topics), Vec::<&str>::new());
        assert_eq!(nearest("x", topics), Vec::<&str>::new());
    }
}
