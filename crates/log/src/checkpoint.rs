//! The text of Kafka's checkpoint files: a version, a count, and as many lines.

/// The only version there is.
pub(crate) const VERSION: &str = "0";

/// The text of a checkpoint file with these lines.
pub(crate) fn format(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The text of a checkpoint of offsets: a flipped digit there would move the start of a log, so a last line has the
/// checksum of those before it. To Kafka it is an offset of a topic that does not exist.
pub(crate) fn format_checked(lines: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = lines.collect();
    let checksum = checksum(lines.iter().map(String::as_str));
    lines.push(format!("{CHECKSUM} 0 {checksum}"));
    format(lines.into_iter())
}

/// First word of the line with the checksum; no topic can be called so.
pub(crate) const CHECKSUM: &str = "#crc32c";

fn checksum<'a>(lines: impl Iterator<Item = &'a str>) -> u32 {
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    record::checksum(text.as_bytes())
}

/// The lines of a checkpoint of offsets, of which the last may be a checksum: Kafka and older versions write none.
pub(crate) fn parse_checked(bytes: &[u8]) -> Option<Vec<&str>> {
    let mut lines = parse(bytes)?;
    let Some(last) = lines.last().copied().filter(|last| last.starts_with(CHECKSUM)) else {
        return Some(lines);
    };
    lines.pop();
    (last == format!("{CHECKSUM} 0 {}", checksum(lines.iter().copied()))).then_some(lines)
}

/// The lines of a checkpoint file; `None` when it is cut short, says another version or counts otherwise.
pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(bytes).ok()?;
    // A last line without its end may be half a line.
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()? != VERSION {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let lines: Vec<&str> = lines.collect();
    (lines.len() == count).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_of_a_checkpoint_of_offsets_is_believed() {
        let lines = ["orders 0 1000", "orders 1 7"];
        let text = format_checked(lines.iter().map(|line| (*line).to_owned()));
        assert_eq!(parse_checked(text.as_bytes()), Some(lines.to_vec()));
        for at in 0..text.len() * 8 {
            let mut damaged = text.clone().into_bytes();
            damaged[at / 8] ^= 1 << (at % 8);
            let parsed = parse_checked(&damaged);
            // Where the checksum's own name is hit, its line is none of an offset, or of a topic that is not there.
            assert!(parsed.is_none_or(|parsed| parsed[..lines.len()] == lines), "bit {at}");
        }
        assert_eq!(parse_checked(b"0\n1\norders 0 5\n"), Some(vec!["orders 0 5"]), "Kafka's own");
    }
}
