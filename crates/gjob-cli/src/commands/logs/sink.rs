//! Where what jobs have printed goes. One job's goes to the streams that it wrote to, as
//! it is; that of several goes to standard output, below headings or as lines that begin
//! with their job.

use std::io::{self, IsTerminal, Write};

use gjob_core::wire::Stream;

use crate::report::TerminalFilter;

/// A longer line is shown in pieces, bytes.
const MAX_LINE: usize = 1024 * 1024;

/// Where a stream of a job goes.
pub(super) struct Sink {
    pub(super) stream: Stream,
    /// True once something was written to it.
    pub(super) is_used: bool,
    to: To,
}

enum To {
    /// As it is, below a heading that is printed with the first byte.
    Whole { heading: Option<String>, out: Box<TerminalFilter<Box<dyn Write>>> },
    /// Line by line, if `wanted` is in it.
    Lines { label: String, wanted: Option<String>, line: Vec<u8> },
}

impl Sink {
    /// As it is: to a stream of this process, below a heading.
    pub(super) fn whole(stream: Stream, to: Stream, heading: Option<String>) -> Self {
        let (out, is_terminal): (Box<dyn Write>, bool) = match to {
            Stream::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Stream::Stderr => (Box::new(io::stderr()), io::stderr().is_terminal()),
        };
        Sink {
            stream,
            is_used: false,
            to: To::Whole { heading, out: Box::new(TerminalFilter::new(out, is_terminal)) },
        }
    }

    /// Line by line with a label, to standard output.
    pub(super) fn lines(stream: Stream, label: String, wanted: Option<String>) -> Self {
        Sink { stream, is_used: false, to: To::Lines { label, wanted, line: Vec::new() } }
    }

    /// Changes the heading that is printed with the first byte.
    pub(super) fn set_heading(&mut self, new: String) {
        if let To::Whole { heading, .. } = &mut self.to {
            *heading = Some(new);
        }
    }

    /// True for a line that is shown.
    pub(super) fn wants(&self, line: &[u8]) -> bool {
        match &self.to {
            To::Whole { .. } | To::Lines { wanted: None, .. } => true,
            To::Lines { wanted: Some(text), .. } => contains(line, text),
        }
    }

    /// Shows a last line that has no end.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Whole { .. } => Ok(()),
            To::Lines { label, wanted, line } => print_line(label, wanted.as_deref(), line),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_used |= !bytes.is_empty();
        match &mut self.to {
            To::Whole { heading, out } => {
                if let Some(heading) = heading.take_if(|_| !bytes.is_empty()) {
                    writeln!(io::stdout(), "{heading}")?;
                }
                out.write(bytes)
            }
            To::Lines { label, wanted, line } => {
                for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                    line.extend_from_slice(piece);
                    if line.ends_with(b"\n") || line.len() >= MAX_LINE {
                        print_line(label, wanted.as_deref(), line)?;
                    }
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Whole { out, .. } => out.flush(),
            To::Lines { .. } => io::stdout().flush(),
        }
    }
}

/// Prints a line in one piece if it is wanted, and empties it. Each has a filter of its
/// own: no colour of one job goes over to another.
fn print_line(label: &str, wanted: Option<&str>, line: &mut Vec<u8>) -> io::Result<()> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    if !line.is_empty() && wanted.is_none_or(|wanted| contains(text, wanted)) {
        let mut shown = label.as_bytes().to_vec();
        let is_terminal = io::stdout().is_terminal();
        TerminalFilter::new(&mut shown, is_terminal).tagged(label.to_owned()).write_all(text)?;
        shown.push(b'\n');
        io::stdout().write_all(&shown)?;
    }
    line.clear();
    Ok(())
}

fn contains(line: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(line).contains(text)
}
