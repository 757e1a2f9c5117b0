//! What a host or ssh printed, as lines that can be shown.

use gjob_core::text::Shown;

/// The lines of `bytes` that say something.
pub(crate) fn shown_lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .split(['\n', '\r'])
        .map(|line| Shown::new(line).into())
        .filter(|line: &String| !line.is_empty())
        .collect()
}

/// The last `count` lines of `bytes` in one.
pub(crate) fn last_lines(bytes: &[u8], count: usize) -> String {
    let lines = shown_lines(bytes);
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_that_say_something_are_shown() {
        assert_eq!(last_lines(b"one\r\n\ntwo\n\xffthree\n \n", 2), "two / \u{fffd}three");
        assert_eq!(last_lines(b"", 2), "");
    }
}
