//! Measures every work with every program, round by round, and prints what came of it.
//!
//! Programs take turns within a round, in another order in each round, so that what
//! disturbs one disturbs the others. Each measurement has fresh directories, on this side
//! and on the hosts. A run that fails ends the benchmark, with its output.

mod field;
pub(crate) mod machine;
pub(crate) mod measurement;
mod metg;
mod options;
mod peer;
mod relay;
pub(crate) mod report;
pub(crate) mod statistics;
pub(crate) mod table;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use field::Field;
use options::Options;
use peer::Peer;
use report::{Entry, Report, WorkReport};
use work::{Load, Work};

/// Runs the program with these arguments, the first of which is its own name.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options = Options::parse_from(args);
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    if let Some(relay) = &options.relay {
        return relay::run(relay);
    }
    let works = chosen(work::all(options), |work| &work.name, &options.only)?;
    if options.list {
        works.iter().for_each(|work| print(&format!("{:16} {}\n", work.name, work.title)));
        return Ok(());
    }
    let field = Field::new(options.on.as_deref())?;
    let peers = chosen(peer::all(options), |peer| peer.name(), &options.peers)?;
    let mut peers = start_installed(&field, peers, !options.peers.is_empty())?;
    let mut report = Report::new(&field, &peers, options);
    for work in &works {
        report.works.push(measure(&field, work, &mut peers, options)?);
    }
    print(&table::markdown(&report));
    if let Some(file) = &options.output {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// Those that were asked for by name, or those that are chosen by default.
fn chosen<T: Choice>(all: Vec<T>, name: fn(&T) -> &str, asked: &[String]) -> Result<Vec<T>> {
    if let Some(unknown) = asked.iter().find(|asked| !all.iter().any(|one| name(one) == *asked)) {
        let names: Vec<&str> = all.iter().map(name).collect();
        bail!("invalid name {unknown:?}: expected one of {}", names.join(", "));
    }
    let is_chosen = |one: &T| {
        if asked.is_empty() {
            one.by_default()
        } else {
            asked.iter().any(|asked| name(one) == asked)
        }
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// What can be chosen by name.
trait Choice {
    fn by_default(&self) -> bool;
}

impl Choice for Work {
    fn by_default(&self) -> bool {
        self.by_default
    }
}

impl Choice for Box<dyn Peer> {
    fn by_default(&self) -> bool {
        true
    }
}

/// Leaves out programs that are not installed, unless they were asked for.
fn start_installed(
    field: &Field,
    peers: Vec<Box<dyn Peer>>,
    asked: bool,
) -> Result<Vec<Box<dyn Peer>>> {
    let mut started = Vec::new();
    for mut peer in peers {
        match peer.missing() {
            None => {
                peer.start(field).with_context(|| format!("starting {}", peer.name()))?;
                started.push(peer);
            }
            Some(program) if asked => bail!("{}: {program} is not installed", peer.name()),
            Some(program) => say(&format!("without {}: {program} is not installed", peer.name())),
        }
    }
    Ok(started)
}

fn measure(
    field: &Field,
    work: &Work,
    peers: &mut [Box<dyn Peer>],
    options: &Options,
) -> Result<WorkReport> {
    let able: Vec<&dyn Peer> =
        peers.iter().map(|peer| &**peer).filter(|peer| peer.takes(&work.load)).collect();
    let mut entries: Vec<Entry> = able.iter().map(|peer| Entry::new(peer.name())).collect();
    for round in 0..work.rounds(options.rounds) {
        for turn in 0..able.len() {
            let at = (round + turn) % able.len();
            let (peer, entry) = (able[at], &mut entries[at]);
            let cost = match work.load {
                Load::Metg { slots } => metg::measure(field, peer, slots),
                ref load => measurement::measure(field, peer, load),
            };
            let cost = cost.with_context(|| format!("{} with {}", work.name, peer.name()))?;
            let value = work.unit.value(&cost);
            say(&format!("{} {}: {value:.3} {}", work.name, peer.name(), work.unit.name()));
            entry.add(&cost, value);
        }
    }
    if work.counts_fsyncs && machine::has("strace") {
        for (peer, entry) in able.iter().zip(&mut entries).filter(|(peer, _)| peer.is_traceable()) {
            entry.fsyncs_per_job = Some(measurement::count_fsyncs(field, *peer, &work.load)?);
        }
    }
    Ok(WorkReport::new(work, entries))
}

#[expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "a run of ten minutes shows how far it is")]
fn say(line: &str) {
    eprintln!("{line}");
}
