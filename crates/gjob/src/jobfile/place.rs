//! The ground of this room: a place in a source, a piece of its text, and the
//! excerpt that shows the piece to people. It knows nothing of jobs.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use gjob_core::text::{is_printable, printable};

/// Bytes of a text.
pub(crate) type Span = Range<usize>;

/// The most characters of a line that are kept on each side of its marked part,
/// and of that part itself. A line may be as long as the file.
const KEPT: usize = 200;

/// The most columns of a line that are shown.
const COLUMNS: usize = 100;

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a file as a whole.
    File(String),
    /// On a line of a file.
    Line {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: Option<usize>,
    },
    /// In a command that is filled with arguments.
    Command,
    /// In the job with this number, from 1, of a command with arguments.
    Job(usize),
}

impl Place {
    /// A line of a file, from 1.
    #[must_use]
    pub fn line(file: &str, line: usize) -> Self {
        Place::Line { file: file.to_owned(), line, column: None }
    }

    /// A byte of a line of a file, both from 1.
    #[must_use]
    pub fn column(file: &str, line: usize, column: usize) -> Self {
        Place::Line { file: file.to_owned(), line, column: Some(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(name) => f.write_str(&printable(name)),
            Place::Line { file, line, column } => {
                write!(f, "{}:{line}", printable(file))?;
                column.map_or(Ok(()), |column| write!(f, ":{column}"))
            }
            Place::Command => f.write_str("command"),
            Place::Job(number) => write!(f, "job {number}"),
        }
    }
}

/// A text with its file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// A place, and the excerpt of the text there if there is a text.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) place: Place,
    pub(crate) excerpt: Option<Excerpt>,
}

impl From<Place> for Spot {
    fn from(place: Place) -> Self {
        Spot { place, excerpt: None }
    }
}

impl Text {
    /// The place of some bytes of the text. Of several lines, the first counts.
    pub(crate) fn spot(&self, span: &Span) -> Spot {
        let start = self.boundary(span.start);
        let before = &self.text[..start];
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let end = self.boundary(span.end).clamp(start, line_end);
        let excerpt = Excerpt::new(
            line,
            &self.text[line_start..start],
            &self.text[start..end],
            self.text[end..line_end].trim_end(),
        );
        let place = Place::column(&self.file, line, start - line_start + 1);
        Spot { place, excerpt: Some(excerpt) }
    }

    /// The start of the character that a byte is part of, or the text's end.
    fn boundary(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// A line of a text with the part that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    text: String,
    marked: Span,
}

impl Excerpt {
    /// Keeps no more of a line than can be shown: there may be a thousand
    /// excerpts of a line that is the whole file.
    fn new(line: usize, before: &str, marked: &str, after: &str) -> Self {
        let skipped = before.char_indices().rev().nth(KEPT - 1).map_or(0, |(at, _)| at);
        let mut text: String = before[skipped..].chars().map(shown).collect();
        let start = text.len();
        text.extend(marked.chars().take(KEPT).map(shown));
        let end = text.len();
        text.extend(after.chars().take(KEPT).map(shown));
        Excerpt { line, text, marked: start..end }
    }
}

/// A character as an excerpt shows it. Tabs are left to the renderer.
fn shown(c: char) -> char {
    if c == '\t' || is_printable(c) { c } else { char::REPLACEMENT_CHARACTER }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marker = AnnotationKind::Primary.span(self.marked.clone());
        let snippet = Snippet::source(&self.text).line_start(self.line).annotation(marker);
        let group = Group::with_level(Level::ERROR).element(snippet);
        f.write_str(&Renderer::plain().term_width(COLUMNS).render(&[group]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Span) -> String {
        let text = Text { file: "f".into(), text: text.into() };
        let spot = text.spot(&span);
        format!("{}\n{}", spot.place, spot.excerpt.unwrap())
    }

    #[test]
    fn marker_is_below_the_marked_part() {
        assert_eq!(
            shown("a = 1\nbc = \"x\"\n", 11..14),
            "f:2:6\n  |\n2 | bc = \"x\"\n  |      ^^^"
        );
        assert_eq!(shown("é\t= 1\n", 5..6), "f:1:6\n  |\n1 | é    = 1\n  |        ^");
        assert_eq!(shown("日本 = 1\n", 9..10), "f:1:10\n  |\n1 | 日本 = 1\n  |        ^");
    }

    #[test]
    fn marker_ends_with_the_first_line() {
        assert_eq!(shown("a = [\n1\n]\n", 4..9), "f:1:5\n  |\n1 | a = [\n  |     ^");
    }

    #[test]
    fn end_of_the_text_can_be_marked() {
        assert_eq!(shown("a = ", 4..4), "f:1:5\n  |\n1 | a = \n  |     ^");
        assert_eq!(shown("", 0..0), "f:1:1\n  |\n1 |\n  | ^");
    }

    #[test]
    fn long_line_is_cut_around_the_marker() {
        let line = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let shown = shown(&line, 500..501);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{shown}");
        let marker = lines[3].find('^').unwrap();
        assert_eq!(lines[2].as_bytes()[marker], b'x', "{shown}");
        assert!(lines[2].starts_with("1 | ...a") && lines[2].ends_with("b..."), "{shown}");
    }

    #[test]
    fn huge_line_is_not_kept() {
        let text = Text { file: "f".into(), text: "é".repeat(10_000_000) };
        let excerpt = text.spot(&(7_000_000..17_000_000)).excerpt.unwrap();
        assert_eq!(excerpt.text.chars().count(), 3 * KEPT);
        assert!(excerpt.to_string().chars().count() < 4 * COLUMNS);
    }

    #[test]
    fn excerpt_changes_nothing_on_a_terminal() {
        let shown = shown("x\u{1b}[31m\u{9b}0m\u{202e}\r\u{7f}\n", 0..1);
        let harmful = |c: char| c != '\n' && c.is_control() || c == '\u{202e}';
        assert!(!shown.contains(harmful), "{shown:?}");
    }
}
