//! What a run says while it goes on: to the terminal, to the joblog, to the
//! event file. One [`Reporter`] hears all events and hands them round; none of
//! its parts can fail the run.

mod events;
mod joblog;
mod output;
mod progress;
mod terminal;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gjob::manager::{Handler, Wanted};
use gjob::network::Fetched;
use gjob_core::event::EventKind;
use gjob_core::outcome::name_survivors;
use gjob_core::{Event, HostLabel, Job, State};

use crate::cli::{ReportArgs, Show};
use events::EventFile;
use joblog::JobLogFile;
use output::Printer;
use progress::Progress;
pub(crate) use terminal::TerminalFilter;

/// Everything that reports on a run.
#[derive(Debug)]
pub(crate) struct Reporter {
    show: Show,
    verbose: bool,
    progress: Progress,
    printer: Printer,
    joblog: Option<JobLogFile>,
    events: Option<EventFile>,
}

impl Reporter {
    /// Reports on a run that begins, or (`resumed`) on one that goes on: then
    /// its files are added to.
    ///
    /// # Errors
    /// When a file to be written can't be opened; the path is in the error.
    pub(crate) fn new(
        args: &ReportArgs,
        default_show: Show,
        jobs: u64,
        resumed: bool,
    ) -> io::Result<Self> {
        let open = |path: &PathBuf| open(path, resumed);
        Ok(Reporter {
            show: args.show.unwrap_or(default_show),
            verbose: args.verbose,
            progress: Progress::new(jobs),
            printer: Printer::new(args.keep_order, args.tag),
            joblog: args.joblog.as_ref().map(open).transpose()?.map(JobLogFile::new).transpose()?,
            events: args.events.as_ref().map(open).transpose()?.map(EventFile::new),
        })
    }

    /// A line for people, beside the progress.
    pub(crate) fn say(&mut self, text: &str) {
        self.progress.line(text);
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self) {
        for text in self.printer.finish() {
            self.progress.line(&text);
        }
        self.progress.finish();
    }

    /// True when output of jobs could not be written.
    pub(crate) fn output_failed(&self) -> bool {
        self.printer.has_failed()
    }

    fn say_event(&mut self, event: &EventKind) {
        let text = match event {
            EventKind::HostError { host, reason } => format!("host {host} is out: {reason}"),
            EventKind::HostUnknown { host, reason } => format!("host {host}: {reason}"),
            EventKind::HostUp { host, hostname, slots } if self.verbose => {
                format!("host {host} is up: {hostname}, {slots} slots")
            }
            EventKind::JobAssigned { key, host } if self.verbose => {
                format!("job {key} goes to {host}")
            }
            EventKind::JobRefused { key, host, reason, .. } => {
                format!("host {host} can't start job {key}: {reason}")
            }
            EventKind::JobFinished { host, finish }
                if self.verbose || !finish.survivors.is_empty() =>
            {
                let key = finish.key.map(|key| key.to_string()).unwrap_or_default();
                let ending = Some(finish.ending.to_string());
                let known = name_survivors(ending, &finish.survivors).unwrap_or_default();
                format!("job {key} on {host}: {known}")
            }
            EventKind::JobLost { key, host, survivors, .. } if !survivors.is_empty() => {
                let known = name_survivors(None, survivors).unwrap_or_default();
                format!("job {key} on {host}: {known}")
            }
            EventKind::HostPaused { host, reason, seconds } => {
                format!("host {host} gets no jobs for {seconds} s: {reason}")
            }
            EventKind::HostProbed { host } if self.verbose => {
                format!("host {host} gets a job again, to see how it does")
            }
            EventKind::JobAbandoned { key, host, reason } => {
                format!("job {key} on {host}: {reason}; it will be started elsewhere")
            }
            EventKind::JobSuperseded { key, host } => {
                format!("job {key} on {host} came too late: another attempt counts")
            }
            EventKind::JobCollected { key, host, files, bytes } if self.verbose => {
                format!("job {key} on {host}: {files} files of its outputs are here, {bytes} bytes")
            }
            EventKind::JobNotCollected { key, host, reason, .. } => {
                format!("job {key} on {host}: {reason}")
            }
            EventKind::Transfer { host, direction, file, bytes, size } => {
                return self.progress.transfer(host, *direction, file, (*bytes, *size));
            }
            EventKind::JobKillAsked { key } => format!("job {} is to be ended", key.index),
            EventKind::JobPaused { key } => format!("job {} is paused", key.index),
            EventKind::JobResumed { key } => format!("job {} goes on", key.index),
            EventKind::JobReopened { key } => format!("job {} is to be done again", key.index),
            _ => return,
        };
        self.progress.line(&text);
    }
}

impl Handler for Reporter {
    fn handle_job_launch(&mut self, job: &Job) {
        self.progress.job_launch(job);
    }

    fn handle_job_done(&mut self, job: &Job) {
        self.progress.job_done(job);
        if let Some(joblog) = &mut self.joblog {
            joblog.job_done(job);
        }
    }

    fn handle_sleep(&mut self) {
        self.progress.sleep();
    }

    fn handle_event(&mut self, event: &Event, _jobs: &[Job]) {
        if let EventKind::JobReopened { .. } = &event.kind {
            self.progress.job_reopened();
        }
        if let Some(events) = &mut self.events {
            events.write(event);
        }
        self.say_event(&event.kind);
    }

    fn wanted(&self, job: &Job) -> Wanted {
        let both = Wanted { stdout: true, stderr: true };
        match self.show {
            Show::All => both,
            Show::Failed if job.state != State::Done => both,
            Show::Failed | Show::None => Wanted::default(),
        }
    }

    fn handle_job_output(&mut self, job: &Job, outputs: Vec<Fetched>) {
        let (printer, progress) = (&mut self.printer, &mut self.progress);
        let problems = progress.aside(|| printer.job_output(job, outputs));
        for text in problems {
            self.progress.line(&text);
        }
    }

    fn handle_upload(&mut self, host: &HostLabel, bytes: u64) {
        if self.verbose {
            self.progress.line(&format!("host {host} gets the program: {bytes} bytes"));
        }
    }
}

/// Opens a file to be written, or added to, with its path in the error.
fn open(path: &Path, add: bool) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).append(add).write(true).truncate(!add);
    options
        .open(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}
