//! Events as lines of text, next to the progress. The progress itself reports the
//! launch and the end of jobs.

use gjob_core::event::{
    AttemptChange, AttemptEvent, ClockOffset, HostChange, HostEvent, JobChange, JobEvent, RunEnd,
    RunEvent, TaskEnd,
};
use gjob_core::halt::Halt;
use gjob_core::outcome::name_survivors;
use gjob_core::plural::counted;
use gjob_core::run::HostTask;
use gjob_core::size::shown_size;
use gjob_core::text::printable;
use gjob_core::{Finish, HostLabel, What};

use super::headline::{spoken, subject_attempt, subject_host};

/// A clock that is further off than this is reported, milliseconds.
pub(super) const CLOCK_TOLERANCE_MS: u64 = 1000;

/// The line for an event, if there is one; more events have one if `verbose`.
pub(super) fn message(what: &What, verbose: bool) -> Option<String> {
    match what {
        What::Host(event) => host_message(event, verbose),
        What::Attempt(event) => attempt_message(event, verbose),
        What::Job(event) => job_message(event),
        What::Run(RunEvent::Began { run, jobs, hosts, resumed }) => {
            let (jobs, hosts) = (counted((*jobs).into(), "job"), counted((*hosts).into(), "host"));
            let again = if *resumed { " resumed" } else { "" };
            Some(format!("run {run}{again}: {jobs}, {hosts}"))
        }
        What::Run(RunEvent::Halting { end, running }) => {
            let why = match end {
                RunEnd::Enough => "enough jobs are done",
                _ => "too many failures",
            };
            let running = counted((*running).into(), "running job");
            Some(format!("ending the run: {why}; killing {running}"))
        }
        What::Run(RunEvent::FilesReplaced { files, .. }) => {
            Some(format!("jobs that start from now on get the new {}", name_files(files)))
        }
        What::Run(RunEvent::Adopted { attempts: 0 }) => None,
        What::Run(RunEvent::Adopted { attempts }) => Some(format!(
            "this copy of the run is older than what its hosts have run: {} adopted",
            counted((*attempts).into(), "attempt")
        )),
        What::Run(RunEvent::HaltChanged { halt }) => Some(Halt::describe(*halt)),
        What::Run(RunEvent::Interrupted { running: 0 } | RunEvent::Ended { .. })
        | What::Transfer(_) => None,
        What::Run(RunEvent::Interrupted { running }) => Some(format!(
            "interrupted: killing {}, to be started again by `gjob attach`; Ctrl-C again exits and leaves what still runs",
            counted((*running).into(), "running job")
        )),
    }
}

/// As many files are named.
const NAMED_FILES: usize = 5;

