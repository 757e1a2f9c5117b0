//! `gjob logs`: the output of jobs so far, read from their hosts.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use gjob::Network;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::wire::Stream;
use gjob_core::{Job, Run};

use super::{find_run, selection};
use crate::cli::LogsArgs;
use crate::exit::{ALL_DONE, Failure, print_error};
use crate::report::TerminalFilter;

/// How often to look for the start of a job.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub(crate) fn run(args: &LogsArgs) -> Result<u8, Failure> {
    let dir = find_run(args.run.as_deref())?;
    let store = Store::read(&dir).map_err(Failure::machinery)?;
    let mut run = store.load().map_err(Failure::machinery)?;
    let settings = store.row().map_err(Failure::machinery)?.settings;
    let settings = RunSettings::from_json(&settings).map_err(Failure::machinery)?;
    while args.follow && awaits_start(&dir, &run, &args.jobs).map_err(Failure::input)? {
        std::thread::sleep(POLL_INTERVAL);
        run = store.load().map_err(Failure::machinery)?;
    }
    let chosen = selection::select(run.jobs(), &args.jobs).map_err(Failure::input)?;
    let mut network = Network::from_settings(&settings).map_err(Failure::machinery)?;
    let stream = if args.err { Stream::Stderr } else { Stream::Stdout };
    let mut first = None;
    for job in chosen {
        let printed = match job.id() {
            None => Err(Failure::input(anyhow!("job {} has not started", job.index))),
            Some(_) => print(&mut network, job, stream, args.follow).map_err(Failure::machinery),
        };
        // The others may have some; without a reader, none is printed.
        match (printed, &first) {
            (Ok(()), _) => {}
            (Err(failure), _) if failure.is_broken_pipe() => return Err(failure),
            (Err(failure), None) => first = Some(failure),
            (Err(failure), Some(_)) => print_error(&format!("{:#}", failure.error)),
        }
    }
    first.map_or(Ok(ALL_DONE), Err)
}

/// True while a chosen job has not started but may, since there is a manager.
fn awaits_start(dir: &RunDir, run: &Run, words: &[String]) -> anyhow::Result<bool> {
    let waits = |job: &&Job| job.id().is_none() && !job.has_ended();
    let waiting = selection::select(run.jobs(), words)?.iter().any(waits);
    Ok(waiting && dir.is_managed()?)
}

fn print(network: &mut Network, job: &Job, stream: Stream, follow: bool) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    let terminal = stdout.is_terminal();
    let mut out = TerminalFilter::new(stdout.lock(), terminal);
    if follow {
        network.follow_output(job, stream, &mut out)?;
    } else {
        network.copy_output(job, stream, &mut out)?;
    }
    Ok(out.flush()?)
}
