//! How a run comes on, on stderr: a progress line on a terminal, event lines
//! otherwise.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Stderr, stderr};
use std::time::Duration;

use gjob::manager::{Handler, JobLog};
use gjob_core::event::Direction;
use gjob_core::text::printable;
use gjob_core::{HostLabel, Job, State};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[derive(Debug)]
pub(crate) enum Progress {
    Lines(JobLog<Stderr>),
    Bar(Bar),
}

#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    running: u64,
    failed: u64,
    /// What is on its way, by host, and how much of it has come.
    transfers: BTreeMap<HostLabel, String>,
}

impl Progress {
    pub(crate) fn new(jobs: u64) -> Self {
        if stderr().is_terminal() {
            Progress::Bar(Bar::new(jobs))
        } else {
            Progress::Lines(JobLog::new(stderr()))
        }
    }

    pub(crate) fn job_launch(&mut self, job: &Job) {
        match self {
            Progress::Lines(log) => log.handle_job_launch(job),
            Progress::Bar(bar) => {
                bar.running += 1;
                bar.show();
            }
        }
    }

    pub(crate) fn job_done(&mut self, job: &Job) {
        match self {
            Progress::Lines(log) => log.handle_job_done(job),
            Progress::Bar(bar) => {
                bar.running = bar.running.saturating_sub(1);
                bar.failed += u64::from(job.state != State::Done);
                bar.bar.inc(1);
                bar.show();
            }
        }
    }

    /// A job that had failed is to be done again.
    pub(crate) fn job_reopened(&mut self) {
        match self {
            Progress::Lines(_) => {}
            Progress::Bar(bar) => {
                bar.failed = bar.failed.saturating_sub(1);
                bar.bar.set_position(bar.bar.position().saturating_sub(1));
                bar.show();
            }
        }
    }

    pub(crate) fn sleep(&mut self) {
        match self {
            Progress::Lines(log) => log.handle_sleep(),
            Progress::Bar(bar) => bar.bar.tick(),
        }
    }

    /// A large file has come so far.
    pub(crate) fn transfer(
        &mut self,
        host: &HostLabel,
        direction: Direction,
        file: &str,
        (bytes, size): (u64, u64),
    ) {
        match self {
            // Who reads lines is told once, when all of it is there.
            Progress::Lines(log) if bytes >= size => {
                log.line(&format!("{} ({size} bytes)", transfer(host, direction, file)));
            }
            Progress::Lines(_) => {}
            Progress::Bar(bar) => bar.transfer(host, direction, file, (bytes, size)),
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
fn transfer(host: &HostLabel, direction: Direction, file: &str) -> String {
    let name = printable(file.rsplit('/').next().unwrap_or(file));
    match direction {
        Direction::In => format!("{name} > {host}"),
        Direction::Out => format!("{host} > {name}"),
    }
}

impl Bar {
    fn new(jobs: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(jobs), ProgressDrawTarget::stderr());
        let template = "{bar:24} {pos}/{len} jobs {msg} {elapsed} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Bar { bar, running: 0, failed: 0, transfers: BTreeMap::new() }
    }

    fn show(&self) {
        let failed =
            if self.failed > 0 { format!(", {} not done", self.failed) } else { String::new() };
        let transfers = match (self.transfers.first_key_value(), self.transfers.len()) {
            (None, _) => String::new(),
            (Some((_, first)), 1) => format!(" {first}"),
            (Some((_, first)), more) => format!(" {first} and {} more", more - 1),
        };
        self.bar.set_message(format!("({} running{failed}){transfers}", self.running));
    }

    fn transfer(
        &mut self,
        host: &HostLabel,
        direction: Direction,
        file: &str,
        (bytes, size): (u64, u64),
    ) {
        if bytes >= size {
            self.transfers.remove(host);
        } else {
            let percent = (u128::from(bytes) * 100 / u128::from(size)) as u64;
            let text = format!("{} {percent}%", transfer(host, direction, file));
            self.transfers.insert(host.clone(), text);
        }
        self.show();
    }
}