/// The first of some files by their names, and how many more there are.
pub(crate) fn name_files<S: AsRef<str>>(files: &[S]) -> String {
    let named = files.iter().take(NAMED_FILES).map(|path| printable(path.as_ref()));
    let named = named.collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(NAMED_FILES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn host_message(HostEvent { host: label, change }: &HostEvent, verbose: bool) -> Option<String> {
    let host = subject_host(label);
    let text = match change {
        HostChange::LogSpoiled { lines } => {
            let lines = counted((*lines).into(), "line");
            format!("{host}: passing over {lines} of its run log that cannot be read")
        }
        HostChange::LogDamaged { reason, claims_lost } => {
            let known = match claims_lost {
                true => "what became of jobs sent to it is unknown",
                false => "outcomes are taken from job directories",
            };
            format!("{host}: its run log was damaged ({reason}); {known}")
        }
        HostChange::Told => return None,
        HostChange::Untold => {
            format!("{host} was lost before it could tell what it has run: that may run again")
        }
        HostChange::Restarted { jobs: 0 } => format!("{host} was restarted"),
        HostChange::Restarted { jobs: 1 } => format!("{host} was restarted: 1 job begins again"),
        HostChange::Restarted { jobs } => format!("{host} was restarted: {jobs} jobs begin again"),
        HostChange::Failed { reason, printed } => {
            let printed: String = printed.iter().map(|line| format!("\n  {line}")).collect();
            format!("{host} failed: {reason}{printed}")
        }
        // A set-up's failure is said when its host is out of the run.
        HostChange::TaskEnded { task: HostTask::Teardown, reason: Some(reason), .. } => {
            format!("{host}: teardown failed: {reason}")
        }
        HostChange::TaskEnded { task: HostTask::Setup, end: TaskEnd::Lost(_), reason, .. } => {
            let reason = reason.as_deref().unwrap_or("its outcome is unknown");
            format!("{host}: set-up lost: {reason}")
        }
        HostChange::TaskSkipped { task, reason } => format!("{host}: no {task}: {reason}"),
        HostChange::Unreachable { reason } => format!("{host} unreachable: {reason}"),
        HostChange::Paused { reason, seconds } => {
            format!("{host} paused for {seconds} s: {reason}")
        }
        HostChange::Full { again: true, .. } if !verbose => return None,
        HostChange::Full { reason, seconds, .. } => {
            format!("{host} paused: {reason}; trying again every {seconds} s")
        }
        HostChange::Waiting { again: true, .. } | HostChange::Continues if !verbose => return None,
        HostChange::Waiting { what, .. } => format!("{host} waits for {what}"),
        HostChange::Continues => format!("{host} waits no more"),
        HostChange::Oversubscribed { reason } => {
            format!("{host} takes no notice of your other runs there: {reason}")
        }
        HostChange::Added { .. } => format!("{host} added"),
        HostChange::Draining => format!("{host} gets no more jobs, and ends those it has begun"),
        HostChange::Removed => {
            format!("{host} removed: what it has begun is killed and runs again elsewhere")
        }
        HostChange::Slots { slots } => {
            format!("{host}: {} at once", counted((*slots).into(), "job"))
        }
        HostChange::Silent { seconds } => format!("{host}: no answer for {seconds} s"),
        HostChange::Heard { seconds } => format!("{host} answers again after {seconds} s"),
        HostChange::Clock(offset) => return clock_message(*offset, label),
        HostChange::Up(_)
        | HostChange::Connecting { .. }
        | HostChange::Probed
        | HostChange::ProgramSent { .. }
        | HostChange::TaskAssigned { .. }
        | HostChange::TaskStarted { .. }
        | HostChange::TaskEnded { .. }
            if !verbose =>
        {
            return None;
        }
        HostChange::Up(facts) => {
            let slots = counted(facts.offer.cpus.into(), "slot");
            format!("{host} up: {}, {slots}", facts.hostname)
        }
        HostChange::Limited { slots, wanted } => {
            let jobs = counted((*slots).into(), "job");
            format!(
                "{host} runs {jobs} at once, not {wanted}: few files may be open there (ulimit -Hn)"
            )
        }
        HostChange::Connecting { doing } => format!("{host}: {doing}"),
        HostChange::TaskAssigned { .. } => return None,
        HostChange::TaskStarted { task, .. } => format!("{host}: {task} started"),
        HostChange::TaskEnded { task, reason, .. } => {
            format!("{host}: {task} {}", reason.as_deref().unwrap_or("done"))
        }
        HostChange::Probed => format!("probing {host} with one job"),
        HostChange::ProgramSent { bytes } => {
            format!("{host}: sending the worker program, {}", counted(*bytes, "byte"))
        }
    };
    Some(text)
}

/// The times of jobs are corrected by what is known of their hosts' clocks; a clock
/// that is far off is reported all the same.
fn clock_message(offset: ClockOffset, host: &HostLabel) -> Option<String> {
    let ClockOffset { offset_ms, error_ms } = offset;
    let off = offset_ms.unsigned_abs();
    if off <= CLOCK_TOLERANCE_MS + error_ms {
        return None;
    }
    let way = if offset_ms > 0 { "ahead" } else { "behind" };
    let seconds = off as f64 / 1000.0;
    let host = subject_host(host);
    Some(format!("{host}: its clock is {seconds:.1} s {way}; its jobs' times are corrected"))
}

fn attempt_message(event: &AttemptEvent, verbose: bool) -> Option<String> {
    let AttemptEvent { key, host: label, change } = event;
    let (host, job) = (spoken(label), subject_attempt(*key));
    let text = match change {
        AttemptChange::Refused { reason, .. } => {
            format!("{} cannot start {job}: {reason}", subject_host(label))
        }
        AttemptChange::Exited { finish } if verbose || !finish.survivors.is_empty() => {
            format!("{job} on {host}: {}", ending(finish))
        }
        AttemptChange::Lost { survivors, .. } if !survivors.is_empty() => {
            let known = name_survivors(None, survivors).unwrap_or_default();
            format!("{job} on {host}: {known}")
        }
        AttemptChange::Abandoned { reason } => {
            format!("{job} on {host}: {reason}; the job will start on another host")
        }
        AttemptChange::Superseded => {
            format!("{job} on {host} ended too late: another attempt counts")
        }
        AttemptChange::CollectFailed { reason, .. } => format!("{job} on {host}: {reason}"),
        AttemptChange::Assigned if verbose => format!("{job} assigned to {host}"),
        AttemptChange::Collected { files, bytes } if verbose => {
            let (files, bytes) = (counted(*files, "output file"), counted(*bytes, "byte"));
            format!("{job} on {host}: fetched {files}, {bytes}")
        }
        AttemptChange::Assigned
        | AttemptChange::Started { .. }
        | AttemptChange::Exited { .. }
        | AttemptChange::Lost { .. }
        | AttemptChange::Withdrawn
        | AttemptChange::Collecting
        | AttemptChange::Collected { .. } => return None,
    };
    Some(text)
}

fn ending(finish: &Finish) -> String {
    name_survivors(Some(finish.ending.to_string()), &finish.survivors).unwrap_or_default()
}

fn job_message(JobEvent { key, change }: &JobEvent) -> Option<String> {
    let index = key.index;
    match change {
        JobChange::KillRequested => Some(format!("killing job {index}")),
        JobChange::Paused => Some(format!("job {index} paused")),
        JobChange::Resumed => Some(format!("job {index} resumed")),
        JobChange::MemoryRaised { mem } => {
            let mem = shown_size(*mem);
            Some(format!("job {index} begins again with {mem} of memory"))
        }
        JobChange::Reopened => Some(format!("job {index} will be retried")),
        JobChange::Ended { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line for an event as `--events` writes it.
    fn line(event: &str, verbose: bool) -> Option<String> {
        let what: What = serde_json::from_str(&format!("{{{event}}}")).unwrap();
        message(&what, verbose)
    }

    fn assert_lines(events: &[(&str, &str)], verbose: bool) {
        for (event, expected) in events {
            assert_eq!(line(event, verbose).as_deref(), Some(*expected), "{event}");
        }
    }

    const UP: &str = r#""event": "host-up", "host": "h1", "hostname": "node1", "version": "0.1.0",
        "platform": "linux-x86_64", "results_dir": "/r", "offer": {"cpus": 1, "mem": 0, "gpus": 0}"#;
    const PROBED: &str = r#""event": "host-probed", "host": "h1""#;
    const SENT: &str = r#""event": "host-program-sent", "host": "h1", "bytes": 7"#;
    const ASSIGNED: &str = r#""event": "attempt-assigned", "key": "3.1", "host": "h1""#;
    const EXITED: &str = r#""event": "attempt-exited", "key": "3.1", "host": "h1", "finish": {
        "key": "3.1", "id": "node1/2026-11-22-1", "ending": {"exit": 1}, "started": 0, "ended": 0,
        "user_us": 0, "system_us": 0, "max_rss_kib": 0, "stdout_bytes": 0, "stderr_bytes": 0}"#;
    const COLLECTED: &str =
        r#""event": "attempt-collected", "key": "3.1", "host": "h1", "files": 1, "bytes": 2"#;

    #[test]
    fn every_message() {
        let refused = r#""event": "attempt-refused", "key": "3.1", "host": "h1", "reason": "no bash",
            "scope": "host""#;
        let survivors =
            EXITED.replace("\"stderr_bytes\": 0", "\"stderr_bytes\": 0, \"survivors\": [7, 8]");
        let lost = r#""event": "attempt-lost", "key": "3.1", "host": "h1", "reason": "its slot died",
            "survivors": [7]"#;
        let failed = r#""event": "attempt-collect-failed", "key": "3.1", "host": "h1",
            "reason": "output \"x\" is missing", "scope": "job""#;
        let events = [
            (r#""event": "host-failed", "host": "h1", "reason": "R""#, "host h1 failed: R"),
            (r#""event": "host-restarted", "host": "h1", "jobs": 0"#, "host h1 was restarted"),
            (
                r#""event": "host-restarted", "host": "h1", "jobs": 1"#,
                "host h1 was restarted: 1 job begins again",
            ),
            (
                r#""event": "host-restarted", "host": "h1", "jobs": 2"#,
                "host h1 was restarted: 2 jobs begin again",
            ),
            (
                r#""event": "host-unreachable", "host": "h1", "reason": "R""#,
                "host h1 unreachable: R",
            ),
            (
                r#""event": "host-paused", "host": "h1", "reason": "R", "seconds": 30"#,
                "host h1 paused for 30 s: R",
            ),
            (
                r#""event": "host-limited", "host": "h1", "slots": 12, "wanted": 25"#,
                "host h1 runs 12 jobs at once, not 25: few files may be open there (ulimit -Hn)",
            ),
            (refused, "host h1 cannot start job 3: no bash"),
            (&survivors, "job 3 on h1: exit 1; processes 7, 8 could not be ended"),
            (lost, "job 3 on h1: process 7 could not be ended"),
            (
                r#""event": "attempt-abandoned", "key": "3.1", "host": "h1", "reason": "R""#,
                "job 3 on h1: R; the job will start on another host",
            ),
            (
                r#""event": "attempt-superseded", "key": "3.1", "host": "h1""#,
                "job 3 on h1 ended too late: another attempt counts",
            ),
            (failed, "job 3 on h1: output \"x\" is missing"),
            (r#""event": "job-kill-requested", "key": "3.1""#, "killing job 3"),
            (r#""event": "job-paused", "key": "3.1""#, "job 3 paused"),
            (r#""event": "job-resumed", "key": "3.1""#, "job 3 resumed"),
            (r#""event": "job-reopened", "key": "3.1""#, "job 3 will be retried"),
        ];
        assert_lines(&events, false);
        let verbose = [
            (UP, "host h1 up: node1, 1 slot"),
            (PROBED, "probing host h1 with one job"),
            (SENT, "host h1: sending the worker program, 7 bytes"),
            (ASSIGNED, "job 3 assigned to h1"),
            (EXITED, "job 3 on h1: exit 1"),
            (COLLECTED, "job 3 on h1: fetched 1 output file, 2 bytes"),
        ];
        assert_lines(&verbose, true);
    }

    #[test]
    fn steps_of_a_run_without_trouble_are_for_verbose_output() {
        for event in [UP, PROBED, SENT, ASSIGNED, EXITED, COLLECTED] {
            assert_eq!(line(event, false), None, "{event}");
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_named() {
        let line = |offset_ms: i64, error_ms: u64| {
            let event = "\"event\": \"host-clock\", \"host\": \"h1\"";
            line(&format!("{event}, \"offset_ms\": {offset_ms}, \"error_ms\": {error_ms}"), false)
        };
        assert_eq!(line(900, 0), None);
        assert_eq!(line(-1500, 600), None, "it may be less than a second");
        let behind = "host h1: its clock is 3600.0 s behind; its jobs' times are corrected";
        assert_eq!(line(-3_600_000, 20).as_deref(), Some(behind));
    }
}
