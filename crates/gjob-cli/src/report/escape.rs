//! What hosts send is shown on a terminal without the escape sequences that
//! could do more there than colour. Into a file or a pipe it goes as it is.

use std::io::{self, Write};

/// Passes bytes on; on a terminal, without control characters other than
/// newline, tab, carriage return and colour sequences (`ESC [ … m`).
pub(crate) struct Harmless<W> {
    inner: W,
    terminal: bool,
    /// An escape sequence that is not complete.
    sequence: Vec<u8>,
}

/// Longer sequences than this are no colours.
const MAX_SEQUENCE: usize = 32;

impl<W: Write> Harmless<W> {
    pub(crate) fn new(inner: W, terminal: bool) -> Self {
        Harmless { inner, terminal, sequence: Vec::new() }
    }

    fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.filter_byte(byte, &mut clean);
        }
        clean
    }

    fn filter_byte(&mut self, byte: u8, clean: &mut Vec<u8>) {
        match (self.sequence.as_slice(), byte) {
            (_, 0x1b) => self.sequence = vec![byte],
            ([], b'\n' | b'\t' | b'\r') => clean.push(byte),
            ([], 0..=0x1f | 0x7f) => {}
            ([], _) => clean.push(byte),
            ([_], b'[') => self.sequence.push(byte),
            ([_, b'[', ..], b'0'..=b'9' | b';' | b':') if self.sequence.len() < MAX_SEQUENCE => {
                self.sequence.push(byte);
            }
            ([_, b'[', ..], b'm') => {
                clean.append(&mut self.sequence);
                clean.push(byte);
            }
            // Any other sequence ends here and is left out.
            (_, _) => self.sequence.clear(),
        }
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.terminal {
            return self.inner.write(bytes);
        }
        let clean = self.filter(bytes);
        self.inner.write_all(&clean)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, terminal: bool) -> String {
        let mut out = Harmless::new(Vec::new(), terminal);
        // Byte by byte: a sequence may be cut anywhere.
        text.bytes().for_each(|byte| out.write_all(&[byte]).unwrap());
        String::from_utf8(out.inner).unwrap()
    }

    #[test]
    fn colours_pass_and_everything_else_is_left_out() {
        assert_eq!(shown("\x1b[1;31mred\x1b[0m\n", true), "\x1b[1;31mred\x1b[0m\n");
        assert_eq!(shown("a\x1b[2Jb\x1b]0;titlec\x07d\x08e", true), "ab0;titlecde");
        assert_eq!(shown("ünïcode\tok\r\n", true), "ünïcode\tok\r\n");
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_are() {
        assert_eq!(shown("a\x1b[2Jb\x07", false), "a\x1b[2Jb\x07");
    }
}
