//! The end of an output, as a terminal shows it of a job that has failed.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

/// A longer line is cut, bytes.
const MAX_LINE: usize = 4096;

/// The last lines of an output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Each without its end.
    pub(super) lines: VecDeque<Vec<u8>>,
    /// How many lines are before them.
    pub(super) before: u64,
}

impl Tail {
    /// Reads to the end, and keeps the last `most` lines.
    pub(super) fn read(output: impl Read, most: usize) -> io::Result<Tail> {
        let mut output = BufReader::new(output);
        let mut tail = Tail::default();
        while let Some(line) = next_line(&mut output)? {
            tail.lines.push_back(line);
            if tail.lines.len() > most {
                tail.lines.pop_front();
                tail.before += 1;
            }
        }
        Ok(tail)
    }
}

/// The beginning of the next line; all of it is read.
fn next_line(output: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut has_any = false;
    loop {
        let buffered = output.fill_buf()?;
        if buffered.is_empty() {
            return Ok(has_any.then_some(line));
        }
        has_any = true;
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let text = &buffered[..end.unwrap_or(buffered.len())];
        let room = MAX_LINE.saturating_sub(line.len()).min(text.len());
        line.extend_from_slice(&text[..room]);
        let read = text.len() + usize::from(end.is_some());
        output.consume(read);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &[u8], most: usize) -> (Vec<String>, u64) {
        let tail = Tail::read(text, most).unwrap();
        let lines = tail.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        (lines.collect(), tail.before)
    }

    #[test]
    fn last_lines_are_kept_and_the_others_counted() {
        assert_eq!(tail(b"", 2), (vec![], 0));
        assert_eq!(tail(b"a\nb\nc\n", 2), (vec!["b".into(), "c".into()], 1));
        assert_eq!(tail(b"a\n\nno end", 2), (vec![String::new(), "no end".into()], 1));
    }

    #[test]
    fn line_without_end_takes_little_memory() {
        let long = vec![b'x'; 1 << 20];
        let tail = Tail::read(&long[..], 2).unwrap();
        assert_eq!(tail.lines[0].len(), MAX_LINE);
    }
}
