//! A new run none of whose hosts has a name that resolves: it is not kept, so that it
//! hides no other run, and names that may have been meant are suggested.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::anyhow;
use gjob::config::Config;
use gjob::link::Trouble;
use gjob::nearest::nearest;
use gjob::settings::RunSettings;
use gjob::store::{RunDir, Store};
use gjob_core::Run;
use gjob_core::hosts::Cluster;
use gjob_core::run::{Host, HostStatus};

use crate::exit::Failure;
use crate::known_hosts;

/// True if no host of a run has a name that resolves.
pub(super) fn is_misnamed(run: &Run) -> bool {
    let is_unknown = |host: &Host| {
        host.status == HostStatus::Failed
            && host.facts.is_none()
            && host.reason.as_deref().is_some_and(Trouble::is_unresolved)
    };
    !run.hosts().is_empty() && run.hosts().iter().all(is_unknown)
}

/// What is said of such a run.
pub(super) fn failure(dir: &RunDir) -> Failure {
    let row = Store::read(dir).and_then(|store| store.row()).ok();
    let settings = row.and_then(|row| RunSettings::from_json(&row.settings).ok());
    let settings = settings.unwrap_or_default();
    let clusters = &settings.network.clusters;
    let names: Vec<&str> =
        clusters.iter().flat_map(|cluster| &cluster.workers).map(|it| it.name.as_str()).collect();
    let known = known(&settings, clusters);
    let meant = |name: &&str| {
        let others = known.iter().map(String::as_str).filter(|other| !names.contains(other));
        nearest(name, others).map(|near| match names.len() {
            1 => near.to_owned(),
            _ => format!("{near} for {name}"),
        })
    };
    let meant: Vec<String> = names.iter().filter_map(meant).collect();
    let help = match meant.as_slice() {
        [] => "`ssh HOST true` must work before gjob can use a host".to_owned(),
        meant => format!("did you mean {}?", meant.join(", ")),
    };
    let what = match names.as_slice() {
        [name] => format!("there is no host {name}"),
        names => format!("there are no hosts {}", names.join(", ")),
    };
    Failure::machinery(anyhow!("{what}; nothing was started, and no run was kept\nhelp: {help}"))
}

/// Hosts that the user's files name.
fn known(settings: &RunSettings, clusters: &[Cluster]) -> BTreeSet<String> {
    let here = std::env::current_dir().unwrap_or_default();
    // What is wrong with the files was said before.
    let config = Config::read(&here, &mut Vec::new());
    let named = config.host_names().into_iter().map(str::to_owned);
    let options = clusters.iter().map(|cluster| &cluster.options);
    let options = options.chain([&settings.network.options]);
    let given: BTreeSet<PathBuf> =
        options.filter_map(|options| options.ssh_config.clone()).collect();
    let files = if given.is_empty() { [known_hosts::ssh_config()].into() } else { given };
    let configured = files.iter().flat_map(|path| known_hosts::of_ssh_config(path));
    named.chain(configured).chain(known_hosts::with_keys()).collect()
}
