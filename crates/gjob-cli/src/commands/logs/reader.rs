//! What a job printed, as it is to be shown: all of it or its last lines, or those with
//! a text in them; as it comes, if it is followed.

use std::io::{self, IsTerminal, Write};

use gjob::network::Followed;
use gjob_core::Job;
use gjob_core::wire::Stream;

use crate::cli::LogsArgs;
use crate::commands::job_outputs::JobOutputs;
use crate::report::{ByLine, Tail, TerminalFilter, headline};

pub(super) struct Reader<'a> {
    pub(super) args: &'a LogsArgs,
    pub(super) outputs: JobOutputs,
    /// True when more than one job is shown.
    pub(super) several: bool,
}

/// Where a stream of a job goes.
struct Sink {
    stream: Stream,
    out: TerminalFilter<Box<dyn Write>>,
    /// What lines must have in them, and what is put before those that do.
    wanted: Option<(String, String)>,
}

impl Reader<'_> {
    pub(super) fn show(&mut self, job: &Job) -> anyhow::Result<()> {
        if self.several && self.args.grep.is_none() {
            writeln!(io::stderr(), "{}:", headline::title(job))?;
        }
        let mut sinks: Vec<Sink> =
            self.streams().iter().map(|stream| self.sink(job, *stream)).collect();
        let mut from = vec![0; sinks.len()];
        if let Some(most) = self.args.tail {
            for (sink, from) in sinks.iter_mut().zip(&mut from) {
                *from = self.print_tail(job, most, sink)?;
            }
        }
        match (self.args.follow, self.args.tail) {
            (true, _) => self.follow(job, &mut sinks, &from)?,
            (false, None) => sinks.iter_mut().try_for_each(|sink| self.print(job, sink))?,
            (false, Some(_)) => {}
        }
        Ok(sinks.iter_mut().try_for_each(|sink| sink.out.flush())?)
    }

    fn streams(&self) -> &'static [Stream] {
        match (self.args.out, self.args.err) {
            (false, false) => &[Stream::Stdout, Stream::Stderr],
            (true, _) => &[Stream::Stdout],
            (false, true) => &[Stream::Stderr],
        }
    }

    /// A job's standard error goes to this one's, unless it is what is to be read.
    fn sink(&self, job: &Job, stream: Stream) -> Sink {
        let is_aside = stream == Stream::Stderr && !self.args.err && self.args.grep.is_none();
        let (to, is_terminal): (Box<dyn Write>, bool) = match is_aside {
            true => (Box::new(io::stderr()), io::stderr().is_terminal()),
            false => (Box::new(io::stdout()), io::stdout().is_terminal()),
        };
        let wanted = self.args.grep.clone();
        let wanted = wanted.map(|text| (text, format!("{}: ", headline::title(job))));
        Sink { stream, out: TerminalFilter::new(to, is_terminal), wanted }
    }

    fn print(&mut self, job: &Job, sink: &mut Sink) -> anyhow::Result<()> {
        let stream = sink.stream;
        if sink.wanted.is_none() {
            return self.outputs.copy(job, stream, &mut sink.out).map(drop);
        }
        let mut lines = sink.by_line();
        self.outputs.copy(job, stream, &mut lines)?;
        Ok(lines.finish()?)
    }

    /// Prints the last lines. Returns where to go on: after them, or at the beginning of
    /// a last line that has no end yet, which is left out if more may follow.
    fn print_tail(&mut self, job: &Job, most: usize, sink: &mut Sink) -> anyhow::Result<u64> {
        let (stream, follows) = (sink.stream, self.args.follow);
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
        for line in tail.lines {
            sink.line(&line)?;
        }
        Ok(whole)
    }

    fn follow(&mut self, job: &Job, sinks: &mut [Sink], from: &[u64]) -> anyhow::Result<()> {
        if self.args.grep.is_none() {
            let followed = |(sink, from): (_, &u64)| {
                let Sink { stream, out, .. }: &mut Sink = sink;
                Followed { stream: *stream, from: *from, to: out }
            };
            let mut streams: Vec<Followed<'_>> = sinks.iter_mut().zip(from).map(followed).collect();
            return Ok(self.outputs.follow(job, &mut streams)?);
        }
        let streams: Vec<Stream> = sinks.iter().map(|sink| sink.stream).collect();
        let mut lines: Vec<_> = sinks.iter_mut().map(Sink::by_line).collect();
        let mut followed: Vec<Followed<'_>> = Vec::new();
        for ((stream, from), to) in streams.iter().zip(from).zip(&mut lines) {
            followed.push(Followed { stream: *stream, from: *from, to });
        }
        self.outputs.follow(job, &mut followed)?;
        Ok(lines.into_iter().try_for_each(ByLine::finish)?)
    }
}

impl Sink {
    fn wants(&self, line: &[u8]) -> bool {
        let text = self.wanted.as_ref().map(|(text, _)| text);
        text.is_none_or(|text| String::from_utf8_lossy(line).contains(text))
    }

    /// Prints the lines that are written to it, if they are wanted.
    fn by_line(&mut self) -> ByLine<impl FnMut(Vec<u8>) -> io::Result<()>> {
        ByLine::new(|line: Vec<u8>| self.line(&line))
    }

    /// Prints a line if it is wanted.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.wants(line) {
            return Ok(());
        }
        if let Some((_, title)) = &self.wanted {
            self.out.write_all(title.as_bytes())?;
        }
        self.out.write_all(line)?;
        self.out.write_all(b"\n")
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
