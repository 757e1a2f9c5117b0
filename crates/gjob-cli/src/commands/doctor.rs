//! `gjob hosts`: whether hosts can be reached, what they have, and what would surprise
//! their jobs.

mod problems;
mod shared_notes;

use std::io::Write;
use std::time::Duration;

use gjob::Network;
use gjob::link::Transport;
use gjob::network::{Answers, DescribedHost};
use gjob::settings::RunSettings;
use gjob::units::format_duration;
use gjob_core::run::{Host, HostDuty, HostIx};
use gjob_core::{HostLabel, Run};
use serde::Serialize;

use super::{Recorded, change_hosts, config, find_run, hosts, read_run, rounded};
use crate::cli::{Cli, Command, HostsArgs};
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE};
use crate::report::{Columns, fit, stdout_columns};
use problems::{Problem, of_host, of_reason};
use shared_notes::{ANY_HOST, SharedNotes};

/// A host, and how it is or why it can't be asked.
struct Asked {
    label: String,
    /// How it is reached.
    way: Transport,
    answer: Result<DescribedHost, String>,
    /// Whether jobs survive a logout, or why that cannot be told; none if it was not asked.
    survives: Option<Result<bool, String>>,
    /// That the run drains it.
    leaving: Option<&'static str>,
}

/// What users want of the hosts of the run that are not simply used.
#[derive(Debug, Default)]
struct Duties(Vec<Host>);

impl Duties {
    fn of(run: &Run) -> Duties {
        Duties(run.hosts().iter().filter(|host| host.leaving().is_some()).cloned().collect())
    }

    fn leaving(&self, label: &str) -> Option<&'static str> {
        self.0.iter().find(|host| host.label.as_str() == label)?.leaving()
    }

    fn is_removed(&self, label: &HostLabel) -> bool {
        self.removed().any(|host| host.label == *label)
    }

    fn removed(&self) -> impl Iterator<Item = &Host> {
        self.0.iter().filter(|host| host.duty == HostDuty::Removed)
    }
}

impl Asked {
    fn problems(&self) -> Vec<Problem> {
        match &self.answer {
            Ok(host) => of_host(host, self.survives.as_ref()),
            Err(reason) => vec![of_reason(&self.label, reason, &self.way)],
        }
    }

    /// The same in words for several hosts. ssh's own words name the host.
    fn shared_problems(&self) -> Vec<Problem> {
        match &self.answer {
            Ok(_) => self.problems(),
            Err(reason) => {
                let reason = reason.split_once(": ssh: ").map_or(&**reason, |(what, _)| what);
                vec![of_reason(ANY_HOST, reason, &self.way)]
            }
        }
    }
}

pub(crate) fn run(args: &HostsArgs) -> Result<u8, Failure> {
    if let Some(command) = &args.change {
        return change_hosts::run(command);
    }
    let (settings, duties) = settings(args)?;
    let mut network = Network::from_settings(&settings).map_err(Failure::input)?;
    let plans = network.hosts().iter();
    let reached = plans.map(|plan| (plan.label().to_string(), plan.transport().clone()));
    let reached: Vec<(String, Transport)> = reached.collect();
    let answers = network.describe_hosts().map_err(Failure::machinery)?;
    let answering: Vec<HostIx> =
        answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(host, _)| *host).collect();
    let mut survival = match args.probe && !answering.is_empty() {
        true => network.probe_logout(&answering).map_err(Failure::machinery)?,
        false => Answers::new(),
    };
    let asked = reached.into_iter().zip(answers);
    let asked: Vec<Asked> = asked
        .map(|((label, way), (host, answer))| {
            let (survives, leaving) = (survival.remove(&host), duties.leaving(&label));
            Asked { label, way, answer, survives, leaving }
        })
        .collect();
    let printed = if args.json { json(&asked) } else { table(&asked, &duties) };
    printed.map_err(Failure::machinery)?;
    Ok(if asked.iter().all(|host| host.answer.is_ok()) { ALL_DONE } else { NOT_ALL_DONE })
}

/// The hosts that are asked: of a run, of the command line, or of `gjob.toml`.
fn settings(args: &HostsArgs) -> Result<(RunSettings, Duties), Failure> {
    if let Some(run) = args.run.as_deref() {
        let Recorded { run, mut settings, .. } = read_run(&find_run(Some(run))?)?;
        let duties = Duties::of(&run);
        for cluster in &mut settings.network.clusters {
            cluster.workers.retain(|it| !it.label().is_ok_and(|label| duties.is_removed(&label)));
        }
        return Ok((settings, duties));
    }
    let (Cli { command: Command::Hosts(args) }, setup) = config::read(!args.hosts.no_config)?
    else {
        return Err(Failure::machinery(anyhow::anyhow!("another command line was read")));
    };
    let network = hosts::checked_settings(&args.hosts, &setup)?;
    Ok((RunSettings { network, ..RunSettings::default() }, Duties::default()))
}

