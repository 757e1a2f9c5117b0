//! Jobs' output on its way to a terminal, where it may do no more than text and
//! colour. Into a file or a pipe it goes as it is.

use std::io::{self, Write};

use gjob_core::text::is_printable;
use vte::{Params, Parser, Perform};

/// Passes text on; on a terminal, without control sequences other than those
/// for colours (`ESC [ … m`), and without characters that are not printable.
pub(crate) struct TerminalFilter<W: Write> {
    inner: W,
    /// None when the output goes somewhere else than to a terminal.
    parser: Option<Parser>,
    /// True once a colour has passed: it is undone at the end.
    coloured: bool,
    /// What each line begins with. A job that goes back to the start of its line
    /// would write over it.
    tag: String,
    /// True after such a return, until something is written.
    returned: bool,
}

impl<W: Write> TerminalFilter<W> {
    pub(crate) fn new(inner: W, is_terminal: bool) -> Self {
        let parser = is_terminal.then(Parser::new);
        TerminalFilter { inner, parser, coloured: false, tag: String::new(), returned: false }
    }

    /// Says that lines begin with a tag, which a terminal is to show whatever
    /// they do.
    pub(crate) fn tagged(mut self, tag: String) -> Self {
        self.tag = tag;
        self
    }
}

/// What is left of the bytes that were parsed.
struct Kept<'a> {
    text: String,
    coloured: bool,
    tag: &'a str,
    returned: bool,
}

impl Kept<'_> {
    /// Something is about to be written.
    fn begin(&mut self) {
        if std::mem::take(&mut self.returned) {
            self.text.push_str(self.tag);
        }
    }
}

impl Perform for Kept<'_> {
    fn print(&mut self, c: char) {
        if is_printable(c) {
            self.begin();
            self.text.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.returned = false,
            b'\r' => self.returned = true,
            b'\t' => self.begin(),
            _ => return,
        }
        self.text.push(char::from(byte));
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if action != 'm' || !intermediates.is_empty() || ignore {
            return;
        }
        let param = |parts: &[u16]| parts.iter().map(u16::to_string).collect::<Vec<_>>().join(":");
        let params: Vec<String> = params.iter().map(param).collect();
        self.text.push_str(&format!("\u{1b}[{}m", params.join(";")));
        self.coloured = true;
    }
}

impl<W: Write> Write for TerminalFilter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(parser) = &mut self.parser else { return self.inner.write(bytes) };
        let (tag, returned) = (self.tag.as_str(), self.returned);
        let mut kept = Kept { text: String::new(), coloured: false, tag, returned };
        parser.advance(&mut kept, bytes);
        let Kept { text, coloured, returned, .. } = kept;
        self.coloured |= coloured;
        self.returned = returned;
        self.inner.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Drop for TerminalFilter<W> {
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

    fn filtered(text: &[u8], is_terminal: bool) -> String {
        let mut shown = Vec::new();
        let mut out = TerminalFilter::new(&mut shown, is_terminal);
        // Byte by byte: a sequence and a character may be cut anywhere.
        text.iter().for_each(|byte| out.write_all(&[*byte]).unwrap());
        drop(out);
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn colours_pass_and_are_undone_at_the_end() {
        assert_eq!(filtered(b"\x1b[1;31mred\n", true), "\x1b[1;31mred\n\x1b[0m");
        let indirect = "\u{1b}[38;5;196ma\u{1b}[38:2:1:2:3mb\u{1b}[0m";
        assert_eq!(filtered(indirect.as_bytes(), true), format!("{indirect}\u{1b}[0m"));
    }

    #[test]
    fn everything_else_that_controls_a_terminal_is_left_out() {
        assert_eq!(filtered(b"a\x1b[2Jb\x1b]0;title\x07c\x1bP1q\x1b\\d\x08e", true), "abcde");
        assert_eq!(filtered(b"a\x1b[?25mb\x1b[>4;2mc\x1b(0d\x1bce", true), "abcde");
        assert_eq!(filtered(b"A\xc2\x9b2JB\xc2\x9d0;t\x07C\xe2\x80\xaeD", true), "A2JB0;tCD");
        assert_eq!(filtered(b"x\x9b2Jy", true), "x2Jy");
        assert_eq!(filtered(b"\xe9t\xe9\n", true), "\u{fffd}t\u{fffd}\n");
        assert_eq!(filtered("a\u{200b}b\u{2066}c\u{e0041}d".as_bytes(), true), "abcd");
    }

    #[test]
    fn line_that_is_written_over_keeps_its_tag() {
        let shown = |text: &[u8]| {
            let mut shown = Vec::new();
            let mut out = TerminalFilter::new(&mut shown, true).tagged("job\t".into());
            text.iter().for_each(|byte| out.write_all(&[*byte]).unwrap());
            drop(out);
            String::from_utf8(shown).unwrap()
        };
        assert_eq!(
            shown(b"job\t10%\r20%\r\njob\tx\r\r\ty"),
            "job\t10%\rjob\t20%\r\njob\tx\r\rjob\t\ty"
        );
    }

    #[test]
    fn text_of_any_language_passes() {
        let text = "ünïcode 日本 🎉\tok\r\n";
        assert_eq!(filtered(text.as_bytes(), true), text);
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_are() {
        assert_eq!(filtered(b"a\x1b[2Jb\x07", false), "a\x1b[2Jb\x07");
    }
}
