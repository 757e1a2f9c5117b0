//! `gjob clean`: removes the files of runs from their hosts, and, if that is wanted, what is
//! recorded of them here.

mod kept_on_hosts;
mod one;
mod programs;
mod unrecorded;

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use gjob::store::{RunDir, StateDir, Store, now};
use gjob::units::parse_duration_above_zero;
use gjob_core::plural::counted;
use gjob_core::run::Host;

use self::kept_on_hosts::KeptOnHosts;
use self::one::{
    What, clean, is_among, may_have_files, refuse_managed, refuse_unfinished, unfinished,
};
use self::programs::Programs;
use super::find_run;
use crate::cli::CleanArgs;
use crate::exit::{ALL_DONE, Failure, NOT_ALL_DONE, print_error};
use crate::report::headline::spoken;

pub(crate) fn run(args: &CleanArgs) -> Result<u8, Failure> {
    if args.unrecorded {
        return unrecorded::run(args);
    }
    let hosts = &args.hosts;
    if !(hosts.hosts.is_empty() && hosts.hosts_file.is_empty() && hosts.cluster.is_empty()) {
        return Err(Failure::input(anyhow!("hosts are named for --unrecorded only")));
    }
    let words: Vec<&String> = args.runs.iter().chain(&args.run).collect();
    if let ([word], true, false) = (words.as_slice(), args.record, args.dry_run)
        && let Some((run, why)) = one::unreadable(word)
    {
        return one::remove_unreadable(&run, &why);
    }
    let chosen = if args.all || args.older.is_some() {
        finished(args)?
    } else {
        words.iter().map(|word| find_run(Some(word))).collect::<Result<Vec<_>, _>>()?
    };
    // Nothing is removed unless all that was named can be.
    for dir in &chosen {
        refuse_managed(dir)?;
        let store = Store::read(dir).map_err(Failure::machinery)?;
        refuse_unfinished(dir, &store)?;
    }
    if chosen.is_empty() {
        writeln!(std::io::stdout(), "nothing to clean").map_err(Failure::machinery)?;
        return Ok(ALL_DONE);
    }
    check_hosts(args, &chosen)?;
    if args.dry_run {
        return show(&chosen, args);
    }
    clean_all(args, chosen)
}

fn clean_all(args: &CleanArgs, chosen: Vec<RunDir>) -> Result<u8, Failure> {
    let is_alone = chosen.len() == 1;
    let mut kept = KeptOnHosts::default();
    let programs = if args.all && args.record {
        Programs::of(&chosen, &args.forget_host)
    } else {
        Ok(Programs::default())
    };
    let programs = programs.map_err(Failure::machinery)?;
    let (mut unclean, mut failed) = (Vec::new(), false);
    for dir in chosen {
        let prefix = if is_alone { String::new() } else { format!("run {}: ", dir.run()) };
        let what = What { record: args.record, forgotten: &args.forget_host, prefix };
        let run = dir.run().clone();
        match clean(dir, &what, &mut kept) {
            Ok(true) => {}
            Ok(false) => unclean.push(run.to_string()),
            Err(failure) if is_alone => return Err(failure),
            Err(failure) => {
                failed = true;
                print_error(&format!("run {run}: {:#}", failure.error));
            }
        }
    }
    kept.say().map_err(Failure::machinery)?;
    if !unclean.is_empty() {
        let again = match args.all {
            true => "--all".to_owned(),
            false => unclean.join(" "),
        };
        print_error(&kept.help(&again));
    }
    if unclean.is_empty() {
        programs.say().map_err(Failure::machinery)?;
    }
    Ok(if unclean.is_empty() && !failed { ALL_DONE } else { NOT_ALL_DONE })
}

/// Runs whose jobs have all ended, as long ago as is asked for. Others are named.
fn finished(args: &CleanArgs) -> Result<Vec<RunDir>, Failure> {
    let age = args.older.as_deref().map(parse_duration_above_zero).transpose();
    let age = age.map_err(|error| Failure::input(anyhow!("--older: {error}")))?;
    let state = StateDir::from_env().map_err(Failure::input)?;
    let (mut chosen, mut kept) = (Vec::new(), Vec::new());
    for run in state.runs().map_err(Failure::machinery)? {
        let found = state.find(Some(&run)).map_err(anyhow::Error::from);
        match found.and_then(|dir| why_kept(&dir, age).map(|why| (dir, why))) {
            Ok((dir, None)) => chosen.push(dir),
            Ok((_, Some(why))) => kept.push((run, why)),
            Err(error) => print_error(&format!("run {run}: left as it is: {error:#}")),
        }
    }
    for (run, why) in kept.iter().filter(|(_, why)| !why.is_empty()) {
        print_error(&format!("run {run}: left as it is: {why}"));
    }
    Ok(chosen)
}

/// Why a run is not cleaned with all others; an empty text needs no word.
fn why_kept(dir: &RunDir, age: Option<Duration>) -> anyhow::Result<Option<String>> {
    if dir.is_managed()? {
        return Ok(Some("it has a manager".into()));
    }
    let store = Store::read(dir)?;
    let left = unfinished(&store)?;
    if left > 0 {
        return Ok(Some(format!("it has {} left", counted(left.into(), "job"))));
    }
    let end = store.last_end()?.unwrap_or(store.row()?.created);
    let past = Duration::from_millis(now().0.saturating_sub(end.0));
    Ok(age.is_some_and(|age| past < age).then(String::new))
}

/// A host that is given up is one of the runs'.
fn check_hosts(args: &CleanArgs, chosen: &[RunDir]) -> Result<(), Failure> {
    if args.forget_host.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    for dir in chosen {
        let hosts = Store::read(dir).and_then(|store| store.hosts()).map_err(Failure::machinery)?;
        known.extend(hosts.into_iter().map(|host| host.label.to_string()));
    }
    match args.forget_host.iter().find(|host| !known.contains(*host)) {
        None => Ok(()),
        Some(host) => Err(Failure::input(anyhow!(
            "--forget-host {host}: expected one of {}",
            known.into_iter().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// What would be removed.
fn show(chosen: &[RunDir], args: &CleanArgs) -> Result<u8, Failure> {
    let mut out = std::io::stdout().lock();
    for dir in chosen {
        let line = would_remove(dir, args).map_err(Failure::machinery)?;
        writeln!(out, "{line}").map_err(Failure::machinery)?;
    }
    Ok(ALL_DONE)
}

fn would_remove(dir: &RunDir, args: &CleanArgs) -> anyhow::Result<String> {
    let store = Store::read(dir)?;
    let hosts = store.hosts()?;
    let is_cleaned = |host: &&Host| may_have_files(host, &args.forget_host);
    let cleaned: Vec<&str> =
        hosts.iter().filter(is_cleaned).map(|host| spoken(&host.label)).collect();
    let dirs = store.job_dirs()?.into_iter().filter(|(host, ..)| {
        hosts.get(host.at()).is_some_and(|host| !is_among(host, &args.forget_host))
    });
    let dirs = counted(dirs.count() as u64, "job directory");
    let record = if args.record { ", and its record" } else { "" };
    let on = if cleaned.is_empty() { "no host".to_owned() } else { cleaned.join(", ") };
    Ok(format!("run {}: would remove {dirs} on {on}{record}", dir.run()))
}
