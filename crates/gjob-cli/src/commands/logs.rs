//! `gjob logs`: what jobs have printed so far, read from their hosts, or from what was
//! fetched of them. What a job wrote to its standard output goes to this one's, as it
//! is; what tells whose it is goes to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::wire::Stream;
use gjob_core::{Job, Run};

use super::job_outputs::JobOutputs;
use super::{find_run, selection};
use crate::cli::LogsArgs;
use crate::exit::{ALL_DONE, Failure, print_error};
use crate::report::{ByLine, Tail, TerminalFilter, headline};

/// How often to look for the start of a job.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub(crate) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.word())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let mut run = store.load().map_err(Failure::machinery)?;
    let settings = store.row().map_err(Failure::machinery)?.settings;
    let settings = RunSettings::from_json(&settings).map_err(Failure::machinery)?;
    while args.follow && awaits_start(&dir, &run, args).map_err(Failure::input)? {
        std::thread::sleep(POLL_INTERVAL);
        run = store.load().map_err(Failure::machinery)?;
    }
    let chosen = chosen(args, &run).map_err(Failure::input)?;
    let jobs = match args.attempt {
        None => chosen.into_iter().cloned().collect(),
        Some(number) => attempts(&store, &chosen, number)?,
    };
    drop(store);
    let outputs = JobOutputs::of(dir.run(), settings).map_err(Failure::machinery)?;
    let several = jobs.len() > 1;
    let mut reader = Reader { args, outputs, several };
    let mut first = None;
    for job in &jobs {
        let shown = match job.id() {
            None => Err(Failure::input(anyhow!("job {} has not started", job.index))),
            Some(_) => reader.show(job).map_err(Failure::machinery),
        };
        // The others may have some; without a reader, none is shown.
        match (shown, &first) {
            (Ok(()), _) => {}
            (Err(failure), _) if failure.is_broken_pipe() => return Err(failure),
            (Err(failure), None) => first = Some(failure),
            (Err(failure), Some(_)) => print_error(&format!("{:#}", failure.error)),
        }
    }
    first.map_or(Ok(ALL_DONE), Err)
}

/// The jobs that are meant: those that are named, or all that have started.
fn chosen<'a>(args: &LogsArgs, run: &'a Run) -> anyhow::Result<Vec<&'a Job>> {
    let is_named = !args.jobs.is_empty();
    let mut jobs = match is_named {
        true => selection::select(run.jobs(), &args.jobs)?,
        false => run.jobs().iter().filter(|job| job.id().is_some()).collect(),
    };
    if args.failed {
        jobs.retain(|job| job.has_failed() && job.id().is_some());
    }
    Ok(jobs)
}

/// The jobs as they were in an earlier attempt.
fn attempts(store: &Store, jobs: &[&Job], number: u32) -> Result<Vec<Job>, Failure> {
    let mut earlier = Vec::new();
    for job in jobs {
        let attempts = store.attempts_of(job.index).map_err(Failure::machinery)?;
        let attempt = attempts.into_iter().find(|attempt| attempt.key.attempt == number);
        let found = attempt.and_then(|attempt| Some((attempt.key, attempt.host, attempt.id?)));
        let Some((key, host, id)) = found else {
            let error = anyhow!("job {} has no attempt {number} that has started", job.index);
            return Err(Failure::input(error));
        };
        earlier.push(Job::launched(job.spec.clone(), key, host, id));
    }
    Ok(earlier)
}

/// True while a chosen job has not started but may, since there is a manager.
fn awaits_start(dir: &RunDir, run: &Run, args: &LogsArgs) -> anyhow::Result<bool> {
    let waits = |job: &&Job| job.id().is_none() && !job.has_ended();
    let waiting = selection::select(run.jobs(), &args.jobs)?.iter().any(waits);
    Ok(waiting && dir.is_managed()?)
}

struct Reader<'a> {
    args: &'a LogsArgs,
    outputs: JobOutputs,
    /// True when more than one job is shown.
    several: bool,
}

impl Reader<'_> {
    fn streams(&self) -> &'static [Stream] {
        match (self.args.out, self.args.err) {
            (false, false) => &[Stream::Stdout, Stream::Stderr],
            (true, _) => &[Stream::Stdout],
            (false, true) => &[Stream::Stderr],
        }
    }

    fn show(&mut self, job: &Job) -> anyhow::Result<()> {
        if let Some(text) = &self.args.grep {
            return self.search(job, text);
        }
        if self.several {
            writeln!(io::stderr(), "{}:", headline::title(job))?;
        }
        let (out, err) = (io::stdout(), io::stderr());
        let (out_is_terminal, err_is_terminal) = (out.is_terminal(), err.is_terminal());
        let mut out = TerminalFilter::new(out.lock(), out_is_terminal);
        // Asked for alone, it is what is to be read.
        let mut err: Box<dyn Write> = match self.args.err {
            true => Box::new(TerminalFilter::new(io::stdout(), out_is_terminal)),
            false => Box::new(TerminalFilter::new(err.lock(), err_is_terminal)),
        };
        if self.args.follow {
            let mut streams: Vec<(Stream, &mut dyn Write)> = Vec::new();
            let (out, err) = (&mut out as &mut dyn Write, &mut *err);
            for (stream, to) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
                if self.streams().contains(&stream) {
                    streams.push((stream, to));
                }
            }
            self.outputs.follow(job, &mut streams)?;
        } else {
            for stream in self.streams() {
                match stream {
                    Stream::Stdout => self.print(job, *stream, &mut out)?,
                    Stream::Stderr => self.print(job, *stream, &mut *err)?,
                }
            }
        }
        out.flush()?;
        Ok(err.flush()?)
    }

    fn print(&mut self, job: &Job, stream: Stream, to: &mut dyn Write) -> anyhow::Result<()> {
        let Some(most) = self.args.tail else { return self.outputs.copy(job, stream, to) };
        let tail = Tail::of(most, |to| self.outputs.copy(job, stream, to))?;
        for line in tail.lines {
            to.write_all(&line)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Prints the lines that have the text, and whose they are.
    fn search(&mut self, job: &Job, text: &str) -> anyhow::Result<()> {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let mut out = TerminalFilter::new(stdout, is_terminal);
        let title = headline::title(job);
        for stream in self.streams() {
            let mut lines = ByLine::new(|line: Vec<u8>| {
                if String::from_utf8_lossy(&line).contains(text) {
                    out.write_all(title.as_bytes())?;
                    out.write_all(b": ")?;
                    out.write_all(&line)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            });
            self.outputs.copy(job, *stream, &mut lines)?;
            lines.finish()?;
        }
        Ok(out.flush()?)
    }
}
