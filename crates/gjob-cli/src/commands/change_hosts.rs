//! `gjob hosts add`, `drain`, `remove` and `slots`: changes the hosts of a run, and what
//! `gjob attach` changes in the same way.

use std::io::Write;

use anyhow::anyhow;
use gjob::manager::{Change, Through, change};
use gjob::settings::NetworkSettings;
use gjob::store::RunDir;
use gjob_core::hosts::{Choice, Cluster, items};
use gjob_core::run::{Host, HostDuty};
use gjob_core::{HostLabel, Job, Run};

use super::acting::not_acted;
use super::config::Setup;
use super::{find_run, hosts, read_run};
use crate::cli::{AddHostsArgs, HostArgs, HostsCommand};
use crate::exit::{ALL_DONE, Failure};

/// Hosts that are named where one is not found, at most.
const NAMED: usize = 10;

pub(crate) fn run(command: &HostsCommand) -> Result<u8, Failure> {
    let (dir, change) = match command {
        HostsCommand::Add(args) => (find_run(args.run.word())?, add(args)?),
        HostsCommand::Drain(args) => {
            let dir = find_run(args.run.word())?;
            let hosts = named(&dir, &args.host)?;
            (dir, Change::Drain { hosts })
        }
        HostsCommand::Remove(args) => {
            let dir = find_run(args.run.word())?;
            let hosts = named(&dir, &args.host)?;
            (dir, Change::Remove { hosts })
        }
        HostsCommand::Slots(args) => {
            let dir = find_run(args.run.word())?;
            let hosts = match args.host.is_empty() {
                true => in_use(&read_run(&dir)?.run),
                false => named(&dir, &args.host)?,
            };
            (dir, Change::Slots { hosts, slots: args.slots })
        }
    };
    let through = make(&dir, &[change], |line| writeln!(std::io::stdout(), "{line}"))?;
    if through == Through::Itself {
        let is_over = read_run(&dir)?.run.jobs().iter().all(Job::has_ended);
        let text = match is_over {
            true => format!("recorded; all jobs of run {} have ended", dir.run()),
            false => format!("recorded; resume the run with `gjob attach {}`", dir.run()),
        };
        writeln!(std::io::stdout(), "{text}").map_err(Failure::machinery)?;
    }
    Ok(ALL_DONE)
}

/// Makes changes, and says what was changed.
pub(super) fn make(
    dir: &RunDir,
    changes: &[Change],
    mut say: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<Through, Failure> {
    let (changed, through) = change(dir, changes).map_err(not_acted)?;
    if let Some(why) = changed.refused {
        return Err(Failure::input(anyhow!("{why}\nnothing was changed")));
    }
    changed.notes.iter().try_for_each(|note| say(note)).map_err(Failure::machinery)?;
    Ok(through)
}

fn add(args: &AddHostsArgs) -> Result<Change, Failure> {
    let mut lists = args.host.clone();
    lists.extend(args.hosts.hosts.iter().cloned());
    Ok(Change::Add { clusters: clusters(&args.hosts, lists)? })
}

/// The hosts that options name, with those options for them that are given.
pub(super) fn clusters(args: &HostArgs, lists: Vec<String>) -> Result<Vec<Cluster>, Failure> {
    if !args.agent.is_empty() {
        return Err(Failure::input(anyhow!(
            "--agent: a run has the worker programs that it was begun with"
        )));
    }
    let setup = Setup::of_hosts(!args.no_config)?;
    let args = HostArgs {
        hosts: lists,
        hosts_file: args.hosts_file.clone(),
        cluster: args.cluster.clone(),
        results_dir: args.results_dir.clone(),
        connect: args.connect.clone(),
        ssh_config: args.ssh_config.clone(),
        slots: args.slots,
        blob_budget: args.blob_budget.clone(),
        min_free: args.min_free.clone(),
        load: args.load.clone(),
        nice: args.nice.clone(),
        delay: args.delay.clone(),
        oversubscribe: args.oversubscribe,
        no_config: args.no_config,
        agent: Vec::new(),
    };
    let NetworkSettings { clusters, options, .. } = hosts::checked_settings(&args, &setup)?;
    let with_options =
        |cluster: Cluster| Cluster { options: cluster.options.clone().or(&options), ..cluster };
    Ok(clusters.into_iter().map(with_options).collect())
}

/// The hosts of a run that words name, each once; those that were removed are not meant.
fn named(dir: &RunDir, words: &[String]) -> Result<Vec<HostLabel>, Failure> {
    let run = read_run(dir)?.run;
    let mut found: Vec<&Host> = Vec::new();
    for word in words.iter().flat_map(|word| items(word)) {
        let choice = Choice::new(&[word.to_owned()], &[]).map_err(Failure::input)?;
        let admitted = run.hosts().iter().filter(|host| choice.admits(&host.label, &host.labels));
        let (removed, meant): (Vec<_>, Vec<_>) =
            admitted.partition(|host| host.duty == HostDuty::Removed);
        match (meant.is_empty(), removed.first()) {
            (false, _) => found.extend(meant),
            (true, Some(host)) => return Err(was_removed(dir, host)),
            (true, None) => return Err(unknown(dir, &run, word)),
        }
    }
    let labels = in_order(&run, |host| found.iter().any(|it| it.label == host.label));
    Ok(labels)
}

fn in_order(run: &Run, is_so: impl Fn(&Host) -> bool) -> Vec<HostLabel> {
    let hosts = run.hosts().iter().filter(|host| is_so(host));
    hosts.map(|host| host.label.clone()).collect()
}

/// The hosts of a run that were not removed.
pub(super) fn in_use(run: &Run) -> Vec<HostLabel> {
    in_order(run, |host| host.duty != HostDuty::Removed)
}

/// The hosts of a run that have never answered, and are none of these.
pub(super) fn never_up(run: &Run, clusters: &[Cluster]) -> Vec<HostLabel> {
    let workers = clusters.iter().flat_map(|cluster| &cluster.workers);
    let given: Vec<HostLabel> = workers.filter_map(|worker| worker.label().ok()).collect();
    let is_unused = |host: &Host| host.duty != HostDuty::Removed && host.totals.logins == 0;
    in_order(run, |host| is_unused(host) && !given.contains(&host.label))
}

fn was_removed(dir: &RunDir, host: &Host) -> Failure {
    let (run, label) = (dir.run(), &host.label);
    Failure::input(anyhow!(
        "host {label} was removed from run {run}\n\
         help: `gjob hosts add {label} -R {run}` returns it to service"
    ))
}

fn unknown(dir: &RunDir, run: &Run, word: &str) -> Failure {
    let hosts = in_use(run);
    let names: Vec<&str> = hosts.iter().take(NAMED).map(HostLabel::as_str).collect();
    let more = if hosts.len() > NAMED { ", …" } else { "" };
    let (id, names) = (dir.run(), names.join(", "));
    Failure::input(anyhow!("run {id} has no host {word:?}: expected {names}{more}"))
}
