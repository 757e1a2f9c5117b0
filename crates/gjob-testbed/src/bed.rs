//! A bed of hosts on loopback, for every user who can run sshd.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ground::Ground;
use crate::host::Host;
use crate::process::Process;
use crate::site::{Site, make_sites, ssh, write_ssh_config};
use crate::sshd::Sshd;

/// Hosts on loopback. Dropping it ends everything they run.
#[derive(Debug)]
pub struct Bed {
    hosts: Vec<Host>,
    ssh_config: PathBuf,
    /// Last, as fields are dropped in order: the sshds end, then all is swept.
    ground: Ground,
}

impl Bed {
    /// Starts `n` hosts with the aliases `h1` to `h<n>`.
    ///
    /// # Panics
    ///
    /// When openssh-server is not installed, or sshd does not start.
    #[must_use]
    pub fn start(n: usize) -> Self {
        Self::builder().hosts(n).start()
    }

    /// For a bed with other settings.
    pub fn builder() -> BedBuilder {
        BedBuilder { hosts: 1, parent: None, login_shell: None, noise: None, options: Vec::new() }
    }

    /// The configuration to give to `ssh -F`.
    #[must_use]
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// The hosts: `h1` first.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host with the alias `h<k>`.
    #[must_use]
    #[track_caller]
    pub fn host(&self, k: usize) -> &Host {
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

/// The settings of a [`Bed`], which [`BedBuilder::start`] starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct BedBuilder {
    hosts: usize,
    parent: Option<PathBuf>,
    login_shell: Option<String>,
    noise: Option<String>,
    options: Vec<String>,
}

impl BedBuilder {
    /// The number of hosts; 1 by default.
    pub fn hosts(mut self, n: usize) -> Self {
        self.hosts = n;
        self
    }

    /// Where the bed's directory is made; by default where temporary files are.
    pub fn below(mut self, parent: &Path) -> Self {
        self.parent = Some(parent.to_owned());
        self
    }

    /// `MaxStartups`, by which sshd drops logins; by default sshd's own `10:30:100`.
    pub fn max_startups(self, value: &str) -> Self {
        self.sshd_option(&format!("MaxStartups {value}"))
    }

    /// The login shell of each host; bash by default. See [`Site::set_login_shell`].
    pub fn login_shell(mut self, shell: &str) -> Self {
        self.login_shell = Some(shell.to_owned());
        self
    }

    /// A line that the start-up files of each host print. See [`Site::set_noise`].
    pub fn noise(mut self, line: &str) -> Self {
        self.noise = Some(line.to_owned());
        self
    }

    /// A line for each `sshd_config`. sshd uses the first value of an option, and the
    /// bed's own lines come first.
    pub fn sshd_option(mut self, line: &str) -> Self {
        self.options.push(line.to_owned());
        self
    }

    /// Starts the hosts and waits until all of them listen.
    ///
    /// # Panics
    ///
    /// When openssh-server is not installed, or sshd does not start.
    #[must_use]
    pub fn start(&self) -> Bed {
        let sshd = Sshd::find();
        let ground = self.parent.as_deref().map_or_else(Ground::new, Ground::below);
        let raise = |site: Site| {
            site.write_sshd_config(&sshd, &self.options);
            self.login_shell.iter().for_each(|shell| site.set_login_shell(shell));
            self.noise.iter().for_each(|line| site.set_noise(line));
            Host::launch(site, &sshd.program)
        };
        let mut hosts: Vec<Host> =
            make_sites(ground.dir(), self.hosts).into_iter().map(raise).collect();
        hosts.iter_mut().for_each(Host::settle);
        let blocks: String = hosts.iter().map(block).collect();
        let sites: Vec<&Site> = hosts.iter().map(|host| &**host).collect();
        let ssh_config = write_ssh_config(ground.dir(), &sites, &blocks);
        Bed { hosts, ssh_config, ground }
    }
}

fn block(host: &Host) -> String {
    host.ssh_block("127.0.0.1", host.port())
}
