//! A message in lines that fit: broken at blanks, and within a command only if that is
//! longer than a line.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a hint begins with.
const HINT: &str = "help: ";

/// Lines that follow the first one of any other message begin so far to the right.
const INDENT: usize = 4;

/// The lines of a text, wrapped to this many columns; a longer word stays whole.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let indent = if text.starts_with(HINT) { HINT.len() } else { INDENT };
    indented(text, indent, columns)
}

/// The lines of a text in a column of a table.
pub(super) fn wrap_cell(text: &str, columns: usize) -> Vec<String> {
    indented(text, 0, columns)
}

/// Every line of a text, wrapped by [`wrap`] to the width of a terminal.
pub(crate) fn fit(text: &str, terminal: Option<usize>) -> String {
    let Some(columns) = terminal else { return text.to_owned() };
    let lines = text.lines().flat_map(|line| wrap(line, columns));
    lines.map(|line| line + "\n").collect()
}

/// The same with hints only: other lines, such as commands, stay as they are.
pub(crate) fn fit_hints(text: &str, terminal: Option<usize>) -> String {
    let one = |line: &str| match line.trim_end().starts_with(HINT) {
        true => fit(line, terminal),
        false => line.to_owned(),
    };
    text.split_inclusive('\n').map(one).collect()
}

fn indented(text: &str, indent: usize, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(indent);
    let mut lines: Vec<String> = Vec::new();
    for word in words(text, room) {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) => lines.push(format!("{}{word}", " ".repeat(indent))),
            None => lines.push(word),
        }
    }
    lines
}

/// Words; a command in backquotes is one if there is room for it in a line.
fn words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_open = false;
    for word in text.split(' ') {
        match words.last_mut() {
            Some(last) if is_open && last.width() + 1 + word.width() <= room => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        is_open ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// As much of a text as fits into so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut room = columns.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        cut.push(c);
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::{cut, wrap};

    #[test]
    fn hint_is_broken_at_blanks_and_commands_stay_whole() {
        let text =
            "help: `gjob logs 3 -R 2026-11-22-1` and `gjob explain 3 -R 2026-11-22-1` say more";
        let lines = wrap(text, 60);
        let expected = [
            "help: `gjob logs 3 -R 2026-11-22-1` and",
            "      `gjob explain 3 -R 2026-11-22-1` say more",
        ];
        assert_eq!(lines, expected);
        assert_eq!(wrap(text, 200), [text]);
        let lines = wrap("  6 × exit 1: #3 #12 #21", 18);
        assert_eq!(lines, ["  6 × exit 1: #3", "    #12 #21"]);
        let narrow = wrap(text, 20);
        assert!(narrow.iter().all(|line| line.chars().count() <= 20), "{narrow:?}");
    }
    #[test]
    fn text_is_cut_by_the_columns_that_it_takes() {
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(cut("123456", 5), "1234…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
