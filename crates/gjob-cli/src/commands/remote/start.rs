//! `gjob remote start`: one job on one host, without a manager.

use std::io::{Read, Write};

use anyhow::{Context, anyhow};
use gjob::{Job, JobSpec, Network};
use gjob_core::plain_text;
use gjob_core::wire::Stream;

use super::name::RemoteJob;
use super::settings;
use crate::cli::HostArgs;
use crate::exit::{ALL_DONE, Failure};

pub(super) fn run(
    args: &HostArgs,
    files: &[String],
    timeout: Option<&str>,
    is_tailed: bool,
) -> Result<u8, Failure> {
    let timeout = timeout.map(gjob::units::parse_duration_above_zero).transpose();
    let timeout = timeout.context("--timeout").map_err(Failure::input)?;
    let mut network = Network::from_settings(&settings(args)?).map_err(Failure::input)?;
    let chosen = fastrand::usize(..network.hosts().len().max(1));
    let host = network.hosts().get(chosen).map(|plan| plan.label().clone());
    let host = host.ok_or_else(|| Failure::input(anyhow!("no host to start a job on")))?;

    let mut commands = Vec::new();
    let read = std::io::stdin().read_to_end(&mut commands).map_err(anyhow::Error::from);
    let commands = read.and_then(|_| Ok(plain_text::read(&commands)?));
    let commands = commands.context("cannot read the commands from standard input");
    let commands = commands.map_err(Failure::input)?;
    let spec = JobSpec::new(commands.lines()).map_err(Failure::input)?;
    let mut spec = spec.files(files.iter().map(String::as_str));
    spec.timeout = timeout;
    let mut job = Job::new(spec);

    let id = network.launch_job(&mut job, &host).map_err(Failure::machinery)?;
    let mut out = std::io::stdout().lock();
    let name = RemoteJob { host: host.as_str().to_owned(), id };
    writeln!(out, "{name}").and_then(|()| out.flush()).map_err(Failure::machinery)?;
    if is_tailed {
        network.follow_output(&job, Stream::Stdout, &mut out).map_err(Failure::machinery)?;
    }
    Ok(ALL_DONE)
}
