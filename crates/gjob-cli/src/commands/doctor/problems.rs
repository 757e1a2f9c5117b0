//! What is wrong with a host, or would surprise its jobs, and what to do about it.

use std::time::Duration;

use gjob::link::Transport;
use gjob::network::DescribedHost;
use gjob::units::{format_duration, format_size};
use serde::Serialize;

/// Less free space than this is soon used up, bytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// A clock that is further off confuses what compares files' times, milliseconds.
const CLOCK_OFF_MS: u64 = 2000;

/// Fewer open files or processes than these are few for jobs that use many.
const FEW_FILES: u64 = 1024;
const FEW_PROCESSES: u64 = 256;

/// What keeps jobs from being killed at a logout. Lingering alone does not: it is for what
/// runs in the user's own manager.
const KEEP_JOBS: &str = "an administrator can set KillUserProcesses=no in /etc/systemd/logind.conf; or run \
     `loginctl enable-linger` there once, and connect with --connect 'ssh {host} systemd-run \
     --user --scope -q'";

/// One thing, and what to do about it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn new(what: String, help: &str) -> Self {
        Problem { what, help: Some(help.to_owned()).filter(|help| !help.is_empty()) }
    }
}

/// Why a host can't be asked, which is reached in this way.
pub(super) fn of_reason(label: &str, reason: &str, way: &Transport) -> Problem {
    let help = match way {
        Transport::Local => None,
        Transport::Command(_) => {
            Some("the command of --connect must start /bin/sh there without a question".to_owned())
        }
        _ => Some(format!(
            "`ssh {label} true` must work without a question; `ssh -v {label}` says more"
        )),
    };
    Problem { what: reason.to_owned(), help }
}

/// What is wrong with a host that answers. `survives` is what a probe has found.
pub(super) fn of_host(
    host: &DescribedHost,
    survives: Option<&Result<bool, String>>,
) -> Vec<Problem> {
    let it = &host.description;
    let mut problems = Vec::new();
    let off = host.clock_ahead_ms;
    if off.unsigned_abs() > CLOCK_OFF_MS {
        let by = format_duration(Duration::from_secs(off.unsigned_abs() / 1000));
        let side = if off > 0 { "ahead" } else { "behind" };
        problems.push(Problem::new(
            format!("its clock is {by} {side}"),
            "an administrator can have it set: timedatectl set-ntp true",
        ));
    }
    if it.free_bytes < LITTLE_SPACE {
        let (free, dir) = (format_size(it.free_bytes >> 20 << 20), it.results_dir.shown());
        problems.push(Problem::new(
            format!("{free} free in {dir}"),
            "-r DIR uses another directory; `gjob clean RUN` removes what runs have left",
        ));
    }
    if it.load_milli > u64::from(it.cpus) * 1500 {
        problems.push(Problem::new(
            format!("its load is {:.1} with {} processors", it.load_milli as f64 / 1000.0, it.cpus),
            "others use it: N/HOST has gjob run N jobs at once",
        ));
    }
    if it.open_files.is_some_and(|files| files < FEW_FILES) {
        problems
            .push(Problem::new(few(it.open_files, "open files"), "ulimit -n in a job's commands"));
    }
    if it.processes.is_some_and(|processes| processes < FEW_PROCESSES) {
        problems
            .push(Problem::new(few(it.processes, "processes"), "ulimit -u in a job's commands"));
    }
    problems.extend(of_logout(it.kills_at_logout, survives));
    problems.extend(of_shell(host));
    problems
}

/// What becomes of jobs at a logout, by what systemd is told and by what was tried.
fn of_logout(is_configured: bool, survives: Option<&Result<bool, String>>) -> Option<Problem> {
    let cause = if is_configured { ": logind is set so (KillUserProcesses)" } else { "" };
    match survives {
        Some(Ok(true)) => None,
        Some(Err(why)) => {
            Some(Problem::new(format!("whether jobs survive a logout is not known: {why}"), ""))
        }
        None if !is_configured => None,
        Some(Ok(false)) | None => Some(Problem::new(
            format!("jobs are killed when gjob's connection ends{cause}"),
            KEEP_JOBS,
        )),
    }
}

fn few(limit: Option<u64>, of: &str) -> String {
    format!("a job can have {} {of}", limit.unwrap_or_default())
}

/// What a job's shell does not see: it is that of `ssh HOST CMD`, which reads no profile.
fn of_shell(host: &DescribedHost) -> Vec<Problem> {
    let it = &host.description;
    let conda = it.conda.as_ref().map(|conda| {
        let conda = conda.shown().to_string();
        let help = format!("begin the commands with: source {conda}/etc/profile.d/conda.sh");
        Problem::new(
            format!("a job sees what `ssh HOST CMD` sees: no conda, which is in {conda}"),
            &help,
        )
    });
    let modules = it.modules.as_ref().map(|modules| {
        let help = format!("begin the commands with: source {}", modules.shown());
        let what = "a job sees what `ssh HOST CMD` sees: environment modules are not set up";
        Problem::new(what.to_owned(), &help)
    });
    conda.into_iter().chain(modules).collect()
}
