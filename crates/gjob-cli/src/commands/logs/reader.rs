//! What a job has printed, as it is to be shown: all of it or its last lines, or those
//! with a text in them.

use std::io::{self, Write};

use gjob_core::Job;
use gjob_core::wire::Stream;

use super::sink::Sink;
use crate::cli::LogsArgs;
use crate::commands::job_outputs::JobOutputs;
use crate::exit::print_error;
use crate::report::{ByLine, Tail, headline};

pub(super) struct Reader<'a> {
    pub(super) args: &'a LogsArgs,
    pub(super) outputs: JobOutputs,
    /// True when more than one job is shown, or may be.
    pub(super) several: bool,
    /// True once a job has been shown.
    pub(super) has_shown: bool,
}

impl Reader<'_> {
    /// Shows all that a job has printed so far.
    pub(super) fn show(&mut self, job: &Job) -> anyhow::Result<()> {
        let sinks = if self.omits_empty() { self.lazily(job) } else { self.begin(job)? };
        let mut is_used = false;
        for mut sink in sinks {
            if self.omits_empty() && !(is_used || self.has_shown) {
                // Nothing is above it that a blank line would set it off from.
                sink.set_heading(self.heading(job, sink.stream));
            }
            match self.args.tail {
                Some(most) => drop(self.print_tail(job, most, &mut sink)?),
                None => drop(self.outputs.copy(job, sink.stream, &mut sink)?),
            }
            sink.finish()?;
            sink.flush()?;
            is_used |= sink.is_used;
        }
        self.has_shown |= is_used;
        if !(is_used || self.several || self.args.grep.is_some()) {
            let so_far = if job.has_ended() { "" } else { " so far" };
            let to = match self.streams() {
                [Stream::Stdout] => " to standard output",
                [Stream::Stderr] => " to standard error",
                _ => "",
            };
            print_error(&format!("job {} has printed nothing{to}{so_far}", job.index));
        }
        Ok(())
    }

    /// True if jobs that have printed nothing are left out.
    fn omits_empty(&self) -> bool {
        self.args.failed && self.several && !self.is_labelled()
    }

    /// Where the streams of a job go, each with a heading that is printed with its first byte.
    fn lazily(&self, job: &Job) -> Vec<Sink> {
        let sink = |stream: &Stream| {
            let heading = format!("\n{}", self.heading(job, *stream));
            Sink::whole(*stream, Stream::Stdout, Some(heading))
        };
        self.streams().iter().map(sink).collect()
    }

    fn heading(&self, job: &Job, stream: Stream) -> String {
        let is_second = stream == Stream::Stderr && !self.args.err;
        let of = if is_second { ", stderr" } else { "" };
        format!("==> {}{of} <==", headline::title(job))
    }

    /// Where the streams of a job go; prints a heading if there is one.
    pub(super) fn begin(&mut self, job: &Job) -> anyhow::Result<Vec<Sink>> {
        if self.several && !self.is_labelled() {
            let blank = if self.has_shown { "\n" } else { "" };
            writeln!(io::stdout(), "{blank}==> {} <==", headline::title(job))?;
        }
        self.has_shown = true;
        Ok(self.streams().iter().map(|stream| self.sink(job, *stream)).collect())
    }

    /// True when lines begin with their job: those that were searched for, and those of
    /// several jobs that print at the same time.
    pub(super) fn is_labelled(&self) -> bool {
        self.args.grep.is_some() || (self.args.follow && self.several)
    }

    fn streams(&self) -> &'static [Stream] {
        match (self.args.out, self.args.err) {
            (false, false) => &[Stream::Stdout, Stream::Stderr],
            (true, _) => &[Stream::Stdout],
            (false, true) => &[Stream::Stderr],
        }
    }

    /// One job's standard error goes to this one's, unless it is what is to be read.
    fn sink(&self, job: &Job, stream: Stream) -> Sink {
        if self.is_labelled() {
            let label = format!("{}: ", headline::title(job));
            return Sink::lines(stream, label, self.args.grep.clone());
        }
        let is_second = stream == Stream::Stderr && !self.args.err;
        match (is_second, self.several) {
            (false, _) => Sink::whole(stream, Stream::Stdout, None),
            (true, false) => Sink::whole(stream, Stream::Stderr, None),
            (true, true) => {
                let heading = format!("\n==> {}, stderr <==", headline::title(job));
                Sink::whole(stream, Stream::Stdout, Some(heading))
            }
        }
    }

    /// Prints the last lines. Returns where to go on: after them, or at the beginning of
    /// a last line that has no end yet, which is left out if more may follow.
    pub(super) fn print_tail(
        &mut self,
        job: &Job,
        most: usize,
        sink: &mut Sink,
    ) -> anyhow::Result<u64> {
        let (stream, follows) = (sink.stream, self.args.follow && !job.has_ended());
        let mut tail = Tail::new(most);
        let mut whole = 0;
        let mut lines = ByLine::new(|line: Vec<u8>| {
            if sink.wants(&line) {
                tail.push(line);
            }
            Ok(())
        });
        let mut counted = LastEnd { to: &mut lines, seen: 0, end: &mut whole };
        self.outputs.copy(job, stream, &mut counted)?;
        if !follows {
            lines.finish()?;
        }
        for mut line in tail.lines {
            line.push(b'\n');
            sink.write_all(&line)?;
        }
        Ok(whole)
    }
}

/// Hands bytes on, and notes where the last line that is complete ends.
struct LastEnd<'a> {
    to: &'a mut dyn Write,
    seen: u64,
    end: &'a mut u64,
}

impl Write for LastEnd<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        if let Some(end) = bytes[..written].iter().rposition(|byte| *byte == b'\n') {
            *self.end = self.seen + end as u64 + 1;
        }
        self.seen += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
