//! A job in one line: that it starts, is done, or is not, and why; a host in a
//! sentence.

use gjob::units::format_duration;
use gjob_core::size::shown_size;
use gjob_core::text::printable;
use gjob_core::{Cause, HostLabel, Job, Key, State};

/// As much of a command is shown, characters.
const COMMAND: usize = 200;

/// A host in a sentence.
pub(crate) fn spoken(host: &HostLabel) -> &str {
    match host.as_str() {
        HostLabel::LOCAL => "this machine",
        label => label,
    }
}

/// A host as the subject of a sentence: `host h1`.
pub(crate) fn subject_host(host: &HostLabel) -> String {
    match host.as_str() {
        HostLabel::LOCAL => "this machine".to_owned(),
        label => format!("host {label}"),
    }
}

/// `start #0 fit-0.1 on h3: ./fit 0.1`
pub(super) fn start(job: &Job) -> String {
    format!("start {}", running(job))
}

/// `#0 fit-0.1 on h3 (2nd attempt): ./fit 0.1`
pub(super) fn running(job: &Job) -> String {
    format!("{}{}: {}", title(job), attempt(job), command(job))
}

/// `ok #0 fit-0.1 on h3 in 1.2s`
fn ok(job: &Job) -> String {
    let took = job.attempt.as_deref().and_then(|attempt| attempt.duration());
    let took = took.map(|took| format!(" in {}", format_duration(took))).unwrap_or_default();
    format!("ok {}{took}", title(job))
}

/// How a job ended: as [`ok`] has it, or what [`what_failed`] and [`why`] say.
pub(crate) fn end(job: &Job) -> String {
    match job.state() {
        State::Done => ok(job),
        State::Free | State::Busy | State::Unknown | State::Error => {
            format!("{}{}", what_failed(job), why(job))
        }
    }
}

/// `FAILED #3`, or `UNKNOWN #3` if nobody can know how it ended.
pub(super) fn what_failed(job: &Job) -> String {
    let word = if job.state() == State::Error { "FAILED" } else { "UNKNOWN" };
    format!("{word} #{}", job.index)
}

/// ` fit-0.1 on h2: exit 3 (2nd attempt) · ./fit 0.1`
pub(super) fn why(job: &Job) -> String {
    let reason = job.reason.as_deref().map(printable);
    let reason = reason.unwrap_or_else(|| "its outcome is not known".to_owned());
    let memory = memory(job);
    format!("{}{}: {reason}{memory}{} · {}", name(job), on(job), attempt(job), command(job))
}

/// ` (used 133M of 100M)`, if it ran out of memory that it had asked for.
fn memory(job: &Job) -> String {
    let out = job.finish().filter(|finish| finish.cause == Some(Cause::Memory));
    let (Some(finish), Some(mem)) = (out, job.spec.mem) else { return String::new() };
    let used = shown_size(finish.max_rss_kib.saturating_mul(1024));
    format!(" (used {used} of {})", shown_size(mem))
}

/// `job 3 (2nd attempt)`
pub(super) fn subject_attempt(key: Key) -> String {
    format!("job {}{}", key.index, which(key.attempt))
}

/// Which attempt it is; nothing for the first.
fn attempt(job: &Job) -> String {
    which(job.key().map_or(0, |key| key.attempt))
}

fn which(attempt: u32) -> String {
    match attempt {
        0 | 1 => String::new(),
        number => format!(" ({} attempt)", ordinal(number)),
    }
}

/// `#3 fit-0.1 on h2`
pub(crate) fn title(job: &Job) -> String {
    format!("{}{}", subject(job), on(job))
}

fn subject(job: &Job) -> String {
    format!("#{}{}", job.index, name(job))
}

fn name(job: &Job) -> String {
    job.name().map(|name| format!(" {}", printable(name))).unwrap_or_default()
}

/// Where it runs or ran; nothing for this machine, and for a host that it is named after.
fn on(job: &Job) -> String {
    let is_said = |host: &&HostLabel| Some(host.as_str()) == job.name();
    let host = job.host().filter(|host| host.as_str() != HostLabel::LOCAL && !is_said(host));
    host.map(|host| format!(" on {host}")).unwrap_or_default()
}

fn command(job: &Job) -> String {
    cut_command(job, COMMAND)
}

/// The job's commands in one line.
pub(crate) fn whole_command(job: &Job) -> String {
    printable(&job.spec.cmds.join("; "))
}

/// The same, cut to `most` characters.
pub(crate) fn cut_command(job: &Job, most: usize) -> String {
    cut(&whole_command(job), most)
}

/// At most so much of a text, with a sign that more of it is left out.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, last) if last != 11 => "st",
        (2, last) if last != 12 => "nd",
        (3, last) if last != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use gjob_core::JobSpec;
    use gjob_core::job::Phase;

    use super::*;

    fn job(host: &str, attempt: u32) -> Job {
        let spec = JobSpec::new(["./fit 0.1"]).unwrap().name("fit-0.1");
        let id = "n/2026-11-22-1".parse().unwrap();
        Job::launched(spec, Key::new(3, attempt), host.parse().unwrap(), id)
    }

    #[test]
    fn job_that_is_not_done_is_named_with_host_reason_attempt_and_command() {
        let mut failed = job("h2", 2);
        failed.phase = Phase::Ended(State::Error);
        failed.reason = Some("exit 3".into());
        assert_eq!(end(&failed), "FAILED #3 fit-0.1 on h2: exit 3 (2nd attempt) · ./fit 0.1");
        let mut unknown = job(":", 1);
        unknown.phase = Phase::Ended(State::Unknown);
        unknown.reason = Some("its slot\u{1b}[2J died".into());
        assert_eq!(end(&unknown), "UNKNOWN #3 fit-0.1: its slot [2J died · ./fit 0.1");
    }

    #[test]
    fn job_that_never_started_is_named_without_a_host() {
        let spec = JobSpec::new(["true", "false"]).unwrap();
        let mut job = Job::new(spec);
        job.phase = Phase::Ended(State::Error);
        job.reason = Some("job 0 failed".into());
        assert_eq!(end(&job), "FAILED #0: job 0 failed · true; false");
    }

    #[test]
    fn start_and_success_name_job_and_host() {
        assert_eq!(start(&job("h2", 1)), "start #3 fit-0.1 on h2: ./fit 0.1");
        assert_eq!(start(&job("h2", 3)), "start #3 fit-0.1 on h2 (3rd attempt): ./fit 0.1");
        let mut done = job(":", 1);
        done.phase = Phase::Ended(State::Done);
        assert_eq!(end(&done), "ok #3 fit-0.1");
    }

    #[test]
    fn host_that_a_job_is_named_after_is_named_once() {
        let mut job = job("h3", 1);
        job.spec = JobSpec::new(["true"]).unwrap().name("h3").into();
        assert_eq!(start(&job), "start #3 h3: true");
    }

    #[test]
    fn ordinals_are_english() {
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 102].map(ordinal);
        let expected = ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd"];
        assert_eq!(ordinals, expected);
    }
}
