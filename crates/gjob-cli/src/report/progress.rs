//! How far a run is, on stderr: a progress line on a terminal, event lines
//! otherwise.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Stderr, stderr};
use std::time::Duration;

use gjob::manager::{Handler, JobLog};
use gjob_core::event::{Direction, Transfer};
use gjob_core::plural::counted;
use gjob_core::run::{Host, Tally};
use gjob_core::text::printable;
use gjob_core::{HostLabel, Job, Run};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[derive(Debug)]
pub(crate) enum Progress {
    Lines(JobLog<Stderr>),
    Bar(Bar),
}

#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    jobs: Tally,
    running: u64,
    /// Large files in transfer, by host, and how far they are.
    transfers: BTreeMap<HostLabel, String>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        if stderr().is_terminal() {
            Progress::Bar(Bar::new())
        } else {
            Progress::Lines(JobLog::new(stderr()))
        }
    }

    pub(crate) fn job_launch(&mut self, job: &Job) {
        if let Progress::Lines(log) = self {
            log.handle_job_launch(job);
        }
    }

    pub(crate) fn job_done(&mut self, job: &Job) {
        if let Progress::Lines(log) = self {
            log.handle_job_done(job);
        }
    }

    /// Shows how far the run is.
    pub(crate) fn update(&mut self, run: &Run) {
        if let Progress::Bar(bar) = self {
            bar.update(run);
        }
    }

    pub(crate) fn sleep(&mut self) {
        match self {
            Progress::Lines(log) => log.handle_sleep(),
            Progress::Bar(bar) => bar.bar.tick(),
        }
    }

    /// A large file has come this far.
    pub(crate) fn transfer(&mut self, transfer: &Transfer) {
        match self {
            // Lines tell of it once, when all of it has arrived.
            Progress::Lines(log) if transfer.bytes >= transfer.size => {
                log.line(&format!("{} ({})", way(transfer), counted(transfer.size, "byte")));
            }
            Progress::Lines(_) => {}
            Progress::Bar(bar) => bar.transfer(transfer),
        }
    }

    /// A line of its own.
    pub(crate) fn line(&mut self, text: &str) {
        let text = printable(text);
        match self {
            Progress::Lines(log) => log.line(&text),
            Progress::Bar(bar) => bar.bar.println(text),
        }
    }

    /// Writes something else to the terminal meanwhile.
    pub(crate) fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        match self {
            Progress::Lines(log) => {
                log.end_sleep();
                write()
            }
            Progress::Bar(bar) => bar.bar.suspend(write),
        }
    }

    pub(crate) fn finish(&mut self) {
        match self {
            Progress::Lines(log) => log.end_sleep(),
            Progress::Bar(bar) => bar.bar.finish_and_clear(),
        }
    }
}

/// Which file goes where.
fn way(Transfer { host, direction, file, .. }: &Transfer) -> String {
    let name = printable(file.rsplit('/').next().unwrap_or(file));
    match direction {
        Direction::In => format!("{name} > {host}"),
        Direction::Out => format!("{host} > {name}"),
    }
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let template = "{bar:24} {pos} of {msg} {elapsed} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Bar { bar, jobs: Tally::default(), running: 0, transfers: BTreeMap::new() }
    }

    fn update(&mut self, run: &Run) {
        self.jobs = run.tally();
        let running = |host: &Host| u64::from(host.load().min(host.slots()));
        self.running = run.hosts().iter().map(running).sum();
        self.bar.set_length(self.jobs.total().into());
        self.bar.set_position((self.jobs.total() - self.jobs.left()).into());
        self.show();
    }

    fn show(&self) {
        let failed = match self.jobs.error + self.jobs.unknown {
            0 => String::new(),
            failed => format!(", {failed} not done"),
        };
        let transfers = match (self.transfers.first_key_value(), self.transfers.len()) {
            (None, _) => String::new(),
            (Some((_, first)), 1) => format!(" {first}"),
            (Some((_, first)), more) => format!(" {first} and {} more", more - 1),
        };
        let jobs = counted(self.jobs.total().into(), "job");
        self.bar.set_message(format!("{jobs} ({} running{failed}){transfers}", self.running));
    }

    fn transfer(&mut self, transfer: &Transfer) {
        let Transfer { host, bytes, size, .. } = transfer;
        if bytes >= size {
            self.transfers.remove(host);
        } else {
            let percent = (u128::from(*bytes) * 100 / u128::from(*size)) as u64;
            self.transfers.insert(host.clone(), format!("{} {percent}%", way(transfer)));
        }
        self.show();
    }
}
