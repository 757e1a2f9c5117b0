//! What hosts send is shown on a terminal without the control sequences that
//! could do more there than colour. Into a file or a pipe it goes as it is.

use std::io::{self, Write};

/// Passes text on; on a terminal, without control characters other than
/// newline, tab, carriage return and colour sequences (`ESC [ … m`), and
/// without the characters that turn the direction of text around.
pub(crate) struct Harmless<W: Write> {
    inner: W,
    terminal: bool,
    /// The first bytes of a character that is not complete.
    partial: Vec<u8>,
    state: State,
    /// True once a colour has passed: it is undone at the end.
    coloured: bool,
}

/// Where in a control sequence the text is.
enum State {
    Text,
    /// Behind ESC.
    Escape,
    /// In `ESC [ …`, which may be a colour.
    Parameters(String),
    /// In a string for the terminal, such as a window title, up to its end.
    Command,
    /// Behind an ESC in such a string.
    CommandEscape,
}

/// Longer sequences than this are no colours.
const MAX_SEQUENCE: usize = 32;

impl<W: Write> Harmless<W> {
    pub(crate) fn new(inner: W, terminal: bool) -> Self {
        Harmless { inner, terminal, partial: Vec::new(), state: State::Text, coloured: false }
    }

    fn filter(&mut self, bytes: &[u8]) -> String {
        let mut bytes = [std::mem::take(&mut self.partial).as_slice(), bytes].concat();
        let complete = complete_length(&bytes);
        self.partial = bytes.split_off(complete);
        let mut clean = String::with_capacity(bytes.len());
        for c in String::from_utf8_lossy(&bytes).chars() {
            self.filter_char(c, &mut clean);
        }
        clean
    }

    fn filter_char(&mut self, c: char, clean: &mut String) {
        self.state = match (std::mem::replace(&mut self.state, State::Text), c) {
            (State::Command | State::CommandEscape, '\u{7}') => State::Text,
            (State::CommandEscape, '\\') => State::Text,
            (State::Command | State::CommandEscape, '\u{1b}') => State::CommandEscape,
            (State::Command | State::CommandEscape, _) => State::Command,
            (_, '\u{1b}') => State::Escape,
            (State::Escape, '[') => State::Parameters(String::new()),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Command,
            (State::Escape, _) => State::Text,
            (State::Parameters(mut seen), '0'..='9' | ';' | ':') if seen.len() < MAX_SEQUENCE => {
                seen.push(c);
                State::Parameters(seen)
            }
            (State::Parameters(seen), 'm') => {
                self.coloured = true;
                clean.push_str("\u{1b}[");
                clean.push_str(&seen);
                clean.push('m');
                State::Text
            }
            // Any other sequence ends here and is left out.
            (State::Parameters(_), _) => State::Text,
            (State::Text, c) => {
                if is_harmless(c) {
                    clean.push(c);
                }
                State::Text
            }
        };
    }
}

fn is_harmless(c: char) -> bool {
    let turns =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    matches!(c, '\n' | '\t' | '\r') || !(c.is_control() || turns)
}

/// How many bytes there are without a last character that is cut off.
fn complete_length(bytes: &[u8]) -> usize {
    match bytes.utf8_chunks().last() {
        Some(chunk) if !chunk.invalid().is_empty() => {
            let cut = chunk.invalid();
            let more_to_come = std::str::from_utf8(cut).is_err_and(|e| e.error_len().is_none());
            if more_to_come { bytes.len() - cut.len() } else { bytes.len() }
        }
        _ => bytes.len(),
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.terminal {
            return self.inner.write(bytes);
        }
        let clean = self.filter(bytes);
        self.inner.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for Harmless<W> {
    fn drop(&mut self) {
        if self.coloured {
            // A terminal that is gone needs no reset.
            let _ = self.inner.write_all(b"\x1b[0m").and_then(|()| self.inner.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8], terminal: bool) -> String {
        let mut shown = Vec::new();
        let mut out = Harmless::new(&mut shown, terminal);
        // Byte by byte: a sequence and a character may be cut anywhere.
        text.iter().for_each(|byte| out.write_all(&[*byte]).unwrap());
        drop(out);
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn colours_pass_and_are_undone_at_the_end() {
        assert_eq!(shown(b"\x1b[1;31mred\n", true), "\x1b[1;31mred\n\x1b[0m");
    }

    #[test]
    fn everything_else_that_controls_a_terminal_is_left_out() {
        assert_eq!(shown(b"a\x1b[2Jb\x1b]0;title\x07c\x1bP1q\x1b\\d\x08e", true), "abcde");
        assert_eq!(shown(b"A\xc2\x9b2JB\xc2\x9d0;t\x07C\xe2\x80\xaeD", true), "A2JB0;tCD");
        assert_eq!(shown(b"x\x9b2Jy", true), "x\u{fffd}2Jy");
    }

    #[test]
    fn text_of_any_language_passes() {
        assert_eq!(shown("ünïcode 日本 🎉\tok\r\n".as_bytes(), true), "ünïcode 日本 🎉\tok\r\n");
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_are() {
        assert_eq!(shown(b"a\x1b[2Jb\x07", false), "a\x1b[2Jb\x07");
    }
}
