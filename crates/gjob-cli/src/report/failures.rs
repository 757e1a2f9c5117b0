//! The jobs that are not done, grouped by what went wrong, for the end of a run.

use std::collections::BTreeMap;

use gjob_core::run::{HostDuty, HostStatus};
use gjob_core::text::{excerpt, printable};
use gjob_core::{Job, Run, RunId};

use super::{headline, not_executable, unsent};

/// As many jobs of a group are named, or hosts.
const NAMED: usize = 8;

/// As many groups are shown.
const GROUPS: usize = 10;

/// The exit status of bash for a script that it cannot read.
const BAD_SYNTAX: u8 = 2;

/// As many jobs are kept with what they printed last.
const MOST: usize = 10_000;

/// What is known of the jobs that have failed while this process reports.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The last line that a job printed to standard error.
    last_lines: BTreeMap<u32, String>,
    /// True if the jobs' commands are words of a command line that were joined.
    pub(super) of_words: bool,
}

impl Failures {
    /// Keeps the last line of what a job has printed to standard error.
    pub(super) fn note_last_line(&mut self, index: u32, line: &[u8]) {
        let line = printable(&excerpt(String::from_utf8_lossy(line).trim()));
        if !line.is_empty() && self.last_lines.len() < MOST {
            self.last_lines.insert(index, line);
        }
    }

    /// A line per cause, the most frequent first: `7 × exit 1 "no such file": #3 #5`.
    pub(super) fn lines(&self, jobs: &[Job]) -> Vec<String> {
        let mut groups: BTreeMap<String, (String, Vec<u32>)> = BTreeMap::new();
        for job in jobs.iter().filter(|job| job.has_failed()) {
            let cause = self.cause(job);
            let kind = without_numbers(&cause);
            let (shown, members) =
                groups.entry(kind.clone()).or_insert_with(|| (cause.clone(), Vec::new()));
            if *shown != cause {
                *shown = kind;
            }
            members.push(job.index);
        }
        let mut groups: Vec<(String, Vec<u32>)> = groups.into_values().collect();
        groups.sort_by_key(|(_, jobs)| (std::cmp::Reverse(jobs.len()), jobs.first().copied()));
        let mut lines: Vec<String> = groups.iter().take(GROUPS).map(line).collect();
        if let more @ 1.. = groups.len().saturating_sub(GROUPS) {
            lines.push(format!("  and {more} other causes: `gjob status --state failed,unknown`"));
        }
        lines
    }

    /// What to do about a file that the jobs did not find, or could not run.
    pub(super) fn hint(&self, jobs: &[Job], id: &RunId) -> Option<String> {
        unsent::hint(jobs, |job| self.last_lines.get(&job.index).map(String::as_str))
            .or_else(|| not_executable::hint(jobs, id))
            .or_else(|| self.requoted(jobs))
    }

    /// What to do about joined words that are no command.
    fn requoted(&self, jobs: &[Job]) -> Option<String> {
        let is_no_command = |job: &Job| {
            let line = self.last_lines.get(&job.index);
            job.exit() == Some(BAD_SYNTAX) && line.is_some_and(|it| it.contains(".cmds: line "))
        };
        let found = self.of_words && jobs.iter().any(is_no_command);
        found.then(|| {
            "the words behind -- are joined and read by a shell again: quote the whole command, \
             as in -- 'echo \"(a)\"'"
                .to_owned()
        })
    }

    fn cause(&self, job: &Job) -> String {
        let reason = job.reason.as_deref().map(printable);
        let reason = reason.unwrap_or_else(|| "outcome unknown".to_owned());
        match self.last_lines.get(&job.index) {
            Some(line) => format!("{reason} \"{line}\""),
            None => reason,
        }
    }
}

/// The hosts that have failed while others did the work: what was said of them may be far
/// above.
pub(super) fn unused_hosts(run: &Run, id: &RunId) -> Option<String> {
    let failed = run
        .hosts()
        .iter()
        .filter(|host| host.status == HostStatus::Failed && host.duty != HostDuty::Removed);
    let names: Vec<&str> = failed.map(|host| headline::spoken(&host.label)).collect();
    let (some, all) = (names.len(), run.hosts().len());
    let named = names.get(..NAMED).unwrap_or(&names).join(", ");
    let more = if some > NAMED { " …" } else { "" };
    let were = if some == 1 { "was" } else { "were" };
    (some > 0 && some < all).then(|| {
        format!(
            "{some} of {all} hosts {were} not used: {named}{more} (`gjob status {id}` says why)"
        )
    })
}

/// What failures have in common that name different files, lines or values: the text of
/// what was printed with `*` for each number. Exit statuses and signals are kept.
pub(super) fn without_numbers(cause: &str) -> String {
    let (reason, printed) = cause.split_once(" \"").unwrap_or((cause, ""));
    let mut kind = reason.to_owned();
    if !printed.is_empty() {
        kind.push_str(" \"");
    }
    let mut is_number = false;
    for c in printed.chars() {
        if !c.is_ascii_digit() {
            kind.push(c);
        } else if !is_number {
            kind.push('*');
        }
        is_number = c.is_ascii_digit();
    }
    kind
}

fn line((cause, jobs): &(String, Vec<u32>)) -> String {
    let named: Vec<String> = jobs.iter().take(NAMED).map(|index| format!("#{index}")).collect();
    let more = if jobs.len() > NAMED { " …" } else { "" };
    format!("  {} × {cause}: {}{more}", jobs.len(), named.join(" "))
}

#[cfg(test)]
mod tests {
    use gjob_core::job::Phase;
    use gjob_core::{JobSpec, State};

    use super::*;

    fn failed(index: u32, reason: &str) -> Job {
        let mut job = Job::new(JobSpec::new(["true"]).unwrap());
        (job.index, job.reason) = (index, Some(reason.to_owned()));
        job.phase = Phase::Ended(State::Error);
        job
    }

    #[test]
    fn failures_are_grouped_by_reason_and_last_line_the_most_frequent_first() {
        let mut jobs: Vec<Job> = (1..=10).map(|index| failed(index, "exit 1")).collect();
        jobs.push(failed(11, "timeout"));
        let mut failures = Failures::default();
        for job in &jobs[..9] {
            failures.note_last_line(job.index, b"no such file: x.csv\n");
        }
        failures.note_last_line(10, b"killed\x1b[2J\n");
        let lines = failures.lines(&jobs);
        let expected = [
            "  9 × exit 1 \"no such file: x.csv\": #1 #2 #3 #4 #5 #6 #7 #8 …",
            "  1 × exit 1 \"killed [2J\": #10",
            "  1 × timeout: #11",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn failures_that_differ_in_numbers_only_are_one_group() {
        let jobs: Vec<Job> = (0..4).map(|index| failed(index, "exit 3")).collect();
        let mut failures = Failures::default();
        for job in &jobs[..3] {
            let line = format!("param-{}.json missing", 4 * job.index);
            failures.note_last_line(job.index, line.as_bytes());
        }
        failures.note_last_line(3, b"param-9.json is odd");
        let expected = [
            "  3 × exit 3 \"param-*.json missing\": #0 #1 #2",
            "  1 × exit 3 \"param-9.json is odd\": #3",
        ];
        assert_eq!(failures.lines(&jobs), expected);
    }

    #[test]
    fn jobs_that_are_done_are_no_failures() {
        let mut done = failed(0, "x");
        done.phase = Phase::Ended(State::Done);
        assert_eq!(Failures::default().lines(&[done]), [""; 0]);
    }
}
