//! Prints jobs' output: whole jobs at a time, in the order in which they end or
//! (`-k`) in the order of the jobs. A terminal shows the end of what failed jobs
//! have printed.

mod gather;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};

use gjob::network::{Fetched, Gap, Output};
use gjob_core::plural::counted;
use gjob_core::text::printable;
use gjob_core::wire::Stream;
use gjob_core::{Job, State};

use super::filter::TerminalFilter;
use super::tail::Tail;

/// A longer line is shown in pieces, bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// As many lines of a failed job's stream are shown on a terminal.
const TAIL_LINES: usize = 20;

#[derive(Debug)]
pub(crate) struct Printer {
    keep_order: bool,
    tag: bool,
    /// The same output is shown once, at the end, below the names of the jobs.
    gather: bool,
    /// True when a terminal is to show the end of outputs only.
    tails: bool,
    /// The last line that each failed job has printed to standard error, until it
    /// is taken.
    last_lines: Vec<(u32, Vec<u8>)>,
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
    has_failed: bool,
    tag: Option<String>,
    outputs: Vec<Fetched>,
}

impl Printer {
    pub(crate) fn new(keep_order: bool, tag: bool, tails: bool) -> Self {
        Printer {
            keep_order,
            tag,
            gather: false,
            tails,
            last_lines: Vec::new(),
            next: 0,
            held: BTreeMap::new(),
            failed: false,
            closed: Vec::new(),
            unwritable: Vec::new(),
        }
    }

    /// From now on the same output is shown once, at the end, unless it is tagged or in
    /// the order of the jobs.
    pub(crate) fn gather(&mut self) {
        self.gather = !(self.tag || self.keep_order);
    }

    /// True when nothing is printed before the end.
    pub(crate) fn gathers(&self) -> bool {
        self.gather
    }

    /// Prints a job's output, or holds it until earlier jobs have ended. Returns
    /// what could not be printed.
    pub(crate) fn job_output(&mut self, job: &Job, outputs: Vec<Fetched>) -> Vec<String> {
        let name = || job.name().map_or_else(|| job.index.to_string(), printable);
        let has_failed = job.state() != State::Done;
        let tag = (self.tag || self.gather).then(name);
        let held = Held { index: job.index, has_failed, tag, outputs };
        if self.gather {
            self.held.insert(job.index, held);
            return Vec::new();
        }
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
        if self.gather {
            return self.print_gathered(held.into_values().collect());
        }
        held.into_values().flat_map(|held| self.print(held)).collect()
    }

    /// What failed jobs have printed last to standard error, by their indexes.
    pub(super) fn take_last_lines(&mut self) -> Vec<(u32, Vec<u8>)> {
        std::mem::take(&mut self.last_lines)
    }

    /// True if something could not be printed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    fn print(&mut self, held: Held) -> Vec<String> {
        let mut outputs = held.outputs;
        outputs.sort_by_key(|fetched| fetched.stream == Stream::Stderr);
        let tail = self.tails && held.has_failed;
        let mut problems = Vec::new();
        for fetched in outputs {
            let (index, tag) = (held.index, held.tag.as_deref());
            let manner = Manner { index, tag, tail, header: None };
            problems.extend(self.print_one(manner, held.has_failed, fetched));
        }
        problems
    }

    /// Prints one output; returns what could not be printed.
    fn print_one(
        &mut self,
        manner: Manner<'_>,
        has_failed: bool,
        fetched: Fetched,
    ) -> Option<String> {
        if self.closed.contains(&fetched.stream) {
            return None;
        }
        let left_out = left_out(manner.index, &fetched);
        let is_stderr = fetched.stream == Stream::Stderr;
        match print(manner, fetched, &mut self.unwritable) {
            Ok(last_line) => {
                if is_stderr && has_failed {
                    self.last_lines.push((manner.index, last_line));
                }
                left_out
            }
            // A reader such as `head` has seen enough.
            Err(Problem::Closed(stream)) => {
                self.closed.push(stream);
                None
            }
            Err(Problem::Failed(text)) => {
                self.failed = true;
                text
            }
        }
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

/// How a job's output is printed.
#[derive(Clone, Copy)]
struct Manner<'a> {
    index: u32,
    tag: Option<&'a str>,
    /// Only the end of it, on a terminal.
    tail: bool,
    /// Lines above it.
    header: Option<&'a str>,
}

/// Prints an output; returns its last line.
fn print(
    manner: Manner<'_>,
    fetched: Fetched,
    unwritable: &mut Vec<Stream>,
) -> Result<Vec<u8>, Problem> {
    let Fetched { id, stream, output } = fetched;
    let what = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let output = output.map_err(|reason| {
        Problem::Failed(Some(format!("cannot fetch {what} of {id}: {reason}")))
    })?;
    let tag = manner.tag.map(|tag| format!("{tag}\t")).unwrap_or_default();
    let written = match stream {
        Stream::Stdout => {
            let stdout = io::stdout();
            let terminal = stdout.is_terminal();
            let mut to = TerminalFilter::new(stdout.lock(), terminal).tagged(tag);
            manner.copy(stream, terminal, output, &mut to)
        }
        Stream::Stderr => {
            let stderr = io::stderr();
            let terminal = stderr.is_terminal();
            let mut to = TerminalFilter::new(stderr.lock(), terminal).tagged(tag);
            manner.copy(stream, terminal, output, &mut to)
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

impl Manner<'_> {
    /// Copies an output, or its end; returns its last line. With a tag before each
    /// line, or among lines of gjob's own, its last line is ended if it is not.
    fn copy(
        self,
        stream: Stream,
        is_terminal: bool,
        mut output: Output,
        to: &mut impl Write,
    ) -> io::Result<Vec<u8>> {
        let mut to = BufWriter::new(to);
        to.write_all(self.header.unwrap_or_default().as_bytes())?;
        if self.tail && is_terminal {
            let tail = Tail::of(TAIL_LINES, |mut to| io::copy(&mut output, &mut to).map(drop))?;
            self.write_tail(stream, &tail, &mut to)?;
            to.flush()?;
            return Ok(tail.lines.into_iter().next_back().unwrap_or_default());
        }
        if let Some(Gap { after, bytes }) = output.gap() {
            copy_lines(self.tag, true, output.by_ref().take(after), &mut to)?;
            let bytes = counted(bytes, "byte");
            copy_lines(self.tag, true, format!("[{bytes} left out]\n").as_bytes(), &mut to)?;
        }
        // On a terminal the progress is drawn below it.
        let whole_lines = stream == Stream::Stderr || is_terminal || self.header.is_some();
        let last_line = copy_lines(self.tag, whole_lines, output, &mut to)?;
        to.flush()?;
        Ok(last_line)
    }

    fn write_tail(self, stream: Stream, tail: &Tail, to: &mut impl Write) -> io::Result<()> {
        if tail.before > 0 {
            let option = if stream == Stream::Stderr { "--err " } else { "" };
            let before = counted(tail.before, "earlier line");
            writeln!(to, "… {before}: gjob logs {option}{}", self.index)?;
        }
        for line in &tail.lines {
            if let Some(tag) = self.tag {
                write!(to, "{tag}\t")?;
            }
            to.write_all(line)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Returns the last line.
fn copy_lines(
    tag: Option<&str>,
    whole_lines: bool,
    output: impl io::Read,
    to: &mut impl Write,
) -> io::Result<Vec<u8>> {
    let mut output = BufReader::new(output);
    let (mut line, mut last_line) = (Vec::new(), Vec::new());
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
        std::mem::swap(&mut line, &mut last_line);
        line.clear();
    }
    Ok(last_line)
}
