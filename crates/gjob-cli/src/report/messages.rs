//! Events as lines for people, beside the progress. A job's launch and end are
//! not among them: the progress tells of these.

use gjob_core::event::{
    AttemptChange, AttemptEvent, ClockOffset, HostChange, HostEvent, JobChange, JobEvent,
};
use gjob_core::outcome::name_survivors;
use gjob_core::plural::counted;
use gjob_core::{Finish, What};

/// A clock that is further off than this is worth a line, milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 1000;

/// The line that tells of an event, if there is one: `verbose` has more of them.
pub(super) fn message(what: &What, verbose: bool) -> Option<String> {
    match what {
        What::Host(event) => host_message(event, verbose),
        What::Attempt(event) => attempt_message(event, verbose),
        What::Job(event) => job_message(event),
        What::Run(_) | What::Transfer(_) => None,
    }
}

fn host_message(HostEvent { host, change }: &HostEvent, verbose: bool) -> Option<String> {
    let text = match change {
        HostChange::Failed { reason } => format!("host {host} failed: {reason}"),
        HostChange::Unreachable { reason } => format!("host {host} unreachable: {reason}"),
        HostChange::Paused { reason, seconds } => {
            format!("host {host} paused for {seconds} s: {reason}")
        }
        HostChange::Clock(offset) => return clock_message(*offset, host.as_str()),
        HostChange::Up(_) | HostChange::Probed | HostChange::ProgramSent { .. } if !verbose => {
            return None;
        }
        HostChange::Up(facts) => {
            let slots = counted(facts.offer.cpus.into(), "slot");
            format!("host {host} up: {}, {slots}", facts.hostname)
        }
        HostChange::Probed => format!("probing host {host} with one job"),
        HostChange::ProgramSent { bytes } => {
            format!("host {host}: sending the worker program, {}", counted(*bytes, "byte"))
        }
    };
    Some(text)
}

/// Times of jobs are by their hosts' clocks: a clock that is far off is named.
fn clock_message(offset: ClockOffset, host: &str) -> Option<String> {
    let ClockOffset { offset_ms, error_ms } = offset;
    let off = offset_ms.unsigned_abs();
    if off <= CLOCK_TOLERANCE_MS + error_ms {
        return None;
    }
    let way = if offset_ms > 0 { "ahead" } else { "behind" };
    let seconds = off as f64 / 1000.0;
    Some(format!("host {host}: its clock is {seconds:.1} s {way}, and so are its jobs' times"))
}

fn attempt_message(event: &AttemptEvent, verbose: bool) -> Option<String> {
    let AttemptEvent { key, host, change } = event;
    let text = match change {
        AttemptChange::Refused { reason, .. } => {
            format!("host {host} cannot start job {key}: {reason}")
        }
        AttemptChange::Exited { finish } if verbose || !finish.survivors.is_empty() => {
            format!("job {key} on {host}: {}", ending(finish))
        }
        AttemptChange::Lost { survivors, .. } if !survivors.is_empty() => {
            let known = name_survivors(None, survivors).unwrap_or_default();
            format!("job {key} on {host}: {known}")
        }
        AttemptChange::Abandoned { reason } => {
            format!("job {key} on {host}: {reason}; it will start elsewhere")
        }
        AttemptChange::Superseded => {
            format!("job {key} on {host} ended too late: another attempt counts")
        }
        AttemptChange::CollectFailed { reason, .. } => format!("job {key} on {host}: {reason}"),
        AttemptChange::Assigned if verbose => format!("job {key} assigned to {host}"),
        AttemptChange::Collected { files, bytes } if verbose => {
            let (files, bytes) = (counted(*files, "output file"), counted(*bytes, "byte"));
            format!("job {key} on {host}: fetched {files}, {bytes}")
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
        JobChange::Reopened => Some(format!("job {index} will be retried")),
        JobChange::Ended { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use gjob_core::HostLabel;

    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_named() {
        let host: HostLabel = "h1".parse().unwrap();
        let line = |offset_ms, error_ms| {
            let change = HostChange::Clock(ClockOffset { offset_ms, error_ms });
            message(&What::Host(HostEvent { host: host.clone(), change }), false)
        };
        assert_eq!(line(900, 0), None);
        assert_eq!(line(-1500, 600), None, "it may be less than a second");
        let behind = "host h1: its clock is 3600.0 s behind, and so are its jobs' times";
        assert_eq!(line(-3_600_000, 20).as_deref(), Some(behind));
    }
}