/// A row per host, and below them what is wrong with each.
fn table(asked: &[Asked], duties: &Duties) -> std::io::Result<()> {
    let headings = [
        "HOST", "STATE", "LOGIN", "CPUS", "LOAD", "MEMORY", "GPUS", "FREE", "USED", "CLOCK", "GJOB",
    ];
    let mut columns = Columns::new(headings).cut("HOST").cut("GJOB");
    for Asked { label, answer, leaving, .. } in asked {
        let name = Some(label.clone());
        columns.row(match answer {
            Ok(host) => row(name, leaving.unwrap_or("ok"), host),
            Err(_) => {
                let state = Some("unreachable".to_owned());
                [name, state, None, None, None, None, None, None, None, None, None]
            }
        });
    }
    for host in duties.removed() {
        let (name, state) = (host.label.to_string(), host.leaving().map(str::to_owned));
        columns.row([Some(name), state, None, None, None, None, None, None, None, None, None]);
    }
    let mut notes = SharedNotes::default();
    for host in asked {
        let label = &host.label;
        if let Some(Ok(true)) = host.survives {
            let note = || Problem::new("jobs survive a logout".to_owned(), "");
            notes.add(label, note(), note());
        }
        for (own, shared) in host.problems().into_iter().zip(host.shared_problems()) {
            notes.add(label, own, shared);
        }
    }
    let (terminal, notes) = (stdout_columns(), notes.text());
    write!(std::io::stdout().lock(), "{}{}", columns.text(terminal), fit(&notes, terminal))
}

fn row(name: Option<String>, state: &str, host: &DescribedHost) -> [Option<String>; 11] {
    let it = &host.description;
    [
        name,
        Some(state.to_owned()),
        Some(format_duration(Duration::from_millis(host.login.as_millis() as u64))),
        Some(it.cpus.to_string()),
        Some(format!("{:.1}", it.load_milli as f64 / 1000.0)),
        Some(rounded(it.memory_bytes)),
        Some(it.gpus.to_string()),
        Some(rounded(it.free_bytes)),
        Some(rounded(it.used_bytes)),
        Some(clock(host)),
        Some(it.version.shown().to_string()),
    ]
}

/// How far a clock is from ours, as far as that can be told.
fn clock(host: &DescribedHost) -> String {
    let ahead = host.clock_ahead_ms;
    if ahead.unsigned_abs() < 1000 {
        return "<1s".to_owned();
    }
    let sign = if ahead < 0 { "-" } else { "+" };
    format!("{sign}{}", format_duration(Duration::from_secs(ahead.unsigned_abs() / 1000)))
}

#[derive(Serialize)]
struct Listed<'a> {
    host: &'a str,
    /// draining or drained, for a host of a run that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaving: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    described: Option<Described>,
    /// Whether jobs survive a logout, if that was probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    survives_logout: Option<bool>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Described {
    hostname: String,
    version: String,
    login_ms: u64,
    round_trip_ms: u64,
    clock_ahead_ms: i64,
    cpus: u32,
    load: f64,
    memory_bytes: u64,
    gpus: u32,
    results_dir: String,
    free_bytes: u64,
    used_bytes: u64,
    open_files: Option<u64>,
    processes: Option<u64>,
    path: String,
}

fn json(asked: &[Asked]) -> std::io::Result<()> {
    let listed: Vec<Listed<'_>> = asked.iter().map(listed).collect();
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &listed)?;
    writeln!(out)
}

fn listed(asked: &Asked) -> Listed<'_> {
    let (host, leaving) = (&asked.label, asked.leaving);
    let problems = asked.problems();
    let survives_logout = asked.survives.as_ref().and_then(|survives| survives.clone().ok());
    let (error, described) = match &asked.answer {
        Err(reason) => (Some(reason.clone()), None),
        Ok(found) => (None, Some(described(found))),
    };
    Listed { host, leaving, error, described, survives_logout, problems }
}

fn described(found: &DescribedHost) -> Described {
    let it = &found.description;
    Described {
        hostname: it.hostname.shown().to_string(),
        version: it.version.shown().to_string(),
        login_ms: found.login.as_millis() as u64,
        round_trip_ms: found.round_trip.as_millis() as u64,
        clock_ahead_ms: found.clock_ahead_ms,
        cpus: it.cpus,
        load: it.load_milli as f64 / 1000.0,
        memory_bytes: it.memory_bytes,
        gpus: it.gpus,
        results_dir: it.results_dir.shown().to_string(),
        free_bytes: it.free_bytes,
        used_bytes: it.used_bytes,
        open_files: it.open_files,
        processes: it.processes,
        path: it.path.shown().to_string(),
    }
}
