//! Text from elsewhere: from hosts, from ssh, from users' files. It may hold
//! escape sequences, turn around the text beside it, and be of any length. So it
//! comes as [`Foreign`], which cannot be printed; [`Shown`] can.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::os_text::byte_of;

/// The longest text from elsewhere that is shown, bytes: an error with a path.
pub const MAX_SHOWN: usize = 512;

/// The longest part of a text that an error quotes, bytes.
const MAX_EXCERPT: usize = 80;

/// What stands at the end of a text that was cut.
const CUT: &str = "…";

/// Text from elsewhere, as it came. It has no `Display`: see [`Foreign::shown`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Foreign(String);

impl Foreign {
    /// The text as it can be shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown::new(&self.0)
    }

    /// How much memory it takes, bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Self {
        Foreign(text)
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Foreign(text.to_owned())
    }
}

impl PartialEq<&str> for Foreign {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl From<Shown> for Foreign {
    fn from(text: Shown) -> Self {
        Foreign(text.0)
    }
}

/// One line of printable characters, of bounded length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Shown(String);

impl Shown {
    /// Makes a text fit to be shown: [`printable`], trimmed, and cut to
    /// [`MAX_SHOWN`] bytes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut shown = cut(printable(text).trim(), MAX_SHOWN);
        shown.truncate(shown.trim_end().len());
        Shown(shown)
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<Shown> for String {
    fn from(text: Shown) -> Self {
        text.0
    }
}

/// False for characters that do something else than to be seen: controls, and
/// the formats that hide what is around them or turn its direction around.
#[must_use]
pub fn is_printable(c: char) -> bool {
    let is_format = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    !(c.is_control() || is_format)
}

/// The text with a space for each run of characters that are not printable, and
/// bytes that are not UTF-8 as `\xE9`.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        if let Some(byte) = byte_of(c) {
            printable.push_str(&format!("\\x{byte:02X}"));
        } else if is_printable(c) {
            printable.push(c);
        } else if !in_run {
            printable.push(' ');
        }
        in_run = !is_printable(c);
    }
    printable
}

/// As much of a text as an error quotes, as it came: to be shown with `{:?}`.
#[must_use]
pub fn excerpt(text: &str) -> String {
    cut(text, MAX_EXCERPT)
}

/// The text, or as many whole characters of it as there is room for before [`CUT`].
fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let room = max_bytes.saturating_sub(CUT.len());
    let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Foreign::from(text).shown().to_string()
    }

    #[test]
    fn escape_sequences_lose_what_makes_them_one() {
        assert_eq!(shown("\u{1b}[31mred\u{1b}[0m\r\n"), "[31mred [0m");
        assert_eq!(shown("a\u{9b}2Jb\u{7f}c\0"), "a 2Jb c");
    }

    #[test]
    fn hidden_and_turning_characters_are_not_shown() {
        let formats = "\u{200b}\u{200f}\u{202e}\u{2066}\u{2069}\u{2028}\u{feff}\u{e0041}\u{61c}";
        for format in formats.chars() {
            assert_eq!(shown(&format!("a{format}b")), "a b", "{format:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_by_their_numbers() {
        assert_eq!(shown("caf\u{10ffe9}.txt"), "caf\\xE9.txt");
    }

    #[test]
    fn text_of_any_language_is_shown_as_it_is() {
        let text = "größer 日本 🎉 \u{5e9}\u{5dc}\u{5d5}\u{5dd}";
        assert_eq!(shown(&format!("  {text} \n")), text);
        assert_eq!(shown("a  b"), "a  b", "spaces are text");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for repeated in ["é", "a", "🎉", "\n"] {
            let shown = shown(&repeated.repeat(5000));
            assert!(shown.len() <= MAX_SHOWN, "{}", shown.len());
            assert!(shown.is_empty() || shown.ends_with('…'), "{shown}");
        }
        assert_eq!(shown(&"a".repeat(MAX_SHOWN)).len(), MAX_SHOWN);
        assert_eq!(excerpt(&"é".repeat(80)), format!("{}…", "é".repeat(38)));
    }

    #[test]
    fn a_text_is_the_same_in_files_and_on_the_wire() {
        let text = "no bash\u{1b}";
        let bytes = postcard::to_allocvec(&Foreign::from(text)).unwrap();
        assert_eq!(bytes, postcard::to_allocvec(text).unwrap());
        assert_eq!(postcard::from_bytes::<Foreign>(&bytes).unwrap(), text);
        let json = serde_json::to_string(&Shown::new("no \u{1b}bash")).unwrap();
        assert_eq!(json, "\"no  bash\"");
    }
}
