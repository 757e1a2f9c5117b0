//! Foreign text made fit to be shown: what a host or ssh said may hold escape
//! sequences, and be of any length.

/// The most characters of one line that are kept.
const LINE: usize = 300;

/// `text` without control characters (each run of them becomes a space),
/// trimmed, and cut to a line's length.
#[must_use]
pub fn plain_text(text: &str) -> String {
    let mut plain = String::new();
    for piece in text.split(is_unprintable).filter(|piece| !piece.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(piece);
    }
    let plain = plain.trim();
    match plain.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain.to_owned(),
    }
}

/// Control characters, and those that reorder or hide what is around them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The lines of `bytes` that say something, each made plain.
pub(crate) fn plain_lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .split(['\n', '\r'])
        .map(plain_text)
        .filter(|line| !line.is_empty())
        .collect()
}

/// The last `count` lines of `bytes` in one, made plain.
pub(crate) fn last_lines(bytes: &[u8], count: usize) -> String {
    let lines = plain_lines(bytes);
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_lose_what_makes_them_one() {
        assert_eq!(plain_text("\u{1b}[31mred\u{1b}[0m\r\n"), "[31mred [0m");
        assert_eq!(plain_text("a\u{9b}2Jb\u{202e}c\0"), "a 2Jb c");
        assert_eq!(plain_text("  größer \t x "), "größer   x");
    }

    #[test]
    fn a_line_has_a_greatest_length() {
        assert_eq!(plain_text(&"é".repeat(5000)).chars().count(), LINE + 1);
    }

    #[test]
    fn only_the_last_lines_that_say_something_are_shown() {
        assert_eq!(last_lines(b"one\r\n\ntwo\n\xffthree\n \n", 2), "two / \u{fffd}three");
        assert_eq!(last_lines(b"", 2), "");
    }
}
