//! `gjob logs`: what jobs have written so far, read from their hosts.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use gjob::Network;
use gjob::settings::RunSettings;
use gjob::store::{JobRow, RunDir, Store};
use gjob_core::wire::Stream;
use gjob_core::{HostLabel, Job, JobSpec, State};

use super::{find_run, selection};
use crate::cli::LogsArgs;
use crate::exit::{ALL_DONE, Failure};
use crate::report::TerminalFilter;

/// Between two looks at a job that has not begun.
const LOOK: Duration = Duration::from_millis(300);

pub(crate) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.as_deref())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let mut rows = store.jobs().map_err(Failure::machinery)?;
    let labels: Vec<HostLabel> =
        store.hosts().map_err(Failure::machinery)?.into_iter().map(|host| host.label).collect();
    let settings = store.run().map_err(Failure::machinery)?.settings;
    let settings = RunSettings::from_json(&settings).map_err(Failure::machinery)?;
    while args.follow && await_begin(&dir, &rows, &args.jobs).map_err(Failure::input)? {
        std::thread::sleep(LOOK);
        rows = store.jobs().map_err(Failure::machinery)?;
    }
    let chosen = selection::select(&rows, &args.jobs).map_err(Failure::input)?;
    let mut network = Network::from_settings(&settings).map_err(Failure::machinery)?;
    let stream = if args.err { Stream::Stderr } else { Stream::Stdout };
    for row in chosen {
        let job = launched(row, &labels).map_err(Failure::input)?;
        print(&mut network, &job, stream, args.follow).map_err(Failure::machinery)?;
    }
    Ok(ALL_DONE)
}

/// True while a chosen job has not begun but may, there being a manager.
fn await_begin(dir: &RunDir, rows: &[JobRow], words: &[String]) -> anyhow::Result<bool> {
    let waits = |row: &&JobRow| row.id.is_none() && matches!(row.state, State::Free | State::Busy);
    let waiting = selection::select(rows, words)?.iter().any(waits);
    Ok(waiting && dir.is_managed()?)
}

/// The row as a job that a network can be asked about.
fn launched(row: &JobRow, labels: &[HostLabel]) -> anyhow::Result<Job> {
    let host = row.host.and_then(|at| labels.get(at as usize));
    let (Some(id), Some(host)) = (&row.id, host) else {
        return Err(anyhow!("job {} has not begun: it has written nothing", row.index));
    };
    let mut job = Job::new(JobSpec::default());
    job.index = row.index;
    job.id = Some(id.clone());
    job.host = Some(host.clone());
    Ok(job)
}

fn print(network: &mut Network, job: &Job, stream: Stream, follow: bool) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    let mut out = TerminalFilter::new(stdout.lock(), terminal);
    if follow {
        network.follow_output(job, stream, &mut out)?;
    } else {
        let bytes = match stream {
            Stream::Stdout => network.get_stdout(job)?,
            Stream::Stderr => network.get_stderr(job)?,
        };
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}
