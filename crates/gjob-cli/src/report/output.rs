//! Jobs' output on its way to stdout and stderr: whole jobs at a time, in the
//! order they end or (`-k`) in the order of the jobs.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use gjob::network::Fetched;
use gjob_core::Job;
use gjob_core::wire::Stream;

use super::escape::Harmless;

#[derive(Debug)]
pub(crate) struct Printer {
    keep_order: bool,
    tag: bool,
    /// The job whose turn it is.
    next: u32,
    held: BTreeMap<u32, Held>,
}

/// A job's output that waits for its turn.
#[derive(Debug)]
struct Held {
    tag: Option<String>,
    outputs: Vec<Fetched>,
}

impl Printer {
    pub(crate) fn new(keep_order: bool, tag: bool) -> Self {
        Printer { keep_order, tag, next: 0, held: BTreeMap::new() }
    }

    /// Prints a job's output, or keeps it for its turn. Returns what went wrong.
    pub(crate) fn job_output(&mut self, job: &Job, outputs: Vec<Fetched>) -> Vec<String> {
        let name = || job.name().map_or_else(|| job.index.to_string(), str::to_owned);
        let held = Held { tag: self.tag.then(name), outputs };
        if !self.keep_order {
            return held.print();
        }
        self.held.insert(job.index, held);
        let mut problems = Vec::new();
        while let Some(held) = self.held.remove(&self.next) {
            problems.extend(held.print());
            self.next += 1;
        }
        problems
    }

    /// Prints what still waits: jobs before it have no outcome.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        std::mem::take(&mut self.held).into_values().flat_map(Held::print).collect()
    }
}

impl Held {
    fn print(self) -> Vec<String> {
        let tag = self.tag.as_deref();
        let mut outputs = self.outputs;
        outputs.sort_by_key(|fetched| fetched.stream == Stream::Stderr);
        outputs.into_iter().filter_map(|fetched| print(tag, fetched).err()).collect()
    }
}

fn print(tag: Option<&str>, fetched: Fetched) -> Result<(), String> {
    let Fetched { id, stream, output } = fetched;
    let what = match stream {
        Stream::Stdout => "output",
        Stream::Stderr => "error output",
    };
    let output = output.map_err(|reason| format!("the {what} of {id} can't be had: {reason}"))?;
    let written = match stream {
        Stream::Stdout => {
            let stdout = io::stdout();
            let terminal = stdout.is_terminal();
            copy(tag, output, &mut Harmless::new(stdout.lock(), terminal))
        }
        Stream::Stderr => {
            let stderr = io::stderr();
            let terminal = stderr.is_terminal();
            copy(tag, output, &mut Harmless::new(stderr.lock(), terminal))
        }
    };
    written.map_err(|error| format!("the {what} of {id} can't be written: {error}"))
}

fn copy(tag: Option<&str>, output: impl io::Read, to: &mut impl Write) -> io::Result<()> {
    let mut output = BufReader::new(output);
    let Some(tag) = tag else {
        io::copy(&mut output, to)?;
        return to.flush();
    };
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        to.write_all(tag.as_bytes())?;
        to.write_all(b"\t")?;
        to.write_all(&line)?;
        line.clear();
    }
    to.flush()
}
