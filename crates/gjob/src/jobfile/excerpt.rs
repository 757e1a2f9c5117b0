//! The piece of a text that an error is about: where it stands, and the line
//! with a marker below.

use std::fmt;
use std::ops::Range;

use super::error::Place;

/// The most characters of a line that are shown.
const SHOWN: usize = 100;

/// How many of them may stand before the marker.
const BEFORE: usize = 60;

/// A line of a text, and which part of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    text: String,
    /// Characters of `text` that are meant.
    marked: Range<usize>,
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let (indent, blank) = (" ".repeat(self.marked.start), " ".repeat(number.len()));
        writeln!(f, "  {number} | {}", self.text)?;
        write!(f, "  {blank} | {indent}{}", "^".repeat(self.marked.len()))
    }
}

/// A text with its file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) file: String,
    pub(super) text: String,
}

/// A place in a text, with what stands there.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    pub(super) excerpt: Option<Excerpt>,
}

impl From<Place> for Spot {
    fn from(place: Place) -> Self {
        Spot { place, excerpt: None }
    }
}

impl Text {
    /// The place where some bytes of the text stand.
    pub(super) fn spot(&self, bytes: &Range<usize>) -> Spot {
        let start = self.boundary(bytes.start);
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let end = self.boundary(bytes.end).clamp(start, line_end);
        let place = Place::column(&self.file, line, start - line_start + 1);
        let marked = &self.text[start..end];
        let excerpt =
            excerpt(line, &self.text[line_start..start], marked, &self.text[end..line_end]);
        Spot { place, excerpt: Some(excerpt) }
    }

    /// The beginning of the character that a byte is of, or the text's end.
    fn boundary(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Puts the three parts of a line together, shortened where it is too long.
fn excerpt(line: usize, before: &str, marked: &str, behind: &str) -> Excerpt {
    let mut shown: Vec<char> = before.chars().collect();
    if shown.len() > BEFORE {
        shown.drain(..shown.len() - BEFORE + 1);
        shown.insert(0, '…');
    }
    let start = shown.len();
    shown.extend(marked.chars());
    let end = shown.len().clamp(start + 1, SHOWN);
    shown.extend(behind.trim_end().chars());
    if shown.len() > SHOWN {
        shown.truncate(SHOWN - 1);
        shown.push('…');
    }
    // A tab as wide as the marker takes it for; nothing that moves the cursor.
    let text = shown.into_iter().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Excerpt { line, text, marked: start..end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, bytes: Range<usize>) -> String {
        let text = Text { file: "f".into(), text: text.into() };
        let spot = text.spot(&bytes);
        format!("{}\n{}", spot.place, spot.excerpt.unwrap())
    }

    #[test]
    fn the_marker_stands_below_what_is_meant() {
        assert_eq!(shown("a = 1\nbc = \"x\"\n", 11..14), "f:2:6\n  2 | bc = \"x\"\n    |      ^^^");
        assert_eq!(shown("é\t= 1\n", 5..6), "f:1:6\n  1 | é = 1\n    |     ^");
    }

    #[test]
    fn several_lines_are_marked_up_to_the_end_of_the_first() {
        assert_eq!(shown("a = [\n1\n]\n", 4..9), "f:1:5\n  1 | a = [\n    |     ^");
    }

    #[test]
    fn the_end_of_a_text_can_be_meant() {
        assert_eq!(shown("a = ", 4..4), "f:1:5\n  1 | a = \n    |     ^");
        assert_eq!(shown("", 0..0), "f:1:1\n  1 | \n    | ^");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_marker_is_shown() {
        let line = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let expected = format!(
            "f:1:501\n  1 | …{}x{}…\n    | {}^",
            "a".repeat(59),
            "b".repeat(38),
            " ".repeat(60)
        );
        assert_eq!(shown(&line, 500..501), expected);
    }
}
