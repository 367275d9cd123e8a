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
