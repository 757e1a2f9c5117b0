//! A bed of hosts in namespaces: they can lose their network, crash and boot.

mod host;
mod range;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::geteuid;

use crate::ground::Ground;
use crate::process::Process;
use crate::site::{Site, make_sites, ssh, write_ssh_config};
use crate::skip::skip;
use crate::sshd::Sshd;
use crate::tools::{find_program, run_line};
use range::Range;

pub use host::NetHost;

/// Some hosts, each with network, process, mount and host name namespaces of
/// its own. Dropping it ends everything they run and takes the network down.
#[derive(Debug)]
pub struct NetBed {
    hosts: Vec<NetHost>,
    ssh_config: PathBuf,
    /// Last, as fields are dropped in order: the hosts end, then all is swept.
    ground: Ground,
}

impl NetBed {
    /// Raises `n` hosts with the aliases `h1` to `h<n>`, or notes why it cannot
    /// and gives `None`: it takes root, Linux namespaces and iproute2.
    ///
    /// Where tests must not be skipped, set `GJOB_TESTBED_NET=required`.
    ///
    /// # Panics
    ///
    /// When openssh-server is not installed, when a host that should boot does
    /// not, and instead of giving `None` when told so.
    #[must_use]
    #[track_caller]
    pub fn start(n: usize) -> Option<Self> {
        assert!(n < 254, "a bed in namespaces has at most 253 hosts");
        let sshd = Sshd::find();
        if let Err(reason) = namespaces_work() {
            return skip_bed(&reason);
        }
        let ground = Ground::new();
        match Range::claim(ground.dir(), n) {
            Ok(range) => Some(Self::raise(n, &sshd, ground, range)),
            Err(reason) => skip_bed(&reason),
        }
    }

    fn raise(n: usize, sshd: &Sshd, ground: Ground, range: Range) -> Self {
        let range = Arc::new(range);
        let raise = |(k, site): (usize, Site)| {
            site.write_sshd_config(sshd, &[]);
            let host = NetHost::new(site, k, &sshd.program, Arc::clone(&range));
            host.power_on();
            host
        };
        let hosts: Vec<NetHost> = (1..).zip(make_sites(ground.dir(), n)).map(raise).collect();
        hosts.iter().for_each(NetHost::settle);
        let blocks: String = hosts.iter().map(|host| host.ssh_block(&host.address(), 22)).collect();
        let sites: Vec<&Site> = hosts.iter().map(|host| &**host).collect();
        let ssh_config = write_ssh_config(ground.dir(), &sites, &blocks);
        Self { hosts, ssh_config, ground }
    }

    /// The configuration to give to `ssh -F`.
    #[must_use]
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// The hosts: `h1` first.
    #[must_use]
    pub fn hosts(&self) -> &[NetHost] {
        &self.hosts
    }

    /// The host with the alias `h<k>`.
    #[must_use]
    #[track_caller]
    pub fn host(&self, k: usize) -> &NetHost {
        k.checked_sub(1).and_then(|index| self.hosts.get(index)).expect("the bed has that host")
    }

    /// The aliases of all hosts, joined by commas, as gjob's `--hosts` takes them.
    #[must_use]
    pub fn host_list(&self) -> String {
        let aliases: Vec<&str> = self.hosts.iter().map(|host| host.alias()).collect();
        aliases.join(",")
    }

    /// The bed's private directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.ground.dir()
    }

    /// An `ssh` to this host, without a terminal, stdin or questions; add the
    /// command as its arguments.
    #[must_use]
    pub fn ssh(&self, alias: &str) -> Command {
        ssh(&self.ssh_config, alias)
    }

    /// The living processes of all hosts.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        self.hosts.iter().flat_map(|host| host.processes()).collect()
    }
}

/// Tries what a host needs, on a namespace that is gone at once.
fn namespaces_work() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("only root can make network namespaces".to_owned());
    }
    for program in ["unshare", "ip", "mount"] {
        find_program(program).ok_or_else(|| format!("{program} is not installed"))?;
    }
    run_line("unshare", "--net --uts --mount --pid --mount-proc --fork --kill-child ip link")
        .map(drop)
}

#[track_caller]
fn skip_bed(reason: &str) -> Option<NetBed> {
    let required = env::var("GJOB_TESTBED_NET").is_ok_and(|value| value == "required");
    assert!(!required, "no bed in namespaces: {reason}");
    skip(&format!("no bed in namespaces: {reason}"));
    None
}
