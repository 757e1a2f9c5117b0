//! Prints jobs' output: whole jobs at a time, in the order in which they end or
//! (`-k`) in the order of the jobs.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};

use gjob::network::{Fetched, Gap, Output};
use gjob_core::Job;
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::wire::Stream;

use super::filter::TerminalFilter;

/// A longer line is shown in pieces, bytes.
const MAX_LINE: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Printer {
    keep_order: bool,
    tag: bool,
    /// The next job in the order of the jobs.
    next: u32,
    held: BTreeMap<u32, Held>,
    failed: bool,
    /// Streams without a reader.
    closed: Vec<Stream>,
    /// Streams that could not be written, as was said.
    unwritable: Vec<Stream>,
}

/// Output of a job that waits for earlier jobs.
#[derive(Debug)]
struct Held {
    index: u32,
    tag: Option<String>,
    outputs: Vec<Fetched>,
}

impl Printer {
    pub(crate) fn new(keep_order: bool, tag: bool) -> Self {
        Printer {
            keep_order,
            tag,
            next: 0,
            held: BTreeMap::new(),
            failed: false,
            closed: Vec::new(),
            unwritable: Vec::new(),
        }
    }

    /// Prints a job's output, or holds it until earlier jobs have ended. Returns
    /// what could not be printed.
    pub(crate) fn job_output(&mut self, job: &Job, outputs: Vec<Fetched>) -> Vec<String> {
        let name = || job.name().map_or_else(|| job.index.to_string(), printable);
        let held = Held { index: job.index, tag: self.tag.then(name), outputs };
        if !self.keep_order {
            return self.print(held);
        }
        self.held.insert(job.index, held);
        let mut problems = Vec::new();
        while let Some(held) = self.held.remove(&self.next) {
            problems.extend(self.print(held));
            self.next += 1;
        }
        problems
    }

    /// Prints the output that still waits for jobs without an outcome.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let held = std::mem::take(&mut self.held);
        held.into_values().flat_map(|held| self.print(held)).collect()
    }

    /// True if something could not be printed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    fn print(&mut self, held: Held) -> Vec<String> {
        let mut outputs = held.outputs;
        outputs.sort_by_key(|fetched| fetched.stream == Stream::Stderr);
        let mut problems = Vec::new();
        for fetched in outputs {
            if self.closed.contains(&fetched.stream) {
                continue;
            }
            let left_out = left_out(held.index, &fetched);
            match print(held.tag.as_deref(), fetched, &mut self.unwritable) {
                Ok(()) => problems.extend(left_out),
                // A reader such as `head` has seen enough.
                Err(Problem::Closed(stream)) => self.closed.push(stream),
                Err(Problem::Failed(text)) => {
                    self.failed = true;
                    problems.extend(text);
                }
            }
        }
        problems
    }
}

/// Why an output is not printed.
enum Problem {
    /// None when it has been said before.
    Failed(Option<String>),
    /// The stream has no reader.
    Closed(Stream),
}

/// What is missing of a large output, and where to find it.
fn left_out(index: u32, fetched: &Fetched) -> Option<String> {
    let gap = fetched.output.as_ref().ok()?.gap()?;
    let (what, option) = match fetched.stream {
        Stream::Stdout => ("stdout", ""),
        Stream::Stderr => ("stderr", " --err"),
    };
    let bytes = counted(gap.bytes, "byte");
    Some(format!("{bytes} of the {what} of job {index} left out: `gjob logs {index}{option}`"))
}

fn print(tag: Option<&str>, fetched: Fetched, unwritable: &mut Vec<Stream>) -> Result<(), Problem> {
    let Fetched { id, stream, output } = fetched;
    let what = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let output = output.map_err(|reason| {
        Problem::Failed(Some(format!("cannot fetch {what} of {id}: {reason}")))
    })?;
    let written = match stream {
        Stream::Stdout => {
            let stdout = io::stdout();
            let terminal = stdout.is_terminal();
            copy(tag, false, output, &mut TerminalFilter::new(stdout.lock(), terminal).tagged(tag))
        }
        Stream::Stderr => {
            let stderr = io::stderr();
            let terminal = stderr.is_terminal();
            copy(tag, true, output, &mut TerminalFilter::new(stderr.lock(), terminal).tagged(tag))
        }
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Problem::Closed(stream),
        _ if unwritable.contains(&stream) => Problem::Failed(None),
        _ => {
            unwritable.push(stream);
            Problem::Failed(Some(format!("cannot write {what} of {id}: {error}")))
        }
    })
}

/// Copies an output. With a tag before each line, or among lines of gjob's own
/// (`whole_lines`), its last line is ended if it is not.
fn copy(
    tag: Option<&str>,
    whole_lines: bool,
    mut output: Output,
    to: &mut impl Write,
) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    if let Some(Gap { after, bytes }) = output.gap() {
        copy_lines(tag, true, output.by_ref().take(after), &mut to)?;
        let bytes = counted(bytes, "byte");
        copy_lines(tag, true, format!("[{bytes} left out]\n").as_bytes(), &mut to)?;
    }
    copy_lines(tag, whole_lines, output, &mut to)?;
    to.flush()
}

fn copy_lines(
    tag: Option<&str>,
    whole_lines: bool,
    output: impl io::Read,
    to: &mut impl Write,
) -> io::Result<()> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? > 0 {
        if let Some(tag) = tag {
            to.write_all(tag.as_bytes())?;
            to.write_all(b"\t")?;
        }
        to.write_all(&line)?;
        let ended = line.last() == Some(&b'\n');
        let last = !ended && output.fill_buf()?.is_empty();
        if (tag.is_some() && !ended) || (whole_lines && last) {
            to.write_all(b"\n")?;
        }
        line.clear();
    }
    Ok(())
}
