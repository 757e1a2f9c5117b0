//! What `gjob du` has measured, for people and for programs.

use std::io::{self, Write};

use gjob_core::text::printable;

use super::{HostAnswer, HostUsage, Measured, MeasuredHost, MeasuredRun};
use crate::commands::rounded;
use crate::report::{Columns, fit, stdout_columns};

pub(super) fn json(measured: &Measured) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, measured)?;
    writeln!(out)
}

/// A row per host, what hindered, this machine, and a row per run.
pub(super) fn tables(measured: &Measured) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let terminal = stdout_columns();
    let headings = ["HOST", "TOTAL", "JOBS", "STAGED", "PROGRAM", "LOGS", "FREE", "DIRECTORY"];
    let mut columns = Columns::new(headings).cut("HOST").wrap("DIRECTORY");
    for MeasuredHost { host, answer } in &measured.hosts {
        columns.row(match answer {
            HostAnswer::Usage(usage) => row(host, usage),
            HostAnswer::Unreachable { .. } => {
                let state = Some("unreachable".to_owned());
                [Some(host.clone()), None, None, None, None, None, None, state]
            }
        });
    }
    let mut notes = String::new();
    for MeasuredHost { host, answer } in &measured.hosts {
        match answer {
            HostAnswer::Unreachable { error } => {
                notes.push_str(&printable(&format!("host {host}: {error}")));
                notes.push('\n');
            }
            HostAnswer::Usage(usage) if usage.is_partial => {
                notes.push_str(&format!("host {host}: there is more than was looked at\n"));
            }
            HostAnswer::Usage(_) => {}
        }
    }
    let (here, dir) = (rounded(measured.state_bytes), printable(&measured.state_dir));
    notes.push_str(&format!("records of runs on this machine: {here} in {dir}\n"));
    write!(out, "{}{}", columns.text(terminal), fit(&notes, terminal))?;
    if measured.runs.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::new(["RUN", "JOBS", "REMOTE", "LOCAL"]);
    for MeasuredRun { run, is_recorded, jobs, remote_bytes, local_bytes } in &measured.runs {
        let local = if *is_recorded { rounded(*local_bytes) } else { "not recorded".to_owned() };
        let cells = [run.clone(), jobs.to_string(), rounded(*remote_bytes), local];
        columns.row(cells.map(Some));
    }
    write!(out, "\n{}", columns.text(terminal))
}

fn row(host: &str, usage: &HostUsage) -> [Option<String>; 8] {
    let dir = match &usage.shared_with {
        Some(other) => format!("{} (shared with {other})", usage.results_dir),
        None => usage.results_dir.clone(),
    };
    let sizes = [
        usage.total_bytes,
        usage.job_bytes,
        usage.staged_bytes,
        usage.program_bytes,
        usage.log_bytes,
        usage.free_bytes,
    ];
    let [total, jobs, staged, program, logs, free] = sizes.map(rounded);
    [host.to_owned(), total, jobs, staged, program, logs, free, dir].map(Some)
}
