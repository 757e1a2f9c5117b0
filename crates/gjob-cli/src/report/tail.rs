//! Outputs by lines: the last ones, or those with a text in them.

use std::collections::VecDeque;
use std::io::{self, Write};

/// A longer line is cut, bytes.
const MAX_LINE: usize = 4096;

/// Hands each line that is written to it on, without its end.
pub(crate) struct ByLine<F> {
    line: Vec<u8>,
    has_begun: bool,
    each: F,
}

impl<F: FnMut(Vec<u8>) -> io::Result<()>> ByLine<F> {
    pub(crate) fn new(each: F) -> Self {
        ByLine { line: Vec::new(), has_begun: false, each }
    }

    /// Hands on a last line without an end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.has_begun { (self.each)(self.line) } else { Ok(()) }
    }
}

impl<F: FnMut(Vec<u8>) -> io::Result<()>> Write for ByLine<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let text = &bytes[..end.unwrap_or(bytes.len())];
        let room = MAX_LINE.saturating_sub(self.line.len()).min(text.len());
        self.line.extend_from_slice(&text[..room]);
        self.has_begun |= !text.is_empty();
        if end.is_none() {
            return Ok(text.len());
        }
        self.has_begun = false;
        (self.each)(std::mem::take(&mut self.line))?;
        Ok(text.len() + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last lines of an output.
#[derive(Debug)]
pub(crate) struct Tail {
    most: usize,
    /// Each without its end.
    pub(crate) lines: VecDeque<Vec<u8>>,
    /// How many lines are before them.
    pub(crate) before: u64,
}

impl Tail {
    /// As many lines at most.
    pub(crate) fn new(most: usize) -> Tail {
        Tail { most, lines: VecDeque::new(), before: 0 }
    }

    pub(crate) fn push(&mut self, line: Vec<u8>) {
        self.lines.push_back(line);
        if self.lines.len() > self.most {
            self.lines.pop_front();
            self.before += 1;
        }
    }

    /// The last `most` lines of what `copy` writes.
    pub(crate) fn of<E: From<io::Error>>(
        most: usize,
        copy: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<Tail, E> {
        let mut tail = Tail::new(most);
        let mut lines = ByLine::new(|line| {
            tail.push(line);
            Ok(())
        });
        copy(&mut lines)?;
        lines.finish()?;
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &[u8], most: usize) -> (Vec<String>, u64) {
        // Byte by byte: a line may come in pieces.
        let copy = |to: &mut dyn Write| text.iter().try_for_each(|byte| to.write_all(&[*byte]));
        let tail = Tail::of(most, copy).unwrap();
        let lines = tail.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        (lines.collect(), tail.before)
    }

    #[test]
    fn last_lines_are_kept_and_the_others_counted() {
        assert_eq!(tail(b"", 2), (vec![], 0));
        assert_eq!(tail(b"a\nb\nc\n", 2), (vec!["b".into(), "c".into()], 1));
        assert_eq!(tail(b"a\n\nno end", 2), (vec![String::new(), "no end".into()], 1));
        assert_eq!(tail(b"a\nb\n", 0), (vec![], 2));
    }

    #[test]
    fn line_without_end_takes_little_memory() {
        let long = vec![b'x'; 1 << 20];
        let tail = Tail::of(2, |to| to.write_all(&long)).unwrap();
        assert_eq!(tail.lines[0].len(), MAX_LINE);
    }
}
