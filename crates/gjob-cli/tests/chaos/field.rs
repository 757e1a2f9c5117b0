//! The hosts of a chaotic run, on loopback or in namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gjob_testbed::{Bed, NetBed, NetHost, Process, Site};

pub(crate) enum Field {
    Loopback(Bed),
    Net(NetBed),
}

impl Field {
    pub(crate) fn ssh_config(&self) -> &Path {
        match self {
            Field::Loopback(bed) => bed.ssh_config(),
            Field::Net(bed) => bed.ssh_config(),
        }
    }

    pub(crate) fn sites(&self) -> Vec<&Site> {
        match self {
            Field::Loopback(bed) => bed.hosts().iter().map(|host| &**host).collect(),
            Field::Net(bed) => bed.hosts().iter().map(|host| &**host).collect(),
        }
    }

    /// Those of the host at this place, which begin at 0.
    pub(crate) fn connections(&self, at: usize) -> Vec<Process> {
        match self {
            Field::Loopback(bed) => bed.hosts()[at].connections(),
            Field::Net(bed) => bed.hosts()[at].connections(),
        }
    }

    /// A host that can lose its network.
    pub(crate) fn net_host(&self, at: usize) -> Option<&NetHost> {
        match self {
            Field::Loopback(_) => None,
            Field::Net(bed) => Some(&bed.hosts()[at]),
        }
    }

    /// Processes of the program in one of its roles, `agent` or `slot`. What one
    /// of them has just forked looks like it, and is about to be another: a slot's
    /// is its job.
    pub(crate) fn role(&self, at: usize, role: &str) -> Vec<Process> {
        let mut found = self.sites()[at].processes();
        found.retain(|process| process.argv().get(1).is_some_and(|arg| arg == role));
        let all: BTreeSet<u32> = found.iter().map(Process::pid).collect();
        found.retain(|process| process.parent().is_some_and(|parent| !all.contains(&parent)));
        found
    }

    pub(crate) fn processes(&self) -> Vec<Process> {
        self.sites().into_iter().flat_map(Site::processes).collect()
    }

    /// The ssh clients that have this bed's configuration.
    pub(crate) fn clients(&self) -> Vec<Process> {
        let config = self.ssh_config().to_str().unwrap();
        let pids = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut found: Vec<Process> = pids.filter_map(Process::find).collect();
        found.retain(|process| {
            let argv = process.argv();
            argv.first().is_some_and(|program| program.ends_with("ssh"))
                && argv.iter().any(|arg| arg == config)
        });
        found
    }

    /// `4/h1,4/h2,…`
    pub(crate) fn host_list(&self, slots: u32) -> String {
        let hosts: Vec<String> =
            self.sites().iter().map(|site| format!("{slots}/{}", site.alias())).collect();
        hosts.join(",")
    }

    /// Where each host's job directories are, with `-r results`.
    pub(crate) fn results(&self) -> BTreeMap<String, PathBuf> {
        let place = |site: &&Site| (site.alias().to_owned(), site.home().join("results"));
        self.sites().iter().map(place).collect()
    }
}
