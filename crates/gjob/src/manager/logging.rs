//! A manager that logs job events (the seed's `LoggingManager`).

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use gjob_core::text::printable;
use gjob_core::{Job, State};

use super::{Handler, Manager};

/// Writes a line per job event, and a row of dots while nothing happens.
///
/// An error of the log's writer never fails a run: what cannot be written is lost.
#[derive(Debug)]
pub struct JobLog<W> {
    log: W,
    last_was_sleep: bool,
}

impl<W: Write> JobLog<W> {
    /// Logs to `log`.
    pub fn new(log: W) -> Self {
        JobLog { log, last_was_sleep: false }
    }

    /// Where the log goes (the seed's `log`).
    pub fn log(&mut self) -> &mut W {
        &mut self.log
    }

    /// True when the last thing logged was a sleep (the seed's `last_was_sleep`).
    #[must_use]
    pub fn last_was_sleep(&self) -> bool {
        self.last_was_sleep
    }

    /// Writes one line, after the end of a row of dots.
    pub fn line(&mut self, text: &str) {
        let end = if std::mem::take(&mut self.last_was_sleep) { "\n" } else { "" };
        let _ = writeln!(self.log, "{end}{text}").and_then(|()| self.log.flush());
    }

    /// Ends a row of dots.
    pub fn end_sleep(&mut self) {
        if std::mem::take(&mut self.last_was_sleep) {
            let _ = writeln!(self.log);
        }
    }
}

/// `<id> w/name <name>`, and `-` for what a job doesn't have.
fn describe(job: &Job) -> String {
    let id = job.id().map_or("-", |id| id.as_str());
    format!("{id} w/name {}", printable(job.spec.name.as_deref().unwrap_or("-")))
}

impl<W: Write> Handler for JobLog<W> {
    fn handle_job_launch(&mut self, job: &Job) {
        self.line(&format!("LAUNCH {} as job #{}", describe(job), job.index));
    }

    fn handle_job_done(&mut self, job: &Job) {
        let word = match job.state() {
            State::Done => "DONE",
            State::Error => "ERROR",
            State::Unknown | State::Free | State::Busy => "UNKNOWN",
        };
        let reason = job.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        self.line(&format!("{word} {}{reason}", describe(job)));
    }

    fn handle_sleep(&mut self) {
        let dots = if self.last_was_sleep { "." } else { "WAIT ." };
        self.last_was_sleep = true;
        let _ = write!(self.log, "{dots}").and_then(|()| self.log.flush());
    }
}

/// Manager that logs job events to `log` (the seed's `LoggingManager`).
#[derive(Debug)]
pub struct LoggingManager<W: Write>(Manager<JobLog<W>>);

impl<W: Write> LoggingManager<W> {
    /// A manager that waits `sleep_time` for news, and logs to `log`.
    pub fn new(sleep_time: Duration, log: W) -> Self {
        LoggingManager(Manager::with_handler(sleep_time, JobLog::new(log)))
    }

    /// Where the log goes (the seed's `log`).
    pub fn log(&mut self) -> &mut W {
        self.0.handler_mut().log()
    }

    /// True when the last thing logged was a sleep (the seed's `last_was_sleep`).
    #[must_use]
    pub fn last_was_sleep(&self) -> bool {
        self.0.handler().last_was_sleep()
    }
}

impl<W: Write> Deref for LoggingManager<W> {
    type Target = Manager<JobLog<W>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<W: Write> DerefMut for LoggingManager<W> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::job::Phase;
    use gjob_core::{JobSpec, Key};

    use super::*;

    #[test]
    fn the_log_has_the_seeds_lines() {
        let spec = JobSpec::new(["true"]).unwrap().name("first");
        let (host, id) = ("node1".parse().unwrap(), "node1/2026-11-22-3".parse().unwrap());
        let mut job = Job::launched(spec, Key::new(4, 1), host, id);
        let mut log = JobLog::new(Vec::new());
        log.handle_job_launch(&job);
        log.handle_sleep();
        log.handle_sleep();
        assert!(log.last_was_sleep());
        job.phase = Phase::Ended(State::Done);
        log.handle_job_done(&job);
        assert!(!log.last_was_sleep());
        job.phase = Phase::Ended(State::Error);
        job.reason = Some("exit 7".into());
        log.handle_job_done(&job);
        assert_eq!(
            String::from_utf8(log.log).unwrap(),
            "LAUNCH node1/2026-11-22-3 w/name first as job #4\n\
             WAIT ..\n\
             DONE node1/2026-11-22-3 w/name first\n\
             ERROR node1/2026-11-22-3 w/name first: exit 7\n"
        );
    }
}
